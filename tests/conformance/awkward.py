"""A world of awkward events: every column at its limits, texts of all sorts, times of centuries."""

from __future__ import annotations

import math
from dataclasses import replace

from tests.query.build import START_NS, WALL_NS, session
from whence.model.event import AttributeValue, Option, SpanLink, TraceEvent
from whence.model.ids import event_id
from whence.model.recording import Anchor, Recording, SessionInfo
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

__all__ = ["AWKWARD_TEXTS", "UUIDS", "awkward_world"]

AWKWARD_TEXTS = (
    *("", " ", "0", "-0", "NaN", "null", "true", "'; DROP TABLE events; --", '"', "\\", "\\x41"),
    *("%", "_", "$p0", "{x:String}", "=1+1", "@SUM(A1)", "a,b\r\nc", "\0", "a\0b", "\x1b[31mred"),
    *("é", "e\u0301", "ß", "İ", "\u202eoverride", "\ufeff", "\uffff", "\U0001f600", "日本語"),
    "\x7f\x80",
)  # fmt: skip
NUMBERS: tuple[AttributeValue, ...] = (
    *(0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1),
    *(0.1, -0.0, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf),
    *(True, False),
)
YEAR_NS = 365 * 86_400 * 10**9
UUIDS = {number: f"0199a3c2-7b1e-7c44-9a11-{number:012x}" for number in range(9)}


def awkward_world(text_bytes: int = 1 << 20) -> Recording:
    """About a hundred events; two of them have texts of so many bytes."""
    infos = _sessions()
    events = [
        *(_texts(infos[0], number, text) for number, text in enumerate(AWKWARD_TEXTS)),
        *(_numbers(infos[0], 100 + number, value) for number, value in enumerate(NUMBERS)),
        *(_at(infos[0], 200 + n, n * YEAR_NS // 12) for n in range(13)),
        *(_at(infos[1], n, n * 86_400 * 10**9) for n in range(-3, 4)),
        *(_at(infos[2], n, n) for n in range(-3, 1)),
        *(_at(infos[3], n, n) for n in range(4)),
        _long(infos[0], 300, "x" * text_bytes),
        _long(infos[0], 301, "é\0" * (text_bytes // 3)),
    ]
    return Recording(tuple(events), sessions=infos)


def _sessions() -> tuple[SessionInfo, ...]:
    """Of now, of about 1970, and of the last and the first moment that 64 bits can name."""
    now = session("now", key=1)
    older = {
        name: session(name, key=key, anchors=(Anchor(START_NS, wall_ns),))
        for name, key, wall_ns in (
            ("of 1970", 2, 0),
            ("of 2262", 3, 2**63 - 1),
            ("of 1677 ' \\ é", 2**48 - 1, START_NS - 2**63),
        )
    }
    assert now.wall_ns(START_NS) == WALL_NS
    return tuple(
        replace(info, uuid=UUIDS[number]) for number, info in enumerate([now, *older.values()])
    )


def _event(info: SessionInfo, ticket: int, after_ns: int = 0, **more: object) -> TraceEvent:
    ticket = ticket if ticket >= 0 else 2**63 - 1 + ticket
    values: dict[str, object] = {
        "event_id": event_id(info.key, 0, ticket & 2**56 - 1) if ticket < 2**56 else f"E{ticket}",
        "event_type": "tick",
        "component": "Clock",
        "timestamp": Timestamp(START_NS + after_ns),
        "session": info.name,
        "ring": 0,
        "ticket": ticket,
    }
    return TraceEvent(**(values | more))  # type: ignore[arg-type]


def _at(info: SessionInfo, ticket: int, after_ns: int) -> TraceEvent:
    return _event(info, ticket, after_ns, request_id=f"req-{ticket}", duration=Duration(ticket))


def _texts(info: SessionInfo, number: int, text: str) -> TraceEvent:
    """The text in every place that takes it."""
    return _event(
        info,
        number,
        number,
        event_type=text or "none",
        component=text or "none",
        model_id=text,
        request_id=text,
        decision_chain_id=text,
        rationale=text,
        event_id=f"{text}{number}",
        caused_by=text,
        status_message=text,
        attributes={text or "empty": text, "text": text},
        options=(Option(text, {text: 0.5}, True, text), Option("")),
        links=(SpanLink("f" * 32, 3, {text: text, "n": 2**63}),),
        decision=number % 2 == 0,
        severity=list(Severity)[number % 5],
        status=("", "ok", "error")[number % 3],
    )


def _numbers(info: SessionInfo, number: int, value: AttributeValue) -> TraceEvent:
    score = float(value)
    whole = value if isinstance(value, int) and not isinstance(value, bool) else number
    return _event(
        info,
        number,
        number,
        attributes={"value": value, f"value {number}": value},
        duration=Duration(whole if -(2**63) <= whole < 2**63 else -1),
        lineage_id=whole & 2**64 - 1,
        span_id=whole & 2**64 - 1,
        parent_span_id=whole & 2**64 - 1,
        trace_id=f"{whole & 2**64 - 1:016x}{1:016x}",
        span=number % 2 == 0,
        options=(Option("x", {"score": score}),),
        weight=2.5,
        text_lost=True,
        truncated=True,
    )


def _long(info: SessionInfo, number: int, text: str) -> TraceEvent:
    return _event(info, number, number, rationale=text, attributes={"text": text, text[:1000]: 1})
