"""W3C Trace Context and baggage: in and out of headers and of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from whence import _native
from whence._native import Context

__all__ = ["environment", "extract", "from_environment", "inject"]

SAMPLED, RANDOM = 0x01, 0x02
MOST_MEMBERS = 32  # of a tracestate
_MOST_BAGGAGE_BYTES = 8192
_OURS = "whence"
_NAMES = ("traceparent", "tracestate", "baggage")

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_KEY = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}")
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's, without i, l, o and u

_NOWHERE = Context("")


def inject(headers: Any) -> None:
    """Adds the ambient trace to outgoing headers: traceparent, tracestate and baggage.

    `headers` is a mapping of str, or a list of pairs of bytes, as ASGI has them; a header of the
    same name that is there already is replaced. Outside of any request, trace and span nothing is
    added. The parent is the innermost open span, or the request itself where none is open.
    """
    for name, value in _outgoing().items():
        _put(headers, name, value)


def extract(headers: Any) -> Context:
    """The context that incoming headers carry, to be entered by `with whence.use(...)`.

    `headers` is a mapping, whatever the case of its keys, or pairs of str or bytes. Without a
    valid traceparent the context is empty but for the baggage; what is wrong is ignored.
    """
    return _incoming(_lines(headers))


def environment() -> dict[str, str]:
    """A copy of os.environ for a child process that is to go on in the present context.

    TRACEPARENT, TRACESTATE, BAGGAGE and WHENCE_REQUEST say what is ambient, or are missing.
    """
    copy = dict(os.environ)
    for name in (*_NAMES, "whence_request"):
        copy.pop(name.upper(), None)
    copy.update((name.upper(), value) for name, value in _outgoing().items())
    context = _native.current()
    if context is not None and context.request_id and "\0" not in context.request_id:
        copy["WHENCE_REQUEST"] = context.request_id
    return copy


def from_environment(variables: Mapping[str, str]) -> Context | None:
    """The context that a parent process left in these variables; None if it left none."""
    request_id = variables.get("WHENCE_REQUEST", "")
    carried = {name: [variables[name.upper()]] for name in _NAMES if variables.get(name.upper())}
    if not request_id and not carried:
        return None
    try:
        found = _incoming(carried)
        if request_id:
            found = _within_request(found, request_id)
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return None
    return None if found == _NOWHERE else found


def _within_request(found: Context, request_id: str) -> Context:
    return Context(
        request_id,
        request_id,
        found.lineage_id,
        found.trace_id,
        found.span_id,
        found.trace_flags,
        found.tracestate,
        found.baggage,
    )


# -------------------------------------------------------------------------------- out


def _outgoing() -> dict[str, str]:
    context = _native.current()
    if context is None:
        return {}
    found = {}
    if trace_id := context.trace_id:
        # A request without an open span is the parent itself: by the second half of its trace id.
        span_id = context.span_id or int(trace_id[16:], 16) or 1
        found["traceparent"] = f"00-{trace_id}-{span_id:016x}-{_flags(context):02x}"
        if state := _outgoing_state(context):
            found["tracestate"] = state
    if baggage := _safe_baggage(context.baggage):
        found["baggage"] = baggage
    return found


def _flags(context: Context) -> int:
    if context.remote:
        return context.trace_flags & (SAMPLED | RANDOM)
    return SAMPLED | (RANDOM if _is_random(context) else 0)


def _is_random(context: Context) -> bool:
    """Whether the last 56 bits are random: not those of a padded 64-bit id or of a dated UUID."""
    trace_id = context.trace_id
    if trace_id.startswith("0" * 16):
        return False
    return context.request_id.replace("-", "") != trace_id or trace_id[12] in "47"


def _outgoing_state(context: Context) -> str:
    members = _members([context.tracestate]) if context.tracestate else []
    if context.lineage_id:
        ours = f"{_OURS}={_to_base32(context.lineage_id)}"
        others = [member for member in members if not member.startswith(f"{_OURS}=")]
        members = [ours, *others][:MOST_MEMBERS]
    return ",".join(members)


def _put(headers: Any, name: str, value: str) -> None:
    if isinstance(headers, list):
        key = name.encode()
        headers[:] = [pair for pair in headers if bytes(pair[0]).lower() != key]
        headers.append((key, value.encode("ascii", "replace")))
        return
    if isinstance(headers, MutableMapping) or hasattr(headers, "keys"):
        for known in [key for key in headers if isinstance(key, str) and key.lower() == name]:
            if known != name:
                del headers[known]
    headers[name] = value


# -------------------------------------------------------------------------------- in


def _lines(headers: Any) -> dict[str, list[str]]:
    """The values of our headers, by their names in lower case, in the order they came."""
    found: dict[str, list[str]] = {}
    for key, value in _pairs(headers):
        name = _text(key).lower()
        if name in _NAMES:
            values = value if isinstance(value, list | tuple) else [value]
            found.setdefault(name, []).extend(_text(each) for each in values)
    return found


def _pairs(headers: Any) -> Iterator[tuple[Any, Any]]:
    if headers is None:
        return
    pairs: Iterable[Any] = headers.items() if hasattr(headers, "items") else headers
    for pair in pairs:
        if isinstance(pair, tuple | list) and len(pair) == 2:
            yield pair[0], pair[1]


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes | bytearray) else str(value)


def _incoming(lines: Mapping[str, list[str]]) -> Context:
    baggage = _safe_baggage(",".join(line.strip() for line in lines.get("baggage", ())))
    parents = lines.get("traceparent", ())
    parent = _read_parent(parents[0]) if len(parents) == 1 else None
    if parent is None:
        return Context("", baggage=baggage) if baggage else _NOWHERE
    trace_id, span_id, flags = parent
    members = _members(lines.get("tracestate", ()))
    return Context(
        "",
        lineage_id=_lineage(members, trace_id),
        trace_id=trace_id,
        span_id=span_id,
        trace_flags=flags,
        tracestate=",".join(members),
        baggage=baggage,
    )


def _safe_baggage(text: str) -> str:
    """Nothing where it is too long, or could break a header or the program that writes it."""
    fits = len(text) <= _MOST_BAGGAGE_BYTES and text.isascii() and text.isprintable()
    return text if fits else ""


def _read_parent(line: str) -> tuple[str, int, int] | None:
    line = line.strip(" \t")
    found = _PARENT.match(line)
    if found is None:
        return None
    version, trace_id, span_id, flags = found.groups()
    if version == "ff" or trace_id == "0" * 32 or span_id == "0" * 16:
        return None
    rest = line[found.end() :]
    if rest and (version == "00" or not rest.startswith("-")):
        return None  # of a higher version we know the first 55 characters alone
    return trace_id, int(span_id, 16), int(flags, 16) & (SAMPLED | RANDOM)


def _members(lines: Iterable[str]) -> list[str]:
    """The members of a tracestate; none if any of them is bad, since then nothing is sure."""
    members: list[str] = []
    seen = set()
    for line in lines:
        for part in line.split(","):
            member = part.strip(" \t")
            if not member:
                continue
            key, equals, value = member.partition("=")
            if not equals or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value) or key in seen:
                return []
            seen.add(key)
            members.append(member)
    return members if len(members) <= MOST_MEMBERS else []


def _lineage(members: Iterable[str], trace_id: str) -> int:
    for member in members:
        key, _, value = member.partition("=")
        if key == _OURS:
            return _from_base32(value)
    return int(trace_id, 16) if trace_id.startswith("0" * 16) else 0  # a padded 64-bit id


def _to_base32(number: int) -> str:
    digits = ""
    while number:
        digits = _BASE32[number & 31] + digits
        number >>= 5
    return digits


def _from_base32(text: str) -> int:
    number = 0
    for digit in text:
        at = _BASE32.find(digit)
        if at < 0 or len(text) > 13:
            return 0
        number = number << 5 | at
    return number if number < 2**64 else 0
