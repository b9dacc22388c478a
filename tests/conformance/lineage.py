"""Questions about lineage that every engine answers as a plain reading of the events does."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.query.worlds import SESSIONS, wall_ns
from whence.model.event import TraceEvent
from whence.model.ids import event_id
from whence.model.lineage_events import (
    LineageFrame,
    LineageWindow,
    LinkPart,
    frame_attributes,
    link_attributes,
    window_attributes,
)
from whence.model.names import LINEAGE_FRAME, LINEAGE_LINK, LINEAGE_WINDOW, OWN_COMPONENT
from whence.model.recording import Recording
from whence.model.time import Timestamp
from whence.query.engines.engine import Engine
from whence.query.lineage import Way

__all__ = ["LineageConformance", "damaged", "event_of", "lineage_worlds"]

START_NS = 1_000_000_000_000
few = settings(
    max_examples=8,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
    ],
    deadline=None,
)
BEYOND = 2**63
IDS = st.sampled_from([*range(1, 9), 17118, 27118, BEYOND + 3, 2**64 - 2])
Value = LinkPart | LineageWindow | LineageFrame
_ATTRIBUTES = {
    LinkPart: (LINEAGE_LINK, link_attributes),
    LineageWindow: (LINEAGE_WINDOW, window_attributes),
    LineageFrame: (LINEAGE_FRAME, frame_attributes),
}


def event_of(value: Value, number: int) -> TraceEvent:
    """The event that tells of it, the so manieth of its world."""
    event_type, attributes = _ATTRIBUTES[type(value)]
    return TraceEvent(
        event_type=event_type,
        component=OWN_COMPONENT,
        lineage_id=value.lineage_id,
        attributes=attributes(value),  # type: ignore[operator]
        **_place(number),
    )


def tied(lineage_id: int, number: int) -> TraceEvent:
    """A decision that bears an id."""
    return TraceEvent(
        event_type="picked", component="Robot", lineage_id=lineage_id, decision=True,
        rationale="the nearest", **_place(number),
    )  # fmt: skip


def damaged(event: TraceEvent) -> TraceEvent:
    """The same with its text cut: half of an id is another id."""
    return replace(event, truncated=True)


def _place(number: int) -> dict[str, object]:
    info = SESSIONS[number % 2]
    return {
        "event_id": event_id(info.key, 0, number),
        "timestamp": Timestamp(START_NS + number * 1_000),
        "session": info.name,
        "ring": 0,
        "ticket": number,
    }


@st.composite
def lineage_worlds(draw: st.DrawFn) -> tuple[TraceEvent, ...]:
    """Links in parts, windows by numbers and by times, frames, decisions; some of them damaged."""
    events = []
    for number in range(draw(st.integers(0, 14))):
        sort = draw(st.sampled_from(["link", "link", "frame", "window", "times", "tied"]))
        own, stream, epoch = draw(IDS), draw(st.integers(1, 2)), draw(st.sampled_from([0, BEYOND]))
        if sort == "link":
            parents = draw(st.lists(IDS.filter(lambda each, own=own: each != own), min_size=1,
                                    max_size=4, unique=True))  # fmt: skip
            value: Value = LinkPart(own, stream, epoch, number, tuple(parents))
        elif sort == "frame":
            value = LineageFrame(own, stream, epoch, draw(st.integers(0, 5)), "stage")
        elif sort == "window":
            low = draw(st.integers(0, 5))
            value = LineageWindow(own, stream, epoch, low, draw(st.integers(low, 6)))
        elif sort == "times":
            first, last = sorted((draw(st.integers(0, 13)), draw(st.integers(0, 13))))
            walls = (wall_ns(tied(1, each)) for each in (first, last))
            low, high = sorted(walls)
            value = LineageWindow(own, stream, epoch, None, None, low, high)
        else:
            events.append(tied(own, number))
            continue
        event = event_of(value, number)
        events.append(damaged(event) if draw(st.integers(0, 9)) == 0 else event)
    return tuple(events)


def plain_links(events: tuple[TraceEvent, ...]) -> set[tuple[int, int]]:
    """By brute force: every link, as child and parent, from attributes alone."""
    found: set[tuple[int, int]] = set()
    whole = [event for event in events if not event.truncated]
    frames = [event for event in whole if event.event_type == LINEAGE_FRAME]
    for event in whole:
        told = event.attributes
        if event.event_type == LINEAGE_LINK:
            found |= {(event.lineage_id, int(text)) for text in str(told["parents"]).split()}
        if event.event_type == LINEAGE_WINDOW:
            for frame in frames:
                place = frame.attributes
                if (place["stream_id"], place["epoch"]) != (told["stream_id"], told["epoch"]):
                    continue
                at, low, high = place["seq"], told.get("seq_start"), told.get("seq_end")
                if low is None:
                    at, low, high = wall_ns(frame), told["t_start_ns"], told["t_end_ns"]
                if low <= at <= high:  # type: ignore[operator]
                    found.add((event.lineage_id, frame.lineage_id))
    return found


class LineageConformance:
    """Inherit it beside QuestionsConformance."""

    @abstractmethod
    def over(self, source: Recording, segments: int = 2) -> AbstractContextManager[Engine]:
        """An engine over what holds the recording, appended in so many parts."""

    @few
    @given(lineage_worlds(), st.lists(IDS, min_size=1, max_size=4, unique=True))
    def test_lineage_is_that_of_a_plain_reading(
        self, events: tuple[TraceEvent, ...], asked: list[int]
    ) -> None:
        """R2.34 R5.15 Every ancestor and descendant by links and windows, at its least distance."""
        links = plain_links(events)
        with self.over(Recording(events, sessions=SESSIONS)) as engine:
            for root in asked:
                for way in ("up", "down"):
                    found = engine.lineage(root, way)  # type: ignore[arg-type]
                    expected = distances(links, root, way)  # type: ignore[arg-type]
                    levels = {n: d for d, level in enumerate(found.levels) for n in level}
                    assert levels == expected, (root, way)
                    near = 0 if way == "up" else 1
                    walked = {link for link in links if link[near] in expected}
                    assert {(link.child, link.parent) for link in found.links} == walked
                    assert len(found.links) == len(walked)
                    if len(expected) > 2:
                        cut = engine.lineage(root, way, most_ids=1)  # type: ignore[arg-type]
                        assert (len(cut.ids), cut.cut) == (1, "size")

    @few
    @given(lineage_worlds(), st.lists(IDS, max_size=4))
    def test_the_events_that_bear_ids_are_those_of_a_plain_reading(
        self, events: tuple[TraceEvent, ...], asked: list[int]
    ) -> None:
        """R5.15 All events of some lineage ids, the oldest first."""
        with self.over(Recording(events, sessions=SESSIONS)) as engine:
            found = engine.with_lineage(asked)
            right = sorted((e for e in events if e.lineage_id in asked), key=wall_ns)
            assert [e.event_id for e in found.events] == [e.event_id for e in right]
            assert {info.name for info in found.sessions} == {info.name for info in SESSIONS}

    @few
    @given(lineage_worlds())
    def test_ids_are_found_whole_and_by_their_last_digits(
        self, events: tuple[TraceEvent, ...]
    ) -> None:
        """R5.15 An id that an event bears or a link names is found; 7118 may be two ids."""
        parents = {parent for e in events if e.event_type == LINEAGE_LINK and not e.truncated
                   for parent in map(int, str(e.attributes["parents"]).split())}  # fmt: skip
        known = {event.lineage_id for event in events} | parents
        with self.over(Recording(events, sessions=SESSIONS)) as engine:
            for text in ("3", "8", "7118", "17118", str(BEYOND + 3), str(2**64 - 2), "0", "x", ""):
                ending = sorted(each for each in known if text and str(each).endswith(text))
                whole = [each for each in known if str(each) == text]
                assert engine.lineage_ids(text) == (whole or ending), text
                assert engine.lineage_ids(f"…{text}") == (whole or ending), text


def distances(links: set[tuple[int, int]], root: int, way: Way) -> dict[int, int]:
    """How far each id is that can be reached, by going round until nothing changes."""
    found = {root: 0}
    for _ in range(len(links) + 1):
        for child, parent in links:
            near, far = (child, parent) if way == "up" else (parent, child)
            if near in found:
                found[far] = min(found.get(far, len(links) + 1), found[near] + 1)
    return found
