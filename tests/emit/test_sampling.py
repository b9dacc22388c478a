"""Sampling: a share of requests is kept whole, what is left out is counted, rows have weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.apps import AppRun
from tests.own_events import OwnEvents
from whence import _native
from whence.ring.gates import threshold_of

STEPS = 2**30
RunApp = Callable[..., AppRun]


def kept(request_id: str, rate: float) -> bool:
    """Whether a request's events are kept at that rate, said a second time."""
    return _native.sample_value(request_id) >= threshold_of(rate)


def test_a_share_of_the_events_is_kept_and_the_rest_is_counted(recorded: OwnEvents) -> None:
    """R1.35 R1.33 Called = recorded + sampled out, about the sum of the weights of the kept."""
    tick = whence.kind("sampled_tick", component="Sampling", n=int)
    tick.enable(0.25)
    for n in range(20_000):
        tick(n)
    events = recorded()
    assert recorded.count("recorded") + recorded.count("sampled_out") == 20_000
    assert recorded.count("recorded") == len(events)
    assert {event.weight for event in events} == {4.0}
    assert abs(sum(event.weight for event in events) - 20_000) < 6 * math.sqrt(20_000 * 3)


def test_a_request_is_kept_whole_or_not_at_all(recorded: OwnEvents) -> None:
    """R5.5 Kinds of one rate keep the same requests; a smaller rate keeps some of those."""
    first = whence.kind("chained_first", component="Sampling")
    second = whence.kind("chained_second", component="Sampling", text=str)
    rare = whence.kind("chained_rare", component="Sampling", n=int)
    for kind, rate in ((first, 0.3), (second, 0.3), (rare, 0.1)):
        kind.enable(rate)
    names = [f"request number {n}, which takes more than a slot" for n in range(400)]
    for name in names:
        with whence.request(name):
            first()
            second("text")
            rare(1)
    seen: Counter[tuple[str, str]] = Counter((e.event_type, e.request_id) for e in recorded())
    assert set(seen.values()) == {1}
    for kind, rate in ((first, 0.3), (second, 0.3), (rare, 0.1)):
        assert {r for t, r in seen if t == kind.name} == {n for n in names if kept(n, rate)}
    assert 80 < len({r for _, r in seen}) < 160


def test_a_request_of_the_event_itself_decides(recorded: OwnEvents) -> None:
    """R1.35 A parameter request_id prevails over the ambient request, by place, name or default."""

    @whence.kind(component="Sampling")
    def own_request(n: int, request_id: str | None = None) -> None: ...

    own_request.enable(0.5)
    yes = next(f"a{n}" for n in range(99) if kept(f"a{n}", 0.5))
    no = next(f"b{n}" for n in range(99) if not kept(f"b{n}", 0.5))
    with whence.request(no):
        own_request(1, yes)
        own_request(2, request_id=yes)
        own_request(n=3, request_id=no)
        own_request(4)
        own_request(5, None)
        own_request(6, "")
    with whence.request(yes):
        own_request(7)
        own_request(8, no)
    assert [event.attributes["n"] for event in recorded()] == [1, 2, 7]
    assert recorded.count("sampled_out") == 5


def test_a_request_that_cannot_be_told_is_refused_not_sampled(recorded: OwnEvents) -> None:
    """R1.35 A request_id that UTF-8 cannot hold raises at whatever rate."""

    @whence.kind(component="Sampling")
    def own_bad_request(n: int, request_id: str) -> None: ...

    own_bad_request.enable(1e-9)
    with pytest.raises(UnicodeEncodeError):
        own_bad_request(1, "\ud800")
    assert recorded.count("rejected") == 1


def test_decisions_are_exempt(recorded: OwnEvents) -> None:
    """R5.5 A decision kind cannot be sampled in any way, only switched off as a whole."""
    decide = whence.kind(
        "sampled_decision", component="S", decision=True, rationale="Took {n}", n=int
    )
    for bad in ({"sample_rate": 0.5}, {"min_strength": 0.1}):
        with pytest.raises(ValueError, match="decision"):
            decide.enable(**bad)
    assert _native.set_rule("sampled_decision", _native.gate_word(1e-9, 0.5))
    assert (decide.sample_rate, decide.min_strength, decide.on) == (1.0, None, True)
    for n in range(50):
        decide(n)
    assert [event.weight for event in recorded()] == [1.0] * 50


