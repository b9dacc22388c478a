"""Completeness: what is missing is found and its cause told; what may be lost is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import (
    ADMITTED,
    at_ms,
    event,
    inference_chain,
    kinds,
    late_chain,
    ledger,
    recording,
    rejected_chain,
    session,
)
from whence.model.event import TraceEvent
from whence.model.recording import GateChange, KindCounts, Recording
from whence.model.time import Duration
from whence.query.contracts.completeness import (
    ChainReport,
    check_chain,
    check_recording,
    completeness_share,
    contract_for,
)
from whence.query.contracts.contract import Contract, End, Requirement
from whence.query.contracts.declared import INFERENCE
from whence.query.index import Index


def without(events: Sequence[TraceEvent], *types: str) -> list[TraceEvent]:
    """The events but for these types."""
    return [e for e in events if e.event_type not in types]


def check(
    events: Sequence[TraceEvent],
    source: Recording | None = None,
    contract: Contract = INFERENCE,
    **options: bool,
) -> ChainReport:
    """The report on a chain of a recording, by default one of a dead process that lost nothing."""
    return check_chain(events, contract, source or recording(events), **options)


def kinds_of(report: ChainReport) -> list[tuple[str, str]]:
    """The findings as (kind, member)."""
    return [(f.kind, f.member) for f in report.findings]


def causes_of(report: ChainReport, member: str) -> list[str]:
    """The kinds of cause of the finding about a member."""
    (finding,) = [f for f in report.findings if f.member == member]
    return [cause.kind for cause in finding.causes]


def test_a_whole_chain_is_complete() -> None:
    """R0.1 R5.12 Admission, scheduling, start and completion are all that is required."""
    report = check(inference_chain())
    assert report.complete
    assert (report.present, report.required, report.end) == (4, 4, "execution_completed")
    assert report.findings == ()


def test_every_scheduling_decision_counts_as_a_member() -> None:
    """R5.12 A deferral and a selection are two members: five of five."""
    report = check(late_chain())
    assert (report.verdict, report.present, report.required) == ("complete", 5, 5)


def test_a_rejection_ends_its_chain_rightly() -> None:
    """R0.1 R5.12 Nothing more is required of a request that was not admitted."""
    report = check(rejected_chain())
    assert (report.verdict, report.present, report.required) == ("complete", 1, 1)
    assert report.end == "admission_decision"


@pytest.mark.parametrize("end", ["fault_recorded", "deadline_miss"])
def test_a_fault_or_a_missed_deadline_ends_a_chain_rightly(end: str) -> None:
    """R5.12 A chain may end in trouble and be complete all the same."""
    events = [*without(inference_chain(), "execution_started", "execution_completed")]
    assert check([*events, event(end, 9, ticket=9)]).complete


def test_plain_attributes_are_understood() -> None:
    """R5.12 In exports of others "false" is text; it ends a rejected chain all the same."""
    (rejected,) = rejected_chain()
    texts = {name: str(value).lower() for name, value in rejected.attributes.items()}
    assert check([replace(rejected, attributes=texts)]).complete


@pytest.mark.parametrize(
    ("left_out", "member"),
    [
        ("admission_decision", "admission_decision"),
        ("scheduling_decision", "scheduling_decision"),
        ("execution_started", "execution_started"),
        ("execution_completed", "execution_completed"),
    ],
)
def test_each_member_that_was_not_recorded_is_missed(left_out: str, member: str) -> None:
    """R5.12 R5.16 A chain that lacks a member is incomplete: not recorded, or cut short."""
    report = check(without(inference_chain(), left_out))
    assert report.verdict == "incomplete"
    assert ("missing", member) in kinds_of(report)
    assert report.required - report.present == 1
    expected = "crashed" if left_out == "execution_completed" else "not recorded"
    assert causes_of(report, member) == [expected]


def test_a_crash_is_told_with_the_process() -> None:
    """R5.16 A chain open when its process ended says so, and what was half written."""
    events = without(inference_chain(), "execution_completed")
    report = check(events, recording(events, rings=[ledger(events, in_flight=1)]))
    (finding,) = report.findings
    assert finding.cause is not None
    assert finding.cause.text == "crashed: pid 4711 ended while this was open, 1 event half written"
    assert not report.open


def test_a_chain_of_a_live_process_is_still_open() -> None:
    """R5.16 While the process runs, the end may still come: unknown, and strict fails it."""
    events = without(inference_chain(), "execution_completed")
    source = recording(events, sessions=[session(live=True, state="recording")])
    report = check(events, source)
    assert (report.verdict, report.open) == ("unknown", True)
    assert causes_of(report, "execution_completed") == ["still open"]
    assert check(events, source, strict=True).verdict == "incomplete"


def test_what_a_ring_may_have_overwritten_is_unknown() -> None:
    """R5.16 A ring that lost events of that type since the opening may have had the member."""
    events = without(inference_chain(), "scheduling_decision")
    lossy = ledger(events, 3, {"scheduling_decision": 2, "alloc": 39}, oldest_ns=at_ms(33))
    report = check(events, recording(events, rings=[ledger(events), lossy]))
    assert report.verdict == "unknown"
    (cause,) = next(f for f in report.findings if f.member == "scheduling_decision").causes
    assert (cause.kind, cause.ring, cause.count) == ("possibly lost", 3, 41)
    assert cause.sentence == (
        "ring 3 overwrote 41 events, among them 2 scheduling_decision, up to +33.0 ms"
    )
    assert check(events, recording(events, rings=[lossy]), strict=True).verdict == "incomplete"


def test_a_loss_before_the_chain_began_explains_nothing() -> None:
    """R5.16 A ring that still holds all since the opening cannot have lost the member."""
    events = without(inference_chain(), "scheduling_decision")
    early = ledger(events, 3, {"scheduling_decision": 2}, oldest_ns=at_ms(-1))
    report = check(events, recording(events, rings=[early]))
    assert report.verdict == "incomplete"
    assert causes_of(report, "scheduling_decision") == ["not recorded"]


def test_a_loss_of_other_types_explains_nothing() -> None:
    """R5.16 The ledger counts by type: losing alloc events is no excuse for a decision."""
    events = without(inference_chain(), "scheduling_decision")
    other = ledger(events, 3, {"tick": 41}, oldest_ns=at_ms(33))
    report = check(events, recording(events, rings=[other]))
    assert causes_of(report, "scheduling_decision") == ["not recorded"]
    untold = replace(other, per_kind=())
    report = check(events, recording(events, rings=[untold]))
    assert causes_of(report, "scheduling_decision") == ["possibly lost"]


def test_the_opening_may_have_been_lost_at_any_earlier_time() -> None:
    """R5.16 What must come first may have been overwritten however long ago."""
    events = without(inference_chain(), "admission_decision")
    lossy = ledger(events, 0, {"admission_decision": 1})
    report = check(events, recording(events, rings=[lossy]))
    assert report.verdict == "unknown"
    assert causes_of(report, "admission_decision") == ["possibly lost"]


def test_a_kind_that_was_off_in_that_time_is_unknown() -> None:
    """R5.16 The gates log proves when a type was off; before and after it excuses nothing."""
    events = without(inference_chain(), "scheduling_decision")

    def causes(*changes: tuple[float, bool]) -> list[str]:
        gates = [
            GateChange("demo-4711", at_ms(ms), "scheduling_decision", on) for ms, on in changes
        ]
        return causes_of(
            check(events, recording(events, gate_changes=gates)), "scheduling_decision"
        )

    assert causes((2, False)) == ["off"]
    assert causes((2, False), (3, True)) == ["off"]
    assert causes((-9, False), (30, True)) == ["off"]
    assert causes((30, True)) == ["off"]  # switched on first of all: off from the start
    assert causes((-9, False), (-8, True)) == ["not recorded"]
    assert causes((90, False)) == ["not recorded"]


def test_what_sampling_left_out_is_unknown() -> None:
    """R5.16 A type of which calls were sampled out or refused may have happened unseen."""
    events = without(inference_chain(), "execution_started")
    for counts, kind in (
        (KindCounts("execution_started", "Worker", sampled_out=5), "possibly sampled out"),
        (KindCounts("execution_started", "Worker", throttled=5), "possibly sampled out"),
        (KindCounts("execution_started", "Worker", rejected=5), "possibly refused"),
    ):
        ring = ledger(events, per_kind=(counts,))
        report = check(events, recording(events, rings=[ring]))
        assert report.verdict == "unknown"
        assert causes_of(report, "execution_started") == [kind]


def test_a_filtered_export_proves_no_absence() -> None:
    """R5.16 A file from which events were left out cannot say what was not recorded."""
    events = without(inference_chain(), "scheduling_decision")
    source = recording(events, sessions=[session(state="filtered")])
    assert check(events, source).verdict == "unknown"


def test_optional_members_are_told_only_if_they_may_be_lost() -> None:
    """R5.16 An alloc that was never recorded is no gap; one that a ring lost is an optional one."""
    events = inference_chain()
    lossy = ledger(events, 3, {"alloc": 41}, oldest_ns=at_ms(33))
    report = check(events, recording(events, rings=[lossy]))
    assert report.complete
    assert [(f.member, f.optional) for f in report.findings] == [("alloc", True)]
    assert check(events).findings == ()


def test_a_second_admission_is_a_duplicate() -> None:
    """R5.12 A member that occurs more often than its count allows is listed."""
    events = sorted(
        [*inference_chain(), event("admission_decision", 1, ticket=9, attributes=ADMITTED)],
        key=lambda e: e.order_key,
    )
    report = check(events)
    assert report.verdict == "incomplete"
    assert kinds_of(report) == [("duplicate", "admission_decision")]
    assert report.findings[0].event_ids == (events[0].event_id, events[1].event_id)


def test_a_chain_ends_once() -> None:
    """R5.12 Two faults in one chain are a duplicate end."""
    ends = [event("fault_recorded", ms, ticket=int(ms)) for ms in (7, 8)]
    report = check([*without(inference_chain(), "execution_completed"), *ends])
    assert ("duplicate", "fault_recorded") in kinds_of(report)


def test_members_out_of_order_are_listed() -> None:
    """R5.12 An execution that starts before it was scheduled breaks the order."""
    events = inference_chain()
    started = replace(events[2], timestamp=events[1].timestamp - Duration(1))
    report = check(
        sorted([*without(events, "execution_started"), started], key=lambda e: e.order_key)
    )
    assert report.verdict == "incomplete"
    assert kinds_of(report) == [("out of order", "execution_started")]


def test_events_of_one_moment_are_not_out_of_order() -> None:
    """R5.12 Where the clock does not tell two threads apart, no order is broken."""
    events = [replace(e, timestamp=inference_chain()[0].timestamp) for e in inference_chain()]
    assert check(events).complete


def test_a_decision_without_a_rationale_is_incomplete() -> None:
    """R0.29 R5.12 Any decision of the chain must say why, required member or not."""
    events = inference_chain()
    silent = replace(events[1], rationale="  ")
    assert kinds_of(check([events[0], silent, *events[2:]])) == [
        ("empty rationale", "scheduling_decision")
    ]
    extra = event("placement", 6, ticket=9, decision=True, rationale="")
    assert kinds_of(check([*events[:3], extra, events[3]])) == [("empty rationale", "placement")]


def test_a_rationale_whose_text_was_lost_is_unknown() -> None:
    """R5.16 Text that was overwritten was there: unknown, and told as text lost."""
    events = inference_chain()
    for left in ("", "Selected <text lost>"):
        lost = replace(events[1], rationale=left, text_lost=True)
        report = check([events[0], lost, *events[2:]])
        assert report.verdict == "unknown"
        assert report.findings[0].causes[0].kind == "text lost"


def test_lost_text_that_nobody_needed_is_only_noted() -> None:
    """R5.16 Text lost is never a gap in the chain by itself."""
    events = inference_chain()
    report = check([*events[:3], replace(events[3], text_lost=True, truncated=True)])
    assert report.complete
    assert [(f.kind, f.optional) for f in report.findings] == [
        ("text lost", True),
        ("truncated", True),
    ]


def test_a_rejection_whose_text_was_lost_is_unknown() -> None:
    """R5.16 If what would tell a rejection was overwritten, the chain may well have ended."""
    (rejected,) = rejected_chain()
    report = check([replace(rejected, attributes={}, text_lost=True)])
    assert report.verdict == "unknown"


def test_required_fields_must_be_there() -> None:
    """R5.12 A required attribute or column that is absent or empty is a missing field."""
    events = inference_chain()
    attributes = {name: value for name, value in ADMITTED.items() if name != "utilisation"}
    bare = replace(events[1], model_id="")
    report = check([replace(events[0], attributes=attributes), bare, *events[2:]])
    assert kinds_of(report) == [
        ("missing field", "admission_decision"),
        ("missing field", "scheduling_decision"),
    ]
    assert report.findings[0].sentence == "admission_decision has no utilisation"


def test_a_condition_that_cannot_be_judged_is_told() -> None:
    """R5.12 Without the field that decides what is required, completeness is not claimed."""
    contract = Contract("c", "open", (End("close"),), (Requirement("work", when="size_bytes > 0"),))
    events = [event("open", 0), event("close", 1, ticket=1)]
    report = check(events, recording(events, types=["open", "close", "work"]), contract)
    assert kinds_of(report) == [("undecided", "work")]
    assert report.verdict == "incomplete"


def test_a_chain_that_takes_too_long_exceeds_its_bound() -> None:
    """R5.12 The time from opening to end is bounded by the contract."""
    contract = replace(INFERENCE, within=Duration.from_millis(19))
    report = check(inference_chain(), None, contract)
    assert kinds_of(report) == [("time bound", "admission_decision")]
    assert report.findings[0].sentence == "took 20.0 ms of 19.0 ms allowed"
    assert check(
        inference_chain(), None, replace(INFERENCE, within=Duration.from_millis(20))
    ).complete


def test_an_open_chain_exceeds_its_bound_too() -> None:
    """R5.12 A chain open for longer than allowed is incomplete, though its process lives."""
    events = without(inference_chain(), "execution_completed")
    later = event("tick", 500, "req-9", ticket=50)
    source = recording([*events, later], sessions=[session(live=True, state="recording")])
    report = check(events, source, replace(INFERENCE, within=Duration.from_millis(100)))
    assert ("time bound", "admission_decision") in kinds_of(report)
    assert report.verdict == "incomplete"


def test_more_of_a_member_can_be_required() -> None:
    """R5.12 Counts above one say how many of how many are there."""
    contract = Contract("c", "open", (End("close"),), (Requirement("work", count="3"),))
    events = [event("open"), event("work", 1, ticket=1), event("close", 2, ticket=2)]
    report = check(events, recording(events, types=["open", "work", "close"]), contract)
    assert report.findings[0].sentence == "1 of 3 work"
    assert (report.present, report.required) == (3, 5)


def test_a_missing_end_that_is_also_required_is_told_once() -> None:
    """R5.12 One event that is not there is one gap and one member."""
    contract = Contract("once", "open", (End("close"),), (Requirement("close", after=("open",)),))
    events = [event("open", 0)]
    report = check(events, recording(events, types=["open", "close"]), contract)
    assert [f.sentence for f in report.findings] == ["no close"]
    assert causes_of(report, "close") == ["crashed"]
    assert (report.present, report.required) == (1, 2)


def test_an_empty_chain_cannot_be_checked() -> None:
    """R5.12 There is no verdict on nothing."""
    with pytest.raises(ValueError, match="without events"):
        check([])


def test_a_contract_speaks_only_where_its_opening_is_known() -> None:
    """R5.12 Programs that never declare the opening type are not held to the contract."""
    events = without(inference_chain(), "admission_decision")
    undeclared = recording(events, types=["scheduling_decision", "execution_completed"])
    assert contract_for(events, [INFERENCE], undeclared) is None
    assert contract_for(events, [INFERENCE], recording(events)) is INFERENCE
    assert contract_for([event("tick")], [INFERENCE], recording(events)) is None
    assert list(check_recording(undeclared, INFERENCE)) == []


def test_another_session_changes_nothing_about_a_chain() -> None:
    """R5.12 Whether a contract covers a chain depends on the kinds of the chain's own sessions."""
    own = [replace(e, session="own") for e in without(inference_chain(), "admission_decision")]
    told = [replace(kind, session="own") for kind in kinds(["scheduling_decision"])]
    other = [replace(kind, session="other") for kind in kinds()]
    there = [replace(e, session="other") for e in inference_chain("req-2", 50)]
    alone = Recording(tuple(own), tuple(told), (session("own"),))
    together = Recording((*own, *there), (*told, *other), (session("own"), session("other")))
    for source in (alone, together):
        assert contract_for(own, [INFERENCE], source) is None
        assert "req-1" not in [c.name for c, _ in check_recording(source, INFERENCE)]
    assert contract_for(there, [INFERENCE], together) is INFERENCE


