"""Random recorded events of every sort, as a native batch."""

from __future__ import annotations

import contextlib
import math

from hypothesis import strategies as st

import whence
from tests.own_events import OwnEvents
from whence._native import Batch
from whence.model.event import Option, TraceEvent
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

__all__ = ["batches", "floats", "texts"]

AWKWARD = ["", '"', "\\", "\0", "\x7f", "\x80", "\uffff", "\U0001f600", "é", "\ud800", "12345678é"]
int64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), -1, 0, 2**53 + 1, 2**63 - 1])
uint64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**63 - 1, 2**63, 2**64 - 1])
floats = st.floats() | st.sampled_from([0.1, -0.0, 1e16, 5e-324, math.nan, math.inf, -math.inf])
texts = st.text(st.characters(), max_size=24) | st.sampled_from(AWKWARD)
# what makes a type must not run out of types
few = st.sampled_from([each for each in AWKWARD if each and "\0" not in each])
ids = st.sampled_from(
    ["", "req-1", "é" * 9, "a request whose id is too long for sixteen bytes"]
) | st.uuids().map(str)
attributes = st.dictionaries(texts, st.booleans() | int64 | floats | texts, max_size=5)
named = st.dictionaries(
    st.sampled_from(["a", "b", "attempt", "a_b"]), st.booleans() | int64 | floats | texts
)
options = st.builds(Option, texts, st.dictionaries(texts, floats, max_size=3), st.booleans(), texts)

TYPED = whence.kind(
    "columns_typed", component='C"\\', rationale="{i:ns} {f:.2f} {b} {s} {o} {u}", i=int, f=float,
    b=bool, s=str, o=str | None, u=whence.U64, w=whence.U32, n=whence.F32,
    severity=Severity.Warning,
)  # fmt: skip
SMALL = whence.kind("columns_small", component="Small", n=int)
FLAGS = whence.kind("columns_flags", component="Small", a=bool | None, b=whence.U8)


@whence.kind(component="Roles", decision=True, rationale="Chose {model_id} of {n}")
def columns_roles(
    model_id: str = "",
    duration_ns: int = 0,
    options: tuple[Option, ...] = (),
    caused_by: str | None = None,
    lineage_id: int = 0,
    n: int | None = None,
) -> None:
    """Has the parameters that have columns of their own."""


@st.composite
def built(draw: st.DrawFn) -> TraceEvent:
    """A built event of anything."""
    return TraceEvent(
        event_id=draw(texts | st.uuids().map(str)),
        event_type=draw(few),
        component=draw(few),
        timestamp=Timestamp(draw(st.integers(0, 2**63 - 1))),
        duration=Duration(draw(int64)),
        model_id=draw(texts),
        request_id=draw(ids | st.text(st.characters(exclude_categories=["Cs"]), max_size=24)),
        rationale=draw(texts),
        severity=draw(st.sampled_from(Severity)),
        attributes=draw(attributes),
        decision_chain_id=draw(texts),
        options=tuple(draw(st.lists(options, max_size=3))),
        caused_by=draw(texts),
        lineage_id=draw(uint64),
    )


def _typed(draw: st.DrawFn) -> None:
    with contextlib.suppress(ValueError):  # a rationale that says nothing
        TYPED(
            draw(int64), draw(floats), draw(st.booleans()), draw(texts), draw(st.none() | texts),
            draw(uint64), draw(st.integers(0, 2**32 - 1)), draw(st.floats(width=32)),
        )  # fmt: skip


def _roles(draw: st.DrawFn) -> None:
    columns_roles(
        draw(texts),
        draw(int64),
        tuple(draw(st.lists(options, max_size=2))),
        draw(st.none() | texts),
        draw(uint64),
        draw(st.none() | int64),
    )


def _span(draw: st.DrawFn) -> None:
    failed = draw(st.booleans())
    with contextlib.suppress(KeyError), whence.span("columns span", component="Spans") as span:
        span.set(**draw(named))
        for _ in range(draw(st.integers(0, 2))):
            trace_id = draw(st.sampled_from(["", "a" * 32, "0" * 31 + "1"]))
            span.link((trace_id, draw(uint64.filter(bool))) if trace_id else span, **draw(named))
        SMALL(1)
        if failed:
            raise KeyError(draw(texts))


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """A batch of some events: declared, built and spans; some of their text was overtaken."""
    own = OwnEvents()
    collector = whence.TraceCollector(draw(st.sampled_from([2, 64])))
    for _ in range(draw(st.integers(0, 8))):
        request = draw(ids)
        with whence.request(request) if request else contextlib.nullcontext():
            match draw(st.sampled_from(["built", "typed", "roles", "span", "small", "flags"])):
                case "built":
                    collector.record(draw(built()))
                case "typed":
                    _typed(draw)
                case "roles":
                    _roles(draw)
                case "span":
                    _span(draw)
                case "small":
                    SMALL(draw(int64))
                case _:
                    FLAGS(draw(st.none() | st.booleans()), draw(st.integers(0, 255)))
    return own.batch()