@pytest.mark.parametrize("rate", [math.nan, -0.1, 1.000001, math.inf, -math.inf, 2])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    """R1.35 Not a number, below 0, above 1: ValueError, and the gate stays as it was."""
    tick = whence.kind("refused_rate", component="Sampling", n=int)
    tick.enable(0.5)
    with pytest.raises(ValueError, match="sample_rate must be above 0 and at most 1"):
        tick.enable(rate)
    assert tick.sample_rate == 0.5


def test_a_rate_of_zero_is_disable(recorded: OwnEvents) -> None:
    """R1.35 It is said what to do instead; what is no number is a TypeError."""
    tick = whence.kind("zero_rate", component="Sampling", n=int)
    for zero in (0, 0.0, -0.0):
        with pytest.raises(ValueError, match=r"disable\(\)"):
            tick.enable(zero)
    wrong: Any
    for wrong in (True, "0.5", None):
        with pytest.raises(TypeError, match="sample_rate must be a number"):
            tick.enable(wrong)
    with pytest.raises(TypeError, match="min_strength must be a number"):
        tick.enable(1.0, min_strength="strong")  # type: ignore[arg-type]
    assert tick.on


def test_the_rate_can_be_read_and_set_back() -> None:
    """R1.35 Rates are kept to 30 bits; off keeps the rate for the next look, on forgets it."""
    tick = whence.kind("read_rate", component="Sampling", n=int)
    assert tick.sample_rate == 1.0
    tick.enable(0.01)
    assert tick.sample_rate == pytest.approx(0.01, abs=1 / STEPS)
    tick.disable()
    assert (tick.on, tick.sample_rate) == (False, pytest.approx(0.01, abs=1 / STEPS))
    tick.enable()
    assert (tick.on, tick.sample_rate) == (True, 1.0)


def test_what_is_too_weak_is_left_out_and_counted(recorded: OwnEvents) -> None:
    """R1.60 A parameter `strength` is compared; equal is enough, NaN and None are kept."""

    @whence.kind(component="Sampling")
    def weak(strength: float | None) -> None: ...

    weak.enable(min_strength=0.1)
    for strength in (0.0, 0.0999, 0.1, 1, math.nan, None, -math.inf, math.inf):
        weak(strength)
    kept_ones = [event.attributes.get("strength") for event in recorded()]
    assert str(kept_ones) == str([0.1, 1.0, math.nan, None, math.inf])
    assert recorded.count("below_minimum") == 3
    assert weak.min_strength == pytest.approx(0.1)


@pytest.mark.parametrize(
    "stored", [whence.Strength, Annotated[whence.F32, "strength"], Annotated[int, "strength"]]
)
def test_any_number_can_be_the_strength(recorded: OwnEvents, stored: Any) -> None:
    """R1.60 The mark whence.Strength names it, in whatever width it is stored."""
    felt = whence.kind(f"felt {stored}", component="Sampling", before=int, force=stored)
    felt.enable(min_strength=2)
    for force in (1, 2, 3):
        felt(0, force)
    assert [event.attributes["force"] for event in recorded()] == [2, 3]


def test_a_minimum_needs_a_strength() -> None:
    """R1.60 A kind without one refuses a minimum; a text of that name is no strength."""
    for fields in ({"n": int}, {"strength": str}, {"strength": bool}):
        kind = whence.kind("no_strength", component="Sampling", **fields)
        with pytest.raises(ValueError, match="strength"):
            kind.enable(min_strength=0.5)
    with pytest.raises(TypeError, match="a strength is a number"):
        whence.kind("bad", component="Sampling", force=Annotated[str, "strength"])
    with pytest.raises(ValueError, match="nan"):
        whence.kind("nan", component="S", strength=float).enable(min_strength=math.nan)


def test_a_minimum_of_zero_is_one(recorded: OwnEvents) -> None:
    """R1.60 Zero drops what is negative; no minimum drops nothing."""
    signed = whence.kind("signed_strength", component="Sampling", strength=float)
    signed.enable(min_strength=0.0)
    signed(-0.5)
    signed(0.0)
    signed.enable()
    signed(-0.5)
    assert [event.attributes["strength"] for event in recorded()] == [0.0, -0.5]


