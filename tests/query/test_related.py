"""Relations: every one that an id tells and no other; guesses only when asked for, and labelled."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import event, inference_chain, recording, session
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.model.span import SpanLink
from whence.query.chain import Chain, find_chain
from whence.query.index import Index
from whence.query.related import HEURISTICS, RELATIONS, Reason, related

TRACES = ("", "a" * 32, "b" * 32)


@st.composite
def random_event(draw: st.DrawFn) -> TraceEvent:
    """An event that names few things, so that many events name the same."""
    links = draw(st.lists(st.tuples(st.sampled_from(TRACES[1:]), st.integers(1, 3)), max_size=1))
    return event(
        draw(st.sampled_from(["tick", "scheduling_decision", "execution_started"])),
        draw(st.integers(0, 5)),
        draw(st.sampled_from(["", "r", "s", "c"])),
        ticket=draw(st.integers(0, 20)),
        decision_chain_id=draw(st.sampled_from(["", "c", "d"])),
        trace_id=draw(st.sampled_from(TRACES)),
        span_id=draw(st.integers(0, 3)),
        parent_span_id=draw(st.integers(0, 3)),
        span=draw(st.booleans()),
        links=tuple(SpanLink(trace, span) for trace, span in links),
        lineage_id=draw(st.integers(0, 2)),
        caused_by=draw(st.sampled_from(["", "r", "c", "e1", "e2"])),
        event_id=f"e{draw(st.integers(1, 6))}",
        model_id=draw(st.sampled_from(["", "m", "n"])),
        component=draw(st.sampled_from(["X", "Y"])),
        session=draw(st.sampled_from(["one", "two"])),
    )


recordings = st.builds(
    lambda events: recording(events, sessions=[session("one"), session("two")], rings=[]),
    st.lists(random_event(), min_size=1, max_size=12),
)


def places(event: TraceEvent, span_id: int) -> set[tuple[str, int]]:
    """What a span id means in an event: the span of that id in its trace, or in its process."""
    return {(where, span_id) for where in (event.trace_id, event.session) if where and span_id}


def told(own: TraceEvent, other: TraceEvent) -> Iterator[tuple[str, str]]:
    """Every relation of two events, straight from its meaning."""

    same_request = own.request_id and own.request_id == other.request_id
    if same_request:
        yield "request", own.request_id
    elif own.decision_chain_id and own.decision_chain_id == other.decision_chain_id:
        yield "decision chain", own.decision_chain_id
    if not same_request and own.trace_id and own.trace_id == other.trace_id:
        yield "trace", own.trace_id
    if own.lineage_id and own.lineage_id == other.lineage_id:
        yield "lineage", str(own.lineage_id)
    for left, right, words in (
        (own, other, ("caused by", "parent span", "within span", "link to")),
        (other, own, ("causes", "child span", "around", "link from")),
    ):
        if left.caused_by and left.caused_by in (
            right.event_id,
            right.request_id,
            right.decision_chain_id,
        ):
            yield words[0], left.caused_by
        span = places(right, right.span_id) if right.span else set[tuple[str, int]]()
        if span & places(left, left.parent_span_id):
            yield words[1], f"{left.parent_span_id:016x}"
        if not left.span and span & places(left, left.span_id):
            yield words[2], f"{left.span_id:016x}"
        for link in left.links:
            if (link.trace_id or left.session, link.span_id) in span:
                yield words[3], f"{link.span_id:016x}"


def chain_at(source: Recording, at: int) -> Chain:
    """The chain of one event: its request's, its decision chain's, or itself alone."""
    chosen = source.events[at % len(source.events)]
    name = chosen.request_id or chosen.decision_chain_id
    if not name:
        return Chain(chosen.event_id, "", "", (chosen,))
    return (
        find_chain(source, chosen.request_id)
        if chosen.request_id in Index(source).requests
        else Chain(chosen.event_id, "", "", (chosen,))
    )


@given(recordings, st.integers(0, 20))
def test_every_relation_that_an_id_tells_is_found_and_no_other(source: Recording, at: int) -> None:
    """R1.46 What comparing every pair of events gives is what the tables give."""
    chain = chain_at(source, at)
    own = {id(e) for e in chain.events}
    expected = {}
    for other in source.events:
        if id(other) in own:
            continue
        reasons = {}
        for e in chain.events:
            for by, name in told(e, other):
                reasons.setdefault((by, name), e.event_id)
        if reasons:
            expected[id(other)] = reasons
    found = {
        id(r.event): {(reason.by, reason.id): reason.of for reason in r.reasons}
        for r in related(source, chain)
    }
    assert found == expected


@given(recordings, st.integers(0, 20), st.integers(0, 3))
def test_guesses_are_labelled_and_change_nothing_that_is_known(
    source: Recording, at: int, near_ms: int
) -> None:
    """R1.46 Heuristics only add events that no id relates, each with its reason and no strength."""
    chain = chain_at(source, at)
    exact = related(source, chain)
    near_ns = near_ms * 1_000_000
    both = related(source, chain, heuristic=True, near_ns=near_ns)
    assert tuple(r for r in both if not r.heuristic) == exact
    known = {id(e) for e in chain.events} | {id(r.event) for r in exact}
    expected: dict[int, set[tuple[str, str]]] = {}
    for other in source.events:
        if id(other) in known:
            continue
        for e in chain.events:
            close = abs(e.timestamp.value_ns - other.timestamp.value_ns) <= near_ns
            if close and e.model_id and e.model_id == other.model_id:
                expected.setdefault(id(other), set()).add(("same model", e.model_id))
            if close and e.component == other.component:
                expected.setdefault(id(other), set()).add(("same component", e.component))
    guessed = {
        id(r.event): {(s.by, s.id) for s in r.reasons if s.by != "overlapping wait"}
        for r in both
        if r.heuristic
    }
    assert {at: reasons for at, reasons in guessed.items() if reasons} == expected
    reasons = [reason for r in both for reason in r.reasons]
    assert all(reason.heuristic == (reason.by in HEURISTICS) for reason in reasons)
    assert {reason.by for reason in reasons} <= {*RELATIONS, *HEURISTICS}


def test_chains_that_waited_at_the_same_time_are_a_guess() -> None:
    """R1.46 The opening of a chain is shown whose wait overlaps; one that began later is not."""
    source = recording(
        [
            *inference_chain("mine", 0),
            *inference_chain("meanwhile", 3, first_ticket=10),
            *inference_chain("later", 40, first_ticket=20),
        ]
    )
    chain = find_chain(source, "mine")
    assert related(source, chain) == ()
    waits = [
        (r.event.request_id, r.event.event_type, reason)
        for r in related(source, chain, heuristic=True, near_ns=0)
        for reason in r.reasons
        if reason.by == "overlapping wait"
    ]
    own = chain.events[0].event_id
    reason = Reason(by="overlapping wait", id="meanwhile", of=own, heuristic=True)
    assert waits == [("meanwhile", "admission_decision", reason)]


def test_an_id_used_by_two_runs_relates_nothing_across_them() -> None:
    """R1.46 R5.13 A request of an older run that bears the same id is another request."""
    older = event("tick", 0, "req-1", session="old", caused_by="req-9")
    cause = event("tick", 0, "req-9", session="old", ticket=1)
    newer = [event("tick", 90, "req-1", session="new"), event("a", 91, "req-9", session="new")]
    second = 1_000_000_000
    source = recording(
        [older, cause, *newer],
        sessions=[
            session("old", run="r1", started_wall_ns=second),
            session("new", run="r2", started_wall_ns=2**62),
        ],
        rings=[],
    )
    assert related(source, find_chain(source, "req-1")) == ()
    found = related(source, find_chain(source, older.event_id))
    assert [(r.event, [s.by for s in r.reasons]) for r in found] == [(cause, ["caused by"])]
