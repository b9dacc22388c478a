"""Finding ids in SQL: whole, or by their beginning or end, those derived from a place included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from whence.model.ids import parse_event_id
from whence.query.sql.filters import signed
from whence.query.sql.statement import Statement, is_storable

__all__ = [
    "SORTS",
    "caused_by_sql",
    "chain_ids_sql",
    "event_ids_sql",
    "event_sql",
    "is_called",
    "name_in",
    "near_ids_sql",
    "request_ids_sql",
    "span_sql",
    "trace_ids_sql",
]

_DIGITS = 32
_HEX = frozenset("0123456789abcdef")
_NAMED = "coalesce(decision_chain_id, '') <> '' AND decision_chain_id <> request_id"
_KEY_BITS = 2**48 - 1


def request_ids_sql(s: Statement, source: str, text: str, *, whole: bool, limit: int) -> str:
    """The requests called so, or beginning or ending so, in order."""
    named = "request_id <> ''"
    return _names(s, source, "request_id", named, text, whole=whole, limit=limit)


def chain_ids_sql(s: Statement, source: str, text: str, *, whole: bool, limit: int) -> str:
    """The same of decision chains that are not a whole request."""
    return _names(s, source, "decision_chain_id", _NAMED, text, whole=whole, limit=limit)


def trace_ids_sql(s: Statement, source: str, text: str, *, whole: bool, limit: int) -> str:
    """The two halves of the traces whose digits are these, or begin or end so, in order."""
    wanted = " OR ".join(_traces(s, text.lower(), whole)) or "FALSE"
    return (
        f"SELECT DISTINCT trace_hi, trace_lo FROM {source}"
        f" WHERE (trace_hi <> 0 OR trace_lo <> 0) AND ({wanted})"
        f" ORDER BY trace_hi, trace_lo LIMIT {s.integer(limit)}"
    )


SORTS: tuple[tuple[Literal["request", "chain", "trace"], Callable[..., str]], ...] = (
    ("request", request_ids_sql),
    ("chain", chain_ids_sql),
    ("trace", trace_ids_sql),
)
"""The sorts of ids that rows hold as such, in the order in which they are looked for."""


def name_in(row: Sequence[Any]) -> str:
    """The id in a row of these: a text, or the two halves of a trace's."""
    if len(row) == 1:
        return str(row[0])
    return "".join(f"{half & 2**64 - 1:016x}" for half in row)


def is_called(event_id: str, text: str) -> bool:
    """Whether the id begins or ends so, in whatever case."""
    name, part = event_id.lower(), text.lower()
    return name.startswith(part) or name.endswith(part)


def near_ids_sql(s: Statement, source: str, text: str, reach: int) -> str:
    """The ids of requests and chains that sort nearest to the text, read from either end."""
    ids = (
        f"SELECT DISTINCT request_id AS id FROM {source} WHERE request_id <> ''"
        f" UNION SELECT DISTINCT decision_chain_id FROM {source} WHERE {_NAMED}"
    )
    parts = [
        f"(SELECT id FROM named WHERE {key} {sign} {s.text(sought)}"
        f" ORDER BY {key} {direction} LIMIT {s.integer(reach)})"
        for key, sought in (("id", text), ("reverse(id)", text[::-1]))
        for sign, direction in ((">=", "ASC"), ("<", "DESC"))
    ]
    return f"WITH named AS MATERIALIZED ({ids}) {' UNION '.join(parts)}"


def caused_by_sql(s: Statement, names: Sequence[str]) -> str:
    """A predicate: events that name one of these as their cause."""
    known = ", ".join(s.text(name) for name in names if name and is_storable(name))
    return f"caused_by IN ({known})" if known else "FALSE"


def span_sql(s: Statement, text: str) -> str:
    """A predicate: the span of these digits, and the events that lie in it."""
    return f"span_id = {s.integer(signed(int(text, 16)))}"


