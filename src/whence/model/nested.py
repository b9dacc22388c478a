"""Nested values as attributes of an event, and back: what is no plain value becomes JSON text."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from whence.model.event import AttributeValue

__all__ = ["CUT", "JSON_NAMES", "MOST_BYTES", "MOST_DEPTH", "MOST_NAMES", "flat", "whole"]

JSON_NAMES = "whence.json"  # a JSON list: the names of the attributes whose text is JSON
CUT = "whence.cut"  # how many values were cut or left out, where any were
_GIVEN = "whence.given."  # before a name that is one of ours
MOST_DEPTH = 16
MOST_BYTES = 16 << 10  # of one value; a ring takes 64 KiB of one event
MOST_NAMES = 256
MOST_NAME = 1_000  # characters

_INT64 = range(-(2**63), 2**63)
_TEXTS = (date, time, UUID, Decimal, PurePath)


def flat(
    values: Mapping[str, Any],
    *,
    most_depth: int = MOST_DEPTH,
    most_bytes: int = MOST_BYTES,
    most_names: int = MOST_NAMES,
) -> dict[str, AttributeValue]:
    """The values as attributes: numbers, truth values and texts as they are, all others as JSON.

    Lists, mappings, None, bytes, integers beyond 64 bits and texts that are no Unicode become JSON
    text, and the one attribute `whence.json` names them, so that whole() makes the same of it.
    Tuples and sets become lists; dates, UUIDs, decimals, paths and members of enums become texts.
    What lies deeper than `most_depth`, values of more than `most_bytes`, names past `most_names`,
    too long or no Unicode are cut or left out, and `whence.cut` counts them. Raises
    TypeError for a name that is no str and a value of any other type.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"values must be a mapping, not {type(values).__name__}")
    writer = _Writer(most_depth, most_bytes)
    found: dict[str, AttributeValue] = {}
    as_json: list[str] = []
    for name, value in values.items():
        if not isinstance(name, str):
            raise TypeError(f"a name must be str, not {type(name).__name__}")
        if len(found) >= most_names or len(name) > MOST_NAME or not _is_text(name):
            writer.cut += 1
            continue
        kept = _safe_name(name)
        plain = value if type(value) in (bool, int, float, str) else _plain(value)
        if isinstance(plain, bool | float) or (isinstance(plain, int) and plain in _INT64):
            found[kept] = plain
        elif isinstance(plain, str) and _is_text(plain):
            found[kept] = _shortened(plain, most_bytes)
            writer.cut += found[kept] != plain
        else:
            text = json.dumps(writer.value(plain, name), separators=(",", ":"))
            if len(text) > most_bytes:
                writer.cut += 1
                continue
            found[kept] = text
            as_json.append(kept)
    if as_json:
        found[JSON_NAMES] = json.dumps(as_json, separators=(",", ":"))
    if writer.cut:
        found[CUT] = writer.cut
    return found


def whole(attributes: Mapping[str, AttributeValue]) -> dict[str, Any]:
    """What flat() was given. Texts that claim to be JSON and are none stay texts.

    Takes any attributes: those of other origin come back as they are. Tells nothing of what was
    cut; attributes[CUT] does.
    """
    as_json = _names_in(attributes.get(JSON_NAMES))
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in (JSON_NAMES, CUT):
            continue
        if name in as_json and isinstance(value, str):
            value = _read(value)
        found[_given_name(name)] = value
    return found


class _Writer:
    """Makes values that JSON has of those it lacks, and counts what it leaves out."""

    def __init__(self, most_depth: int, most_parts: int) -> None:
        self._most_depth = most_depth
        self._most_parts = most_parts
        self._left = 0
        self.cut = 0

    def value(self, value: Any, where: str) -> Any:
        """One whole value; each of its parts takes a byte at least, so that bounds them."""
        self._left = self._most_parts
        return self._part(value, where, 1)

    def _part(self, value: Any, where: str, depth: int) -> Any:
        """Objects of one member whose name begins with $ are ours: all others are what they are."""
        value = _plain(value)
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, int):
            return value if value in _INT64 else {"$int": hex(value)}
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, bytes):
            return {"$bytes": base64.b64encode(value).decode()}
        self._left -= len(value)
        if depth > self._most_depth or self._left < 0:
            self.cut += 1
            return None
        if isinstance(value, list):
            return [self._part(each, f"{where}[]", depth + 1) for each in value]
        made = {}
        for name, each in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{where}: a name must be str, not {type(name).__name__}")
            made[name] = self._part(each, f"{where}.{name}", depth + 1)
        return {"$object": made} if len(made) == 1 and next(iter(made))[:1] == "$" else made


def _plain(value: Any) -> Any:
    """The value as one of the types that are told apart here."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, _TEXTS):
        return value.isoformat() if isinstance(value, date | time) else str(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if value is None or isinstance(value, bool | int | float | str | bytes | list | Mapping):
        return _exact(value)
    if hasattr(value, "item") and not getattr(value, "shape", None):  # a number of numpy's
        return _exact(value.item())
    raise TypeError(f"{type(value).__name__} is no value that an event can carry: give its parts")


def _exact(value: Any) -> Any:
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _read(text: str) -> Any:
    try:
        return _given(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _given(value: Any) -> Any:
    """From the outside in: what an $object holds is what it is."""
    if isinstance(value, list):
        return [_given(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inside),) = value.items()
        if name == "$object" and isinstance(inside, dict):
            return {key: _given(each) for key, each in inside.items()}
        try:
            if name in _READERS and isinstance(inside, str):
                return _READERS[name](inside)
        except ValueError:  # of somebody else
            pass
    return {key: _given(each) for key, each in value.items()}


_READERS: dict[str, Callable[[str], Any]] = {
    "$int": lambda text: int(text, 16),
    "$float": float,
    "$bytes": lambda text: base64.b64decode(text, validate=True),
}


def _names_in(text: object) -> frozenset[str]:
    try:
        names = json.loads(text) if isinstance(text, str) else []
    except (ValueError, RecursionError):
        names = []
    if not isinstance(names, list):
        return frozenset()
    return frozenset(each for each in names if isinstance(each, str))


def _safe_name(name: str) -> str:
    ours = name in ("", JSON_NAMES, CUT) or name.startswith(_GIVEN)
    return _GIVEN + name if ours else name


def _given_name(name: str) -> str:
    return name.removeprefix(_GIVEN)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _shortened(text: str, most_bytes: int) -> str:
    if len(text) * 4 <= most_bytes or len(content := text.encode()) <= most_bytes:
        return text
    return content[:most_bytes].decode(errors="ignore")
