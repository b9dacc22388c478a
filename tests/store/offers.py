"""Offers of numbered events, as a pipeline hands them to a store."""

from __future__ import annotations

from tests.collect.made_sink import numbered
from whence.collect.delivering import Offer
from whence.collect.local import local_session
from whence.collect.sink import Drained
from whence.model.recording import SessionInfo

__all__ = ["offer", "session"]


def session() -> SessionInfo:
    """The session of the numbered events."""
    numbered()
    info = local_session()
    assert info is not None
    return info


def offer(first: int, last: int, *, wanted: int | None = None, lost: int = 0) -> Offer:
    """The events from `first` to before `last`, of which only `wanted` are asked for."""
    info = session()
    ring = int(numbered().select(first=0, last=1).rows()[0][18])
    kept = last if wanted is None else first + wanted
    part = Drained(numbered().select(first=first, last=kept), {info.name: info})
    return Offer(part, last - first, lost, {(info.uuid, ring): last})
