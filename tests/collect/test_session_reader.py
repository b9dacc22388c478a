"""Reading one session's folder: rings that come, names that grow, files that are damaged."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps import AppRun
from tests.ring.session_bytes import write_session
from whence._native import Catalogue
from whence.collect.events import to_events
from whence.collect.kinds import kind_infos
from whence.collect.session_reader import SessionReader
from whence.model.errors import NotASession
from whence.model.event import TraceEvent
from whence.model.recording import REMOVED_RINGS, KindInfo
from whence.query.contracts.causes import Causes
from whence.query.index import Index

RunApp = Callable[..., AppRun]

APP = """
    import threading, whence
    tick = whence.kind("tick", component="A", n=int, text=str)
    def work(first):
        for n in range(first, first + 3):
            tick(n, f"text {n} " + "x" * 80)
    work(0)
    thread = threading.Thread(target=work, args=(3,))
    thread.start()
    thread.join()
    whence.TraceCollector(5).record_now("built", "B", "why", attributes={"n": 6})
"""


def events(reader: SessionReader) -> list[TraceEvent]:
    """What one drain gives."""
    return to_events(reader.drain().rows())


@pytest.fixture
def session(run_app: RunApp) -> Path:
    """A dead session with three rings."""
    return run_app(APP).session_dir


def test_a_session_is_read_whole(session: Path) -> None:
    """All rings, in order of time, each event once. P3 P4"""
    reader = SessionReader(session)
    assert [event.attributes["n"] for event in events(reader)] == list(range(7))
    assert events(reader) == []
    assert reader.damaged == {}
    assert {event.session for event in events(SessionReader(session))} == {session.name}
    assert [kind.name for kind in reader.kinds] == ["tick", "built"]


def test_one_ring_of_a_session_may_be_read(session: Path) -> None:
    """The path of a ring file reads that ring alone, with the session's names. P5"""
    reader = SessionReader(session / "ring-00001")
    assert [event.attributes["n"] for event in events(reader)] == [3, 4, 5]
    assert reader.folder == session


def test_reading_goes_on_where_it_ended(run_app: RunApp) -> None:
    """Each drain gives what is new: events, rings, kinds and names. P3 P6 P18"""
    run = run_app(
        """
        import threading, whence
        from whence.collect.events import to_events
        from whence.collect.session_reader import SessionReader
        from pathlib import Path
        whence.start()
        reader = SessionReader(Path(whence.session().path))
        def new():
            return [event.event_type for event in to_events(reader.drain().rows())]
        assert new() == [] and reader.info.live
        first = whence.kind("first", component="A", text=str)
        for _ in range(3):
            first("the same")
            assert new() == ["first"]
        assert new() == []
        second = whence.kind("second", component="A")
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        first("the same")
        assert new() == ["second", "first"]
        collector = whence.TraceCollector(5)
        assert new() == []
        collector.record_now("third", "C")
        assert new() == ["third"]
        assert {kind.name for kind in reader.kinds} == {"first", "second", "third"}
        assert reader.damaged == {}
    """,
    )
    assert run.recording().sessions[0].state == "dead"


def test_an_event_is_read_as_soon_as_it_is_complete(run_app: RunApp) -> None:
    """No event waits for others to fill a batch: each drain sees the one just recorded. P6"""
    run_app("""
        import whence
        from pathlib import Path
        from whence.collect.session_reader import SessionReader
        tick = whence.kind("tick", component="A", n=int)
        tick(0)
        reader = SessionReader(Path(whence.session().path))
        assert len(reader.drain()) == 1
        for n in range(200):
            tick(n)
            batch = reader.drain()
            assert [row[9] for row in batch.rows()] == [{"n": n}]
    """)


