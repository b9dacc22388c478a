"""A cluster of three shards answers as a folder and as memory do."""

from __future__ import annotations

import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("duckdb", reason="stores are asked with duckdb")
pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

from tests.conformance.engine import (
    check_figures,
    check_ids,
    check_pages,
    check_recordings,
    check_selections,
)
from tests.peers.clickhouse import READER, Node, settle
from tests.query.build import event, inference_chain, late_chain, recording
from tests.query.stores import stored
from tests.query.test_verify import many
from tests.query.worlds import SESSIONS, Clause, events_in, queries
from whence.model.errors import BudgetExceeded, ClusterUnavailable, NotAStore, UnsupportedFormat
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.contracts.verify import verify
from whence.query.engines.cluster import ClusterEngine
from whence.query.engines.engine import Engine
from whence.query.engines.folder import FolderEngine
from whence.query.engines.memory import InMemory
from whence.query.engines.shapes import Aggregate, Budget
from whence.query.index import Index
from whence.query.sql.clickhouse import CLICKHOUSE
from whence.query.sql.pages import page_sql
from whence.query.sql.statement import Statement
from whence.query.why import why
from whence.store.clickhouse import ddl
from whence.store.clickhouse.http import Client
from whence.store.clickhouse.place import read_place
from whence.store.clickhouse.shipper import Shipper
from whence.store.folder import FolderStore

pytestmark = pytest.mark.timeout(600)

Asked = tuple[TraceQuery, list[Clause]]
few = settings(
    max_examples=6,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)


@contextmanager
def engines_over(
    source: Recording, client: Client, segments: int = 2, **more: Any
) -> Iterator[dict[str, Engine]]:
    """The recording in memory, in a folder, and shipped from there to the cluster."""
    ddl.create(client)
    for host in range(len(client.place.hosts)):
        for table in ("events_local", "sessions_local", "hidden_local"):
            client.command(f"TRUNCATE TABLE `{client.place.database}`.{table}", host=host)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as kept:
        path = stored(Path(folder) / "store", source, segments)
        Shipper(FolderStore(path), client).step()
        yield {
            "memory": InMemory(source),
            "folder": kept.enter_context(FolderEngine(path, threads=1, **more)),
            "cluster": ClusterEngine(client, **more),
        }


@few
@given(events_in(), st.lists(queries(), min_size=1, max_size=4))
def test_a_cluster_picks_what_others_pick(
    client: Client, events: tuple[TraceEvent, ...], asked: list[Asked]
) -> None:
    """Filters and conditions mean in every engine the same. R5.21 R4.68"""
    with engines_over(Recording(events, sessions=SESSIONS), client) as engines:
        check_selections(engines, [query for query, _ in asked])


@few
@given(
    events_in(),
    st.lists(queries(), min_size=1, max_size=3),
    st.lists(
        st.sampled_from(["type", "severity", "session", "model", "status", "n", "phase", "flag"]),
        max_size=3,
        unique=True,
    ),
    st.sampled_from([None, 500_000, 1_000_003]),
    st.sampled_from(["duration_ns", "n", "share", "phase"]),
)
def test_figures_of_a_cluster_are_those_of_others(
    client: Client,
    events: tuple[TraceEvent, ...],
    asked: list[Asked],
    group_by: list[str],
    bucket_ns: int | None,
    of: str,
) -> None:
    """Groups, buckets, weights and percentiles agree, absent keys included. R5.21 R5.5 R4.44"""
    question = Aggregate(tuple(group_by), bucket_ns, of=of)
    with engines_over(Recording(events, sessions=SESSIONS), client) as engines:
        for query, _ in asked:
            check_figures(engines, question, query)


@settings(few, max_examples=2)
@given(events=events_in(), size=st.integers(1, 7))
def test_pages_of_a_cluster_hold_each_event_once(
    client: Client, events: tuple[TraceEvent, ...], size: int
) -> None:
    """A page may be of one engine and the next one of another. R5.21 R4.45"""
    with engines_over(Recording(events, sessions=SESSIONS), client) as engines:
        check_pages(engines, size)


def test_eleven_thousand_groups_are_equal(client: Client) -> None:
    """Whole nanosecond buckets, exact percentiles: no group differs from any engine's. R5.21"""
    dice = random.Random(7)
    events = [
        event(
            f"type-{dice.randrange(12)}",
            n * 1.7,
            f"request-{n // 8}",
            ticket=n,
            duration_ms=dice.choice([0, 1, 2, 5, 400]),
            attributes={"phase": dice.choice(["swap", "load"])} if n % 3 else {"n": n % 7},
        )
        for n in range(24_000)
    ]
    groups = 0
    with engines_over(recording(events), client, segments=3) as engines:
        for names, bucket_ns in ((("type", "phase"), 10**8 + 7), (("type", "n"), 3 * 10**9)):
            groups += check_figures(engines, Aggregate(names, bucket_ns), TraceQuery())
        groups += check_figures(engines, Aggregate(("request",)), TraceQuery())
        groups += check_figures(engines, Aggregate(("type",), 10**9, of="n"), TraceQuery())
    assert groups > 11_000


