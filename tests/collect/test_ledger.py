"""The ledger closes: every call and every event is counted once, per ring and per kind."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import whence
from tests.apps import AppRun
from whence.model.recording import KindCounts

RunApp = Callable[..., AppRun]


def test_every_call_is_counted_by_what_became_of_it(run_app: RunApp) -> None:
    """Recorded and rejected per kind, in the ring of the thread that called. P3 R0.39"""
    run = run_app("""
        import threading, whence
        whence.start(ring_slots=50, text_bytes=4096)
        tick = whence.kind("tick", component="A", n=int)
        say = whence.kind("say", component="B", text=str)
        idle = whence.kind("idle", component="C")
        def work(times):
            for n in range(times):
                tick(n)
                say("x" * 200)
                for wrong in ("no number", None):
                    try:
                        tick(wrong)
                    except TypeError:
                        pass
        work(7)
        for times in (10, 100):
            thread = threading.Thread(target=work, args=(times,))
            thread.start()
            thread.join()
    """)
    recording = run.recording()
    assert all(ring.closes for ring in recording.rings)
    # the second thread continues the ring of the first, which has ended
    first, main = sorted(recording.rings, key=lambda ring: -ring.recorded)
    assert (first.recorded, first.readable, first.lost) == (220, 50, 170)
    assert first.per_kind == (
        KindCounts("tick", "A", recorded=110, rejected=220),
        KindCounts("say", "B", recorded=110),
    )
    assert (main.recorded, main.readable, main.lost, main.in_flight) == (14, 14, 0, 0)
    assert main.per_kind == (
        KindCounts("tick", "A", recorded=7, rejected=14),
        KindCounts("say", "B", recorded=7),
    )
    assert [counts.called for counts in main.per_kind] == [21, 7]
    assert (len(first.owners), len(main.owners)) == (2, 1)


def test_the_ledger_agrees_with_what_the_program_says(run_app: RunApp) -> None:
    """The tickets that are read, and those that are lost, are exactly those that were emitted. P3

    The program keeps a log of its own, so nothing here follows from the reader's arithmetic.
    """
    run = run_app("""
        import json, threading, whence
        whence.start(ring_slots=97, text_bytes=4096)
        tick = whence.kind("tick", component="A", thread=int, n=int)
        log = {}
        start = threading.Barrier(4)
        def work(thread, times):
            start.wait()
            for n in range(times):
                tick(thread, n)
            log[thread] = times
        threads = [threading.Thread(target=work, args=(i, 60 + 37 * i)) for i in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        print(json.dumps(log))
    """)
    log = {int(thread): times for thread, times in json.loads(run.stdout).items()}
    recording = run.recording()
    assert sum(ring.recorded for ring in recording.rings) == sum(log.values())
    for ring in recording.rings:
        events = [event for event in recording.events if event.ring == ring.ring]
        assert [event.ticket for event in events] == list(range(ring.lost, ring.recorded))
        assert len(events) == ring.readable == min(ring.recorded, 97)
        assert (ring.oldest_ns, ring.newest_ns) == (
            events[0].timestamp.value_ns,
            events[-1].timestamp.value_ns,
        )
    newest = {
        (thread, n) for thread, times in log.items() for n in range(max(0, times - 97), times)
    }
    if len(recording.rings) == 4:  # none of the threads had ended before another began
        assert {(e.attributes["thread"], e.attributes["n"]) for e in recording.events} == newest


@pytest.mark.parametrize("buffer_size", [1, 2, 7])
def test_cleared_events_are_counted_apart_from_lost_ones(buffer_size: int) -> None:
    """What clear() took was wanted gone: recorded = readable + lost + cleared + in flight. P3"""
    collector = whence.TraceCollector(buffer_size)
    for n in range(5):
        collector.record_now("t", "C", str(n))
    collector.clear()
    for n in range(3):
        collector.record_now("t", "C", str(n))
    (ring,) = collector.recording().rings
    kept = min(3, buffer_size)
    assert (ring.recorded, ring.cleared, ring.readable) == (8, 5, kept)
    assert (ring.lost, ring.in_flight) == (3 - kept, 0)
    assert ring.closes


def test_what_is_refused_before_its_kind_is_known_is_counted_too() -> None:
    """A collector's calls without a type have a row of their own. P3"""
    collector = whence.TraceCollector(3)
    for arguments in ((), ("",), ("t", ""), (5, "C"), ("t", None), ("t", "C", "r", "surplus")):
        with pytest.raises((TypeError, ValueError)):
            collector.record_now(*arguments)  # type: ignore[arg-type]
    collector.record_now("t", "C")
    with pytest.raises(TypeError):
        collector.record_now("t", "C", 5)  # type: ignore[arg-type]
    (ring,) = collector.recording().rings
    assert set(ring.per_kind) == {
        KindCounts("(refused before its type was known)", "-", rejected=6),
        KindCounts("t", "C", recorded=1, rejected=1),
    }


def test_more_kinds_than_rows_share_the_last_row(run_app: RunApp) -> None:
    """127 kinds of a ring are counted one by one, the others together: the sum stays exact. P3"""
    run = run_app("""
        import whence
        for i in range(200):
            kind = whence.kind(f"kind_{i}", component="C", n=int)
            for n in range(i % 3 + 1):
                kind(n)
    """)
    (ring,) = run.recording().rings
    total = sum(i % 3 + 1 for i in range(200))
    assert (ring.recorded, ring.readable) == (total, total)
    assert ring.closes
    by_name = {counts.kind: counts.recorded for counts in ring.per_kind}
    others = by_name.pop("(other kinds)")
    assert by_name == {f"kind_{i}": i % 3 + 1 for i in range(127)}
    assert others == sum(i % 3 + 1 for i in range(127, 200))


def test_text_that_was_lost_or_cut_is_counted(run_app: RunApp) -> None:
    """text_lost counts readable events without their text, truncated all that were cut. P3"""
    run = run_app("""
        import whence
        whence.start(ring_slots=100, text_bytes=4096)
        say = whence.kind("say", component="B", n=int, text=str)
        for n in range(100):
            say(n, "x" * (500 if n % 10 else 2000))
    """)
    recording = run.recording()
    (ring,) = recording.rings
    assert (ring.readable, ring.lost) == (100, 0)
    assert ring.truncated == 10
    assert ring.text_lost == sum(event.text_lost for event in recording.events)
    assert 85 <= ring.text_lost <= 95
    assert [event.attributes["n"] for event in recording.events] == list(range(100))
    assert sum(event.truncated for event in recording.events) == 10
