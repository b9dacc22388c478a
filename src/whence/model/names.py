"""The names of event types that components share, and the other spellings that mean the same."""

from __future__ import annotations

__all__ = [
    "DECISION_TYPES",
    "LINEAGE_FRAME",
    "LINEAGE_LINK",
    "LINEAGE_TYPES",
    "LINEAGE_WINDOW",
    "OUTCOME",
    "OWN_COMPONENT",
    "TRACE_ENDED",
    "TRACE_STARTED",
    "canonical",
    "spellings",
]

# What whence itself records, by whoever calls whence.outcome().
OUTCOME = "outcome"
OWN_COMPONENT = "whence"
# What it records of lineage: what a frame was made from, frames by frames or a whole window of
# them, and the frames themselves. See model/lineage_events.py.
LINEAGE_LINK = "lineage_link"
LINEAGE_WINDOW = "lineage_window"
LINEAGE_FRAME = "lineage_frame"
LINEAGE_TYPES = (LINEAGE_LINK, LINEAGE_WINDOW, LINEAGE_FRAME)
# The two ends of a trace's life, recorded by whoever keeps traces.
TRACE_STARTED = "trace_started"
TRACE_ENDED = "trace_ended"

_NAMES = (
    "stream_create",
    "stream_destroy",
    "alloc",
    "free",
    "context_created",
    "execution_started",
    "execution_completed",
    "fault_recorded",
    "context_destroyed",
    "plan_generated",
    "binding_created",
    "binding_released",
    "pressure_handled",
    "admission_decision",
    "scheduling_decision",
    "deadline_miss",
    "workflow_started",
    "stage_started",
    "stage_completed",
    "performance_metric",
    "priming",
    "interference",
    "reconsolidation",
    "false_memory",
)
# Spellings of old, by the name that is meant. Those in PascalCase follow from the names.
_OLD = {"admission_decision": ("admission_result",)}


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


_SPELLINGS = {
    name: (name, *_OLD.get(name, ()), *map(_pascal, (name, *_OLD.get(name, ())))) for name in _NAMES
}
_CANONICAL = {spelling: name for name, found in _SPELLINGS.items() for spelling in found}


def canonical(event_type: str) -> str:
    """The name in snake_case that a shared type goes by; any other type is its own name."""
    return _CANONICAL.get(event_type, event_type)


def spellings(event_type: str) -> tuple[str, ...]:
    """Every spelling of a shared type, the canonical one first; of any other type itself alone."""
    return _SPELLINGS.get(canonical(event_type), (event_type,))


# Events that are decisions by their name alone, however they are recorded.
DECISION_TYPES = frozenset({*spellings("admission_decision"), *spellings("scheduling_decision")})
