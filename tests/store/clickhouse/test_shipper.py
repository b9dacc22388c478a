"""What a folder store has is in ClickHouse once, however often the shipper or a shard is killed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs whence[store]")

import pyarrow as pa

from tests.peers.clickhouse import READER, Node, settle
from tests.store.clickhouse.segments import START_NS, events
from whence.model.errors import ClusterDenied, ClusterUnavailable, NotAStore
from whence.model.recording import KindInfo, RingLedger, SessionInfo
from whence.store import compaction
from whence.store.clickhouse.forgetting import visible
from whence.store.clickhouse.http import Client
from whence.store.clickhouse.inserts import Inserts
from whence.store.clickhouse.place import read_place
from whence.store.clickhouse.shipper import Shipper
from whence.store.folder import FolderStore
from whence.store.segment import encode_segment
from whence.store.sessions import StoredSession, parsed_session_document
from whence.store.shipped import told_shipped
from whence.store.upkeep import Upkeep

pytestmark = pytest.mark.timeout(600)

UUID = "0199a3c2-7b1e-7c44-9a11-3f5d1c2b4e60"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderStore]:
    """An empty store that this process owns."""
    with FolderStore(tmp_path / "store", write=True, words="a test") as store:
        yield store


def reading(store: FolderStore) -> FolderStore:
    """The same store as another process has it."""
    return FolderStore(store.path)


def counted(client: Client) -> list[int]:
    """Rows, and different events among them."""
    [counts] = client.rows(
        f"SELECT count(), uniqExact(session, ring, ticket) FROM {client.place.events}"
    )
    return counts


def merged(store: FolderStore, first: int, rows: int) -> None:
    """Puts one file in the place of all, as compaction does."""
    made = encode_segment(events(first, rows), 1, {})
    store._write_segment(made)
    files = store.manifest.files
    store.commit(replace(store.manifest, files=(made.segment,)))
    for each in files:
        (store.path / each.name).unlink()


def test_segments_with_columns_of_their_own_are_shipped_as_they_are(
    store: FolderStore, client: Client
) -> None:
    """The cluster has no such columns: it has the maps, which hold every value. R5.21"""
    store.promote(["n"])
    store.append(events(0, 1_000))
    assert [name for name, _ in store.manifest.files[0].promoted] == ["n"]
    assert Shipper(reading(store), client).step()
    asked = f"SELECT count(), sum(attr_int['n']) FROM {client.place.events}"
    assert client.rows(asked) == [[1_000, sum(range(1_000))]]


def test_a_store_is_shipped_as_it_grows(store: FolderStore, client: Client) -> None:
    """Each segment goes as it is, once; what is there already is not sent again. R5.21"""
    shipper = Shipper(reading(store), client)
    store.append(events(0, 1_000))
    store.append(events(1_000, 500))
    assert shipper.step()
    assert (shipper.segments, shipper.rows) == (2, 1_500)
    assert not shipper.step()
    store.append(events(1_500, 500))
    assert shipper.step()
    assert (shipper.segments, shipper.rows) == (3, 2_000)
    again = Shipper(reading(store), client)
    again.step()
    assert (again.segments, again.rows) == (3, 0)
    assert counted(client) == [2_000, 2_000]
    [[names]] = client.rows(f"SELECT groupUniqArray(segment) FROM {client.place.events}")
    assert sorted(names) == sorted(each.segment for each in store.manifest.files)


def test_what_compaction_made_of_it_meanwhile_is_not_doubled(
    store: FolderStore, client: Client
) -> None:
    """A merged file may hold shipped events and others, for a shipper old or new. R5.21"""
    old = Shipper(reading(store), client)
    store.append(events(0, 1_000))
    old.step()
    store.append(events(1_000, 1_000))
    merged(store, 0, 2_000)
    old.step()
    assert counted(client) == [2_000, 2_000]
    store.append(events(2_000, 1_000))
    merged(store, 0, 3_000)
    Shipper(reading(store), client).step()
    assert counted(client) == [3_000, 3_000]


def test_what_is_there_is_marked_and_merged_apart(
    store: FolderStore, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipper that begins anew asks about nothing that the owner has marked. R5.21"""
    monkeypatch.setattr(compaction, "FAN_IN", 3)
    shipper = Shipper(reading(store), client)
    for first in range(0, 300, 100):
        store.append(events(first, 100))
    shipper.step()
    store.append(events(300, 100))
    assert store.compact() == 1
    shipped, fresh = store.manifest.files
    assert (shipped.rows, shipped.shipped, shipped.level) == (300, (shipper.name,), 1)
    assert (fresh.rows, fresh.shipped) == (100, ())
    again = Shipper(reading(store), client)
    again.step()
    assert (again.segments, again.rows) == (2, 100)
    monkeypatch.setattr(Inserts, "put", _refused)
    Upkeep(store).finish()
    assert [each.shipped for each in store.manifest.files] == [(shipper.name,)] * 2
    Shipper(reading(store), client).step()
    assert counted(client) == [400, 400]