def test_a_chain_is_held_to_the_contract_that_its_opening_names() -> None:
    """R5.12 Of several contracts the one counts whose opening event is there."""
    other = Contract("other", "plan_generated", (End("execution_completed"),))
    events = inference_chain()
    source = recording(events, types=[*(k.name for k in kinds()), "plan_generated"])
    assert contract_for(events, [other, INFERENCE], source) is INFERENCE
    assert contract_for(events[2:], [other, INFERENCE], source) is other


def test_the_share_counts_every_decision_once() -> None:
    """R0.1 R5.12 Decisions in complete chains are reconstructible; the others are listed."""
    whole, rejected = inference_chain("a"), rejected_chain("b", 50, 50)
    broken = without(inference_chain("c", 100, first_ticket=100), "execution_started")
    alone = event("admission_decision", 200, "", ticket=200, attributes=ADMITTED)
    other = event("placement", 300, "d", ticket=300, decision=True, rationale="free slot")
    share = completeness_share(recording([*whole, *rejected, *broken, alone, other]), INFERENCE)
    assert (share.decisions, share.reconstructible, share.uncovered) == (6, 3, 1)
    assert (share.chains, share.complete, share.incomplete, share.unknown) == (3, 2, 1, 0)
    assert share.first_flaws == ("c",)
    assert share.text == "50.00 %"


