"""JSON of strangers: bounded, and refused where a reader would lose something of it."""

from __future__ import annotations

import json
from typing import Any

from whence.receive.files.times import ExactFloat

__all__ = ["BadJson", "loaded"]


class BadJson(ValueError):
    """No JSON, or such as readers lose something of; `reason` is one word for it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def loaded(text: bytes | str) -> Any:
    """The value of a JSON text; numbers with a point are ExactFloats.

    Raises BadJson, also for an object that has a name twice: readers keep one of them.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        return json.loads(text, parse_float=ExactFloat, object_pairs_hook=_object)
    except BadJson:
        raise
    except RecursionError:
        raise BadJson("too-deep", "values lie too deep in each other") from None
    except UnicodeDecodeError as error:
        raise BadJson("not-utf-8", str(error)) from None
    except ValueError as error:
        raise BadJson("not-json", str(error)) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadJson("name-twice", f"{twice[:60]!r} stands twice in one object")
    return made
