"""Which events are collected: native filters that mean what TraceQuery means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whence.model.names import spellings
from whence.model.query import TraceQuery
from whence.model.severity import Severity

if TYPE_CHECKING:
    from whence._native import Batch

__all__ = ["Wanted"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters that must all hold; of several types or components any one does.

    Left empty, everything is wanted.
    """

    event_types: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    model_id: str | None = None
    request_id: str | None = None
    min_severity: Severity = Severity.Debug
    start_ns: int | None = None
    end_ns: int | None = None

    @staticmethod
    def by(query: TraceQuery) -> Wanted:
        """What a query asks for; ValueError for filters that need more than an event's columns."""
        if not query.is_basic:
            raise ValueError("events are collected by type, component, model, request, severity")
        return Wanted(
            query.event_types or (),
            query.components or (),
            None if query.model_id is None else str(query.model_id),
            query.request_id,
            query.min_severity or Severity.Debug,
            query.start.value_ns if query.start else None,
            query.end.value_ns if query.end else None,
        )

    @property
    def is_everything(self) -> bool:
        """Whether no filter applies."""
        return self == Wanted()

    def of(self, batch: Batch) -> Batch:
        """The events wanted: the batch itself if that is all of them. Runs without the GIL."""
        if self.is_everything:
            return batch
        return batch.select(
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            event_types=[s for name in self.event_types for s in spellings(name)] or None,
            components=self.components or None,
            model_id=self.model_id,
            request_id=self.request_id,
            min_severity=int(self.min_severity),
        )
