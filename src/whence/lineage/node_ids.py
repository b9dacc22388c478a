"""Which node mints: a number that was given, or one that a driver or our allocator assigned."""

from __future__ import annotations

from typing import Protocol

from whence.lineage.wire import NULL_U32
from whence.model.errors import NodeIdMissing

__all__ = ["Attached", "resolve_node_id"]


class Attached(Protocol):
    """The outcome of attaching somewhere, as AttachResponse and NodeLease have it."""

    @property
    def node_id(self) -> int | None:
        """The node id that was assigned; None or 0 where none was."""
        ...


def resolve_node_id(explicit: int | None = None, attach: Attached | None = None) -> int:
    """The node id to mint with: the one given, 0 too; else the one assigned, where there is one.

    Raises NodeIdMissing where there is neither, ValueError for a number beyond 32 bits, TypeError
    for what is no int.
    """
    if explicit is not None:
        return _checked(explicit)
    assigned = attach.node_id if attach is not None else None
    if not assigned:
        raise NodeIdMissing(
            "node_id missing; pass node_id explicitly or attach to a driver that assigns one"
        )
    return _checked(assigned)


def _checked(node_id: int) -> int:
    if isinstance(node_id, bool) or not isinstance(node_id, int):
        raise TypeError(f"node_id must be int, not {type(node_id).__name__}")
    if not 0 <= node_id <= NULL_U32:
        raise ValueError(f"node_id must be from 0 to {NULL_U32}, not {node_id}")
    return node_id
