"""Kinds as a session's dictionary declares them, and rows as they become events."""

from __future__ import annotations

from typing import Any

import pytest

import whence
from tests.own_events import OwnEvents
from whence._native import Catalogue
from whence.collect.events import to_events
from whence.collect.kinds import kind_infos
from whence.model.event import Option, SpanLink
from whence.model.recording import KindInfo
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp


def known(name: str) -> KindInfo:
    """The kind of that name in this process's dictionary."""
    catalogue = Catalogue()
    catalogue.update_local()
    (info,) = [info for info in kind_infos(catalogue) if info.name == name]
    return info


def test_every_parameter_has_its_type(recorded: OwnEvents) -> None:
    """Also those that are kept elsewhere than in the field image. P18"""

    @whence.kind(component="Kinds", severity=Severity.Critical)
    def every_type(
        b: bool,
        u8: whence.U8,
        u32: whence.U32 | None,
        u64: whence.U64,
        f32: whence.F32,
        f: float,
        i: int | None,
        s: str,
        model: whence.ModelID,
        severity: Severity,
        request_id: str | None,
        options: list[Option],
        caused_by: str,
        duration_ns: int,
        lineage_id: int,
        rationale: str,
    ) -> None: ...

    every_type(True, 1, 2, 3, 0.5, 0.5, 4, "", "", 1, "", [], "", 5, 6, "")  # type: ignore[arg-type]
    info = known("every_type")
    assert {field.name: field.type for field in info.fields} == {
        "b": "bool",
        "u8": "u8",
        "u32": "u32",
        "u64": "u64",
        "f32": "f32",
        "f": "float",
        "i": "int",
        "s": "str",
        "model": "str",
        "severity": "Severity",
        "request_id": "str",
        "options": "options",
        "caused_by": "str",
        "duration_ns": "int",
        "lineage_id": "u64",
        "rationale": "str",
    }
    assert (info.component, info.decision, info.severity) == ("Kinds", False, Severity.Critical)


def test_a_kind_without_fields_has_none(recorded: OwnEvents) -> None:
    """Its type alone, and an OpenTelemetry name where one was given. P18"""
    whence.kind("bare_kind", component="Kinds", otel_name="app.bare")()
    info = known("bare_kind")
    assert (info.fields, info.rationale, info.otel_name) == ((), "", "app.bare")


def row(**changes: Any) -> tuple[Any, ...]:
    """A row of a native batch."""
    values = {
        "event_id": "e",
        "event_type": "t",
        "component": "C",
        "time_ns": 5,
        "duration_ns": 6,
        "model": "m",
        "request_id": "r",
        "rationale": "why",
        "severity": 2,
        "attributes": {"n": 1},
        "chain": "c",
        "options": (("o", {"s": 1.0}, True, "reason"),),
        "caused_by": "cause",
        "lineage_id": 2**64 - 1,
        "decision": True,
        "text_lost": True,
        "truncated": True,
        "session": "s",
        "ring": 3,
        "ticket": 2**56,
        "weight": 1.0,
        "trace_id": "0123456789abcdef0123456789abcdef",
        "span_id": 2**64 - 1,
        "parent_span_id": 7,
        "span": True,
        "status": "error",
        "status_message": "no such tool",
        "links": (("f" * 32, 8, {"n": 1}),),
    }
    return tuple((values | changes).values())


def test_a_row_becomes_an_event() -> None:
    """Every column goes to its field. R0.22 R0.25 R0.58 R5.2"""
    (event,) = to_events([row()])  # type: ignore[list-item]
    assert event == whence.TraceEvent(
        event_id="e",
        event_type="t",
        component="C",
        timestamp=Timestamp(5),
        duration=Duration(6),
        model_id="m",
        request_id="r",
        rationale="why",
        severity=Severity.Warning,
        attributes={"n": 1},
        decision_chain_id="c",
        options=(Option("o", {"s": 1.0}, True, "reason"),),
        caused_by="cause",
        lineage_id=2**64 - 1,
        decision=True,
        text_lost=True,
        truncated=True,
        session="s",
        ring=3,
        ticket=2**56,
        trace_id="0123456789abcdef0123456789abcdef",
        span_id=2**64 - 1,
        parent_span_id=7,
        span=True,
        status="error",
        status_message="no such tool",
        links=(SpanLink("f" * 32, 8, {"n": 1}),),
    )


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"event_type": ""}, "event_type", "unnamed"),
        ({"component": ""}, "component", "unnamed"),
        ({"severity": 6}, "severity", Severity.Critical),
        ({"time_ns": 2**63 + 7}, "timestamp", Timestamp(7)),
    ],
)
def test_what_only_a_damaged_file_says_is_still_an_event(
    change: dict[str, Any], field: str, value: object
) -> None:
    """A name that is empty, a severity or time out of range: shown, never an error. P14"""
    (event,) = to_events([row(**change)])  # type: ignore[list-item]
    assert getattr(event, field) == value
