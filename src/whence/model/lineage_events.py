"""Lineage as events: links to parents, windows and frames, as values and as an event's attributes.

A frame's id is the event's own `lineage_id`; all else is attributes. Ids are from 1 to 2**64 - 2,
as in TraceLink's messages, stream ids from 0 to 2**32 - 2, epochs and numbers from 0 to 2**64 - 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from whence.model.event import AttributeValue, TraceEvent
from whence.model.names import LINEAGE_FRAME, LINEAGE_LINK, LINEAGE_WINDOW

__all__ = [
    "MOST_PART_BYTES",
    "LineageFrame",
    "LineageValue",
    "LineageWindow",
    "LinkPart",
    "LinkSet",
    "check_frame",
    "check_id",
    "check_link_part",
    "check_window",
    "frame_attributes",
    "frame_of",
    "lineage_of",
    "link_attributes",
    "link_part_of",
    "link_parts",
    "whole_sets",
    "window_attributes",
    "window_of",
]

# Bytes of parents in one event: what an event may carry at most is 64 KiB, with its other texts.
MOST_PART_BYTES = 60_000
LONGEST_ID = 20  # digits of 2**64 - 2
MOST_TIME_NS = 2**63 - 1
_MOST_ID = 2**64 - 2
_MOST_STREAM = 2**32 - 2
_MOST_PARTS = 2**32 - 1


class LinkPart(NamedTuple):
    """What one event tells of a frame's parents: all of them, or part `part` of `parts`, from 1."""

    lineage_id: int
    stream_id: int
    epoch: int
    seq: int
    parents: tuple[int, ...]
    part: int = 1
    parts: int = 1


class LinkSet(NamedTuple):
    """A frame and its parents in their order; `missing` parts of the set were not there."""

    lineage_id: int
    stream_id: int
    epoch: int
    seq: int
    parents: tuple[int, ...]
    missing: int = 0


class LineageWindow(NamedTuple):
    """An id that was made from all frames of a stream's epoch within bounds, both of which belong
    to it: numbers of frames, or wall times in nanoseconds since 1970. The other two are None."""

    lineage_id: int
    stream_id: int
    epoch: int
    seq_start: int | None = None
    seq_end: int | None = None
    t_start_ns: int | None = None
    t_end_ns: int | None = None


class LineageFrame(NamedTuple):
    """A frame of a stream, which stage made it, and what became of it ("" where nobody says)."""

    lineage_id: int
    stream_id: int
    epoch: int
    seq: int
    stage: str = ""
    status: str = ""


LineageValue = LinkPart | LineageWindow | LineageFrame


def link_parts(
    lineage_id: int,
    stream_id: int,
    epoch: int,
    seq: int,
    parents: Sequence[int],
    most_bytes: int = MOST_PART_BYTES,
) -> list[LinkPart]:
    """A frame's parents as parts whose text has `most_bytes` at most each: mostly one.

    Raises ValueError for what cannot be linked so: an id out of range, no parents, one named twice,
    a frame that is its own parent, or room for not even one id.
    """
    whole = LinkPart(lineage_id, stream_id, epoch, seq, tuple(parents))
    check_link_part(whole)
    if most_bytes < LONGEST_ID:
        raise ValueError(f"a part has room for one id of {LONGEST_ID} digits at least")
    if (LONGEST_ID + 1) * len(parents) <= most_bytes:
        return [whole]
    groups: list[list[int]] = [[]]
    room = most_bytes
    for parent in parents:
        length = len(str(parent)) + bool(groups[-1])
        if length > room:
            groups.append([])
            room = most_bytes
            length -= 1
        groups[-1].append(parent)
        room -= length
    return [
        LinkPart(lineage_id, stream_id, epoch, seq, tuple(group), number, len(groups))
        for number, group in enumerate(groups, 1)
    ]


def whole_sets(parts: Iterable[LinkPart]) -> list[LinkSet]:
    """The sets that these parts are of, in the order of their first parts, parents in theirs.

    A part that came twice counts once, and so does a parent that several name.
    """
    found: dict[tuple[int, int, int, int, int], dict[int, list[int]]] = {}
    for part in parts:
        key = (part.lineage_id, part.stream_id, part.epoch, part.seq, part.parts)
        found.setdefault(key, {}).setdefault(part.part, []).extend(part.parents)
    return [
        LinkSet(
            *key[:4],
            parents=tuple(dict.fromkeys(each for number in sorted(had) for each in had[number])),
            missing=key[4] - len(had),
        )
        for key, had in found.items()
    ]


def lineage_of(event: TraceEvent) -> LineageValue | None:
    """What the event tells of lineage; None where it is of another type.

    Raises ValueError for one whose attributes are not whole, or were cut or overwritten: half of
    an id is another id.
    """
    reader = _READERS.get(event.event_type)
    if reader is None:
        return None
    if event.text_lost or event.truncated:
        raise ValueError(f"the text of this {event.event_type} was overwritten or cut")
    return reader(event.lineage_id, event.attributes)


def link_attributes(part: LinkPart) -> dict[str, AttributeValue]:
    """The attributes of a `lineage_link`, whose lineage_id is the frame's."""
    return {
        "stream_id": part.stream_id,
        "epoch": part.epoch,
        "seq": part.seq,
        "part": part.part,
        "parts": part.parts,
        "parents": " ".join(map(str, part.parents)),
    }