def test_decisions_that_were_overwritten_lower_the_share() -> None:
    """R0.1 R5.16 What the rings recorded and lost cannot be reconstructed, and is not forgotten."""
    events = inference_chain()
    lossy = ledger(events, 0, {"scheduling_decision": 3, "alloc": 40})
    share = completeness_share(recording(events, rings=[lossy]), INFERENCE)
    assert (share.decisions, share.lost, share.reconstructible) == (5, 3, 2)
    assert share.text == "40.00 %"


def test_open_chains_are_counted_apart() -> None:
    """R5.16 A live recording has chains that may still become complete."""
    events = without(inference_chain(), "execution_completed")
    source = recording(events, sessions=[session(live=True, state="recording")])
    share = completeness_share(source, INFERENCE)
    assert (share.chains, share.unknown, share.open) == (1, 1, 1)


def test_an_export_without_kinds_is_judged_by_known_names() -> None:
    """R0.29 R5.12 In plain exports scheduling and admission decisions are decisions by name."""
    plain = [replace(e, decision=False, session="", ring=-1, ticket=-1) for e in inference_chain()]
    source = Recording(tuple(plain))
    assert completeness_share(source, INFERENCE).text == "100 %"
    silent = Recording(tuple(replace(e, rationale="") for e in plain))
    assert completeness_share(silent, INFERENCE).reconstructible == 0


