"""Random events, queries and conditions of a small world, and the plainest answers to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tests.query.build import START_NS, WALL_NS, session
from whence.model.event import AttributeValue, Option, SpanLink, TraceEvent
from whence.model.ids import event_id
from whence.model.query import TraceQuery
from whence.model.recording import Anchor, SessionInfo
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

__all__ = [
    "COLUMNS",
    "LITERALS",
    "RECORDED",
    "SESSIONS",
    "Clause",
    "clauses",
    "events_in",
    "expected",
    "holds",
    "operators_of",
    "queries",
    "wall_ns",
    "where_text",
    "without_place",
]

# Two processes on one clock, one that booted elsewhere: its monotonic times mean other wall times.
SESSIONS: tuple[SessionInfo, ...] = (
    session("one", key=11),
    session("two", key=22),
    session("three", key=2**47, anchors=(Anchor(START_NS - 2_000_000, WALL_NS),)),
)
_BY_NAME = {info.name: info for info in SESSIONS}

TYPES = st.sampled_from(["admission_decision", "tick", "free"])
NAMES = st.sampled_from(["", "a", "b", "ab", "Ä'\"%_"])
TRACES = st.sampled_from(["", "0" * 31 + "1", "f" * 32, "00000000000000018000000000000000"])
RATIONALES = st.sampled_from(
    ["", " \u3000\t", "Admitted: U=0.7", "admitted", "100% _sure_", "a\0b"]
)
FIELDS = ("n", "share", "phase", "flag", "severity", "status", "model_id")
TEXTS = (
    "",
    "x",
    "true",
    "False",
    "40",
    "-1.5",
    "1e3",
    "0.1",
    " 40",
    "9" * 38,
    "1/3",
    "Warning",
    "É",
)
RECORDED: tuple[AttributeValue, ...] = (
    *(-3, -1, 0, 1, 2, 3, 40, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 9007199254740993),
    *(0.1, 0.5, -1.5, 2.0, 40.0, 1e300, -0.0, float("nan"), float("inf"), float("-inf")),
    *(True, False, *TEXTS),
)
VALUES = st.sampled_from(RECORDED)


def wall_ns(event: TraceEvent) -> int:
    """When an event of this world happened."""
    found = _BY_NAME[event.session].wall_ns(event.timestamp.value_ns)
    assert found is not None
    return found


@st.composite
def events_in(draw: st.DrawFn, most: int = 25) -> tuple[TraceEvent, ...]:
    """Some events, each with a place of its own, in no order."""
    places = draw(
        st.lists(
            st.tuples(st.sampled_from(SESSIONS), st.integers(0, 1), st.integers(0, 40)),
            unique_by=lambda place: (place[0].name, *place[1:]),
            max_size=most,
        )
    )
    return tuple(draw(_event(*place)) for place in places)


@st.composite
def _event(draw: st.DrawFn, info: SessionInfo, ring: int, ticket: int) -> TraceEvent:
    whole: dict[str, Any] = {
        "event_id": draw(
            st.just(event_id(info.key, ring, ticket)) | st.just(f"E-{info.key}-{ring}-{ticket}")
        ),
        "event_type": draw(TYPES),
        "component": draw(st.sampled_from(["Pool", "Clock"])),
        "timestamp": Timestamp(START_NS + draw(st.integers(0, 6)) * 500_000),
        "duration": Duration(draw(st.sampled_from([0, 0, 1, 5, 1_000, 2**53 + 1]))),
        "model_id": draw(NAMES),
        "request_id": draw(NAMES),
        "rationale": draw(RATIONALES),
        "severity": draw(st.sampled_from(Severity)),
        "attributes": draw(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4)),
        "decision_chain_id": draw(NAMES),
        "options": draw(st.sampled_from([(), (Option("x", {"s": 0.5}, True, "y"), Option("z"))])),
        "caused_by": draw(NAMES),
        "lineage_id": draw(st.sampled_from([0, 1, 2**63, 2**64 - 1])),
        "decision": draw(st.booleans()),
        "weight": draw(st.sampled_from([1.0, 1.0, 2.5, 100.0])),
        "text_lost": draw(st.booleans()),
        "truncated": draw(st.booleans()),
        "session": info.name,
        "ring": ring,
        "ticket": ticket,
        "trace_id": draw(TRACES),
        "span_id": draw(st.sampled_from([0, 7, 2**64 - 1])),
        "parent_span_id": draw(st.sampled_from([0, 2**63])),
        "span": draw(st.booleans()),
        "status": draw(st.sampled_from(["", "ok", "error"])),
        "status_message": draw(st.sampled_from(["", "no"])),
        "links": draw(st.sampled_from([(), (SpanLink("f" * 32, 3, {"k": 1}),)])),
    }
    return TraceEvent(**whole)


@dataclass(frozen=True)
class Clause:
    """One comparison of a condition, before it is text."""

    field: str
    operator: str
    literal: bool | str | Fraction

    @property
    def text(self) -> str:
        """As one writes it."""
        value = self.literal
        if isinstance(value, bool):
            shown = str(value).lower()
        elif isinstance(value, str):
            shown = f'"{value}"'
        else:
            shown = f"{float(value):.3f}" if value.denominator > 1 else str(value.numerator)
        return f"{self.field} {self.operator} {shown}"


LITERALS: tuple[bool | str | Fraction, ...] = (
    *(True, False),
    *map(Fraction, (0, -1, 1, 2, 40, 2**63, 2**64 - 1, 9007199254740992, 10**37, -(10**37))),
    *(Fraction(1, 10), Fraction(5, 2), Fraction(-3, 2)),
    *(text for text in TEXTS if text),
    *("a", "tick", "Error", "Info", "Ä", "2", "3.0", "False", "admitted", "1e99"),
)


COLUMNS = (
    "event_type", "component", "model_id", "model", "request_id", "decision_chain_id", "rationale",
    "severity", "duration_ns", "caused_by", "lineage_id", "options", "nothing",
)  # fmt: skip


@st.composite
def clauses(draw: st.DrawFn) -> Clause:
    """A comparison that the language allows."""
    field = draw(st.sampled_from(FIELDS + COLUMNS))
    literal = draw(st.sampled_from(LITERALS))
    return Clause(field, draw(st.sampled_from(operators_of(field, literal))), literal)


def operators_of(field: str, literal: bool | str | Fraction) -> list[str]:
    """The operators that the language allows between the two."""
    ordered = isinstance(literal, Fraction) or (
        field == "severity" and literal in Severity.__members__
    )
    return ["=", "==", "!="] + (["<", "<=", ">", ">="] if ordered else [])


def where_text(parts: list[Clause]) -> str:
    """A condition of these comparisons."""
    return " and ".join(part.text for part in parts)


@st.composite
def queries(draw: st.DrawFn) -> tuple[TraceQuery, list[Clause]]:
    """A query of a few filters, and its condition taken apart."""
    parts = draw(st.lists(clauses(), max_size=2))
    wall = st.integers(-1, 9).map(lambda n: WALL_NS + n * 500_000)
    every: dict[str, st.SearchStrategy[Any]] = {
        "start": st.integers(0, 6).map(lambda n: Timestamp(START_NS + n * 500_000)),
        "end": st.integers(0, 6).map(lambda n: Timestamp(START_NS + n * 500_000)),
        "event_type": TYPES | st.lists(TYPES, min_size=1, max_size=2).map(tuple),
        "component": st.sampled_from(["Pool", ("Clock", "Pool")]),
        "model_id": NAMES,
        "min_severity": st.sampled_from(Severity),
        "request_id": NAMES,
        "decision_chain_id": NAMES,
        "trace_id": TRACES.filter(bool),
        "lineage_id": st.sampled_from([1, 2, 2**63, 2**64 - 1]),
        "session": st.sampled_from(["one", "three", "nobody's"]),
        "status": st.sampled_from(["", "ok", "error", "odd"]),
        "has_errors": st.booleans(),
        "text": st.sampled_from(["", "dmitted", "A", "% _", "\0", "ß"]),
        "from_wall_ns": wall,
        "until_wall_ns": wall,
    }
    names = draw(st.lists(st.sampled_from(sorted(every)), max_size=3, unique=True))
    chosen = {name: draw(every[name]) for name in names}
    return TraceQuery(**chosen, where=where_text(parts) if parts else None), parts


# --- the plainest answers ---------------------------------------------------------------------


def expected(
    events: tuple[TraceEvent, ...], query: TraceQuery, parts: list[Clause]
) -> list[TraceEvent]:
    """The matching events, oldest first."""
    found = [e for e in events if _passes(e, query) and all(holds(e, part) for part in parts)]
    return sorted(found, key=lambda e: (wall_ns(e), _BY_NAME[e.session].key, e.ring, e.ticket))


def _passes(event: TraceEvent, query: TraceQuery) -> bool:
    for name in (
        "model_id", "request_id", "decision_chain_id", "trace_id", "session", "status",
        "lineage_id",
    ):  # fmt: skip
        if getattr(query, name) is not None and getattr(event, name) != getattr(query, name):
            return False
    if query.start and event.timestamp < query.start:
        return False
    if query.end and event.timestamp > query.end:
        return False
    if query.event_types and event.event_type not in query.event_types:
        return False
    if query.components and event.component not in query.components:
        return False
    if query.min_severity is not None and event.severity < query.min_severity:
        return False
    failed = event.severity in (Severity.Error, Severity.Critical) or event.status == "error"
    if query.has_errors is not None and failed != query.has_errors:
        return False
    if query.text is not None and event.rationale.find(query.text) < 0:
        return False
    at = wall_ns(event)
    if query.from_wall_ns is not None and at < query.from_wall_ns:
        return False
    return query.until_wall_ns is None or at < query.until_wall_ns


def holds(event: TraceEvent, part: Clause) -> bool:
    """Whether the event satisfies the comparison, read plainly."""
    value = _value(event, part.field)
    if value is None or value == "":
        return False
    literal: Any = part.literal
    if part.field == "severity" and literal in Severity.__members__ and isinstance(value, str):
        if value not in Severity.__members__:
            return part.operator == "!="
        return _compare(part.operator, int(Severity[value]), int(Severity[literal]))
    if isinstance(value, str) and isinstance(literal, str):
        return _compare(part.operator, value, literal)
    if isinstance(value, bool) or isinstance(literal, bool):
        truths = [_truth(value), _truth(literal)]
        return part.operator == "!=" if None in truths else _compare(part.operator, *truths)
    numbers = [_number(value), _number(literal)]
    if None in numbers:
        return part.operator == "!="
    if any(isinstance(number, float) for number in numbers[:1]):
        numbers[1] = float(numbers[1])
    return _compare(part.operator, *numbers)


def _value(event: TraceEvent, name: str) -> Any:
    if name in event.attributes:
        return event.attributes[name]
    if name == "rationale":
        return event.rationale if event.rationale.strip() else None
    read = {
        "model": event.model_id,
        "duration_ns": event.duration.nanos or None,
        "lineage_id": event.lineage_id or None,
        "options": len(event.options) or None,
        "severity": event.severity.name,
    }
    columns = (
        "event_type",
        "component",
        "model_id",
        "request_id",
        "decision_chain_id",
        "caused_by",
    )
    return read[name] if name in read else getattr(event, name) if name in columns else None


def _truth(value: Any) -> bool | None:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, bool) else None


_SPELLED = {
    "40": 40,
    "2": 2,
    "9" * 38: 10**38 - 1,
    "-1.5": -1.5,
    "1e3": 1000.0,
    "0.1": 0.1,
    "3.0": 3.0,
}


def _number(value: Any) -> Any:
    return _SPELLED.get(value) if isinstance(value, str) else value


def _compare(operator: str, left: Any, right: Any) -> bool:
    answers = {"=": left == right, "==": left == right, "!=": left != right}
    if operator in answers:
        return bool(answers[operator])
    return bool(
        {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]
    )


def without_place(event: TraceEvent) -> TraceEvent:
    """The event as another's export holds it."""
    return replace(event, session="", ring=-1, ticket=-1)
