"""Recordings: events in order, wall time by anchors, ledgers that add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.model.event import TraceEvent
from whence.model.recording import Anchor, KindCounts, Recording, RingLedger, SessionInfo
from whence.model.time import Timestamp


def at(moment_ns: int, session: str = "s", ring: int = 0, ticket: int = 0) -> TraceEvent:
    """An event of that moment and place."""
    return TraceEvent(
        event_type="t",
        component="c",
        timestamp=Timestamp(moment_ns),
        session=session,
        ring=ring,
        ticket=ticket,
    )


@given(st.lists(st.builds(at, st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 2))))
def test_a_recording_keeps_its_events_in_order(events: list[TraceEvent]) -> None:
    """R0.45 Whatever order events come in, they are kept by time and place."""
    kept = Recording(events=tuple(events)).events
    assert list(kept) == sorted(events, key=lambda event: event.order_key)


@pytest.mark.parametrize(
    ("moment", "wall"), [(90, 1_090), (100, 1_100), (149, 1_149), (160, 2_160)]
)
def test_wall_time_is_told_by_the_nearest_anchor(moment: int, wall: int) -> None:
    """R0.25 The anchor nearest on the monotonic clock turns a moment into wall time."""
    anchors = (Anchor(100, 1_100), Anchor(200, 2_200))
    recording = Recording(sessions=(SessionInfo("s", anchors=anchors),))
    assert recording.wall_ns(at(moment)) == wall


@given(st.lists(st.integers(0, 60), unique=True, min_size=1), st.integers(-5, 65))
def test_the_nearest_of_many_anchors_is_found(moments: list[int], moment: int) -> None:
    """R0.25 Searching by halves gives what looking at every anchor gives, the earlier of two."""
    anchors = tuple(Anchor(at, 1_000 + 3 * at) for at in sorted(moments))
    nearest = min(anchors, key=lambda anchor: abs(anchor.monotonic_ns - moment))
    expected = nearest.wall_ns + moment - nearest.monotonic_ns
    assert SessionInfo("s", anchors=anchors).wall_ns(moment) == expected


def test_wall_time_is_unknown_without_an_anchor() -> None:
    """R0.25 Nothing is invented for an event whose session or anchor is missing."""
    recording = Recording(sessions=(SessionInfo("s"),))
    assert recording.wall_ns(at(5)) is None
    assert recording.wall_ns(at(5, session="other")) is None


def test_a_ledger_says_whether_it_closes() -> None:
    """R5.16 Recorded events are readable, lost or in flight; a count that is short shows."""
    assert RingLedger("s", 0, 8, recorded=10, readable=7, lost=2, in_flight=1).closes
    assert not RingLedger("s", 0, 8, recorded=10, readable=7, lost=2).closes


def test_calls_of_a_kind_are_the_sum_of_what_became_of_them() -> None:
    """R5.16 Every call while the kind was on is counted in exactly one place."""
    assert KindCounts("k", "c", 1, 2, 3, 4, 5, 6).called == 21
