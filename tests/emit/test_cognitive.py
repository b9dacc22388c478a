"""CognitiveTracer: four compact types of events, off by default, with content if it is given."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import whence
from tests.own_events import OwnEvents
from whence import CognitiveTracer, InterferenceType, PrimingType, TracingConfig, _native
from whence.ring.layout import SLOT_BYTES

REQUEST = "5b2c9a10-7f1e-4c55-9d27-2f4f3a6f0001"
MOST = 2**64 - 1
METHODS = (
    "trace_priming",
    "trace_interference",
    "trace_reconsolidation",
    "trace_false_memory",
)


@pytest.fixture
def tracer() -> Iterator[CognitiveTracer]:
    """A tracer that records everything while the test runs."""
    yield CognitiveTracer(TracingConfig.development())
    TracingConfig.disabled().apply()


def one_of_each(tracer: CognitiveTracer) -> None:
    """Calls every method once, without content."""
    tracer.trace_priming(PrimingType.Associative, 0.5, 1, MOST)
    tracer.trace_interference(InterferenceType.Fan, 0.25, MOST, 3)
    tracer.trace_reconsolidation(MOST, 0.75, 0.5, 2)
    tracer.trace_false_memory(MOST, 15, 0.125)


def test_it_is_off_until_it_is_configured(recorded: OwnEvents) -> None:
    """R1.12 R1.29 A tracer alone records nothing, not even what it would refuse."""
    tracer = CognitiveTracer()
    one_of_each(tracer)
    tracer.trace_priming("not looked at", None, -1, -1)  # type: ignore[arg-type]
    assert recorded() == []
    assert not any(tracer.is_enabled(each) for each in whence.CognitiveEvent)
    assert not tracer.priming


def test_each_type_has_its_fields(tracer: CognitiveTracer, recorded: OwnEvents) -> None:
    """R1.2 R1.3 R1.4 R1.5 R1.9 R1.10 Enums by code, 32-bit floats, unsigned ids, counts."""
    one_of_each(tracer)
    assert [(e.event_type, dict(e.attributes)) for e in recorded()] == [
        (
            "priming",
            {"priming_type": 1, "strength": 0.5, "source_node": 1, "target_node": MOST},
        ),
        (
            "interference",
            {
                "interference_type": 2,
                "magnitude": 0.25,
                "target_episode_id": MOST,
                "competing_episode_count": 3,
            },
        ),
        (
            "reconsolidation",
            {
                "episode_id": MOST,
                "window_position": 0.75,
                "plasticity_factor": 0.5,
                "modification_count": 2,
            },
        ),
        (
            "false_memory",
            {
                "critical_lure_hash": MOST,
                "source_list_size": 15,
                "reconstruction_confidence": 0.125,
            },
        ),
    ]


def test_an_event_with_a_request_fits_one_slot(
    tracer: CognitiveTracer, recorded: OwnEvents
) -> None:
    """R1.7 R1.6 No text block is written for any of the four, whatever its ids, in a request."""
    with whence.request(REQUEST):
        for _ in range(3000):
            one_of_each(tracer)
    events = recorded()
    assert len(events) == 12_000 or len(events) == 10_000  # as many as the ring holds
    assert {event.request_id for event in events} == {REQUEST}
    assert not any(event.text_lost for event in events)
    assert SLOT_BYTES == 64


def test_content_is_kept_beside_the_event(tracer: CognitiveTracer, recorded: OwnEvents) -> None:
    """R1.3 R1.4 R1.5 R1.7 The ids, modifications, lure and list themselves, and their numbers."""
    tracer.trace_interference(InterferenceType.Proactive, 1.0, 7, [MOST, 0, 5])
    tracer.trace_reconsolidation(7, 0.5, 0.1, ["a, b", 'c"'])
    tracer.trace_false_memory("sleep", ["bed", "rest"], 0.5)
    tracer.trace_false_memory("sleep", 12, 0.5)
    tracer.trace_false_memory(77, ["bed"], 0.5)
    first, second, *lures = [event.attributes for event in recorded()]
    assert first["competing_episode_ids"] == f"{MOST},0,5"
    assert first["competing_episode_count"] == 3
    assert json.loads(str(second["modifications"])) == ["a, b", 'c"']
    assert second["modification_count"] == 2
    assert [each["critical_lure_hash"] for each in lures] == [*[_native.hash64("sleep")] * 2, 77]
    assert [each["critical_lure"] for each in lures] == ["sleep", "sleep", ""]
    assert [each["source_list_size"] for each in lures] == [2, 12, 1]
    assert [each["source_list"] for each in lures] == ['["bed", "rest"]', "", '["bed"]']


def test_the_hash_of_a_lure_is_xxh3() -> None:
    """R1.5 Of its UTF-8, with seed 0: other programs compute the same."""
    assert _native.hash64("") == 0x2D06800538D394C2


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda t: t.trace_priming(3, 0.5, 1, 2), ValueError, "from 0 to 2, not 3"),
        (lambda t: t.trace_priming(-1, 0.5, 1, 2), OverflowError, "priming_type"),
        (lambda t: t.trace_priming("semantic", 0.5, 1, 2), TypeError, "priming_type"),
        (lambda t: t.trace_priming(0, "strong", 1, 2), TypeError, "strength"),
        (lambda t: t.trace_priming(0, 0.5, -1, 2), OverflowError, "source_node"),
        (lambda t: t.trace_priming(0, 0.5, 1, 2**64), OverflowError, "target_node"),
        (lambda t: t.trace_interference(3, 0.5, 1), ValueError, "interference_type"),
        (lambda t: t.trace_interference(0, 0.5, 1, [2**64]), OverflowError, "competing"),
        (lambda t: t.trace_interference(0, 0.5, 1, ["a"]), TypeError, "competing"),
        (lambda t: t.trace_interference(0, 0.5, 1, -1), OverflowError, "competing_episode_count"),
        (lambda t: t.trace_reconsolidation(1, 0.5, 0.51), ValueError, "from 0 to 0.5"),
        (lambda t: t.trace_reconsolidation(1, 0.5, -0.01), ValueError, "plasticity_factor"),
        (lambda t: t.trace_reconsolidation(1, 0.5, float("nan")), ValueError, "nan"),
        (lambda t: t.trace_reconsolidation(1, 0.5, 0.1, "text"), TypeError, "modifications"),
        (lambda t: t.trace_false_memory("a", "text", 0.1), TypeError, "source_list"),
        (lambda t: t.trace_false_memory(-1, 3, 0.1), OverflowError, "critical_lure_hash"),
    ],
)
def test_what_is_out_of_range_is_refused(
    tracer: CognitiveTracer,
    recorded: OwnEvents,
    call: Callable[[Any], None],
    error: type[Exception],
    said: str,
) -> None:
    """R1.10 The exception names the argument, and nothing is recorded."""
    with pytest.raises(error, match=said):
        call(tracer)
    assert recorded() == []


@pytest.mark.parametrize("position", [-0.5, 0.0, 1.0, 1.5])
def test_a_missed_window_is_recorded(
    tracer: CognitiveTracer, recorded: OwnEvents, position: float
) -> None:
    """R1.4 Outside of 0 to 1 the reconsolidation missed its window; that is worth an event."""
    tracer.trace_reconsolidation(1, position, 0.0)
    assert recorded.one().attributes["window_position"] == position


def test_types_are_sampled_and_filtered_by_strength(recorded: OwnEvents) -> None:
    """R1.34 R1.35 R1.60 The config's rates and minimums hold, for content, too."""
    config = TracingConfig(
        enabled_events=frozenset({"interference"}),
        sample_rates={"interference": 1.0},
        min_strengths={"interference": 0.5},
    )
    tracer = CognitiveTracer(config)
    for magnitude in (0.25, 0.75):
        tracer.trace_priming(0, magnitude, 1, 2)
        tracer.trace_interference(0, magnitude, 1)
        tracer.trace_interference(0, magnitude, 1, [1, 2])
    TracingConfig.disabled().apply()
    assert [event.attributes["magnitude"] for event in recorded()] == [0.75, 0.75]
    assert recorded.count("below_minimum") == 2


def test_the_tracer_that_does_nothing_has_the_same_methods(recorded: OwnEvents) -> None:
    """R1.11 One object with the same signatures; no configuration switches it on."""
    nothing = CognitiveTracer.none()
    assert nothing is CognitiveTracer.none()
    for name in METHODS:
        mine, other = getattr(CognitiveTracer, name), getattr(type(nothing), name)
        assert mine is not other
        assert inspect.signature(mine) == inspect.signature(other)
    TracingConfig.development().apply()
    one_of_each(nothing)
    nothing.priming(0, 0.5, 1, 2)
    TracingConfig.disabled().apply()
    assert recorded() == []
    assert not nothing.is_enabled("priming")
