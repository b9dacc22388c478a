"""An exception as attributes of an event: its type, what it says, where it was raised."""

from __future__ import annotations

import traceback
from types import TracebackType

from whence.integrations.plain_values import Plain, safe_text

__all__ = ["exception_attributes", "type_name"]

MOST_FRAMES = 50  # the innermost of a recursion; the text stays within an event
LONGEST_CHARS = 24 << 10


def exception_attributes(
    error_type: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> dict[str, Plain]:
    """`exception.type`, `exception.message` and `exception.stacktrace`; never raises.

    Costs about as much as printing the traceback. Keeps neither the exception nor its frames.
    """
    if error_type is None and error is not None:
        error_type = type(error)
    if error_type is None:
        return {}
    found: dict[str, Plain] = {"exception.type": type_name(error_type)}
    if error is not None:
        found["exception.message"] = safe_text(error)
    if trace is not None:
        found["exception.stacktrace"] = _stacktrace(error_type, error, trace)
    return found


def type_name(kind: type) -> str:
    """How a reader knows the type: with its module, unless it is a builtin."""
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _stacktrace(
    error_type: type[BaseException], error: BaseException | None, trace: TracebackType
) -> str:
    try:
        lines = traceback.format_exception(error_type, error, trace, limit=-MOST_FRAMES)
        return "".join(lines)[-LONGEST_CHARS:]
    except Exception as failure:  # an exception whose __str__ or __cause__ is code of its own
        return f"<{type(failure).__name__} when the traceback was printed>"