def test_a_reader_that_is_late_counts_what_it_lost(run_app: RunApp) -> None:
    """Overtaken, it goes on with the oldest event still there. P3 R0.39"""
    run_app("""
        import whence
        from pathlib import Path
        from whence.collect.session_reader import SessionReader
        whence.start(ring_slots=10)
        tick = whence.kind("tick", component="A", n=int)
        reader = SessionReader(Path(whence.session().path))
        n = 0
        for burst, kept in ((10, 10), (15, 10), (3, 3), (100, 10), (1, 1)):
            for _ in range(burst):
                tick(n)
                n += 1
            rows = reader.drain().rows()
            assert [row[9]["n"] for row in rows] == list(range(n - kept, n))
        _, (ring,) = SessionReader(Path(whence.session().path)).drain_with_ledgers()
        assert (ring.recorded, ring.readable, ring.lost) == (129, 10, 119)
    """)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "cut short"),
        (lambda data: data[:-8], "cut short"),
        (lambda data: data[: 16 * 1024], "cut short"),
        (lambda data: b"WHNCSESS" + data[8:], "not one of whence's"),
        (lambda data: data[:8] + b"\1\2\3\4" + data[12:], "other byte order"),
        (lambda data: data[:12] + b"\2" + data[13:], "another format version"),
        (lambda data: data[:24] + b"\xff" + data[25:], "damaged"),
        (lambda data: data[:124] + b"\0" + data[125:], "never completed"),
    ],
)
def test_a_damaged_ring_is_told_and_hides_no_other(
    session: Path, damage: Callable[[bytes], bytes], words: str
) -> None:
    """Each kind of damage by its name; the other rings are read as ever. P7 P14"""
    path = session / "ring-00001"
    path.write_bytes(damage(path.read_bytes()))
    reader = SessionReader(session)
    assert [event.attributes["n"] for event in events(reader)] == [0, 1, 2, 6]
    assert list(reader.damaged) == ["ring-00001"]
    assert words in reader.damaged["ring-00001"]
    assert len(events(reader)) == 0


def test_a_ring_of_another_session_is_left_out(session: Path, run_app: RunApp) -> None:
    """A file that was copied here is not this session's. P14"""
    other = max(run_app(APP).session_dirs, key=lambda folder: folder != session)
    shutil.copy(other / "ring-00000", session / "ring-00007")
    reader = SessionReader(session)
    assert len(events(reader)) == 7
    assert "belongs to session" in reader.damaged["ring-00007"]


def test_a_ring_that_is_no_plain_file_is_left_out(session: Path) -> None:
    """A link or pipe among the rings is told and not opened. P15"""
    (session / "ring-00008").symlink_to(session / "ring-00000")
    os.mkfifo(session / "ring-00009")
    reader = SessionReader(session)
    assert len(events(reader)) == 7
    assert sorted(reader.damaged) == ["ring-00008", "ring-00009"]


def test_without_its_dictionary_a_session_still_shows_what_it_holds(session: Path) -> None:
    """Types are unknown then; times, tickets and a built event's own text are there. P18"""
    (session / "names").unlink()
    reader = SessionReader(session)
    found = events(reader)
    assert "names" in reader.damaged
    assert [event.event_type for event in found] == ["unknown-kind-1"] * 6 + ["unknown-kind-2"]
    assert [event.ticket for event in found] == [0, 1, 2, 0, 1, 2, 0]
    assert (found[6].rationale, dict(found[6].attributes)) == ("why", {"n": 6})
    assert all(dict(event.attributes) == {} for event in found[:6])


def test_a_torn_record_hides_only_the_names_after_it(session: Path) -> None:
    """The dictionary is read up to the damage, and that it is damaged is said. P18"""
    path = session / "names"
    data = bytearray(path.read_bytes())
    at = data.index(b"built")
    data[at] ^= 1
    path.write_bytes(data)
    reader = SessionReader(session)
    types = [event.event_type for event in events(reader)]
    assert types == ["tick"] * 6 + ["unknown-kind-2"]
    assert "checksum" in reader.damaged["names"]


def test_misread_text_gives_no_event_a_wrong_request(run_app: RunApp) -> None:
    """An image of an unknown kind may look like text; no request is taken from it. R0.28"""
    run = run_app("""
        import whence
        wide = whence.kind("wide", component="A", a=int, b=int, c=int, d=int)
        say = whence.kind("say", component="A", text=str)
        with whence.request("a request whose id is longer than a slot"):
            say("overtaken " * 10)
            for _ in range(300):
                say("x" * 1000)
            wide(1, 2, 2, 0)  # 2 is the mark of a request in a text block
            say("kept " * 20)
    """)
    wanted = {"a request whose id is longer than a slot"}
    assert {event.request_id for event in events(SessionReader(run.session_dir))} == wanted
    (run.session_dir / "names").unlink()
    unnamed = events(SessionReader(run.session_dir))
    assert {event.request_id for event in unnamed} == wanted


def test_what_is_no_session_is_refused(tmp_path: Path) -> None:
    """A folder, a ring file without a session, a place that is not there. P15"""
    (tmp_path / "ring-00000").touch()
    for place in (tmp_path, tmp_path / "ring-00000", tmp_path / "nowhere"):
        with pytest.raises(NotASession):
            SessionReader(place)


def test_an_empty_session_has_no_events(tmp_path: Path) -> None:
    """A session file alone is a session that recorded nothing. P7"""
    reader = SessionReader(write_session(tmp_path, "s"))
    batch, ledgers = reader.drain_with_ledgers()
    assert (len(batch), batch.rows(), list(batch.json()), ledgers) == (0, [], [], ())
    assert reader.gate_changes() == ()


