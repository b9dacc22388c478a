"""Listeners: told in order, isolated, bounded, removable and counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import event
from tests.watch.growing import Program
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.store.folder import FolderStore
from whence.store.memory import MemoryStore
from whence.watch.following import Following
from whence.watch.listeners import ListenerCounts, Listeners
from whence.watch.tail import Tail

SOON_S = 30.0


def ticks(count: int) -> list[TraceEvent]:
    """So many events."""
    return [event("tick", n, ticket=n) for n in range(count)]


def test_a_listener_is_told_of_each_event_in_order() -> None:
    """What is told is what was given, one at a time, in its order. R4.9 R1.45"""
    listeners, heard = Listeners(), list[TraceEvent]()
    listener = listeners.add(heard.append)
    events = ticks(100)
    listeners.tell(events)
    assert listener.wait_told(SOON_S)
    assert heard == events
    assert listener.counts == ListenerCounts(offered=100, told=100)


def test_an_alert_is_sent_for_each_error_by_a_listener() -> None:
    """A listener that sends severity, message and time of errors, and of nothing else. R4.54"""
    sent: list[tuple[str, str, int]] = []

    def send_alert(severity: str, message: str, timestamp_ns: int) -> None:
        sent.append((severity, message, timestamp_ns))

    def on_event(event: TraceEvent) -> None:
        if event.severity.level_name() == "error":
            send_alert("critical", event.rationale, event.timestamp.value_ns)

    listeners = Listeners()
    listener = listeners.add(on_event)
    failed = event("fault_recorded", 7, severity=Severity.Error, rationale="out of memory")
    listeners.tell([*ticks(3), failed])
    assert listener.wait_told(SOON_S)
    assert sent == [("critical", "out of memory", failed.timestamp.value_ns)]


def test_a_listener_hears_only_what_its_query_matches() -> None:
    """A query, of wall time too, is asked before anything is queued."""
    listeners, heard = Listeners(), list[TraceEvent]()
    listener = listeners.add(heard.append, TraceQuery(where="n > 1", from_wall_ns=10))
    events = [event("tick", n, ticket=n, attributes={"n": n}) for n in range(4)]
    listeners.tell(events, [20, 20, 20, 5])
    assert listener.wait_told(SOON_S)
    assert heard == [events[2]]
    assert listener.counts.offered == 1


def test_a_listener_that_raises_is_counted_and_called_again() -> None:
    """Nothing that it raises reaches anybody else, nor ends it. R4.9"""
    listeners, heard = Listeners(), list[TraceEvent]()

    def fails(event: TraceEvent) -> None:
        heard.append(event)
        raise SystemExit("enough") if event.ticket % 2 else ValueError("no")

    listener = listeners.add(fails, name="fails")
    other = listeners.add(lambda event: None)
    listeners.tell(ticks(4))
    assert listener.wait_told(SOON_S)
    assert other.wait_told(SOON_S)
    assert len(heard) == 4
    assert listener.counts == ListenerCounts(offered=4, failed=4)
    assert listener.trouble == "SystemExit: enough"
    assert other.counts == ListenerCounts(offered=4, told=4)


def test_a_slow_listener_loses_its_oldest_events_and_harms_nobody() -> None:
    """Its queue is bounded, what it drops is counted, others hear everything. R4.9"""
    listeners, go, heard = Listeners(), threading.Event(), list[int]()
    begun = threading.Event()

    def slow(event: TraceEvent) -> None:
        begun.set()
        assert go.wait(SOON_S)
        heard.append(event.ticket)

    listener = listeners.add(slow, most_waiting=5)
    quick = listeners.add(lambda event: None)
    listeners.tell(ticks(1))
    assert begun.wait(SOON_S)
    listeners.tell(ticks(20))
    assert quick.wait_told(SOON_S)
    assert quick.counts.told == 21
    assert listener.counts == ListenerCounts(offered=21, dropped=15, waiting=6)
    go.set()
    assert listener.wait_told(SOON_S)
    assert heard == [0, 15, 16, 17, 18, 19]
    assert listeners.counts == ListenerCounts(offered=42, told=27, dropped=15)


def test_after_its_removal_a_listener_is_called_no_more() -> None:
    """remove() waits for the call under way; what waits is dropped, and counted. R4.9"""
    listeners, go, begun = Listeners(), threading.Event(), threading.Event()
    heard: list[int] = []

    def slow(event: TraceEvent) -> None:
        begun.set()
        assert go.wait(SOON_S)
        heard.append(event.ticket)

    listener = listeners.add(slow)
    listeners.tell(ticks(5))
    assert begun.wait(SOON_S)
    assert not listener.remove(0.0)
    go.set()
    assert listener.remove(SOON_S)
    listeners.tell(ticks(5))
    assert heard == [0]
    assert listener.counts == ListenerCounts(offered=5, told=1, dropped=4)
    assert listeners.all == ()


def test_a_listener_may_remove_itself_and_add_others() -> None:
    """A callback may do with listeners whatever anybody may."""
    listeners, heard = Listeners(), list[str]()
    added = threading.Event()

    def once(event: TraceEvent) -> None:
        heard.append("once")
        listener.remove()
        listeners.add(lambda event: heard.append("then"))
        added.set()

    listener = listeners.add(once)
    listeners.tell(ticks(3))
    assert added.wait(SOON_S)
    listeners.tell(ticks(1))
    (then,) = listeners.all
    assert then.wait_told(SOON_S)
    assert heard == ["once", "then"]


def test_there_is_a_bound_to_listeners_and_what_cannot_be_called_is_refused() -> None:
    """The 257th is refused by name, as is a queue without room. R4.9"""
    listeners = Listeners(most_listeners=2)
    first = listeners.add(print)
    listeners.add(print)
    with pytest.raises(ValueError, match="remove one first"):
        listeners.add(print)
    first.remove(SOON_S)
    with pytest.raises(ValueError, match="room"):
        listeners.add(print, most_waiting=0)
    with pytest.raises(TypeError, match="str cannot be"):
        listeners.add("print")  # type: ignore[arg-type]
    listeners.close(SOON_S)
    assert listeners.all == ()


@given(st.lists(st.integers(0, 30), max_size=10), st.integers(1, 8))
def test_every_event_that_was_offered_is_accounted_for(batches: list[int], room: int) -> None:
    """offered = told + failed + dropped + waiting at every moment."""
    listeners = Listeners(most_waiting=room)

    def sometimes(event: TraceEvent) -> None:
        assert event.ticket % 3

    listener = listeners.add(sometimes)
    for size in batches:
        listeners.tell(ticks(size))
        counts = listener.counts
        parts = (counts.told, counts.failed, counts.dropped, counts.waiting)
        assert counts.offered == sum(parts)
        assert counts.waiting <= room + 1
    assert listener.wait_told(SOON_S)
    assert listener.counts.offered == sum(batches)
    listeners.close(SOON_S)


def test_listeners_are_told_what_a_store_gains() -> None:
    """A thread follows the store; lag and counts say how it is doing. R4.9 R5.25"""
    store = MemoryStore()
    program, heard = Program(store), list[TraceEvent]()
    listeners = Listeners()
    listener = listeners.add(heard.append)
    enough = threading.Event()
    listeners.add(lambda event: enough.set() if event.ticket == 4 else None)
    with Following(following(store), listeners, wall_clock_ns=lambda: 2**62) as thread:
        events = program.record(1, 2) + program.record(3, 4, 5)
        assert enough.wait(SOON_S)
    assert listener.wait_told(SOON_S)
    assert heard == events
    assert thread.told == 5
    assert thread.lag_s is not None
    assert thread.lag_s > 0


def test_following_waits_for_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    """Until there is one the trouble is said; then what it gains is told."""
    path, heard = tmp_path / "traces", threading.Event()
    listeners = Listeners()
    listeners.add(lambda event: heard.set())

    def make(token: str, sleep: Callable[[float], object]) -> Tail:
        return Tail(path, after=token or "beginning", sleep=sleep, look_s=0.01)

    with Following(make, listeners, retry_s=0.01) as thread:
        assert "NotAStore" in thread.trouble
        with FolderStore(path, write=True) as store:
            Program(store).record(1)
            assert heard.wait(SOON_S)
    assert thread.trouble == ""


def following(store: MemoryStore) -> Callable[[str, Callable[[float], object]], Tail]:
    """Makes tails of a store that look often."""
    return lambda token, sleep: Tail(store, after=token, sleep=sleep, look_s=0.01)