def test_an_empty_recording_has_no_share() -> None:
    """R5.12 Nothing is not 100 per cent of anything."""
    assert completeness_share(Recording(), INFERENCE).text == "none"


@given(st.sets(st.integers(0, 3)), st.integers(1, 4), st.booleans(), st.booleans())
def test_no_chain_with_a_member_removed_is_ever_complete(
    removed: set[int], chains: int, lossy: bool, live: bool
) -> None:
    """R0.1 R5.16 Whatever was removed and whatever the ledger says, a cut chain is not complete."""
    events = [
        e for n in range(chains) for e in inference_chain(f"r{n}", n * 30, first_ticket=n * 9)
    ]
    cut = [e for n, e in enumerate(inference_chain("cut", 7, first_ticket=90)) if n not in removed]
    everything = [*events, *cut]
    lost = {"admission_decision": 5, "execution_started": 1} if lossy else {}
    source = recording(
        everything, rings=[ledger(everything, 0, lost)], sessions=[session(live=live)]
    )
    share = completeness_share(source, INFERENCE)
    whole = chains + (not removed)
    assert (share.complete, share.chains) == (whole, chains + bool(cut))
    assert share.complete + share.incomplete + share.unknown == share.chains
    assert share.reconstructible == 2 * whole
    if cut and removed:
        report = check_chain(cut, INFERENCE, Index(source))
        assert report.present < report.required
        assert not report.complete
