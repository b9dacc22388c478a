"""TraceCollector: the library face over recording, reading and exporting events."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from whence import _native
from whence._native import RingReader
from whence.collect.events import to_events
from whence.collect.kinds import kind_infos
from whence.collect.local import (
    drain_local,
    local_gate_changes,
    local_ledgers,
    local_session,
    without_holes,
)
from whence.export.json_export import write_batches
from whence.model.event import TraceEvent
from whence.model.ids import ModelID
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.query.chain import reconstruct_chain

__all__ = ["EventView", "TraceCollector", "collector"]


class EventView:
    """Questions about the events that this process holds. Reading never holds up a writer.

    Each answer is a consistent copy of what was held when it was asked for. Any thread may ask.
    Reading costs about 8 us an event held.
    """

    def _readers(self) -> Sequence[RingReader]:
        return _native.local_rings()

    def query(self, q: TraceQuery | None = None, **filters: Any) -> list[TraceEvent]:
        """The events that match, in order of time. `filters` are TraceQuery's, if `q` is None.

        Raises TypeError for a filter that TraceQuery does not have or that is of another type.
        """
        if q is not None and filters:
            raise TypeError("give a TraceQuery or filters, not both")
        if q is not None and not isinstance(q, TraceQuery):
            raise TypeError(
                "query() takes a TraceQuery or filters such as request_id=..., "
                f"not {type(q).__name__}"
            )
        wanted = q if q is not None else TraceQuery(**filters)
        return [event for event in self._events() if wanted.matches(event)]

    def query_by_component(self, component: str) -> list[TraceEvent]:
        """The events of one component, in order of time."""
        return self.query(component=component)

    def query_by_severity(self, min_severity: Severity) -> list[TraceEvent]:
        """The events of at least that severity, in order of time."""
        return self.query(min_severity=min_severity)

    def query_by_model(self, model_id: str | ModelID) -> list[TraceEvent]:
        """The events that concern one model, in order of time."""
        return self.query(model_id=model_id)

    def reconstruct_decision_chain(self, name: str) -> list[TraceEvent]:
        """All events of a request or decision chain, in order of time; empty if unknown.

        `name` is a request's id, a decision chain's id, or the id of one of its events.
        """
        return list(reconstruct_chain(Recording(events=tuple(self._events())), name))

    def recording(self) -> Recording:
        """Everything held now, with its kinds, session, ledgers and gate changes."""
        return self._recording(local_session())[1]

    def export_json(self, path: str | os.PathLike[str]) -> int:
        """Writes all events as one JSON document; returns its size in bytes.

        The file appears whole or not at all. Raises ExportError. About 0.4 us an event.
        """
        session = local_session()
        batch, recording = self._recording(session, with_events=False)
        return write_batches(path, [batch], recording, time.time_ns())

    def __len__(self) -> int:
        return len(self._events())

    def __iter__(self) -> Iterator[TraceEvent]:
        return iter(self._events())

    def _events(self) -> list[TraceEvent]:
        session = local_session()
        readers = self._readers()
        if session is None or not readers:
            return []
        return to_events(without_holes(drain_local(readers, session)[0].rows()))

    def _recording(self, session: Any, with_events: bool = True) -> tuple[_native.Batch, Recording]:
        if session is None:
            return _native.Batch(), Recording()
        batch, catalogue, ledgers = local_ledgers(self._readers(), session)
        events = tuple(to_events(batch.rows())) if with_events else ()
        kinds = kind_infos(catalogue, session.name)
        changes = local_gate_changes(session, kinds)
        return batch, Recording(events, kinds, (session,), ledgers, changes)


class TraceCollector(_native.SharedRing, EventView):
    """Keeps the newest `buffer_size` events, recorded from any thread, in one ring of its own.

    A full ring drops its oldest event and never blocks; what was dropped is counted as lost. The
    events also lie in the session's folder, so they survive the process (`whence recover`), and
    `len(collector)` is `size()`. There is room for 448 bytes of text an event on average, and for
    64 KiB at least; when newer text needs it, an older event keeps its fields and says `text_lost`.

    Raises ValueError for a `buffer_size` below 1 and TypeError for one that is no int.
    """

    def __init__(self, buffer_size: int = 10_000) -> None:
        super().__init__(buffer_size)

    def record(self, event: TraceEvent) -> None:
        """Records a built event under its own id and timestamp. Any thread; never blocks.

        Raises TypeError for what is no TraceEvent, and ValueError for a decision without a
        rationale: it is counted as rejected and not stored.
        """
        if not isinstance(event, TraceEvent):
            raise TypeError(f"record() takes a TraceEvent, not {type(event).__name__}")
        self._record_built(
            event.event_type,
            event.component,
            event.rationale,
            event.request_id,
            event.model_id,
            event.severity,
            event.duration.nanos,
            event.attributes,
            event.event_id,
            event.decision_chain_id,
            event.options,
            event.caused_by,
            event.lineage_id,
            event.timestamp.value_ns,
            event.decision,
            event.weight,
            event.trace_id,
            event.span_id,
            event.parent_span_id,
            event.span,
            event.status,
            event.status_message,
            event.links,
        )

    def __len__(self) -> int:
        return self.size()

    def _readers(self) -> Sequence[RingReader]:
        reader = _native.shared_ring_reader(self)
        return [reader] if reader is not None else []


def collector() -> EventView:
    """The same face over all rings of this process's session, kinds and collectors alike."""
    return EventView()
