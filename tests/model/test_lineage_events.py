"""Lineage as events: values become attributes and come back whole, and nothing else passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.model.event import TraceEvent
from whence.model.lineage_events import (
    LineageFrame,
    LineageWindow,
    LinkPart,
    LinkSet,
    check_window,
    frame_attributes,
    lineage_of,
    link_attributes,
    link_part_of,
    link_parts,
    whole_sets,
    window_attributes,
)
from whence.model.names import LINEAGE_FRAME, LINEAGE_LINK, LINEAGE_WINDOW, OWN_COMPONENT
from whence.model.time import Timestamp

MOST = 2**64 - 2
ids = st.integers(1, MOST)
numbers = st.integers(0, MOST)
streams = st.integers(0, 2**32 - 2)
parent_lists = st.lists(ids, min_size=1, max_size=60, unique=True)


def event(event_type: str, lineage_id: int, attributes: Any, **more: Any) -> TraceEvent:
    return TraceEvent(
        event_type=event_type,
        component=OWN_COMPONENT,
        timestamp=Timestamp(1),
        lineage_id=lineage_id,
        attributes=attributes,
        **more,
    )


@given(ids, streams, numbers, numbers, parent_lists, st.integers(20, 200), st.randoms())
def test_parents_come_back_whole_and_in_order_from_parts_in_any_order(
    child: int,
    stream: int,
    epoch: int,
    seq: int,
    parents: list[int],
    most_bytes: int,
    random: Any,
) -> None:
    """R2.20 R2.34 TL-23 TL-26: numbered parts, each within its bytes; one that came twice too."""
    parents = [parent for parent in parents if parent != child] or [child % MOST + 1]
    parts = link_parts(child, stream, epoch, seq, parents, most_bytes)
    told = [(each.lineage_id, link_attributes(each)) for each in parts]
    assert all(len(str(attributes["parents"])) <= most_bytes for _, attributes in told)
    told.append(told[0])
    random.shuffle(told)
    found = whole_sets(link_part_of(*each) for each in told)
    assert found == [LinkSet(child, stream, epoch, seq, tuple(parents))]


def test_as_few_parts_are_made_as_will_do() -> None:
    """R2.34: one part as a rule; a part is filled before another is begun."""
    assert link_parts(9, 1, 2, 3, [4, 5]) == [LinkPart(9, 1, 2, 3, (4, 5), 1, 1)]
    parts = link_parts(9, 1, 2, 3, [10**19 + n for n in range(4)], 41)
    assert [(each.part, each.parts, len(each.parents)) for each in parts] == [(1, 2, 2), (2, 2, 2)]
    assert sum(len(each.parents) for each in link_parts(1, 1, 1, 1, range(2, 65_536))) == 65_534


def test_parts_that_are_missing_are_counted() -> None:
    """R2.34: what is there is told, and how much is not."""
    parts = link_parts(9, 1, 2, 3, [10**19 + n for n in range(5)], 20)
    [found] = whole_sets([parts[3], parts[1]])
    assert (found.parents, found.missing) == ((10**19 + 1, 10**19 + 3), 3)


@given(ids, streams, numbers, st.tuples(numbers, numbers), st.booleans())
def test_windows_come_back_from_their_events(
    window_id: int, stream: int, epoch: int, bounds: tuple[int, int], in_time: bool
) -> None:
    """R2.34 TL-31: bounds are numbers of frames, or times."""
    first, last = sorted(bounds)
    if in_time:
        window = LineageWindow(window_id, stream, epoch, t_start_ns=first >> 2, t_end_ns=last >> 2)
    else:
        window = LineageWindow(window_id, stream, epoch, first, last)
    assert lineage_of(event(LINEAGE_WINDOW, window_id, window_attributes(window))) == window


@given(ids, streams, numbers, numbers, st.text(), st.text())
def test_frames_come_back_from_their_events(
    lineage_id: int, stream: int, epoch: int, seq: int, stage: str, status: str
) -> None:
    """R2.34: a frame's stage and status are any text."""
    frame = LineageFrame(lineage_id, stream, epoch, seq, stage, status)
    assert lineage_of(event(LINEAGE_FRAME, lineage_id, frame_attributes(frame))) == frame


def test_other_events_tell_nothing_of_lineage() -> None:
    """R2.34: what is no lineage event is passed over."""
    assert lineage_of(event("tick", 5, {})) is None


def test_a_link_whose_text_was_cut_or_overwritten_is_none() -> None:
    """R2.34: half of an id would be another id."""
    whole = event(LINEAGE_LINK, 9, link_attributes(LinkPart(9, 1, 2, 3, (4, 5))))
    assert lineage_of(whole) == LinkPart(9, 1, 2, 3, (4, 5))
    for spoilt in (replace(whole, truncated=True), replace(whole, text_lost=True)):
        with pytest.raises(ValueError, match="overwritten or cut"):
            lineage_of(spoilt)


GOOD = {"stream_id": 1, "epoch": 2, "seq": 3, "part": 1, "parts": 1, "parents": "4 5"}


@pytest.mark.parametrize(
    ("child", "change", "message"),
    [
        (0, {}, "lineage_id must be from 1"),
        (2**64 - 1, {}, "lineage_id must be from 1"),
        (9, {"parents": ""}, "decimal ids"),
        (9, {"parents": "4  5"}, "decimal ids"),
        (9, {"parents": "4 -5"}, "decimal ids"),
        (9, {"parents": "4 x"}, "decimal ids"),
        (9, {"parents": "٤"}, "decimal ids"),
        (9, {"parents": "1" * 5_000}, "decimal ids"),
        (9, {"parents": "0"}, "a parent must be from 1"),
        (9, {"parents": str(2**64 - 1)}, "a parent must be from 1"),
        (9, {"parents": "4 4"}, "named twice"),
        (9, {"parents": "4 9"}, "its own parent"),
        (9, {"parents": 4}, "must be a text"),
        (9, {"stream_id": 2**32 - 1}, "stream_id must be"),
        (9, {"epoch": -1}, "epoch must be"),
        (9, {"seq": True}, "seq must be a whole number"),
        (9, {"part": 2}, "part must be from 1 to 1"),
        (9, {"parts": 0}, "parts must be"),
    ],
)
def test_a_link_that_cannot_be_is_refused(child: int, change: Any, message: str) -> None:
    """R2.20 TL-16 TL-24 TL-25: what recorders of others may write is checked as messages are."""
    with pytest.raises(ValueError, match=message):
        link_part_of(child, GOOD | change)
    if not child or change.get("parents") in ("0", "4 4", "4 9"):
        parents = [int(each) for each in (GOOD | change)["parents"].split()]
        with pytest.raises(ValueError, match=message):
            link_parts(child, 1, 2, 3, parents)


@pytest.mark.parametrize(
    "bounds",
    [
        (),
        (1,),
        (1, 2, 3, 4),
        (None, None, 1),
        (1, None, 2),
        (2, 1),
        (None, None, 2, 1),
        (None, None, 0, 2**63),
        (0, 2**64 - 1),
    ],
)
def test_a_window_has_two_numbers_or_two_times(bounds: tuple[int | None, ...]) -> None:
    """R2.34 TL-31: either pair of bounds, in order."""
    with pytest.raises(ValueError, match=r"either|after|from 0 to"):
        check_window(LineageWindow(7, 1, 1, *bounds))
