"""Recording as mypy --strict sees it: a wrong or missing argument of a kind fails the check.

An expected refusal is a `type: ignore` with its code: were the call accepted, mypy would report
the comment as unused.
"""

from __future__ import annotations

import asyncio
from typing import Any, assert_type

import whence
from whence.emit.kind import Kind
from whence.emit.recorder import Session
from whence.model.recording import Recording


@whence.kind(component="Scheduler", decision=True, rationale="Selected {model}")
def scheduling_decision(model: str, slack_ns: int, *, worker: str = "w") -> None:
    """A stub with a default and a keyword."""


@whence.kind(component="Tensor")
def shapes(width: whence.U32, share: whence.F32, options: tuple[whence.Option, ...] = ()) -> None:
    """Narrow types are int and float to a checker."""


def kinds() -> None:
    """A kind takes exactly the arguments of its stub, in both spellings."""
    assert_type(scheduling_decision("ocr", 5), None)
    assert_type(scheduling_decision.emit("ocr", slack_ns=5, worker="x"), None)
    assert_type(scheduling_decision.on, bool)
    assert_type(scheduling_decision.name, str)
    scheduling_decision.enable()
    shapes(1, 0.5, (whence.Option("a"),))
    scheduling_decision("ocr")  # type: ignore[call-arg]
    scheduling_decision("ocr", "5")  # type: ignore[arg-type]
    scheduling_decision("ocr", 5, "w")  # type: ignore[call-arg]
    scheduling_decision("ocr", 5, wrong=1)  # type: ignore[call-arg]
    scheduling_decision.emit(5, 5)  # type: ignore[arg-type]
    shapes(1.5, 0.5)  # type: ignore[arg-type]
    shapes(1, 0.5, ["a"])  # type: ignore[arg-type]


def dynamic_kinds() -> None:
    """The dynamic spelling takes anything; its options are checked."""
    tick = whence.kind("tick", component="Clock", n=int)
    assert_type(tick, Kind[...])
    tick(5, anything=True)
    whence.kind("tick", n=int)  # type: ignore[call-overload]
    whence.kind(component=5)  # type: ignore[call-overload]


def requests() -> None:
    """A request gives its context and leaves what it decorates as it is."""
    with whence.request("r", lineage_id=5) as context:
        assert_type(context.request_id, str)
        assert_type(whence.current().lineage_id, int)

    @whence.request()
    def twice(n: int) -> int:
        return 2 * n

    @whence.request("r")
    async def later(n: int) -> str:
        return str(n)

    assert_type(twice(2), int)
    assert_type(asyncio.run(later(2)), str)
    twice("2")  # type: ignore[arg-type]
    whence.request(5)  # type: ignore[arg-type]


def collectors(event: whence.TraceEvent) -> None:
    """Recording and asking."""
    collector = whence.TraceCollector(buffer_size=5)
    collector.record(event)
    collector.record_now("t", "C", severity=whence.Severity.Error, attributes={"n": 1, "s": "x"})
    assert_type(collector.size(), int)
    assert_type(collector.query(component="C"), list[whence.TraceEvent])
    assert_type(collector.query_by_model(whence.ModelID("m")), list[whence.TraceEvent])
    assert_type(collector.reconstruct_decision_chain("r"), list[whence.TraceEvent])
    assert_type([each.rationale for each in collector], list[str])
    assert_type(whence.collector().recording(), Recording)
    assert_type(whence.start("service"), Session)
    assert_type(whence.session(), Session | None)
    whence.TraceCollector("5")  # type: ignore[arg-type]
    collector.record("event")  # type: ignore[arg-type]
    collector.record_now("t")  # type: ignore[call-arg]
    collector.record_now("t", "C", severity="Error")  # type: ignore[arg-type]
    collector.record_now("t", "C", attributes={"n": [1]})  # type: ignore[dict-item]
    collector.query_by_severity(3)  # type: ignore[arg-type]
    whence.start(ring_slots="5")  # type: ignore[arg-type]


def anything(value: Any) -> None:
    """What a checker knows nothing of is checked when it is recorded."""
    scheduling_decision(value, value)
