"""TraceCollector holds exactly its buffer_size newest events, from any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.apps import AppRun
from whence.model.builder import TraceEventBuilder


def built(n: int) -> whence.TraceEvent:
    """An event with an id of its own."""
    return TraceEventBuilder().with_type("t").with_component("C").with_attribute("n", n).build()


def test_a_collector_holds_ten_thousand_events_by_default() -> None:
    """buffer_size is 10,000 unless another is given, by place or name. R0.35"""
    assert whence.TraceCollector().buffer_size == 10_000
    assert whence.TraceCollector(7).buffer_size == 7
    assert whence.TraceCollector(buffer_size=8).buffer_size == 8


@pytest.mark.parametrize("size", [0, -1, -(2**70), 2**30 + 1, 2**70])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    """Nothing can be kept in no place, nor in more than there is. R0.36"""
    with pytest.raises(ValueError, match="from 1 to 1,073,741,824"):
        whence.TraceCollector(size)


@pytest.mark.parametrize("size", [True, 1.0, "10", None, [1]])
def test_a_size_that_is_no_int_is_refused(size: Any) -> None:
    """Floats, texts and bools are no numbers of events. R0.36"""
    with pytest.raises(TypeError, match="buffer_size must be int"):
        whence.TraceCollector(size)


def test_a_new_collector_is_empty() -> None:
    """No events, nothing lost. R0.37 R0.41"""
    collector = whence.TraceCollector(5)
    assert (collector.size(), len(collector), list(collector)) == (0, 0, [])
    assert collector.query() == []
    assert collector.recording().events == ()


@pytest.mark.parametrize("size", [1, 2, 3, 100, 10_000])
def test_the_oldest_hundred_of_a_hundred_too_many_are_gone(size: int) -> None:
    """size() is exact at every step; the ids that are kept the newest. R0.37 R0.39 R0.41 R0.57"""
    collector = whence.TraceCollector(size)
    events = [built(n) for n in range(size + 100)]
    for n, event in enumerate(events):
        assert collector.size() == min(n, size)
        collector.record(event)
    assert collector.size() == len(collector) == size
    kept = [event.event_id for event in collector.query()]
    assert kept == [event.event_id for event in events[100:]]
    assert not {event.event_id for event in events[:100]} & set(kept)
    (ring,) = collector.recording().rings
    assert (ring.capacity, ring.recorded, ring.lost) == (size, size + 100, 100)


@given(st.integers(1, 9), st.lists(st.integers(0, 12) | st.just("clear"), max_size=12))
def test_size_clear_and_loss_behave_like_a_deque(size: int, steps: list[int | str]) -> None:
    """Bursts and clear() in any order: what is held and counted is right. R0.41 R0.42 P3"""
    collector = whence.TraceCollector(size)
    held: list[int] = []
    recorded = lost = cleared_at = 0
    for step in steps:
        if step == "clear":
            collector.clear()
            held, lost, cleared_at = [], 0, recorded
            continue
        for _ in range(int(step)):
            collector.record_now("t", "C", str(recorded))
            held.append(recorded)
            recorded += 1
            lost += len(held) > size
            held = held[-size:]
        assert collector.size() == len(held)
        assert [int(event.rationale) for event in collector] == held
    assert collector.size() == len(held)
    for ring in collector.recording().rings:
        assert (ring.recorded, ring.readable, ring.lost) == (recorded, len(held), lost)
        assert ring.cleared == cleared_at
        assert ring.closes


def test_clear_leaves_tickets_and_later_events() -> None:
    """Numbers never start anew, so an event's id is unique for ever. R0.22 R0.42"""
    collector = whence.TraceCollector(3)
    for n in range(5):
        collector.record_now("t", "C", str(n))
    before = [event.ticket for event in collector]
    collector.clear()
    assert (collector.size(), collector.query()) == (0, [])
    collector.clear()
    collector.record_now("t", "C", "after")
    (event,) = collector
    assert (before, event.ticket, event.rationale) == ([2, 3, 4], 5, "after")


