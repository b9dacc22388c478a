"""The parts of a document as attributes of events, and back: nothing of a part is lost."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from whence.model.event import AttributeValue, TraceEvent
from whence.model.nested import CUT, flat, whole
from whence.model.span import is_span_id, is_trace_id
from whence.receive.files.report import FileReport
from whence.receive.files.source import ImportLimits
from whence.receive.files.times import ExactFloat

__all__ = ["OWN", "PART", "OwnIds", "kept", "part_of", "span_id_of", "text_of", "trace_id_of"]

OWN = "import."  # before the names of what is kept besides what the part itself calls its data
PART = "import.part"
_GIVEN = "import.given."
_FIELD = "import.field."
_FREE = "import.free"


def kept(
    part: Mapping[str, Any],
    free: str | None,
    limits: ImportLimits,
    report: FileReport,
    /,
    **own: Any,
) -> dict[str, AttributeValue] | None:
    """All fields of a part as attributes; None if there are more than the limits allow.

    Those of the object that it calls `free`, such as `args`, keep their names; its own fields are
    called `import.field.<name>`, and what is `own` is said as `import.<name>`.
    """
    inner = None if free is None else part.get(free)
    named: dict[str, Any] = {f"{OWN}{name}": value for name, value in own.items()}
    rest = dict(part)
    if free is not None and isinstance(inner, dict):
        del rest[free]
        named[_FREE] = free
        for name, value in inner.items():
            named[_GIVEN + name if name.startswith(OWN) else name] = value
            report.keep(name)
    for name, value in rest.items():
        named[_FIELD + name] = value
        if isinstance(value, ExactFloat) and value.is_rounded:
            named[f"{OWN}exact.{name}"] = value.text
    found = flat(
        named,
        most_depth=limits.depth,
        most_bytes=limits.value_bytes,
        most_names=limits.names,
    )
    return None if CUT in found else found


def part_of(event: TraceEvent) -> dict[str, Any]:
    """The part of a document that an event was made from, as it stood there."""
    fields: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    said = whole(event.attributes)
    for name, value in said.items():
        if name.startswith(_FIELD):
            fields[name.removeprefix(_FIELD)] = value
        elif name.startswith(_GIVEN) or not name.startswith(OWN):
            inner[name.removeprefix(_GIVEN)] = value
    free = said.get(_FREE)
    return fields | {str(free): inner} if free else fields


class OwnIds:
    """Ids of events out of those of a file, told apart from other files' by its key."""

    def __init__(self, key: str, report: FileReport) -> None:
        self._key, self._report = key, report
        self._given: set[str] = set()

    def make(self, own: str) -> str:
        """The id for a part that is called so; one that was given already is numbered."""
        made = first = f"{self._key}/{own}"
        number = 1
        while made in self._given:
            number += 1
            made = f"{first}#{number}"
        if number > 1:
            self._report.notes["an id that another part of the file has: numbered"] += 1
        self._given.add(made)
        return made


def text_of(value: Any, most: int = 200) -> str:
    """A text or whole number as an id; "" for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return ""
    return text if len(text) <= most else ""


def trace_id_of(text: str) -> str:
    """A trace's id as it is kept: itself where it is one, else always the same made from it."""
    plain = text.replace("-", "").lower()
    if is_trace_id(plain):
        return plain
    return hashlib.blake2b(f"import\0{text}".encode(), digest_size=16).hexdigest()


def span_id_of(text: str) -> int:
    """A span's id as it is kept: itself where it is one, else always the same made from it."""
    if is_span_id(text):
        return int(text, 16)
    made = hashlib.blake2b(f"span\0{text}".encode(), digest_size=8).digest()
    return int.from_bytes(made, "big") or 1
