"""AuditTrail: what was decided about a model, what was refused, and which deadlines were missed."""

from __future__ import annotations

from whence.model.event import TraceEvent
from whence.model.ids import ModelID
from whence.model.names import spellings
from whence.query.outcome import says
from whence.query.window import Found, Source, Window, events_within

__all__ = ["AuditTrail", "missed_deadlines"]


class AuditTrail:
    """A read-only view over any source of events; it keeps nothing and asks each time.

    `source` is a TraceCollector, `whence.collector()`, a Recording, an Index, or a store's engine.
    Windows are a Duration (that long until the newest moment the source knows of), a pair of
    Timestamps or of datetimes with a zone, both ends included, or None for everything. Types are
    found under every spelling that means them. Events come in order of time. Costs what the source
    takes to answer. Threads may share a view if they may share its source.

    Raises TypeError for what is no source or no window, and whatever the source raises.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def get_admission_decision(self, model_id: str | ModelID) -> TraceEvent | None:
        """The newest decision on whether the model may run; None if none is there."""
        found = events_within(self._source, ["admission_decision"], model_id=model_id)
        return max(found.events, key=lambda event: _age(found, event), default=None)

    def get_scheduling_history(
        self, model_id: str | ModelID | None = None, window: Window = None
    ) -> tuple[TraceEvent, ...]:
        """The scheduling decisions that concern the model, or any."""
        return events_within(self._source, ["scheduling_decision"], window, model_id).events

    def get_deadline_misses(self, window: Window = None) -> tuple[TraceEvent, ...]:
        """Deadlines that passed before dispatch, and executions that ended behind theirs.

        A request that has both is there once, with the earlier of them.
        """
        types = ["deadline_miss", "execution_completed"]
        return missed_deadlines(events_within(self._source, types, window))

    def get_rejection_history(self, window: Window = None) -> tuple[TraceEvent, ...]:
        """The admission decisions that said no."""
        found = events_within(self._source, ["admission_decision"], window)
        return tuple(event for event in found.events if says(event, "admitted", False))


def missed_deadlines(found: Found) -> tuple[TraceEvent, ...]:
    """Of these events those that tell of a missed deadline, one for each decision chain."""
    told: dict[object, TraceEvent] = {}
    for event in found.events:
        if event.event_type in _MISSES or says(event, "deadline_met", False):
            chain = found.index.names_of(event)
            told.setdefault(chain if any(chain) else id(event), event)
    return tuple(told.values())


_MISSES = frozenset(spellings("deadline_miss"))


def _age(found: Found, event: TraceEvent) -> tuple[int, object]:
    return found.index.time_ns(event), event.order_key
