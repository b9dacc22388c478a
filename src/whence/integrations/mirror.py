"""Dual logging: what is recorded as an event also goes to the logging module, at DEBUG."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from enum import IntEnum
from typing import Any, ParamSpec

from whence.emit.kind import Kind
from whence.model.cognitive import InterferenceType, PrimingType

__all__ = ["MIRRORED", "mirror", "mirror_tracer"]

P = ParamSpec("P")

# The name of the event a log record repeats; our handler leaves such records out.
MIRRORED = "whence_event"

# Names that logging keeps for itself.
_TAKEN = frozenset({*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime"})

_ENUMS: dict[str, type[IntEnum]] = {
    "priming_type": PrimingType,
    "interference_type": InterferenceType,
}
_METHODS = {
    "trace_priming": "cognitive_priming_event",
    "trace_interference": "cognitive_interference_event",
    "trace_reconsolidation": "cognitive_reconsolidation_event",
    "trace_false_memory": "cognitive_false_memory_event",
}


def mirror(
    kind: Kind[P], logger: logging.Logger | str | None = None, *, level: int = logging.DEBUG
) -> Callable[P, None]:
    """A callable with the kind's own parameters that records the event, then logs it.

    The log record's message is the kind's name and its fields; the fields are also attributes of
    the record (`event_name` and the like where a record has one of that name). `logger` is a
    logger or its name, by default the kind's component. A kind that is off logs nothing, and what
    sampling leaves out is logged. Where the logger is off, a call costs a Python call and
    `isEnabledFor` beside the event. What logging raises reaches the caller, as from any log call;
    the event is recorded by then. Our Handler leaves the log record out.
    """
    target = _logger(logger, kind.component)
    name = kind.name
    names = _parameters(kind)

    @functools.wraps(kind.__wrapped__ or kind, assigned=("__name__", "__doc__"), updated=())
    def record_and_log(*args: P.args, **kwargs: P.kwargs) -> None:
        kind(*args, **kwargs)
        if kind and target.isEnabledFor(level):
            _log(target, level, name, {**dict(zip(names, args, strict=False)), **kwargs})

    return record_and_log


def mirror_tracer(
    tracer: Any, logger: logging.Logger | str | None = None, *, level: int = logging.DEBUG
) -> Any:
    """A tracer like `tracer` whose `trace_*` methods also log what they record.

    A priming event is logged as `cognitive_priming_event`, with its priming_type and strength;
    the other three kinds accordingly. Everything else is the tracer's own.
    """
    return _MirroredTracer(tracer, _logger(logger, "whence.cognitive"), level)


class _MirroredTracer:
    def __init__(self, tracer: Any, logger: logging.Logger, level: int) -> None:
        self._tracer = tracer
        for method, name in _METHODS.items():
            record = getattr(tracer, method, None)
            if record is not None:
                kind = getattr(tracer, method.removeprefix("trace_"), True)
                setattr(self, method, _logged(record, kind, name, logger, level))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracer, name)


def _logged(
    record: Callable[..., Any], kind: Any, name: str, logger: logging.Logger, level: int
) -> Callable[..., Any]:
    try:
        names = list(inspect.signature(record).parameters)
    except (TypeError, ValueError):  # a builtin without a signature
        names = []

    def record_and_log(*args: Any, **kwargs: Any) -> Any:
        result = record(*args, **kwargs)
        if kind and logger.isEnabledFor(level):
            _log(logger, level, name, {**dict(zip(names, args, strict=False)), **kwargs})
        return result

    return record_and_log


def _log(logger: logging.Logger, level: int, name: str, fields: dict[str, Any]) -> None:
    shown = {field: _shown(field, value) for field, value in fields.items()}
    template = " ".join([name, *(f"{field}=%s" for field in shown)])
    extra = {MIRRORED: name}
    for field, value in shown.items():
        extra[f"event_{field}" if field in _TAKEN else field] = value
    logger.log(level, template, *shown.values(), extra=extra, stacklevel=3)


def _shown(field: str, value: Any) -> Any:
    if field in _ENUMS and type(value) is int:
        value = _ENUMS[field](value)  # it was recorded, so there is such a type
    name = getattr(value, "name", None)  # of an enum: priming_type=semantic
    return name.lower() if isinstance(name, str) and hasattr(value, "value") else value


def _parameters(kind: Kind[Any]) -> list[str]:
    try:
        return list(inspect.signature(kind.__wrapped__ or kind).parameters)
    except (TypeError, ValueError):  # declared by name: call it with keywords
        return []


def _logger(logger: logging.Logger | str | None, otherwise: str) -> logging.Logger:
    if isinstance(logger, logging.Logger):
        return logger
    return logging.getLogger(logger or otherwise)
