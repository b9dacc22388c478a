"""Verification: all chains against their contracts, counted by what they lack and why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import (
    SESSION,
    at_ms,
    event,
    inference_chain,
    ledger,
    recording,
    rejected_chain,
    session,
)
from whence.model.event import TraceEvent
from whence.model.recording import Damage, GateChange, Recording
from whence.query.chain import chains
from whence.query.contracts.completeness import check_chain, contract_for
from whence.query.contracts.contract import Contract, Requirement
from whence.query.contracts.declared import BUILT_IN, INFERENCE, known_contracts
from whence.query.contracts.verify import Verification, verify
from whence.query.plain import plain


def many(count: int, without: dict[int, str] | None = None) -> list[TraceEvent]:
    """That many chains, one after the other; of those numbered, without the events of a type."""
    return [
        one
        for number in range(count)
        for one in inference_chain(f"req-{number}", number * 100, first_ticket=number * 4)
        if one.event_type != (without or {}).get(number)
    ]


def test_all_complete() -> None:
    """R5.12 Chains that keep their contract are counted, and nothing is told of them."""
    found = verify(recording(many(7)))
    (verdict,) = found.contracts
    assert (found.verdict, found.ok, found.chains) == ("complete", True, 7)
    assert (verdict.contract, verdict.chains, verdict.complete) == ("inference", 7, 7)
    assert (verdict.share, verdict.groups, verdict.flaws, found.first) == ("100 %", (), (), "")


def test_what_is_missing_is_counted_by_its_cause() -> None:
    """R5.12 R5.16 Each chain that is not complete counts once, with what is known of why."""
    lacking = {2: "execution_completed", 3: "execution_completed", 5: "scheduling_decision"}
    found = verify(recording(many(7, lacking)))
    (verdict,) = found.contracts
    assert (found.verdict, found.ok) == ("incomplete", False)
    assert (verdict.chains, verdict.complete, verdict.incomplete) == (7, 4, 3)
    told = [(group.chains, group.sentence, group.why, group.detail) for group in verdict.groups]
    assert told == [
        (2, "no execution_completed, fault_recorded or deadline_miss", "crashed", "pid 4711 ended"),
        (1, "no scheduling_decision", "not recorded", ""),
    ]
    assert sum(group.chains for group in verdict.groups) == verdict.incomplete
    assert (verdict.first, found.first) == ("req-2", "req-2")
    assert [flaw.name for flaw in verdict.flaws] == ["req-2", "req-3", "req-5"]


def test_what_may_be_lost_is_unknown_and_not_violated() -> None:
    """R5.12 R5.16 A ring that overwrote events explains a gap; strict fails it all the same."""
    events = many(3, {1: "scheduling_decision"})
    rings = [ledger(events), ledger(events, 3, {"scheduling_decision": 41}, oldest_ns=at_ms(150))]
    source = recording(events, rings=rings)
    found = verify(source)
    (verdict,) = found.contracts
    assert (found.verdict, found.ok, verdict.unknown, verdict.incomplete) == ("unknown", True, 1, 0)
    (group,) = verdict.groups
    assert (group.why, group.detail, group.unsure) == (
        "possibly lost",
        "ring 3 overwrote 41 events",
        True,
    )
    assert (group.ring, group.wall_ns) == (3, source.sessions[0].wall_ns(at_ms(150)))
    assert found.lost == 41
    strict = verify(source, strict=True)
    assert (strict.verdict, strict.ok, strict.contracts[0].incomplete) == ("incomplete", False, 1)


def test_a_chain_that_is_open_is_unknown_unless_all_has_ended() -> None:
    """R5.12 R5.16 Of a process that runs the end may be to come; a caller may know better."""
    source = recording(inference_chain()[:3], sessions=[session(live=True)])
    running, over = verify(source), verify(source, ended=True)
    assert (running.verdict, running.contracts[0].open) == ("unknown", 1)
    assert running.contracts[0].groups[0].why == "still open"
    assert (over.verdict, over.contracts[0].groups[0].why) == ("incomplete", "not recorded")


def test_every_verdict_names_the_events_it_rests_on() -> None:
    """R5.12 Members by their ids, findings by theirs, and the chain by all of its events."""
    events = inference_chain()
    late = replace(events[3], attributes={})
    (flaw,) = verify(recording([*events[:3], late])).contracts[0].flaws
    assert flaw.event_ids == tuple(one.event_id for one in events)
    assert flaw.report.event_ids == flaw.event_ids
    (finding,) = flaw.report.findings
    assert (finding.kind, finding.event_ids) == ("missing field", (late.event_id,))


def test_nothing_to_verify_is_told_apart_from_complete() -> None:
    """R5.12 Without a chain that a contract covers the verdict is neither yes nor no."""
    others = [event("tick", 0, "req-1", ticket=0)]
    for source in (Recording(), recording(others)):
        found = verify(source)
        assert (found.verdict, found.ok) == ("nothing", False)
    assert (found.chains, found.uncovered) == (1, 1)


def test_events_outside_of_chains_are_counted() -> None:
    """R5.12 An admission that names no request is in no chain, and not passed over silently."""
    alone = replace(inference_chain()[0], request_id="", decision_chain_id="")
    assert verify(recording([alone])).outside == 1


def test_a_filter_chooses_chains_and_leaves_them_whole() -> None:
    """R5.12 One event that is asked for is enough; the rest of its chain counts as well."""
    source = recording(many(5))

    def wanted(index: object) -> object:
        return lambda one: one.ticket in (6, 13)

    found = verify(source, among=wanted)  # type: ignore[arg-type]
    assert (found.chains, found.contracts[0].complete) == (2, 2)


def test_the_first_contract_that_opens_a_chain_is_held() -> None:
    """R5.12 A contract of one's own with a built-in's name takes its place."""
    mine = Contract("inference", "admission_decision", require=(Requirement("audit"),))
    assert [c is mine for c in known_contracts([mine])][:1] == [True]
    assert [c.name for c in known_contracts([mine])].count("inference") == 1
    found = verify(recording(inference_chain()), known_contracts([mine]))
    assert found.contracts[0].groups[0].sentence == "no audit"


def test_many_recordings_are_read_one_after_the_other() -> None:
    """R5.12 A store feeds its chains in pieces: the sums are those of the whole."""
    kept: list[int] = []

    def pieces() -> Iterator[Recording]:
        for number in range(20):
            kept.append(number)
            chain = inference_chain(f"req-{number}", number * 100, first_ticket=number * 4)
            yield recording(chain[: 4 - number % 2])

    found = verify(pieces())
    (verdict,) = found.contracts
    assert kept == list(range(20))
    assert (verdict.chains, verdict.complete, verdict.groups[0].chains) == (20, 10, 10)


def test_memory_is_bounded_by_what_is_told() -> None:
    """R5.12 Of many broken chains a few are told one by one; all are counted."""
    source = recording(many(50, dict.fromkeys(range(50), "execution_completed")))
    (verdict,) = verify(source, most_flaws=3).contracts
    assert (verdict.incomplete, len(verdict.flaws), len(verdict.groups)) == (50, 3, 1)
    assert verdict.groups[0].chains == 50


def _calls(count: int) -> int:
    """How many functions of ours are called to verify that many chains, each with a gap."""
    events = many(count, dict.fromkeys(range(count), "scheduling_decision"))
    source = recording(events, rings=[ledger(events)])
    calls = 0

    def counted(frame: object, what: str, _: object) -> None:
        nonlocal calls
        calls += what == "call"

    sys.setprofile(counted)
    try:
        verify(source)
    finally:
        sys.setprofile(None)
    return calls


def test_the_work_is_linear_in_the_chains() -> None:
    """R5.12 Ten times the chains are ten times the calls, gaps and all."""
    few, more = _calls(20), _calls(200)
    assert more < 10.5 * few


@given(
    st.lists(st.sets(st.sampled_from([one.event_type for one in inference_chain()])), max_size=8)
)
def test_the_sums_are_those_of_the_single_chains(left_out: list[set[str]]) -> None:
    """R5.12 What verify counts is what each chain's own check says."""
    events = [
        one
        for number, types in enumerate(left_out)
        for one in inference_chain(f"req-{number}", number * 50, first_ticket=number * 4)
        if one.event_type not in types
    ]
    source = recording([*events, *rejected_chain("req-no", 900, ticket=99)])
    verdicts = [
        check_chain(chain.events, INFERENCE, source).verdict
        for chain in chains(source)
        if contract_for(chain.events, BUILT_IN, source)
    ]
    (found,) = verify(source).contracts
    assert (found.chains, found.complete, found.incomplete, found.unknown) == (
        len(verdicts),
        *(verdicts.count(name) for name in ("complete", "incomplete", "unknown")),
    )
    assert sum(group.chains for group in found.groups) == found.incomplete + found.unknown