def test_a_running_shipper_sends_no_merged_file_again(
    store: FolderStore, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its parts are there: it asks the cluster nothing. R5.21"""
    shipper = Shipper(reading(store), client)
    for first in range(0, 300, 100):
        store.append(events(first, 100))
    shipper.step()
    assert store.compact() == 1
    monkeypatch.setattr(Inserts, "put", _refused)
    shipper.step()
    assert (shipper.segments, shipper.rows) == (4, 300)


def _refused(*arguments: object) -> int:
    raise AssertionError("was asked about")


def test_what_would_be_deleted_there_at_once_is_not_sent(
    store: FolderStore, client: Client
) -> None:
    """Older than the retention asked for: neither now nor at any later start. R5.21"""
    store.append(events(0, 100))
    store.append(events(10**9, 100, step_ns=1_000_000))  # eleven days later
    keeping = Client(replace(client.place, retention_days=5))
    shipper = Shipper(reading(store), keeping, lambda: START_NS + 12 * 86_400 * 10**9)
    shipper.step()
    assert (shipper.segments, shipper.rows) == (1, 100)
    shipper.close()
    told = told_shipped(store.path)[keeping.place.name]
    assert told == {each.segment for each in store.manifest.files}


def test_segments_that_are_marked_are_not_asked_about(store: FolderStore, client: Client) -> None:
    """A shipper tells the owner, whose marks are believed: such a file is not opened. R5.21"""
    store.append(events(0, 100))
    with closing(Shipper(reading(store), client)) as shipper:
        shipper.step()
    Upkeep(store)._mark()
    [only] = store.manifest.files
    assert only.shipped == (client.place.name,)
    away = store.path / only.name
    content = away.read_bytes()
    away.unlink()
    shipper = Shipper(reading(store), client)
    shipper.step()
    assert (shipper.segments, shipper.rows) == (1, 0)
    away.write_bytes(content)


def test_marks_are_not_believed_where_rows_were_lost(store: FolderStore, client: Client) -> None:
    """A shard that lost its disk, a table that was emptied: all is asked, and sent. R5.21"""
    store.append(events(0, 1_000))
    store.append(events(1_000, 1_000))
    with closing(Shipper(reading(store), client)) as shipper:
        shipper.step()
    Upkeep(store)._mark()
    client.command(f"TRUNCATE TABLE `{client.place.database}`.events_local", host=1)
    assert counted(client)[0] < 2_000
    Shipper(reading(store), client).step()
    assert counted(client) == [2_000, 2_000]


def test_what_a_store_forgets_is_deleted_there(store: FolderStore, client: Client) -> None:
    """At once, on every node, and no shipper old or new brings it back. R5.21 R5.24"""
    shipper = Shipper(reading(store), client)
    store.append(events(0, 1_000))
    store.append(events(1_000, 1_000))
    shipper.step()
    strange = "it's \\ a\n'request"
    store.hide(["request-1-3", "request-1-200", strange])
    assert shipper.step()
    assert counted(client) == [1_984, 1_984]
    assert shipper.forgetting.left == 0
    hidden = client.rows(f"SELECT request FROM {client.place.hidden} ORDER BY request")
    assert hidden == [[strange], ["request-1-200"], ["request-1-3"]]
    new = Shipper(reading(store), client)
    new.step()
    assert (new.waiting, new.rows) == (2, 0)
    assert counted(client) == [1_984, 1_984]
    store.compact()
    for each in (shipper, Shipper(reading(store), client)):
        each.step()
        assert each.waiting == 0
        assert counted(client) == [1_984, 1_984]


def test_what_cannot_be_deleted_there_is_hidden_and_told(
    store: FolderStore, client: Client, url_of: Callable[..., str]
) -> None:
    """A URL of one node of three deletes on that one; no question sees the rest. R5.21 R5.24"""
    store.append(events(0, 1_000))
    Shipper(reading(store), client).step()
    store.hide([f"request-1-{n}" for n in range(20)])
    one = Client(read_place(url_of(count=1), environ={}))
    shipper = Shipper(reading(store), one)
    shipper.step()
    assert 0 < shipper.forgetting.left < 160
    assert "name every node" in shipper.forgetting.trouble
    assert client.rows(f"SELECT count() FROM {visible(client.place)}") == [[840]]
    again = Shipper(reading(store), client)
    again.step()
    assert again.forgetting.left == 0
    assert counted(client) == [840, 840]
    one.close()


def test_a_file_that_vanished_is_told(store: FolderStore, client: Client) -> None:
    """Of the same generation, that is damage; of a former one it is nothing. R5.21"""
    store.append(events(0, 100))
    (store.path / store.manifest.files[0].name).unlink()
    with pytest.raises(NotAStore, match="missing"):
        Shipper(reading(store), client).step()


def test_what_sessions_told_is_there_with_ledgers_that_close(
    store: FolderStore, client: Client
) -> None:
    """The newest document of each session, with the counts of exactly the events there. R5.21"""
    kind = KindInfo(1, "tick", "Tests", session="s-1")
    info = SessionInfo("s-1", uuid=UUID, key=1, pid=4)
    shipper = Shipper(reading(store), client)
    store.put_session(StoredSession(info=info, rings=(RingLedger("s-1", 0, 64),)))
    store.append(events(0, 100), {UUID: {0: 100}})
    shipper.step()
    store.put_session(StoredSession(info=info, kinds=(kind,)))
    store.append(events(100, 50), {UUID: {0: 150}})
    shipper.step()
    found = client.rows(
        f"SELECT key, argMax(document, version), count() FROM {client.place.sessions} "
        "GROUP BY uuid, key"
    )
    [[key, document, told]] = found
    assert (key, told) == (1, 2)
    session = parsed_session_document(document, "told")
    assert session.kinds == (kind,)
    assert [ring.recorded for ring in session.rings] == [150]


def test_a_killed_shard_stops_the_shipper_and_it_goes_on_after(
    store: FolderStore, client: Client, shards: list[Node]
) -> None:
    """Segments pile up while a shard is gone for a day; then all are there, once. R5.21"""
    store.append(events(0, 2_000))
    shipper = Shipper(reading(store), client)
    shipper.step()
    shards[1].kill()
    for number in range(1, 6):
        store.append(events(2_000 * number, 2_000))
        with pytest.raises(ClusterUnavailable):
            shipper.step()
    shipper = Shipper(reading(store), client)
    settle(shards)
    shipper.step()
    assert counted(client) == [12_000, 12_000]


def test_shippers_beside_each_other_double_nothing(
    store: FolderStore, url_of: Callable[..., str]
) -> None:
    """Two processes may ship the same store at the same time. R5.21"""
    for number in range(8):
        store.append(events(1_000 * number, 1_000))
    clients = [Client(read_place(url_of(), environ={})) for _ in range(2)]
    Shipper(reading(store), clients[0])  # neither needs to be the first
    shippers = [Shipper(reading(store), client) for client in clients]
    threads = [threading.Thread(target=shipper.step) for shipper in shippers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [shipper.segments for shipper in shippers] == [8, 8]
    assert counted(clients[0]) == [8_000, 8_000]
    for each in clients:
        each.close()


def test_a_user_who_may_only_read_ships_nothing(
    store: FolderStore, client: Client, url_of: Callable[..., str]
) -> None:
    """It is told so by name, with tables or without. R5.21"""
    store.append(events(0, 10))
    reader = Client(read_place(url_of(user=READER), environ={}))
    with pytest.raises(ClusterDenied, match="'reader' is refused"):
        Shipper(reading(store), reader).step()
    Shipper(reading(store), client).step()
    store.append(events(10, 10))
    with pytest.raises(ClusterDenied):
        Shipper(reading(store), reader).step()
    reader.close()
    assert counted(client) == [10, 10]


def test_texts_of_every_sort_arrive_whole(store: FolderStore, client: Client) -> None:
    """Letters beyond ASCII, NULs, nulls, wide integers and floats are there as they were. R5.21"""
    row = events(0, 1).to_pylist()[0] | {
        "request_id": "r\0\u00e9\U0001f600'\\\n",
        "decision_chain_id": "",
        "rationale": "x" * 70_000,
        "trace_hi": -1,
        "lineage_id": -(2**63),
        "duration_ns": 2**63 - 1,
        "weight": 5e-324,
        "attr_num": [("a", float("inf")), ("", -0.0)],
        "attr_str": [("k\0", "v\n"), ("k2", "")],
        "attr_bool": [("t", True), ("f", False)],
        "attr_uint": [("u", -1)],
    }
    table = pa.Table.from_pylist([row], schema=events(0, 1).schema)
    store.append(table)
    Shipper(reading(store), client).step()
    answer = client.query(
        f"SELECT {', '.join(table.schema.names)} FROM {client.place.events} FORMAT ArrowStream"
    )
    with pa.ipc.open_stream(answer) as stream:
        found = stream.read_all()
    [back] = found.to_pylist(maps_as_pydicts="strict")
    [sent] = table.to_pylist(maps_as_pydicts="strict")
    assert {name: _text(value) for name, value in back.items()} == sent


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