def test_record_now_obeys_gates_by_name(recorded: OwnEvents) -> None:
    """R1.34 R1.35 Types that are never declared have a gate, too: off, or sampled by request."""
    collector = whence.TraceCollector(buffer_size=1000)
    off, half = _native.gate_word(1.0, None) & ~1, _native.gate_word(0.5, None)
    assert _native.set_rule("never_declared", off)
    collector.record_now("never_declared", "Sampling", "one")
    assert _native.set_rule("never_declared", half)
    for n in range(200):
        collector.record_now("never_declared", "Sampling", request_id=f"r{n}")
    ids = [event.request_id for event in collector]
    assert ids == [f"r{n}" for n in range(200) if kept(f"r{n}", 0.5)]
    assert {event.weight for event in collector} == {2.0}
    assert _native.set_rule("never_declared", _native.gate_word(1.0, None))


@pytest.mark.parametrize("weight", [1.0, 2.0, 100.0, 12345.678])
def test_the_weight_of_a_built_event_is_kept(weight: float) -> None:
    """R1.35 Nearly, in 30 bits; a gate that samples on the way multiplies it."""
    collector = whence.TraceCollector(buffer_size=10)
    built = whence.TraceEvent(
        event_type="weighted", component="S", timestamp=whence.Timestamp.now(), weight=weight
    )
    _native.set_rule("weighted", _native.gate_word(0.5, None))
    for _ in range(100):
        collector.record(built)
    _native.set_rule("weighted", _native.gate_word(1.0, None))
    (twice,) = {event.weight for event in collector}
    assert twice == pytest.approx(2 * weight, rel=1e-4)
    fresh = whence.TraceCollector(buffer_size=10)
    fresh.record(built)
    assert next(iter(fresh)).weight == pytest.approx(weight, rel=1e-4)


@given(word=st.integers(0, 2**64 - 1))
def test_any_word_is_a_gate(word: int) -> None:
    """R1.34 Whatever 64 bits a page holds, a call ends well and is counted somewhere."""
    recorded = OwnEvents()
    tick = whence.kind("any_gate", component="Sampling", n=int, strength=float)
    decide = whence.kind("any_gate", component="S", decision=True, rationale="Took {n}", n=int)
    assert _native.set_rule("any_gate", word)
    for n in range(4):
        tick(n, n / 4)
        decide(n)
    counted = sum(recorded.count(what) for what in ("recorded", "sampled_out", "below_minimum"))
    assert counted == (8 if word & 1 else 0)
    weights = [event.weight for event in recorded() if event.decision]
    assert weights == ([1.0] * 4 if word & 1 else [])
    assert all(1 <= event.weight <= STEPS for event in recorded())


def test_a_forked_child_goes_on_with_the_gates_and_rules_of_its_parent(run_app: RunApp) -> None:
    """R1.34 R1.35 They are the child's own from then on: neither changes the other's."""
    run = run_app("""
        import os, whence
        from whence import _native
        half, off = _native.gate_word(0.5, None), 0
        _native.set_rule("early", half)
        tick = whence.kind("tick", component="Fork", n=int)
        tick.enable(0.25)
        whence.start()
        _native.set_rule("late", off)
        child = os.fork()
        if child == 0:
            rates = [whence.kind(name, component="Fork").sample_rate for name in ("early", "late")]
            on = whence.kind("late", component="Fork").on
            whence.kind("plain", component="Fork")()  # the child's session
            fresh = whence.kind("early", component="Child")
            _native.set_rule("early", off)
            assert (tick.sample_rate, rates[0], on, fresh.on) == (0.25, 0.5, False, False)
            tick.enable()
            _native.set_rule("late", half)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        late, early = (whence.kind(name, component="Parent") for name in ("late", "early"))
        assert (tick.sample_rate, late.on, early.sample_rate) == (0.25, False, 0.5)
    """)
    assert run.returncode == 0


def test_gates_and_rules_hold_without_any_disk(run_app: RunApp) -> None:
    """R1.34 R1.35 A session in memory alone has a page of its own for them."""
    run = run_app(
        """
        import whence
        from whence import _native
        assert whence.start().path is None
        _native.set_rule("late", _native.gate_word(0.5, None))
        late = whence.kind("late", component="Memory", n=int)
        for n in range(1000):
            late(n)
        events = whence.collector().query(event_type="late")
        assert 400 < len(events) < 600 and events[0].weight == 2
        """,
        env={"WHENCE_DIR": "/proc/nowhere"},
    )
    assert "cannot record" in run.stderr
