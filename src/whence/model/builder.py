"""Builds one event step by step and refuses to hand out an unfinished one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Self

from whence.model.errors import IncompleteEvent
from whence.model.event import AttributeValue, Option, TraceEvent
from whence.model.ids import ModelID
from whence.model.names import DECISION_TYPES
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

__all__ = ["TraceEventBuilder"]


class TraceEventBuilder:
    """Collects the fields of an event; `build()` checks them and makes the event.

    Every `with_*` returns the builder itself, and the last value given wins. A builder may build
    several events: each gets its own id and time unless these were given. Not for use by several
    threads at once.
    """

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._attributes: dict[str, AttributeValue] = {}

    def with_event_id(self, event_id: str) -> Self:
        """The event's own id; build() makes a random UUID otherwise."""
        return self._with(event_id=event_id)

    def with_type(self, event_type: str) -> Self:
        """What happened, for example "scheduling_decision". Required."""
        return self._with(event_type=event_type)

    def with_component(self, component: str) -> Self:
        """Who did it, for example "Scheduler". Required."""
        return self._with(component=component)

    def with_timestamp(self, timestamp: Timestamp) -> Self:
        """When it happened; build() takes the moment of the call otherwise."""
        return self._with(timestamp=timestamp)

    def with_duration(self, duration: Duration) -> Self:
        """How long it took; 0 means instantaneous."""
        return self._with(duration=duration)

    def with_model(self, model_id: ModelID | str) -> Self:
        """The model it concerns."""
        return self._with(model_id=model_id)

    def with_request(self, request_id: str) -> Self:
        """The request it belongs to: events of one request form a chain."""
        return self._with(request_id=request_id)

    def with_decision_chain(self, decision_chain_id: str) -> Self:
        """The chain it belongs to, where that is not the whole request."""
        return self._with(decision_chain_id=decision_chain_id)

    def with_rationale(self, rationale: str) -> Self:
        """Why, in a sentence. Required for decisions."""
        return self._with(rationale=rationale)

    def with_severity(self, severity: Severity) -> Self:
        """How serious it is; Info otherwise."""
        return self._with(severity=severity)

    def with_attribute(self, name: str, value: AttributeValue) -> Self:
        """One attribute, beside those already given."""
        self._attributes[name] = value
        return self

    def with_attributes(self, attributes: Mapping[str, AttributeValue]) -> Self:
        """Several attributes, beside those already given."""
        self._attributes.update(attributes)
        return self

    def with_decision(self, decision: bool = True) -> Self:
        """Marks the event as a decision, which must have a rationale."""
        return self._with(decision=decision)

    def with_options(self, options: Sequence[Option]) -> Self:
        """What the decision chose among; an event with options is a decision."""
        return self._with(options=tuple(options))

    def with_caused_by(self, event_id: str) -> Self:
        """The id of the event that led to this one."""
        return self._with(caused_by=event_id)

    def with_lineage(self, lineage_id: int) -> Self:
        """The 64-bit lineage id of the data it concerns."""
        return self._with(lineage_id=lineage_id)

    def build(self) -> TraceEvent:
        """The event; IncompleteEvent if the type, the component or a decision's rationale is empty.

        Scheduling and admission decisions are decisions even where nobody said so.
        """
        fields = dict(self._fields)
        for required, step in (("event_type", "with_type"), ("component", "with_component")):
            if not fields.get(required):
                raise IncompleteEvent(f"the event has no {required}: call {step}() before build()")
        if fields["event_type"] in DECISION_TYPES or fields.get("options"):
            fields.setdefault("decision", True)
        if not fields.get("event_id"):
            fields["event_id"] = str(uuid.uuid4())
        if "timestamp" not in fields:
            fields["timestamp"] = Timestamp.now()
        event = TraceEvent(attributes=self._attributes, **fields)
        if event.lacks_rationale:
            raise IncompleteEvent(
                f"{event.event_type} is a decision: say why with with_rationale() before build()"
            )
        return event

    def _with(self, **field: Any) -> Self:
        self._fields.update(field)
        return self
