"""Puts an event's attributes in the order of its kind's fields, which stores do not keep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from whence.model.event import TraceEvent
from whence.model.recording import KindInfo

__all__ = ["in_declared_order"]


def in_declared_order(
    events: Iterable[TraceEvent], kinds: Iterable[KindInfo]
) -> tuple[TraceEvent, ...]:
    """The events, in their order; those of unknown kinds as they are. Costs some us an event."""
    places = {
        (kind.session, kind.name): {field.name: at for at, field in enumerate(kind.fields)}
        for kind in kinds
        if len(kind.fields) > 1
    }
    nothing: dict[str, int] = {}
    return tuple(
        _ordered(
            event,
            places.get((event.session, event.event_type))
            or places.get(("", event.event_type), nothing),
        )
        for event in events
    )


def _ordered(event: TraceEvent, places: dict[str, int]) -> TraceEvent:
    """What the kind did not declare comes last."""
    names = list(event.attributes)
    if not places or len(names) < 2:
        return event
    ordered = sorted(names, key=lambda name: places.get(name, len(places)))
    if ordered == names:
        return event
    return replace(event, attributes={name: event.attributes[name] for name in ordered})
