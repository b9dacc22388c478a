"""Chains: found by any id or a part of one, in order, and never mixed between requests."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import (
    SESSION,
    WALL_NS,
    at_ms,
    event,
    inference_chain,
    ledger,
    recording,
    session,
)
from whence.model.errors import AmbiguousId, IdNotFound
from whence.model.event import TraceEvent
from whence.model.ids import event_id
from whence.model.recording import Anchor, Damage, Recording
from whence.query.chain import chain_of, chains, find_chain, nearest_ids, reconstruct_chain
from whence.query.index import Index


@st.composite
def random_event(draw: st.DrawFn) -> TraceEvent:
    """An event of one of few requests, in one of few decision chains or in none."""
    return event(
        "tick",
        draw(st.integers(0, 5)),
        draw(st.sampled_from(["", "r", "rr", "c"])),
        decision_chain_id=draw(st.sampled_from(["", "c", "d", "r"])),
        trace_id=draw(st.sampled_from(["", "a" * 32, "b" * 32])),
        ring=draw(st.integers(0, 1)),
        ticket=draw(st.integers(0, 10**6)),
    )


random_events = st.lists(random_event(), max_size=30, unique_by=lambda e: (e.ring, e.ticket))


@given(random_events)
def test_a_request_gives_all_its_events_and_no_other(events: list[TraceEvent]) -> None:
    """R0.28 R0.49 The chain of a request is what filtering every event by it gives, in order."""
    source = Index(recording(events))
    for request in {e.request_id for e in events} - {""}:
        expected = sorted((e for e in events if e.request_id == request), key=lambda e: e.order_key)
        assert list(reconstruct_chain(source, request)) == expected


@given(random_events)
def test_chains_partition_the_events_and_never_mix_requests(events: list[TraceEvent]) -> None:
    """R0.49 R5.13 Each event that names a request, chain or trace is in one, with its own kind."""
    source = recording(events)
    found = list(chains(source))
    placed = [e for chain in found for e in chain.events]
    assert sorted(e.event_id for e in placed) == sorted(
        e.event_id for e in events if e.decision_chain_id or e.trace_id
    )
    for chain in found:
        assert {e.request_id for e in chain.events} == {chain.request_id}
    named = defaultdict(set)
    for e in events:
        if e.decision_chain_id != e.request_id:
            named[e.request_id].add(e.decision_chain_id)
    for chain in found:
        if len(named[chain.request_id]) > 1 or not chain.request_id:
            named_by = {
                e.decision_chain_id or (e.trace_id if not e.request_id else "")
                for e in chain.events
            }
            assert named_by == {chain.chain_id}


@given(random_events)
def test_an_event_is_in_the_chain_that_it_leads_to(events: list[TraceEvent]) -> None:
    """R5.13 Asking by an event's id gives a chain that holds the event, marked as asked for."""
    source = Index(recording(events))
    for e in events:
        found = chain_of(source, e)
        assert e in found.events
        assert found.asked is e
        if e.decision_chain_id or e.trace_id:
            same = [c for c in chains(source) if e in c.events]
            assert [c.events for c in same] == [found.events]


@given(random_events, st.text("rcd-0123456789abf", min_size=1, max_size=4))
def test_parts_of_ids_find_what_reading_every_id_would(events: list[TraceEvent], part: str) -> None:
    """R5.11 A beginning or end is found if unique among requests, then chains, traces, events."""
    source = recording(events)
    requests = {e.request_id for e in events} - {""}
    named = {e.decision_chain_id for e in events if e.decision_chain_id != e.request_id}
    named |= {e.trace_id for e in events if not e.decision_chain_id} - {""}
    traces = {e.trace_id for e in events if e.request_id} - {""}
    ids = {e.event_id for e in events}
    if part in requests | named | ids:
        return  # a whole id is found before any part
    for group in (requests, named, traces, ids):
        matching = {name for name in group if name.startswith(part) or name.endswith(part)}
        if len(matching) > 1:
            with pytest.raises(AmbiguousId) as caught:
                find_chain(source, part)
            assert caught.value.count == len(matching)
            assert set(caught.value.candidates) <= matching
            return
        if matching:
            name = matching.pop()
            try:
                assert find_chain(source, part).events == find_chain(source, name).events
            except AmbiguousId:  # the id of a decision chain or trace of several requests
                sharing = (e for e in events if name in (e.decision_chain_id, e.trace_id))
                assert len({e.request_id for e in sharing}) > 1
            return
    with pytest.raises(IdNotFound):
        find_chain(source, part)


def test_an_unknown_id_has_an_empty_chain() -> None:
    """R0.49 Reconstructing a request that nothing was recorded of gives no events."""
    assert reconstruct_chain(recording(inference_chain()), "req-7") == ()
    assert reconstruct_chain(Recording(), "") == ()


def test_a_chain_of_one_event_is_found() -> None:
    """R0.49 One event is a chain."""
    only = event("tick", request_id="solo")
    assert reconstruct_chain(recording([only]), "solo") == (only,)


