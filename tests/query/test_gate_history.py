"""Causes from the gates log: what was sampled out is proved by the request's own id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.apps import AppRun
from tests.query.build import at_ms, inference_chain, ledger, recording, session
from whence import _native
from whence.model.event import TraceEvent
from whence.model.recording import GateChange, KindCounts, Recording
from whence.query.contracts.causes import Cause, Causes
from whence.query.index import Index
from whence.ring.gates import gate_parts, threshold_of

RunApp = Callable[..., AppRun]
MISSING = "execution_started"
HALF = _native.gate_word(0.5, None)


def change(ms: float, word: int, name: str = "demo-4711") -> GateChange:
    """The gate of the missing type was given this word."""
    return GateChange(name, at_ms(ms), MISSING, *gate_parts(word))


def request(kept: bool, rate: float = 0.5) -> str:
    """A request that is kept, or left out, at that rate."""
    ids = (f"req-{n}" for n in range(1000))
    return next(r for r in ids if (_native.sample_value(r) >= threshold_of(rate)) == kept)


def chain(request_id: str) -> list[TraceEvent]:
    """A chain of that request without its third member."""
    return [e for e in inference_chain(request_id) if e.event_type != MISSING]


def causes(
    events: Sequence[TraceEvent],
    *changes: GateChange,
    source: Recording | None = None,
    earliest_ms: float | None = 4,
    latest_ms: float | None = 20,
) -> list[Cause]:
    """Why the third member is not there."""
    source = source or recording(events, gate_changes=changes)
    found = Causes(Index(source)).of_absence(
        {MISSING},
        events,
        earliest_ns=None if earliest_ms is None else at_ms(earliest_ms),
        latest_ns=None if latest_ms is None else at_ms(latest_ms),
        tail=False,
    )
    return list(found)


def test_a_request_below_the_threshold_was_sampled_out() -> None:
    """R5.16 R1.35 The id alone tells, where the kind was sampled all the time; else possibly."""
    events = chain(request(kept=False))
    (proved,) = causes(events, change(-200, HALF))
    assert proved.text == (
        "sampled out: execution_started was sampled at 50 % from -200.0 ms, and this request is"
        " none of those that are kept"
    )
    assert proved.start_ns == at_ms(-200)
    for changes in (
        [change(-50, HALF)],  # the log is a moment late
        [change(10, HALF)],
        [change(-200, HALF), change(10, 1)],
        [change(-200, HALF), change(60, 1)],
    ):
        assert [c.kind for c in causes(events, *changes)] == ["possibly sampled out"]
    assert [c.kind for c in causes(events, change(-200, HALF), change(200, 1))] == ["sampled out"]
    assert [c.kind for c in causes(events, change(-200, HALF), latest_ms=None)] == ["sampled out"]
    open_start = causes(events, change(-200, HALF), earliest_ms=None)
    assert [c.kind for c in open_start] == ["possibly sampled out"]


def test_a_request_that_is_kept_was_not_sampled_out() -> None:
    """R5.16 R1.35 Neither the log nor the counts excuse a member of such a request."""
    events = chain(request(kept=True))
    assert [c.kind for c in causes(events, change(-200, HALF))] == ["not recorded"]
    counted = ledger(events, per_kind=(KindCounts(MISSING, "Worker", sampled_out=5),))
    source = recording(events, rings=[counted], gate_changes=[change(-200, HALF)])
    assert [c.kind for c in causes(events, source=source)] == ["not recorded"]


def test_counts_tell_where_the_log_does_not() -> None:
    """R5.16 R1.60 Sampled out and below the minimum are told apart."""
    events = chain("req-1")
    for counts, said in (
        (KindCounts(MISSING, "W", sampled_out=5), "possibly sampled out"),
        (KindCounts(MISSING, "W", below_minimum=5), "possibly below minimum"),
    ):
        source = recording(events, rings=[ledger(events, per_kind=(counts,))])
        (found,) = causes(events, source=source)
        assert (found.kind, found.count) == (said, 5)


def test_another_process_may_have_recorded_it() -> None:
    """R5.16 Sampled out is proved only if every session with that kind left the request out."""
    events = chain(request(kept=False))
    two = (session(), session("demo-4712", key=2, pid=4712))
    one_only = recording(events, sessions=two, gate_changes=[change(-200, HALF)])
    assert [c.kind for c in causes(events, source=one_only)] == ["possibly sampled out"]
    kinds = tuple(replace(kind, session="demo-4711") for kind in one_only.kinds)
    declared_once = replace(one_only, kinds=kinds)
    assert [c.kind for c in causes(events, source=declared_once)] == ["sampled out"]
    both = [change(-200, HALF), change(-200, HALF, "demo-4712")]
    source = recording(events, sessions=two, gate_changes=both)
    assert {c.kind for c in causes(events, source=source)} == {"sampled out"}


def test_a_minimum_may_have_left_it_out() -> None:
    """R5.16 R1.60 How strong the missing event was, nobody knows: possibly below minimum."""
    (found,) = causes(chain("req-1"), change(-200, _native.gate_word(1.0, 0.25)))
    assert found.text == (
        "possibly below minimum: execution_started was left out below strength 0.25 from -200.0 ms"
    )


def test_chains_without_one_request_prove_nothing() -> None:
    """R5.16 Without a request, with two, or with one whose id is lost: possibly."""
    for name in ("", "lost:0123"):
        found = causes(chain(name), change(-200, HALF))
        assert [c.kind for c in found] == ["possibly sampled out"]
    mixed = chain("req-1")[:1] + chain("req-2")[1:]
    assert [c.kind for c in causes(mixed, change(-200, HALF))] == ["possibly sampled out"]


def test_a_trace_without_a_request_is_proved_by_its_id() -> None:
    """R5.16 R1.35 The lower 56 bits of the trace id, of which the upper 30 decide."""
    for trace, said in (
        ("f" * 18 + "7" + "f" * 13, "sampled out"),
        ("0" * 18 + "8" + "0" * 13, "not recorded"),
    ):
        events = [replace(event, trace_id=trace) for event in chain("")]
        assert [c.kind for c in causes(events, change(-200, HALF))] == [said]


def test_off_and_sampled_take_turns() -> None:
    """R5.16 R1.34 Off is told as off; a first change to a rate does not mean that it was off."""
    events = chain(request(kept=False))
    found = causes(events, change(-300, HALF), change(-200, 0), change(200, 1))
    assert [c.text for c in found] == [
        "off: execution_started was switched off from -200.0 ms until +200.0 ms"
    ]
    assert causes(events, change(300, HALF))[0].kind == "not recorded"


def test_what_a_session_sampled_out_is_proved_from_its_files(run_app: RunApp) -> None:
    """R5.16 R1.35 Chains read from the disk: the log and the ids agree with the writer."""
    run = run_app("""
        import time, whence
        begin = whence.kind("begin", component="A", decision=True, rationale="Began {n}", n=int)
        work = whence.kind("work", component="A", n=int)
        work.enable(0.5)
        whence.start()
        time.sleep(0.15)  # nothing is proved right after a change
        for n in range(40):
            with whence.request(f"req-{n}"):
                begin(n)
                work(n)
    """)
    source = run.recording()
    working = {e.request_id for e in source.events if e.event_type == "work"}
    causes_of = Causes(Index(source))
    for n in range(40):
        members = [e for e in source.events if e.request_id == f"req-{n}"]
        begun = members[0].timestamp.value_ns
        (found,) = causes_of.of_absence(
            {"work"}, members[:1], earliest_ns=begun, latest_ns=None, tail=False
        )
        assert found.kind == ("not recorded" if f"req-{n}" in working else "sampled out")
    assert 5 < len(working) < 35


def test_the_values_of_readers_are_those_of_writers() -> None:
    """R1.35 XXH3-64 of the id, its upper 30 bits."""
    assert _native.sample_value("") == 0
    assert _native.sample_value("req-17") == _native.hash64("req-17") >> 34
