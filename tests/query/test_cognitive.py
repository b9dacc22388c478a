"""Cognitive events flat and summed up: exact keys, weights counted, windows hit and missed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.apps import AppRun
from tests.query.build import event
from whence.model.event import TraceEvent
from whence.query.cognitive import BUCKETS, cognitive_record, summarise

RunApp = Callable[..., AppRun]


def priming(strength: float, kind: int = 0, weight: float = 1.0) -> TraceEvent:
    """One activation."""
    attributes: dict[str, Any] = {
        "priming_type": kind,
        "strength": strength,
        "source_node": 1,
        "target_node": 2**64 - 1,
    }
    return event("priming", attributes=attributes, weight=weight)


def interference(magnitude: float, kind: int) -> TraceEvent:
    """One interference."""
    return event("interference", attributes={"interference_type": kind, "magnitude": magnitude})


def reconsolidation(position: float, weight: float = 1.0) -> TraceEvent:
    """One reconsolidation."""
    return event("reconsolidation", attributes={"window_position": position}, weight=weight)


def test_records_have_the_documented_keys(run_app: RunApp) -> None:
    """R1.2 R1.3 R1.4 R1.5 R1.41 As recorded and read back: ids as text, the hash in hexadecimal."""
    run = run_app("""
        import whence
        tracer = whence.CognitiveTracer(whence.TracingConfig.development())
        tracer.trace_priming(1, 0.5, 1, 2**64 - 1)
        tracer.trace_interference(2, 0.25, 2**63, [7, 8])
        tracer.trace_reconsolidation(9, 1.5, 0.5, 3)
        tracer.trace_false_memory(255, 12, 0.125)
    """)
    records = [cognitive_record(event) for event in run.recording().events]
    times = [record.pop("timestamp_ns") for record in records]
    assert times == sorted(times)
    assert json.loads(json.dumps(records)) == [
        {
            "event_type": "priming",
            "priming_type": "associative",
            "strength": 0.5,
            "source_node": "1",
            "target_node": "18446744073709551615",
        },
        {
            "event_type": "interference",
            "interference_type": "fan",
            "magnitude": 0.25,
            "target_episode_id": "9223372036854775808",
            "competing_episode_count": 2,
            "competing_episode_ids": "7,8",
        },
        {
            "event_type": "reconsolidation",
            "episode_id": "9",
            "window_position": 1.5,
            "plasticity_factor": 0.5,
            "modification_count": 3,
        },
        {
            "event_type": "false_memory",
            "critical_lure_hash": "0x00000000000000ff",
            "source_list_size": 12,
            "reconstruction_confidence": 0.125,
        },
    ]


def test_other_events_are_no_records() -> None:
    """R1.10 What is not cognitive has another form."""
    with pytest.raises(ValueError, match="no cognitive event"):
        cognitive_record(event("alloc"))


def test_events_are_counted_by_type_and_value_and_weight() -> None:
    """R1.1 R1.35 One that stands for ten counts ten, and is one that was recorded."""
    found = summarise(
        [
            priming(0.5, kind=0, weight=10),
            priming(0.5, kind=2),
            priming(0.5, kind=9),
            interference(0.5, 1),
            event("false_memory"),
            event("alloc"),
        ]
    )
    assert found.recorded == {
        "priming": 3,
        "interference": 1,
        "reconsolidation": 0,
        "false_memory": 1,
    }
    assert found.by_type["priming"] == 12
    assert found.by_value == {
        "priming": {"semantic": 10, "repetition": 1, "9": 1},
        "interference": {"retroactive": 1},
    }
    assert found.false_memories == 1


def test_histograms_cover_zero_to_one_and_tell_the_rest_apart() -> None:
    """R1.2 R1.3 Ten buckets; 1 is in the last; below, above and NaN are counted by themselves."""
    strengths = [0.0, 0.05, 0.1, 0.95, 1.0, -0.1, 1.1, math.nan]
    found = summarise([priming(each) for each in strengths]).strength
    assert found.counts == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (found.below, found.above, found.nan, found.recorded) == (1, 1, 1, 8)
    assert len(found.counts) == BUCKETS
    mixed = summarise([interference(0.35, 2), interference(0.75, 0)])
    assert sum(mixed.magnitude.counts) == 2
    assert mixed.fan_effect.counts.index(1) == 3
    assert sum(mixed.fan_effect.counts) == 1


def test_windows_are_hit_or_missed() -> None:
    """R1.4 From 0 to 1 is a hit, both ends included; all else is a miss."""
    hits = [reconsolidation(each) for each in (0.0, 0.5, 1.0)]
    misses = [reconsolidation(each, weight=2) for each in (-0.01, 1.01, math.nan)]
    found = summarise([*hits, *misses])
    assert (found.windows_hit, found.windows_missed) == (3, 6)
