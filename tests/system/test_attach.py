"""Another process reads while a program records: nothing torn, nothing double, nothing held up."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.system import producer
from tests.system.follower import RingFollower, done_by
from tests.system.host import Host, read, sessions, until
from tests.system.proof import new_log, prove
from whence.collect.events import to_events
from whence.collect.session_reader import SessionReader
from whence.collect.sessions import SessionStream, list_sessions, read_recording
from whence.model.event import TraceEvent
from whence.ring.folders import ring_files

ENOUGH = 500_000 if os.environ.get("WHENCE_STRESS") else 20_000
PRODUCER = Path(producer.__file__)


@pytest.mark.parametrize(("ring_slots", "text_bytes"), [(1, 4096), (100, 8192), (5000, 262_144)])
def test_reader_at_full_speed_gets_whole_events_and_counts_the_rest(
    base: Path, ring_slots: int, text_bytes: int
) -> None:
    """Tickets rise, delivered + lost is the position, and no payload is torn. P2 P3 P4 P6"""
    log = new_log(base / "log", 2)
    with Host(PRODUCER, log, 2, 64, ring_slots, text_bytes, base=base) as host:
        assert host.line() == "ready"
        until(lambda: min(done_by(log)) > ring_slots, "both threads record")
        (folder,) = sessions(base)
        followers = [RingFollower(folder, name, 64) for name in ring_files(folder)]
        enough = min(ENOUGH, 200 * ring_slots)
        while min(follower.reader.delivered for follower in followers) < enough:
            for follower in followers:
                follower.follow()
        assert sorted(follower.thread or 0 for follower in followers) == [0, 1]
        assert all(follower.reader.lost > 0 for follower in followers)
        host.finish()
    assert prove(read(base), log, 64).faults == []


def test_stopped_reader_holds_up_no_producer(base: Path) -> None:
    """A reader stopped in the midst of a drain costs the writer nothing it waits for. P1 R0.2"""
    log = new_log(base / "log", 2)
    reading = """
    import sys
    from pathlib import Path
    from whence.collect.session_reader import SessionReader
    reader = SessionReader(Path(sys.argv[1]))
    print("reading", flush=True)
    while True: reader.drain().rows()
    """
    with Host(PRODUCER, log, 2, 64, 1000, 65_536, base=base) as host:
        assert host.line() == "ready"
        until(lambda: min(done_by(log)) > 1000, "both threads record")
        (folder,) = sessions(base)
        with Host(reading, folder, base=base) as reader:
            assert reader.line() == "reading"
            for _ in range(5):
                reader.stop()
                before = done_by(log)
                until(
                    lambda before=before: all(
                        now > then + 10_000 for now, then in zip(done_by(log), before, strict=True)
                    ),
                    "both threads go on beside a stopped reader",
                )
                reader.signal(signal.SIGCONT)
            reader.kill()
        host.finish()
    assert prove(read(base), log, 64).faults == []


def test_sessions_and_rings_are_seen_complete_or_not_at_all(base: Path) -> None:
    """A reader attaches again and again while sessions and rings are being made. P7"""
    program = """
    import os, threading, whence
    tick = whence.kind("tick", component="creation", n=int, text=str)
    print("ready", flush=True)
    for _ in range(25):
        child = os.fork()
        if child == 0:
            threads = [threading.Thread(target=tick, args=(n, "text " * 20)) for n in range(3)]
            for thread in threads: thread.start()
            collectors = [whence.TraceCollector(n + 1) for n in range(5)]
            for each in collectors: each.record_now("said", "creation", "something")
            for thread in threads: thread.join()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    print("done", flush=True)
    """
    looks = 0
    seen: set[str] = set()
    with Host(program, base=base) as host:
        assert host.line() == "ready"
        while not host.has_spoken():
            looks += 1
            for session in list_sessions(base):
                if session.name in seen and not session.live:
                    continue
                reader = SessionReader(Path(session.path))
                batch, ledgers = reader.drain_with_ledgers()
                assert reader.damaged == {}
                assert all(ledger.recorded >= ledger.readable for ledger in ledgers)
                for event in to_events(batch.rows()):
                    assert event.event_type in ("tick", "said")
                seen.add(session.name)
        assert host.line() == "done"
        host.finish()
    assert looks > 10
    assert len(sessions(base)) == 25
    recording = read(base)
    assert len(recording.events) == 25 * 8
    assert all(ledger.closes and ledger.in_flight == 0 for ledger in recording.rings)


@pytest.mark.parametrize("seed", range(6))
def test_stream_of_a_program_that_dies_ends_with_everything_read(base: Path, seed: int) -> None:
    """No event is missing or given twice between following it and its death. P5 P10 P6"""
    draw = random.Random(seed)
    program = """
    import sys, threading, whence
    tick = whence.kind("tick", component="dying", thread=int, n=int, text=str)
    def record(thread):
        for n in range(9000): tick(thread, n, f"{thread} {n}")
    threads = [threading.Thread(target=record, args=(t,)) for t in range(2)]
    sys.setswitchinterval(1e-5)
    whence.start(ring_slots=20_000, text_bytes=1 << 20)
    print("ready", flush=True)
    sys.stdin.readline()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    sys.stdin.read()
    """
    with Host(program, base=base) as host:
        assert host.line() == "ready"
        (folder,) = sessions(base)
        stream = SessionStream(folder)
        assert stream.poll() == []
        host.say("go")
        events: list[TraceEvent] = []
        wanted = draw.randrange(0, 18_000)
        while len(events) < wanted:
            events += stream.poll()
        host.kill()
        while (more := stream.poll()) or stream.info.live:
            events += more
        assert not stream.info.live
    whole = read_recording([folder])
    assert sum(ledger.lost for ledger in whole.rings) == 0
    assert sorted(events, key=lambda event: event.order_key) == list(whole.events)
    assert all(ledger.in_flight in (0, 1) for ledger in whole.rings)
    for thread in range(2):
        mine = [event for event in whole.events if event.attributes["thread"] == thread]
        assert [event.attributes["n"] for event in mine] == list(range(len(mine)))


def test_program_sees_of_itself_what_others_see_of_it(base: Path) -> None:
    """Events, kinds, session and ledgers are equal, read within and from another process. P6"""
    program = """
    import sys, threading, whence
    tick = whence.kind("tick", component="both", n=int, text=str, model=str | None)
    note = whence.kind("note", component="both", decision=True, rationale="at {n:ns}", n=int)
    whence.start(ring_slots=100, text_bytes=8192)
    collector = whence.TraceCollector(30)
    def record():
        for n in range(150):
            with whence.request(f"a request with quite a long name {n}"):
                tick(n, "text " * (n % 40), None if n % 3 else "ocr")
                note(n)
                collector.record_now("said", "both", f"because {n}", attributes={"n": n / 7})
    threads = [threading.Thread(target=record) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    recording = whence.collector().recording()
    with open(sys.argv[1], "w") as file:
        file.write(repr([recording.events, recording.kinds, recording.rings]))
    session = recording.sessions[0]
    print(repr((session.uuid, session.key, session.pid, session.anchors, session.live)), flush=True)
    sys.stdin.read()
    """
    with Host(program, base / "said", base=base) as host:
        said_of_session = host.line()
        for _ in range(2):  # living and dead
            recording = read(base)
            (session,) = recording.sessions
            seen = (session.uuid, session.key, session.pid, session.anchors, True)
            assert repr(seen) == said_of_session
            found = repr([recording.events, recording.kinds, recording.rings])
            assert found == (base / "said").read_text()
            host.finish()


def test_ring_truncated_while_it_is_followed_ends_it_alone(base: Path) -> None:
    """Its reader says CorruptFile and never dies of SIGBUS; other rings are followed on. P12"""
    program = """
    import sys, threading, whence
    tick = whence.kind("tick", component="cut", who=str, n=int)
    def record(who, count):
        for n in range(count): tick(who, n)
    record("main", 10_000)
    def other():
        for line in sys.stdin: record("other", int(line)); print("did", flush=True)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    """
    half = 16 * 1024 + 5000 * 64
    for cut in (0, 100, 8192, 16 * 1024, half, 16 * 1024 + 9000 * 64):
        with Host(program, base=base / str(cut)) as host:
            host.say("50")
            assert host.line() == "did"
            (folder,) = sessions(base / str(cut))
            stream, late = SessionStream(folder), SessionReader(folder)
            late._attach_new_rings()  # mapped whole, read when it is not
            assert len(stream.poll()) == 10_050
            os.truncate(folder / "ring-00000", cut)
            events = to_events(late.drain().rows())
            assert list(late.damaged) == ["ring-00000"]
            assert "truncated" in late.damaged["ring-00000"]
            counted = [int(event.attributes["n"]) for event in events if event.ring == 0]
            assert counted == list(range(len(counted)))
            assert len([event for event in events if event.ring == 1]) == 50
            host.say("7")
            assert host.line() == "did"
            followed = stream.poll()
            assert [event.ring for event in followed] == [1] * 7
            assert [ledger.ring for ledger in stream.ledger()] == [1]
            host.kill()


def test_program_may_be_read_by_many_at_once(base: Path) -> None:
    """Four processes read the same rings, and each finds all that is there. P1 P3"""
    program = """
    import sys, whence
    tick = whence.kind("tick", component="many", n=int)
    for n in range(3000): tick(n)
    print("ready", flush=True)
    sys.stdin.read()
    """
    reading = """
    import sys
    from pathlib import Path
    from whence.collect.sessions import read_recording
    for _ in range(3):
        recording = read_recording([Path(sys.argv[1])])
        assert [event.attributes["n"] for event in recording.events] == list(range(3000))
        assert [ledger.closes for ledger in recording.rings] == [True]
    """
    with Host(program, base=base) as host:
        assert host.line() == "ready"
        (folder,) = sessions(base)
        readers = [Host(reading, folder, base=base) for _ in range(4)]
        for reader in readers:
            with reader:
                assert reader.finish() == ""
        host.finish()