def test_an_event_id_in_any_case_leads_to_its_request() -> None:
    """R5.13 The id of an event gives the chain of the request it belongs to."""
    events = inference_chain()
    found = find_chain(recording(events), events[2].event_id.upper())
    assert found.events == tuple(events)
    assert found.asked == events[2]
    assert found.name == "req-1"


def test_an_event_without_request_stands_alone() -> None:
    """R5.13 What names neither request nor chain is a chain of its own, found by its id."""
    lone = event("tick", request_id="", ticket=3)
    found = find_chain(recording([lone, event("tick", request_id="", ticket=4)]), lone.event_id)
    assert found.events == (lone,)
    assert found.name == lone.event_id


def test_a_decision_chain_that_two_requests_use_must_be_told_apart() -> None:
    """R5.13 Chains of two requests under one chain id do not mix; REQUEST/CHAIN names each."""
    one = event("tick", 0, "req-1", decision_chain_id="step", ticket=1)
    two = event("tick", 1, "req-2", decision_chain_id="step", ticket=2)
    source = recording([one, two])
    with pytest.raises(AmbiguousId) as caught:
        find_chain(source, "step")
    assert caught.value.candidates == ("req-1/step", "req-2/step")
    assert find_chain(source, "req-2/step").events == (two,)
    assert find_chain(source, "req-2/step").name == "req-2/step"


def test_one_named_chain_takes_the_whole_request_with_it() -> None:
    """R5.13 Where a request has one decision chain, its other events belong to that story."""
    other = event("alloc", 0, "req-1", ticket=1)
    named = event("tick", 1, "req-1", decision_chain_id="step", ticket=2)
    source = recording([other, named])
    assert [chain.events for chain in chains(source)] == [(other, named)]
    assert find_chain(source, "step").events == (named,)


def test_an_id_that_is_not_there_names_its_neighbours() -> None:
    """R5.11 A misspelled id is answered with those spelled most like it."""
    source = recording([*inference_chain("req-000412"), *inference_chain("task-9", first_ticket=9)])
    with pytest.raises(IdNotFound) as caught:
        find_chain(source, "req-000421")
    assert caught.value.nearest[0] == "req-000412"
    assert nearest_ids(source, "zzzz") == ()


def test_a_pasted_suffix_with_its_ellipsis_is_found() -> None:
    """R5.11 The shortened form that answers print can be pasted back."""
    assert (
        find_chain(recording(inference_chain("req-000412")), " …0412 ").request_id == "req-000412"
    )


def test_the_id_of_an_overwritten_event_is_explained() -> None:
    """R5.16 An event id names its ring and number, so that its loss can be told from a typo."""
    events = inference_chain(first_ticket=100)
    source = recording(events, rings=[ledger(events, 0, {"alloc": 100})])
    key = session().key
    with pytest.raises(IdNotFound, match=r"event 7 of ring 0 in session demo-4711 was lost"):
        find_chain(source, event_id(key, 0, 7))
    with pytest.raises(IdNotFound, match="is not in this recording"):
        find_chain(source, event_id(key, 0, 105))


def test_an_id_that_may_have_been_overwritten_is_not_called_unknown() -> None:
    """R5.11 R5.16 Where rings lost events or files are torn, absence proves nothing."""
    events = inference_chain(first_ticket=100)
    leaking = recording(events, rings=[ledger(events, 0, {"alloc": 937})])
    lost = "937 events were overwritten in 1 ring; it may have been among them"
    with pytest.raises(IdNotFound, match=lost):
        find_chain(leaking, "nobody")
    torn = replace(leaking, damage=(Damage(SESSION, "ring-00001", "cut short"),))
    with pytest.raises(IdNotFound, match="in 1 ring, 1 file cannot be read; it may have been"):
        find_chain(torn, "nobody")
    with pytest.raises(IdNotFound, match=r"nothing here is called 'nobody'$"):
        find_chain(recording(events), "nobody")


def test_processes_of_two_boots_are_ordered_by_wall_time() -> None:
    """R0.49 Monotonic clocks of two hosts do not compare; their anchors put a chain in order."""
    sessions = [
        session("one", boot_id="a", anchors=(Anchor(at_ms(0), 1_000_000_000),)),
        session("two", boot_id="b", anchors=(Anchor(at_ms(0), 500_000_000),)),
    ]
    late = event("late", 0, session="one")
    early = event("early", 300, session="two")  # wall time 0.8 s
    source = recording([late, early], sessions=sessions)
    assert [e.event_type for e in reconstruct_chain(source, "req-1")] == ["early", "late"]
    assert SESSION not in {e.session for e in source.events}


