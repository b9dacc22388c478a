"""Records lineage into the calling thread's ring: links to parents, windows and frames as events.

Its functions are a Recorder of whence.lineage, which checks what it hands over.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from whence._native import Kind
from whence.emit.fields import U32, U64
from whence.emit.kind import kind
from whence.emit.recorder import text_bytes
from whence.model.lineage_events import (
    LONGEST_ID,
    MOST_PART_BYTES,
    LineageFrame,
    LineageWindow,
    link_parts,
)
from whence.model.names import LINEAGE_FRAME, LINEAGE_LINK, LINEAGE_WINDOW, OWN_COMPONENT

__all__ = ["record_frame", "record_link", "record_window"]

OFF = "off"
TOO_LARGE = "too large"
FAILED = "failed"

# What else an event's text holds, a request's id among it; an event has a quarter of the text ring.
_OTHER_BYTES = 512


def record_link(
    lineage_id: int, stream_id: int, epoch: int, seq: int, parents: Sequence[int]
) -> str:
    """One event, or numbered parts where the parents' digits exceed what an event may carry.

    A set whose parts would overtake each other in the text ring is not recorded: "too large".
    """
    link = _link()
    if not link.on:
        return OFF
    try:
        text = " ".join(map(str, parents))
        room = text_bytes()
        most = min(MOST_PART_BYTES, room // 4 - _OTHER_BYTES)
        if len(text) <= most:
            link(lineage_id, stream_id, epoch, seq, 1, 1, text)
            return ""
        parts = link_parts(lineage_id, stream_id, epoch, seq, parents, max(most, LONGEST_ID))
        if len(text) + len(parts) * _OTHER_BYTES > room:
            return TOO_LARGE
        for each in parts:
            text = " ".join(map(str, each.parents))
            link(lineage_id, stream_id, epoch, seq, each.part, each.parts, text)
    except Exception:  # no memory: what is traced goes on
        return FAILED
    return ""


def record_window(window: LineageWindow) -> str:
    """One event."""
    return _record(_window(), window)


def record_frame(frame: LineageFrame) -> str:
    """One event; a stage or status that is empty is left out."""
    return _record(_frame(), (*frame[:4], frame.stage or None, frame.status or None))


def _record(made: Kind[Any], values: tuple[Any, ...]) -> str:
    if not made.on:
        return OFF
    try:
        made(*values)
    except Exception:  # as above
        return FAILED
    return ""


@cache
def _link() -> Kind[Any]:
    return kind(
        LINEAGE_LINK,
        component=OWN_COMPONENT,
        lineage_id=U64,
        stream_id=U32,
        epoch=U64,
        seq=U64,
        part=U32,
        parts=U32,
        parents=str,
    )


@cache
def _window() -> Kind[Any]:
    return kind(
        LINEAGE_WINDOW,
        component=OWN_COMPONENT,
        lineage_id=U64,
        stream_id=U32,
        epoch=U64,
        seq_start=U64 | None,
        seq_end=U64 | None,
        t_start_ns=int | None,
        t_end_ns=int | None,
    )


@cache
def _frame() -> Kind[Any]:
    return kind(
        LINEAGE_FRAME,
        component=OWN_COMPONENT,
        lineage_id=U64,
        stream_id=U32,
        epoch=U64,
        seq=U64,
        stage=str | None,
        status=str | None,
    )
