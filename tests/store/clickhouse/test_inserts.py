"""Every event is in ClickHouse once: repeated, merged, half inserted, or with a shard killed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

pytest.importorskip("pyarrow", reason="needs whence[store]")

from tests.peers.clickhouse import Node
from tests.store.clickhouse.segments import segment
from whence.model.errors import ClusterUnavailable
from whence.store.clickhouse import ddl
from whence.store.clickhouse import inserts as module
from whence.store.clickhouse.http import Client
from whence.store.clickhouse.inserts import Arrival, Inserts, SessionDocument

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def made(client: Client) -> Client:
    """A client of a database with its tables."""
    ddl.create(client)
    return client


def counted(client: Client) -> list[int]:
    """Rows, and different events among them."""
    [counts] = client.rows(
        f"SELECT count(), uniqExact(session, ring, ticket) FROM {client.place.events}"
    )
    return counts


def on_shards(client: Client) -> dict[int, int]:
    """Rows by shard."""
    return dict(client.rows(f"SELECT _shard_num, count() FROM {client.place.events} GROUP BY 1"))


def test_a_segment_sent_again_changes_nothing(made: Client) -> None:
    """By whoever remembers it, by whoever asks the cluster, and raw under its token. R5.21"""
    arrival, content = segment("S1", 0, 30_000)
    inserts = Inserts(made)
    assert inserts.put(arrival, content) == 30_000
    assert inserts.put(arrival, content) == 0
    assert Inserts(made).put(arrival, memoryview(content)) == 0
    inserts._insert(arrival, content, arrival.segment, 60)
    assert counted(made) == [30_000, 30_000]
    spread = on_shards(made)
    assert len(spread) == 3
    assert min(spread.values()) > 30_000 / 4


def test_events_of_one_request_are_on_one_shard(made: Client) -> None:
    """A chain is asked of one shard alone. R5.21"""
    arrival, content = segment("S1", 0, 4_000)
    Inserts(made).put(arrival, content)
    found = made.rows(
        f"SELECT max(shards) FROM (SELECT uniqExact(_shard_num) AS shards "
        f"FROM {made.place.events} GROUP BY request_id)"
    )
    assert found == [[1]]


def test_what_came_by_another_name_is_not_doubled(made: Client) -> None:
    """A merged segment brings only missing rows, whatever its parts were called. R5.21"""
    inserts = Inserts(made)
    inserts.put(*segment("A", 0, 1_000))
    inserts.put(*segment("B", 2_000, 1_000))
    merged, content = segment("M", 0, 4_000)
    unrelated, _ = segment("other", 0, 10)
    inserts.put(merged, content, siblings=[unrelated])
    inserts.put(merged, content, siblings=[unrelated])
    assert counted(made) == [4_000, 4_000]


def test_siblings_may_have_the_same_times(made: Client) -> None:
    """Of segments that are known to be others nothing is compared. R5.21"""
    inserts = Inserts(made)
    arrival, content = segment("A", 0, 1_000, session=1)
    inserts.put(arrival, content)
    assert inserts.put(*segment("B", 0, 1_000, session=2), siblings=[arrival]) == 1_000
    assert counted(made) == [2_000, 2_000]


def test_what_half_the_shards_have_is_completed(made: Client) -> None:
    """A killed sender left a part of the segment: another one sends what is missing. R5.21"""
    arrival, content = segment("S1", 0, 9_000)
    Inserts(made).put(arrival, content)
    for host in range(3):  # as if a shard had noted the token and died with the rows
        keeps = "ticket % 2 = 0" if host == 0 else "1"
        made.command(
            f"ALTER TABLE `{made.place.database}`.events_local DELETE WHERE NOT ({keeps}) "
            "SETTINGS mutations_sync = 2",
            host=host,
        )
    assert counted(made)[0] < 9_000
    fresh = Inserts(made)
    for _ in range(10):  # the tokens claim that nothing is missing, and the count says otherwise
        try:
            fresh.put(arrival, content)
        except ClusterUnavailable:
            continue
        if counted(made)[0] == 9_000:
            break
    assert counted(made) == [9_000, 9_000]


@pytest.mark.parametrize("block_rows", [100_000, 3_000])
def test_killed_shards_lose_and_double_nothing(
    made: Client, shards: list[Node], monkeypatch: pytest.MonkeyPatch, block_rows: int
) -> None:
    """kill -9 of a shard while segments are inserted, again and again; each is sent until in. R5.21

    A segment is one block of an insert or many. Between two kills the sender is replaced by one
    that remembers nothing.
    """
    rounds, rows = 6, 20_000
    inserts = Inserts(made)
    monkeypatch.setattr(module, "BLOCK_ROWS", block_rows)
    sent = [segment(f"S{number}", number * rows, rows) for number in range(rounds)]
    for number, (arrival, content) in enumerate(sent):
        victim = shards[number % 3]
        siblings = [sent[other][0] for other in range(number)] if number % 2 else []
        timer = threading.Timer(0.01 * number, victim.kill)
        timer.start()
        failed = _put_or_fail(inserts, arrival, content, siblings)
        timer.join()
        if failed:
            inserts = Inserts(made)
            assert _put_or_fail(inserts, arrival, content, siblings)
        for _ in range(20):
            for node in shards:
                node.wait()
            if not _put_or_fail(inserts, arrival, content, siblings):
                break
    assert counted(made) == [rounds * rows, rounds * rows]


def test_a_segment_of_many_blocks_is_taken_once(
    made: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent again under its token, each block of it is known. R5.21"""
    monkeypatch.setattr(module, "BLOCK_ROWS", 2_000)
    arrival, content = segment("S1", 0, 30_000)
    inserts = Inserts(made)
    inserts.put(arrival, content)
    for _ in range(3):
        inserts._insert(arrival, content, arrival.segment, 60)
    assert counted(made) == [30_000, 30_000]


def test_of_what_a_session_tells_the_newest_counts(made: Client) -> None:
    """Documents are replaced by later ones, not by earlier ones. R5.21"""
    inserts = Inserts(made)
    inserts.put_sessions(())
    for version in (2, 3, 1):
        text = f'{{"version": {version}, "text": "\\u00e9\\n"}}'
        inserts.put_sessions([SessionDocument("u-1", 7, "app-1", text, version)])
    found = made.rows(
        f"SELECT uuid, argMax(document, version) FROM {made.place.sessions} GROUP BY uuid"
    )
    assert found == [["u-1", '{"version": 3, "text": "\\u00e9\\n"}']]


def _put_or_fail(
    inserts: Inserts, arrival: Arrival, content: bytes, siblings: Sequence[Arrival]
) -> bool:
    try:
        inserts.put(arrival, content, siblings)
    except ClusterUnavailable:
        return True
    return False