def test_recordings_of_a_cluster_explain_the_same(client: Client) -> None:
    """Kinds, ledgers and gates come with the events: why says the same. R5.21 R5.11"""
    source = recording([*late_chain(), *inference_chain("req-9", 90, first_ticket=30)])
    requests = ("req-000412", "req-9")
    asked = [TraceQuery(), *(TraceQuery(request_id=name) for name in (*requests, "nobody"))]
    with engines_over(source, client) as engines:
        stores = {name: engines[name] for name in ("folder", "cluster")}
        check_recordings(stores, asked)
        for name in requests:
            query = TraceQuery(request_id=name)
            told = [why(Index(each.recording(query)), name) for each in stores.values()]
            for answer in told[1:]:
                assert (answer.story, answer.gaps) == (told[0].story, told[0].gaps)


def test_ids_are_found_whole_or_by_a_part(client: Client) -> None:
    """Those that no row holds as text, too. R5.21 R5.11"""
    events = [*inference_chain("req-1"), *inference_chain("req-12", 50, first_ticket=10)]
    events.append(event("tick", 99, "", ticket=20, decision_chain_id="plan-1"))
    events.append(event("tick", 98, "", ticket=21, event_id="Own-7"))
    whole = events[2].event_id
    sought = ["req-1", "req", "12", "plan", "own", "Own-7", "nothing of the kind", "", "\ud800"]
    sought += [whole, whole.upper(), whole[-6:], whole[-15:], whole[:-2], whole[:20], "'; --"]
    with engines_over(recording(events), client, segments=3) as engines:
        check_ids(engines, sought)


def test_percentiles_of_very_many_rows_are_read_from_a_histogram(client: Client) -> None:
    """Beyond the limit figures are marked approximate, and both engines read the same. R5.21"""
    events = [event("tick", n, ticket=n, duration_ms=1 + n % 97) for n in range(2_000)]
    events += [event("free", n, ticket=5_000 + n, attributes={"x": -n}) for n in range(50)]
    with engines_over(recording(events), client, exact_rows=1_000) as engines:
        stores = {name: engines[name] for name in ("folder", "cluster")}
        assert check_figures(stores, Aggregate(("type",), 10**9), TraceQuery()) > 1
        check_figures(stores, Aggregate(of="x"), TraceQuery())


def test_a_question_about_one_request_is_asked_of_one_shard(
    client: Client, shards: list[Node]
) -> None:
    """It is answered while another shard is gone; a question about all is not. R5.21"""
    events = [event("tick", n, f"request-{n // 4}", ticket=n) for n in range(400)]
    with engines_over(recording(events), client):
        [[shard]] = client.rows(
            f"SELECT any(_shard_num) FROM {client.place.events} WHERE request_id = 'request-7'"
        )
        s = Statement(CLICKHOUSE)
        query = TraceQuery(request_id="request-7")
        text = page_sql(s, client.place.events, ["ticket"], query)
        values = {name: value for name, (_, value) in s.values_in(text).items()}
        how = {"optimize_skip_unused_shards": 1, "force_optimize_skip_unused_shards": 1}
        shards[shard % 3].kill()  # one of the others
        assert client.rows(text, values, how) == [[28], [29], [30], [31]]
        s = Statement(CLICKHOUSE)
        text = page_sql(s, client.place.events, ["ticket"], TraceQuery())
        with pytest.raises(ClusterUnavailable):
            client.rows(text)


def test_no_answer_is_part_of_one(client: Client, shards: list[Node]) -> None:
    """While a shard is gone there is an error; when it is back, all of its events are. R5.21"""
    events = [event("tick", n, f"request-{n}", ticket=n) for n in range(300)]
    with engines_over(recording(events), client) as engines:
        shards[1].kill()
        with pytest.raises(ClusterUnavailable):
            engines["cluster"].select(TraceQuery())
        settle(shards)
        assert len(engines["cluster"].select(TraceQuery(), limit=1_000).events) == 300


def test_shards_killed_while_they_are_asked_make_no_answer_smaller(
    client: Client, shards: list[Node]
) -> None:
    """kill -9 in the middle of questions: each is answered whole or with an error. R5.21"""
    events = [event("tick", n, f"request-{n}", ticket=n) for n in range(3_000)]
    whole = refused = 0
    with engines_over(recording(events), client) as engines:
        for number in range(3):
            timer = threading.Timer(0.2 * number, shards[number % 3].kill)
            timer.start()
            for _ in range(6):
                try:
                    page = engines["cluster"].select(TraceQuery(), limit=5_000)
                except ClusterUnavailable:
                    refused += 1
                else:
                    assert len(page.events) == 3_000
                    whole += 1
            timer.join()
            settle(shards)
    assert whole
    assert refused