def test_a_verification_is_plain_data() -> None:
    """R5.12 As JSON it has the verdict, the sums, the groups and the ids."""
    found: Verification = verify(recording(many(2, {1: "execution_completed"})))
    data = plain(found)
    assert data["verdict"] == data["contracts"][0]["verdict"] == "incomplete"
    assert data["contracts"][0]["groups"][0]["first"] == "req-1"
    assert len(data["contracts"][0]["flaws"][0]["event_ids"]) == 3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            GateChange(SESSION, at_ms(0), "scheduling_decision", on=False),
            ("off", "was switched off"),
        ),
        (
            GateChange(SESSION, at_ms(0), "scheduling_decision", on=True, rate=2**-20),
            ("possibly sampled out", "was sampled"),
        ),
        (
            GateChange(SESSION, at_ms(0), "scheduling_decision", on=True, minimum=0.5),
            ("possibly below minimum", "was left out below its minimum"),
        ),
    ],
)
def test_what_was_off_or_left_out_is_unknown(change: GateChange, why: tuple[str, str]) -> None:
    """R5.12 R5.16 Gates explain gaps; chains of one reason are one group, wherever each began."""
    events = [
        replace(one, request_id="", decision_chain_id=one.request_id)  # sampled, nobody knows how
        for one in many(3, dict.fromkeys(range(3), "scheduling_decision"))
    ]
    found = verify(recording(events, gate_changes=[change]))
    (verdict,) = found.contracts
    assert (verdict.unknown, found.ok) == (3, True)
    (group,) = verdict.groups
    assert (group.why, group.detail) == (why[0], f"scheduling_decision {why[1]}")


def test_lost_texts_and_damaged_files_are_told_apart() -> None:
    """R5.12 R5.16 A decision whose words were overwritten, and a ring that cannot be read."""
    events = inference_chain()
    events[1] = replace(events[1], rationale="", text_lost=True)
    (group,) = verify(recording(events)).contracts[0].groups
    assert (group.why, group.unsure) == ("text lost", True)
    damaged = replace(recording(inference_chain()), damage=(Damage(SESSION, "ring-1", "torn"),))
    found = verify(damaged)
    assert (found.damaged, found.verdict) == (1, "unknown")
    assert found.contracts[0].groups[0].detail == "ring-1 cannot be read: torn"