def test_two_collectors_share_nothing() -> None:
    """Each has a ring of its own; clearing one leaves the other. R0.37"""
    first, second = whence.TraceCollector(2), whence.TraceCollector(2)
    first.record_now("t", "C", "first")
    second.record_now("t", "C", "second")
    first.clear()
    assert [event.rationale for event in second] == ["second"]
    assert {event.rationale for event in whence.collector()} >= {"second"}


@pytest.mark.parametrize("size", [100, 10_000])
def test_eight_threads_record_a_thousand_events_each(size: int) -> None:
    """Every event is kept or counted as lost; those of a thread stay in order. R0.2 R0.38 R0.56"""
    collector = whence.TraceCollector(size)
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for n in range(500):
            collector.record_now("now", "C", attributes={"thread": thread, "n": 2 * n})
            collector.record(
                TraceEventBuilder()
                .with_type("built")
                .with_component("C")
                .with_attributes({"thread": thread, "n": 2 * n + 1})
                .build()
            )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (ring,) = collector.recording().rings
    assert (ring.recorded, ring.readable) == (8000, min(size, 8000))
    assert ring.closes
    assert collector.size() == min(size, 8000) <= size
    by_ticket = sorted(collector, key=lambda event: event.ticket)
    assert [event.ticket for event in by_ticket] == list(range(8000 - len(by_ticket), 8000))
    for thread_number in range(8):
        own = [e.attributes["n"] for e in by_ticket if e.attributes["thread"] == thread_number]
        assert own == list(range(1000 - len(own), 1000))


def test_readers_and_writers_do_not_wait_for_each_other() -> None:
    """Questions asked while events come in have whole answers. R0.2 R0.38 R0.45"""
    collector = whence.TraceCollector(50)
    done = threading.Event()

    def write() -> None:
        n = 0
        while not done.is_set():
            collector.record_now("t", "C", "x" * (n % 200), attributes={"n": n})
            n += 1

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(50):
            events = collector.query()
            assert len(events) <= 50
            assert all(
                event.text_lost or len(event.rationale) == int(event.attributes["n"]) % 200
                for event in events
            )
            assert collector.size() <= 50
            collector.recording()
    finally:
        done.set()
        for writer in writers:
            writer.join()


def test_a_small_collector_keeps_long_texts_whole() -> None:
    """One place is enough for a rationale of ten thousand characters. R0.29 R0.37"""
    for size in (1, 2, 3):
        collector = whence.TraceCollector(size)
        for n in range(size + 2):
            collector.record_now("t", "C", f"{n} " + "w" * 10_000)
        assert [event.rationale[:2] for event in collector] == [f"{n} " for n in range(2, size + 2)]
        assert all(len(event.rationale) == 10_002 for event in collector)


def test_a_collector_may_be_used_as_a_base_class() -> None:
    """Its methods and size come along. R0.35"""

    class Own(whence.TraceCollector):
        def __init__(self) -> None:
            super().__init__(2)

    collector = Own()
    for n in range(3):
        collector.record_now("t", "C", str(n))
    assert [event.rationale for event in collector] == ["1", "2"]


def test_collectors_that_have_ended_take_bounded_room(run_app: Callable[..., AppRun]) -> None:
    """The newest of their rings stay readable, 64 MiB of them; older ones make room. R0.37 P9"""
    run = run_app("""
        import whence
        for n in range(20):
            collector = whence.TraceCollector()
            collector.record_now("t", "C", str(n))
            del collector
    """)
    kept = [int(event.rationale) for event in run.recording().events]
    assert kept == list(range(20 - len(kept), 20))
    sizes = [path.stat().st_size for path in run.session_dir.glob("ring-*")]
    assert len(sizes) == len(kept) > 10
    assert 56 << 20 < sum(sizes) <= 64 << 20