def test_rings_of_ended_collectors_that_made_room_stay_in_the_ledger(run_app: RunApp) -> None:
    """Their events are counted as lost, in one row: nothing recorded is unaccounted for. R5.16"""
    run = run_app("""
        import whence
        for number in range(4):
            collector = whence.TraceCollector(50_000)  # 25 MiB of text and slots
            for _ in range(number + 1):
                collector.record_now("tick", "C")
            del collector
    """)
    recording = run.recording()
    (removed,) = [ring for ring in recording.rings if ring.ring == REMOVED_RINGS]
    assert (removed.recorded, removed.lost, removed.readable) == (1 + 2, 1 + 2, 0)
    assert removed.owners == ("2 ended collectors",)
    assert sum(ring.recorded for ring in recording.rings) == 1 + 2 + 3 + 4
    assert all(ring.closes for ring in recording.rings)
    (cause,) = Causes(Index(recording)).of_losses_since(recording.events)
    assert cause.sentence.startswith("the rings of 2 ended collectors were removed with 3 events")


def test_a_long_request_id_is_remembered_from_poll_to_poll(run_app: RunApp) -> None:
    """An event whose own text was overtaken goes by the id that an earlier poll read. R0.28"""
    run_app("""
        import whence
        from whence.collect.sessions import SessionStream
        tick = whence.kind("tick", component="C", n=int, text=str)
        long = "request " + "x" * 100
        with whence.request(long):
            tick(1, "short")
        stream = SessionStream(whence.session().path)
        assert [event.request_id for event in stream.poll()] == [long]
        with whence.request(long):
            tick(2, "short")
        for number in range(300):
            tick(number, "y" * 1_000)
        (second,) = [e for e in stream.poll() if e.attributes["n"] == 2 and e.request_id]
        assert second.text_lost
        assert second.request_id == long
    """)


def test_a_dictionary_cannot_make_every_event_huge() -> None:
    """Field names, names and kinds that no recorder writes are left out. P14 R1.15"""

    def record(kind: int, number: int, payload: bytes) -> bytes:
        body = struct.pack("<HHI", kind, number, 0) + payload
        head = struct.pack("<II", len(payload) + 1, zlib.crc32(body))
        return head + body + bytes(-len(payload) % 8)

    def declared(name: bytes = b"k", field: bytes = b"f", template: bytes = b"") -> bytes:
        texts = b"".join(struct.pack("<I", len(t)) + t for t in (name, b"C", template, b"", b""))
        return struct.pack("<BBH", 2, 1, 1) + texts + struct.pack("<BBH", 5, 0, len(field)) + field

    header = struct.pack("<8sIHHQ16s", b"WHNCNAME", 0x01020304, 1, 0, 0, bytes(16)).ljust(64, b"\0")
    records = [
        record(2, 1, declared()),
        record(2, 2, declared(field=b"f" * 65_000)),
        record(2, 3, declared(name=b"n" * 65_000)),
        record(2, 4, declared(template=b"t" * 65_000)),
        record(1, 1, b"x" * 65_000),
        record(2, 5, declared()),
    ]
    catalogue = Catalogue()
    catalogue.update(header + b"".join(records) + bytes(16))
    assert [kind[0] for kind in catalogue.kinds()] == [1, 5]
    assert not catalogue.damaged


def test_kinds_are_named_once_however_many_rings_there_are(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads times kinds costs a row each, not a dictionary each. R1.53"""
    asked: list[str] = []

    def counted(catalogue: Catalogue, name: str) -> tuple[KindInfo, ...]:
        asked.append(name)
        return kind_infos(catalogue, name)

    monkeypatch.setattr("whence.collect.session_reader.kind_infos", counted)
    _, ledgers = SessionReader(session).drain_with_ledgers()
    assert len(ledgers) == 3
    assert all(row.kind in ("tick", "built") for ledger in ledgers for row in ledger.per_kind)
    assert len(asked) == 1


def test_a_control_page_cut_short_is_told_of(run_app: RunApp) -> None:
    """What it counted of removed rings is unknown then, not nothing. R1.53 P3"""
    run = run_app("import whence; whence.kind('tick', component='C', n=int)(1)")
    assert SessionReader(run.session_dir).check() == {}
    os.truncate(run.session_dir / "control", 40)
    reader = SessionReader(run.session_dir)
    assert "cut short" in reader.check()["control"]
    assert [ledger.recorded for ledger in reader.drain_with_ledgers()[1]] == [1]