def test_a_user_who_may_only_read_asks_as_others_do(
    client: Client, url_of: Callable[..., str]
) -> None:
    """No setting may be given for it, and none is needed. R5.21"""
    source = recording(inference_chain("req-1"))
    with engines_over(source, client) as engines:
        reader = ClusterEngine(Client(read_place(url_of(user=READER), environ={})))
        both = {"cluster": engines["cluster"], "reader": reader}
        check_selections(both, [TraceQuery(), TraceQuery(where="n > 1")])
        check_figures(both, Aggregate(("type", "n"), 10**6), TraceQuery())
        reader.close()


def test_budgets_bind(client: Client) -> None:
    """Rows, bytes and time: what is beyond is BudgetExceeded, not a part of the answer. R5.21"""
    events = [event("tick", n, ticket=n) for n in range(500)]
    with engines_over(recording(events), client) as engines:
        cluster = engines["cluster"]
        with pytest.raises(BudgetExceeded):
            cluster.recording(TraceQuery(), Budget(rows=499))
        assert len(cluster.recording(TraceQuery(), Budget(rows=500)).events) == 500
        with pytest.raises(BudgetExceeded):
            cluster.recording(TraceQuery(), Budget(bytes=10))
        with pytest.raises(BudgetExceeded):
            cluster.select(TraceQuery(), budget=Budget(time_s=0.000_001))


def test_what_was_forgotten_is_in_no_answer(client: Client, tmp_path: Path) -> None:
    """At once after it was shipped, and after the owner's files are written anew. R5.21 R5.24"""
    trace = "0123456789abcdef" * 2
    events = [
        event(
            f"type-{n % 3}",
            n,
            f"request-{n // 4}" if n % 10 else "",
            ticket=n,
            trace_id=trace if n % 7 == 0 else "",
            decision_chain_id="request-5" if n % 11 == 0 else "",
        )
        for n in range(200)
    ]
    path = stored(tmp_path / "store", recording(events), 3)
    store = FolderStore(path)
    shipper = Shipper(store, client)
    shipper.step()
    with ClusterEngine(client) as before:
        assert len(before.select(TraceQuery(), limit=300).events) == 200
        store.hide(["request-5", "request-9"])
        store.hide([trace], traces=True)
        shipper.step()
        gone = {"request-5", "request-9"}
        left = [
            each
            for each in events
            if not gone & {each.request_id, each.decision_chain_id} and each.trace_id != trace
        ]
        engines: dict[str, Engine] = {"memory": InMemory(recording(left)), "cluster": before}
        asked = [TraceQuery(), TraceQuery(request_id="request-5"), TraceQuery(trace_id=trace)]
        for _ in range(2):
            check_selections(engines, asked)
            check_figures(engines, Aggregate(("type",), 10**9), TraceQuery())
            for text in ("request-5", trace, "request-1"):
                assert engines["cluster"].find(text) == engines["memory"].find(text)
            with FolderStore(path, write=True) as owner:
                owner.compact()
            shipper.step()
            engines["folder"] = FolderEngine(path, threads=1)
        pieces = list(before.whole_chains(TraceQuery(event_type="type-1")))
        assert not gone & {each.request_id for piece in pieces for each in piece.events}


def test_what_is_no_store_of_ours_is_refused(client: Client) -> None:
    """A database without our tables, and one of a newer whence. R5.21"""
    with pytest.raises(NotAStore, match="no tables of whence"):
        ClusterEngine(client)
    ddl.create(client)
    table = f"`{client.place.database}`.events_local"
    client.command(f"ALTER TABLE {table} MODIFY COMMENT '{ddl.SIGN}2'", host=0)
    with pytest.raises(UnsupportedFormat, match="version 2"):
        ClusterEngine(client)


def test_a_cluster_is_verified_like_others(client: Client) -> None:
    """Whole chains in pieces, from whichever shards, all of them or some. R5.21 R5.12"""
    lacking = {3: "scheduling_decision", 4: "execution_completed"}
    source = recording(many(30, lacking))
    with engines_over(source, client) as engines:
        for query in (TraceQuery(), TraceQuery(request_id="req-3"), TraceQuery(event_type="alloc")):
            found = {name: verify(each.whole_chains(query)) for name, each in engines.items()}
            assert found["cluster"] == found["folder"]
        pieces = list(engines["cluster"].whole_chains(TraceQuery(), most_rows=20))  # type: ignore[call-arg]
        assert len(pieces) > 3
        again, right = verify(pieces), verify(source)
        assert [each.groups[0].chains for each in again.contracts] == [1]
        assert (again.chains, again.contracts[0].complete) == (
            right.chains,
            right.contracts[0].complete,
        )
        some = TraceQuery(request_id="req-3", event_type="execution_started")
        (piece,) = engines["cluster"].whole_chains(some)
        assert len(piece.events) == 3