def link_part_of(lineage_id: int, attributes: Mapping[str, AttributeValue]) -> LinkPart:
    """The way back from link_attributes(). Raises ValueError for what is no link."""
    stream_id, epoch, seq, part, parts = _numbers(attributes, *_PLACE, "part", "parts")
    texts = _text(attributes, "parents").split(" ")
    if not all(text.isascii() and text.isdigit() and len(text) <= LONGEST_ID for text in texts):
        raise ValueError("parents are decimal ids with one space between")
    found = LinkPart(lineage_id, stream_id, epoch, seq, tuple(map(int, texts)), part, parts)
    check_link_part(found)
    return found


def window_attributes(window: LineageWindow) -> dict[str, AttributeValue]:
    """The attributes of a `lineage_window`, whose lineage_id is the window's."""
    told = window._asdict()
    del told["lineage_id"]
    return {name: value for name, value in told.items() if value is not None}


def window_of(lineage_id: int, attributes: Mapping[str, AttributeValue]) -> LineageWindow:
    """The way back from window_attributes(). Raises ValueError for what is no window."""
    stream_id, epoch = _numbers(attributes, "stream_id", "epoch")
    bounds = [
        _numbers(attributes, name)[0] if attributes.get(name) is not None else None
        for name in _BOUNDS
    ]
    found = LineageWindow(lineage_id, stream_id, epoch, *bounds)
    check_window(found)
    return found


def frame_attributes(frame: LineageFrame) -> dict[str, AttributeValue]:
    """The attributes of a `lineage_frame`, whose lineage_id is the frame's; no empty texts."""
    told = frame._asdict()
    del told["lineage_id"]
    return {name: value for name, value in told.items() if value != ""}


def frame_of(lineage_id: int, attributes: Mapping[str, AttributeValue]) -> LineageFrame:
    """The way back from frame_attributes(). Raises ValueError for what is no frame."""
    stream_id, epoch, seq = _numbers(attributes, *_PLACE)
    stage, status = (_text(attributes, name, "") for name in ("stage", "status"))
    found = LineageFrame(lineage_id, stream_id, epoch, seq, stage, status)
    check_frame(found)
    return found


def check_id(name: str, number: int, least: int = 1, most: int = _MOST_ID) -> None:
    """Raises TypeError for what is no int, ValueError for one out of range."""
    if type(number) is not int:
        raise TypeError(f"{name} must be int, not {type(number).__name__}")
    if not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {number}")


def check_link_part(link: LinkPart) -> None:
    """Raises ValueError for a link, or a part of one, that cannot be; TypeError for no int."""
    check_id("lineage_id", link.lineage_id)
    _check_place(link.stream_id, link.epoch, link.seq)
    check_id("parts", link.parts, 1, _MOST_PARTS)
    check_id("part", link.part, 1, link.parts)
    if not link.parents:
        raise ValueError("a frame made from others has at least one parent")
    for parent in link.parents:
        if type(parent) is not int or not 0 < parent <= _MOST_ID:
            check_id("a parent", parent)
    if len(set(link.parents)) != len(link.parents):
        raise ValueError("a parent is named twice")
    if link.lineage_id in link.parents:
        raise ValueError(f"frame {link.lineage_id} is named as its own parent")


def check_window(window: LineageWindow) -> None:
    """Raises ValueError for a window with other bounds than two numbers or two times, the first
    not after the second, or with a number out of range; TypeError for no int."""
    check_id("lineage_id", window.lineage_id)
    _check_place(window.stream_id, window.epoch, 0)
    given = [name for name in _BOUNDS if getattr(window, name) is not None]
    if given not in (list(_BOUNDS[:2]), list(_BOUNDS[2:])):
        raise ValueError("a window has either seq_start and seq_end, or t_start_ns and t_end_ns")
    first, last = (getattr(window, name) for name in given)
    most = _MOST_ID if given[0] == "seq_start" else MOST_TIME_NS
    check_id(given[0], first, 0, most)
    check_id(given[1], last, 0, most)
    if first > last:
        raise ValueError(f"{given[0]} {first} is after {given[1]} {last}")


def check_frame(frame: LineageFrame) -> None:
    """Raises ValueError for a frame with a number out of range; TypeError for another type."""
    check_id("lineage_id", frame.lineage_id)
    _check_place(frame.stream_id, frame.epoch, frame.seq)
    for name in ("stage", "status"):
        if not isinstance(getattr(frame, name), str):
            raise TypeError(f"{name} must be str, not {type(getattr(frame, name)).__name__}")


_PLACE = ("stream_id", "epoch", "seq")
_BOUNDS = ("seq_start", "seq_end", "t_start_ns", "t_end_ns")
_READERS: dict[str, Callable[[int, Mapping[str, AttributeValue]], LineageValue]] = {
    LINEAGE_LINK: link_part_of,
    LINEAGE_WINDOW: window_of,
    LINEAGE_FRAME: frame_of,
}


def _check_place(stream_id: int, epoch: int, seq: int) -> None:
    check_id("stream_id", stream_id, 0, _MOST_STREAM)
    check_id("epoch", epoch, 0, _MOST_ID)
    check_id("seq", seq, 0, _MOST_ID)


def _numbers(attributes: Mapping[str, AttributeValue], *names: str) -> list[int]:
    found = []
    for name in names:
        value = attributes.get(name)
        if type(value) is not int:
            raise ValueError(f"{name} must be a whole number, not {value!r}")
        found.append(value)
    return found


def _text(attributes: Mapping[str, AttributeValue], name: str, missing: str | None = None) -> str:
    value = attributes.get(name, missing)
    if type(value) is not str:
        raise ValueError(f"{name} must be a text, not {value!r}")
    return value
