"""Dual logging: events that are also log records."""

from __future__ import annotations

import logging
from enum import IntEnum

import pytest

from tests.own_events import OwnEvents
from whence.emit.kind import kind
from whence.integrations.logging import Handler, mirror, mirror_tracer


@kind(component="Orders")
def order_sold(n: int, name: str = "book") -> None: ...


def test_a_mirrored_kind_records_and_logs(
    caplog: pytest.LogCaptureFixture, recorded: OwnEvents
) -> None:
    """One call makes the event and a DEBUG record with the same fields. R1.48"""
    sold = mirror(order_sold, "tests.mirror")
    with caplog.at_level("DEBUG", "tests.mirror"):
        sold(3, name="pen")
    assert recorded.one().attributes == {"n": 3, "name": "pen"}
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("DEBUG", "tests.mirror")
    assert record.getMessage() == "order_sold n=3 name=pen"
    assert (record.n, record.event_name) == (3, "pen")
    assert record.pathname == __file__


def test_a_mirrored_kind_without_debug_only_records(
    caplog: pytest.LogCaptureFixture, recorded: OwnEvents
) -> None:
    """The logger's level decides what is logged, never what is recorded. R1.48"""
    with caplog.at_level("INFO", "tests.mirror"):
        mirror(order_sold, "tests.mirror")(1)
    assert len(recorded()) == 1
    assert caplog.records == []


def test_kinds_declared_by_name_are_mirrored_too(
    caplog: pytest.LogCaptureFixture, recorded: OwnEvents
) -> None:
    """The dynamic spelling has no signature; its keywords are logged. R1.48"""
    ticked = kind("ticked", component="tests.Clock", n=int)
    with caplog.at_level("DEBUG"):
        mirror(ticked)(n=4)
    assert caplog.records[0].name == "tests.Clock"
    assert caplog.records[0].getMessage() == "ticked n=4"
    assert recorded.one().attributes == {"n": 4}


class PrimingType(IntEnum):
    """As a tracer has it."""

    Semantic = 0


class Tracer:
    """A tracer that keeps what it is given."""

    def __init__(self) -> None:
        self.traced: list[tuple[object, ...]] = []

    def trace_priming(
        self, priming_type: PrimingType, strength: float, source_node: int, target_node: int
    ) -> bool:
        """Keep it."""
        self.traced.append((priming_type, strength, source_node, target_node))
        return True


def test_a_priming_event_is_logged_by_its_name_with_type_and_strength(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The tracer records as before, and logging gets cognitive_priming_event. R1.48"""
    tracer = Tracer()
    with caplog.at_level("DEBUG"):
        assert mirror_tracer(tracer).trace_priming(PrimingType.Semantic, 0.5, 1, target_node=2)
    assert tracer.traced == [(PrimingType.Semantic, 0.5, 1, 2)]
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.getMessage().startswith("cognitive_priming_event priming_type=semantic strength=")
    assert (record.priming_type, record.strength) == ("semantic", 0.5)
    assert mirror_tracer(tracer).traced is tracer.traced


def test_bridge_and_mirror_together_record_once(recorded: OwnEvents) -> None:
    """An event that is logged is not recorded a second time by the handler. R1.48 R5.19"""
    logger = logging.getLogger("tests.both")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    handler = Handler(buffer_size=10)
    logger.addHandler(handler)
    mirror(order_sold, logger)(5)
    logger.info("something else")
    logger.removeHandler(handler)
    assert [event.event_type for event in recorded()] == ["order_sold", "log_record"]


def test_the_cognitive_tracer_itself_is_mirrored(
    caplog: pytest.LogCaptureFixture, recorded: OwnEvents
) -> None:
    """The real tracer records each event once and logs it by its name. R1.48"""
    from whence.emit.cognitive import CognitiveTracer
    from whence.emit.config import TracingConfig

    tracer = CognitiveTracer(TracingConfig.development())
    mirrored = mirror_tracer(tracer, "tests.cognitive")
    try:
        with caplog.at_level("DEBUG", "tests.cognitive"):
            mirrored.trace_priming(1, 0.5, 1, 2)
            TracingConfig.disabled().apply()
            mirrored.trace_priming(2, 0.9, 1, 2)
    finally:
        TracingConfig.disabled().apply()
    assert [event.event_type for event in recorded()] == ["priming"]
    (record,) = caplog.records
    assert record.getMessage().startswith("cognitive_priming_event priming_type=associative")
    assert (record.priming_type, record.strength) == ("associative", 0.5)
