"""Tells of a frame's parents: to publications and the session's rings, without ever waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from whence.lineage.codec import check_set, packed_set
from whence.lineage.counted import Counted, refusal
from whence.lineage.recording import SessionPublication

__all__ = ["Outlets", "Publication", "Publications", "emit_tracelink"]


class Publication(Protocol):
    """Where messages go, as Aeron's clients have it.

    offer() MUST NOT wait. A negative number or False says that the message was not taken, and so
    does an exception; anything else, that it was. Aeron's numbers say why: -1 not connected, -2
    back pressure, -3 admin action, -4 closed, -5 max position exceeded, -6 error. The bytes may be
    kept: they do not change.
    """

    def offer(self, buffer: bytes, /) -> Any:
        """Takes a message, or not."""
        ...


Publications = Publication | Sequence[Publication] | None  # none, one, or several


def emit_tracelink(
    publication: Publication,
    stream_id: int,
    epoch: int,
    seq: int,
    trace_id: int,
    parents: Sequence[int],
    counted: Counted | None = None,
) -> bool:
    """Offers a set once, without waiting; whether it was taken. What the publication raises is
    a drop like any other: tracing does not stop what is traced.

    Raises ValueError for a set that may not be sent, as encode_tracelink_set() does.
    """
    check_set(stream_id, epoch, seq, trace_id, parents)
    if isinstance(publication, SessionPublication):
        taken = publication.link(stream_id, epoch, seq, trace_id, parents)
        return counted.count("" if taken else "refused") if counted is not None else taken
    reason = _offer(publication, packed_set(stream_id, epoch, seq, trace_id, parents))
    return counted.count(reason) if counted is not None else not reason


class Outlets:
    """All places where one program tells of its lineage: the session's rings, and publications.

    `session` is None where nothing shall be recorded. `counted` counts sets and publications: of a
    set offered to two publications, each counts by itself. Any thread.
    """

    __slots__ = ("counted", "publications", "session")

    def __init__(self, publication: Publications, recorded: bool) -> None:
        given = publication if isinstance(publication, Sequence) else (publication,)
        self.publications = tuple(each for each in given if each is not None)
        self.session = SessionPublication() if recorded else None
        self.counted = Counted()

    def tell(
        self, stream_id: int, epoch: int, seq: int, trace_id: int, parents: Sequence[int]
    ) -> bool:
        """Whether the set was taken everywhere; False where there is nowhere to tell it.

        Raises ValueError for a set that may not be, with nothing told.
        """
        check_set(stream_id, epoch, seq, trace_id, parents)
        return self.tell_checked(stream_id, epoch, seq, trace_id, parents)

    def tell_checked(
        self, stream_id: int, epoch: int, seq: int, trace_id: int, parents: Sequence[int]
    ) -> bool:
        """As tell(), of values that check_set() would let pass."""
        taken = self.session is not None or bool(self.publications)
        if self.session is not None:
            taken &= self.session.link(stream_id, epoch, seq, trace_id, parents)
        if self.publications:
            message = packed_set(stream_id, epoch, seq, trace_id, parents)
            for publication in self.publications:
                taken &= self.counted.count(_offer(publication, message))
        return taken

    def flush(self) -> bool:
        """Sends what publications have gathered; whether it was taken."""
        taken = True
        for publication in self.publications:
            flush = getattr(publication, "flush", None)
            if callable(flush):
                try:
                    taken &= flush() is not False
                except Exception:
                    taken = False
        return taken


def _offer(publication: Publication, message: bytes) -> str:
    """Why it was not taken; "" where it was."""
    try:
        return refusal(publication.offer(message))
    except Exception:
        return "raised"