def two_runs(gap_ms: int) -> Recording:
    """A request id used by two runs, of which the second began that long after the first."""
    first, second = inference_chain(), inference_chain(begin_ms=gap_ms, first_ticket=10)
    sessions = [
        session("one", run="a1"),
        session("two", run="b2", started_wall_ns=WALL_NS + gap_ms * 1_000_000),
    ]
    moved = [replace(e, session="one") for e in first] + [replace(e, session="two") for e in second]
    return recording(moved, sessions=sessions, rings=[])


def test_an_id_that_a_later_run_used_again_names_the_newest() -> None:
    """R0.49 R5.13 Runs that followed each other had different requests, whatever their ids."""
    source = two_runs(gap_ms=5_000)
    found = find_chain(source, "req-1")
    assert {e.session for e in found.events} == {"two"}
    assert reconstruct_chain(source, "req-1") == found.events
    older = find_chain(source, "req-1 of run a1")
    assert {e.session for e in older.events} == {"one"}
    assert (older.request_id, older.name) == ("req-1", "req-1 of run a1")
    assert [chain.name for chain in chains(source)] == ["req-1 of run a1", "req-1"]
    assert chain_of(source, source.events[0]).events == older.events


def test_runs_that_overlapped_worked_on_one_request() -> None:
    """R0.49 Two programs that ran at the same time and name one request share its chain."""
    source = two_runs(gap_ms=10)
    assert {e.session for e in find_chain(source, "req-1").events} == {"one", "two"}
    one_run = replace(
        two_runs(gap_ms=5_000), sessions=tuple(session(n, run="a1") for n in ("one", "two"))
    )
    assert len(find_chain(one_run, "req-1").events) == 8


def test_events_whose_ids_differ_in_case_alone_are_two_events() -> None:
    """R0.22 R5.13 Ids are what they are; only typing may be careless, while it is unambiguous."""
    source = recording(
        [
            event("a", 0, "r1", event_id="Ev-1", ticket=1),
            event("b", 1, "r2", event_id="eV-1", ticket=2),
            event("c", 2, "r3", event_id="Other-2", ticket=3),
        ]
    )
    assert find_chain(source, "Ev-1").request_id == "r1"
    assert find_chain(source, "eV-1").request_id == "r2"
    for text in ("EV-1", "ev-"):
        with pytest.raises(AmbiguousId):
            find_chain(source, text)
    assert find_chain(source, "other-2").request_id == "r3"
    assert find_chain(source, "OTHER").request_id == "r3"
    assert reconstruct_chain(source, "other-2") == ()
    assert nearest_ids(source, "Other-3") == ("Other-2",)


def test_a_span_leads_to_its_trace_and_to_its_request() -> None:
    """R5.11 R5.12 By its 16 digits, in either case; of a request's span it is the request."""
    trace, served = "ab" * 16, "cd" * 16
    loose = [
        event("load", 0, "", ticket=0, trace_id=trace, span=True, span_id=0xFE),
        event("query", 1, "", ticket=1, trace_id=trace, span=True, span_id=7, parent_span_id=0xFE),
        event("said", 2, "", ticket=2, trace_id=trace, span_id=9),
    ]
    own = [
        event("serve", 3, "req-1", ticket=3, trace_id=served, span=True, span_id=8),
        event("said", 4, "req-1", ticket=4, trace_id=trace),
    ]
    source = Index(recording([*loose, *own]))
    for text in ("00000000000000fe", "00000000000000FE"):
        found = find_chain(source, text)
        assert (found.name, found.events, found.asked) == (trace, tuple(loose), loose[0])
    within = find_chain(source, f"{9:016x}")  # a span that is not here, with what happened in it
    assert (within.events, within.asked) == (tuple(loose), None)
    assert find_chain(source, f"{8:016x}").request_id == "req-1"
    for text in (trace, trace.upper(), trace[:6]):
        assert find_chain(source, text).events == tuple(loose)
    for text in (served, served[:6]):
        assert find_chain(source, text).name == "req-1"


def test_a_trace_of_several_requests_names_them() -> None:
    """R5.11 Where a trace runs through several requests, and nothing else, one must be chosen."""
    trace = "ab" * 16
    events = [event("tick", n, f"req-{n}", ticket=n, trace_id=trace) for n in range(2)]
    with pytest.raises(AmbiguousId) as caught:
        find_chain(recording(events), trace)
    assert caught.value.candidates == ("req-0", "req-1")


def test_a_part_of_the_events_tells_the_same_runs_apart() -> None:
    """R0.49 R5.13 Of a few events, too: rings say how long their runs lived."""
    for gap_ms, apart in ((5_000, True), (10, False)):
        whole = two_runs(gap_ms)
        filler = event("tick", 40, "other", session="one", ticket=9)
        whole = replace(
            whole,
            events=(*whole.events, filler),
            rings=(ledger([*whole.events, filler], name="one"),),
        )
        few = replace(
            whole, events=tuple(e for e in whole.events if e.session == "two" or not e.ticket)
        )
        for source in (whole, few):
            sessions = {e.session for e in find_chain(source, "req-1").events}
            assert (sessions == {"two"}) == apart