def event_sql(s: Statement, text: str, sessions: Sequence[int]) -> str:
    """A predicate: the event of that id, in whatever case it was typed."""
    ways = [f"{s.dialect.lower('event_id')} = {s.text(text.lower())}"]
    if place := parse_event_id(text):
        key, ring, ticket = place
        if keys := _keys(s, sessions, key, key):
            ways.append(
                f"(event_id IS NULL AND session IN ({keys}) AND ring = {s.integer(ring)}"
                f" AND {_ticket_bits(s)} = {s.integer(ticket)})"
            )
    return f"({' OR '.join(ways)})"


def event_ids_sql(s: Statement, text: str, sessions: Sequence[int]) -> str:
    """A predicate: events whose id begins or ends so, and few others."""
    folded = text.lower()
    given = s.dialect.lower("event_id")
    ways = [
        s.dialect.starts_with(given, s.text(folded)),
        s.dialect.ends_with(given, s.text(folded)),
    ]
    digits = folded.replace("-", "")
    if digits and set(digits) <= _HEX and len(digits) <= _DIGITS:
        tail = digits[-14:]
        ways.append(
            f"(event_id IS NULL AND {s.dialect.bit_and('ticket', s.integer(16 ** len(tail) - 1))}"
            f" = {s.integer(int(tail, 16))})"
        )
        low, high = digits.ljust(_DIGITS, "0"), digits.ljust(_DIGITS, "f")
        if keys := _keys(s, sessions, int(low[:12], 16), int(high[:12], 16)):
            place = [f"event_id IS NULL AND session IN ({keys})"]
            if len(digits) > 18:
                place.append(
                    f"{_ticket_bits(s)} BETWEEN {s.integer(int(low[18:], 16))}"
                    f" AND {s.integer(int(high[18:], 16))}"
                )
            ways.append(f"({' AND '.join(place)})")
    return f"({' OR '.join(ways)})"


def _names(
    s: Statement, source: str, column: str, named: str, text: str, *, whole: bool, limit: int
) -> str:
    if not is_storable(text):
        return f"SELECT {column} FROM {source} WHERE FALSE"
    sought = s.text(text)
    parts = (s.dialect.starts_with(column, sought), s.dialect.ends_with(column, sought))
    called = f"{column} = {sought}" if whole else f"({' OR '.join(parts)})"
    return (
        f"SELECT DISTINCT {column} FROM {source} WHERE {named} AND {called}"
        f" ORDER BY {column} LIMIT {s.integer(limit)}"
    )


def _keys(s: Statement, sessions: Sequence[int], low: int, high: int) -> str:
    """The sessions of whose key ids hold a number from `low` to `high`."""
    held = [key for key in sessions if low <= key & _KEY_BITS <= high]
    return ", ".join(s.integer(signed(key)) for key in held)


def _ticket_bits(s: Statement) -> str:
    return s.dialect.bit_and("ticket", s.integer(2**56 - 1))


def _traces(s: Statement, digits: str, whole: bool) -> Iterator[str]:
    if not digits or not set(digits) <= _HEX or len(digits) > _DIGITS:
        return
    if whole and len(digits) != _DIGITS:
        return
    low, high = digits.ljust(_DIGITS, "0"), digits.ljust(_DIGITS, "f")
    halves = zip(
        ("trace_hi", "trace_lo"), (low[:16], low[16:]), (high[:16], high[16:]), strict=True
    )
    yield "(" + " AND ".join(_half(s, *each) for each in halves) + ")"
    if not whole:
        yield "(" + " AND ".join(_tails(s, digits)) + ")"


def _half(s: Statement, column: str, low: str, high: str) -> str:
    """Digits that begin alike have one sign, so that signed numbers are in their order."""
    least, most = signed(int(low, 16)), signed(int(high, 16))
    if (low, high) == ("0" * 16, "f" * 16):
        return "TRUE"
    return f"{column} BETWEEN {s.integer(least)} AND {s.integer(most)}"


def _tails(s: Statement, digits: str) -> Iterator[str]:
    for column, tail in (("trace_lo", digits[-16:]), ("trace_hi", digits[:-16])):
        if len(tail) == 16:
            yield f"{column} = {s.integer(signed(int(tail, 16)))}"
        elif tail:
            mask = s.integer(16 ** len(tail) - 1)
            yield f"{s.dialect.bit_and(column, mask)} = {s.integer(int(tail, 16))}"
