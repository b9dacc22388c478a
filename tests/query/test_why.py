"""Why: the right chain is explained, by recorded times and sentences alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import (
    WALL_NS,
    at_ms,
    event,
    inference_chain,
    late_chain,
    ledger,
    recording,
    rejected_chain,
    session,
)
from whence.model.errors import IdNotFound
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.model.time import Timestamp
from whence.query.plain import plain
from whence.query.why import why


def test_the_newest_request_that_went_wrong_is_explained() -> None:
    """R5.11 Of several that went wrong the newest; what went well since does not hide it."""
    source = recording(
        [
            *rejected_chain("old", -50, 50),
            *late_chain(),
            *inference_chain("fine", 100, first_ticket=100),
        ]
    )
    assert why(source).request_id == "req-000412"


def test_without_trouble_the_newest_decision_is_explained() -> None:
    """R5.11 When nothing went wrong, the newest decision is asked about; else the newest event."""
    source = recording([*inference_chain("a"), *inference_chain("b", 100, first_ticket=100)])
    assert why(source).request_id == "b"
    assert why(recording([event("tick", 0, "x"), event("tock", 1, "y")])).request_id == "y"


def test_trouble_outside_requests_and_decisions_is_not_asked_about() -> None:
    """R5.11 A warning that belongs to no request does not take the place of a late one."""
    warning = event("log", 500, "", ticket=500, severity=Severity.Warning)
    assert why(recording([*late_chain(), warning])).request_id == "req-000412"


def test_nothing_recorded_explains_nothing() -> None:
    """R5.11 An empty recording is answered as not found, not with an invented story."""
    with pytest.raises(IdNotFound, match="nothing is recorded"):
        why(Recording())


def test_the_answer_has_verdict_times_and_story() -> None:
    """R5.11 R0.1 The verdict, where the time went and one row per event are plain data."""
    answer = why(recording(late_chain()), "0412")
    assert (answer.name, answer.model_id) == ("req-000412", "ocr_rec")
    assert answer.outcome.text == "LATE by 6.8 ms (46.8 of 40.0 ms)"
    assert (answer.service, answer.pid, answer.wall_ns) == ("demo", 4711, WALL_NS)
    assert {share.name: share.duration_ns for share in answer.time_went} == {
        "waiting": 31_600_000,
        "executing": 15_000_000,
        "other": 200_000,
    }
    assert [row.offset_ns for row in answer.story] == [
        0,
        100_000,
        31_600_000,
        31_800_000,
        46_800_000,
    ]
    assert answer.story[3].sentence == "worker 2"
    assert [row.wrong for row in answer.story] == [False, False, False, False, True]
    assert answer.complete


def test_the_chosen_option_comes_first() -> None:
    """R5.8 R5.11 Options follow the chosen one in the order in which they were considered."""
    options = why(recording(late_chain())).story[2].options
    assert [(option.chosen, option.name) for option in options] == [
        (True, "ocr_rec req-000412"),
        (False, "magika req-000415"),
        (False, "ocr_cls req-000413"),
    ]


def test_the_event_that_was_asked_for_is_marked() -> None:
    """R5.11 Asked by an event's id, the answer shows which row that was; by default none."""
    events = late_chain()
    source = recording(events)
    assert [row.asked for row in why(source, events[1].event_id).story].index(True) == 1
    assert not any(row.asked for row in why(source).story)


def test_only_recorded_times_are_told() -> None:
    """R5.11 Without a dispatch or an execution there is no line on where the time went."""
    source = recording([event("plan_generated", 0), event("approved", 9, ticket=1)])
    assert why(source).time_went == ()
    assert why(source).outcome.word == "no outcome recorded"


def test_a_request_that_was_never_dispatched_only_waited() -> None:
    """R5.11 Until a deadline was missed before dispatch, or so far, all time went into waiting."""
    admitted = inference_chain()[0]
    missed = event("deadline_miss", 40, ticket=9, attributes={"lateness_ns": 1})
    (share,) = why(recording([admitted, missed])).time_went
    assert (share.name, share.duration_ns) == ("waiting", 40_000_000)
    (share,) = why(recording(inference_chain()[:3])).time_went
    assert (share.name, share.duration_ns) == ("waiting", 4_000_000)


def test_the_shares_of_time_add_up() -> None:
    """R5.11 Waiting, executing and other are the whole time from first event to the end."""
    answer = why(recording(inference_chain()))
    assert sum(share.duration_ns for share in answer.time_went) == 20_000_000


def test_an_unfinished_chain_says_whether_it_can_still_end() -> None:
    """R5.16 Crashed and still open are told in the verdict, and as gaps."""
    events = inference_chain()[:3]
    dead = why(recording(events))
    assert dead.outcome.text == "UNFINISHED: crashed"
    assert not dead.complete
    live = why(recording(events, sessions=[session(live=True)]))
    assert live.outcome.text == "UNFINISHED: still open"
    assert live.gaps[0].causes[0].kind == "still open"


def test_no_contract_claims_no_completeness_but_tells_losses() -> None:
    """R5.16 Where no contract covers a chain, a ring that lost events within it is still told."""
    events = [event("plan_generated", 0, ticket=41), event("approved", 9, ticket=42)]
    answer = why(recording(events, rings=[ledger(events)]))
    assert (answer.reports, answer.gaps, answer.complete) == ((), (), True)
    lossy = ledger(events, 3, {"tick": 41}, oldest_ns=at_ms(3))
    answer = why(recording(events, rings=[ledger(events), lossy]))
    assert answer.gaps[0].causes[0].kind == "possibly lost"
    assert not answer.complete


def test_each_decision_chain_of_a_request_is_checked_by_itself() -> None:
    """R5.12 R5.13 Two admissions in two decision chains are not duplicates of each other."""
    events = []
    for n, name in enumerate(("first", "second")):
        part = inference_chain("req-1", n * 50, first_ticket=n * 10)
        events.extend(replace(e, decision_chain_id=name) for e in part)
    answer = why(recording(events[:-1]), "req-1")
    assert [(r.chain_id, r.verdict) for r in answer.reports] == [
        ("first", "complete"),
        ("second", "incomplete"),
    ]
    assert not answer.complete


def test_next_commands_lead_to_what_the_chain_names() -> None:
    """R5.11 The blocking request and the cause can be asked about next, in the same source."""
    other = inference_chain("req-000409", -50, first_ticket=50)
    source = recording([*late_chain(), *other])
    answer = why(source, "req-000412", source_words=("--from", "my run.json"))
    assert answer.next_commands == (
        "whence why req-000409 --from 'my run.json'",
        "whence why req-000412 --from 'my run.json' --json",
    )
    broken = why(recording(inference_chain()[:2]))
    assert "whence stats" in broken.next_commands


def test_a_hostile_id_cannot_leave_its_quotes_in_next_commands() -> None:
    """R5.11 Ids are quoted for the shell before they are offered for typing."""
    answer = why(recording([event("tick", 0, "$(rm -rf /); '")]))
    assert "whence why '$(rm -rf /); '\"'\"'' --json" in answer.next_commands


def test_the_answer_is_json_with_whole_times() -> None:
    """R5.11 The answer as data survives JSON; times are integers, never floats."""
    answer = plain(why(recording(late_chain())))
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["story"][4]["offset_ns"] == 46_800_000
    assert answer["outcome"]["late_ns"] == 6_800_000


def test_several_processes_are_counted() -> None:
    """R5.11 A chain across processes names the first and says how many more there are."""
    here, there = event("a", 0), event("b", 1, session="worker-2")
    answer = why(recording([here, there], sessions=[session(), session("worker-2", pid=99)]))
    assert (answer.pid, answer.other_processes) == (4711, 1)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_times_are_exact_differences(waiting: int, dispatching: int, executing: int) -> None:
    """R5.11 Every share is the difference of two recorded times, to the nanosecond."""
    first, chosen, started, ended = inference_chain()
    begun = first.timestamp.value_ns
    moments = [begun + waiting, begun + waiting + dispatching]
    moments.append(moments[-1] + executing)
    placed = [
        replace(e, timestamp=Timestamp(ns))
        for e, ns in zip((chosen, started, ended), moments, strict=True)
    ]
    shares = {s.name: s.duration_ns for s in why(recording([first, *placed])).time_went}
    assert shares == {"waiting": waiting, "executing": executing, "other": dispatching}


def test_ids_that_look_like_options_stand_behind_the_end_of_the_options() -> None:
    """R5.11 R5.13 What is offered for typing is read as the id that it is."""
    answer = why(recording([event("tick", 0, "--json")]), source_words=("--from", "run.json"))
    assert answer.next_commands[-1] == "whence why --from run.json --json -- --json"


def test_without_decisions_the_newest_event_that_went_wrong_is_explained() -> None:
    """R5.11 A program of plain events is asked about its trouble, not about what came after it."""
    fine, later = event("tick", 0, ""), event("tick", 2, "", ticket=2)
    failed = event("failed", 1, "", ticket=1, severity=Severity.Error)
    assert why(recording([fine, failed, later])).story[0].event_type == "failed"
    assert why(recording([fine, later])).name == later.event_id
    with pytest.raises(IdNotFound, match="whence ls"):
        why(recording([]))


def test_an_event_of_a_trace_without_request_leads_to_the_rest_of_it() -> None:
    """R5.11 Its trace is its chain; the command that shows what requests did is offered."""
    trace = "ab" * 16
    alone = replace(event("tick", 0, ""), trace_id=trace)
    answer = why(recording([alone]), source_words=("--from", "run.json"))
    assert answer.name == answer.chain_id == trace
    assert answer.next_commands == (f"whence why {trace} --from run.json --json",)
    served = replace(event("tick", 1, "req-1", ticket=1), trace_id=trace)
    answer = why(recording([alone, served]), trace, source_words=("--from", "run.json"))
    assert answer.event_count == 1
    assert answer.next_commands[0] == f"whence chain {trace} --from run.json --related"


def test_a_trace_that_went_wrong_is_explained_before_newer_ones_that_did_not() -> None:
    """R5.11 R5.12 Without an id, a program of spans is asked about its newest failed trace."""
    failed = event("query", 0, "", ticket=0, trace_id="ab" * 16, severity=Severity.Error)
    rest = event("load", 1, "", ticket=1, trace_id="ab" * 16)
    fine = event("load", 2, "", ticket=2, trace_id="cd" * 16)
    answer = why(recording([failed, rest, fine]))
    assert (answer.name, answer.event_count) == ("ab" * 16, 2)


def test_shared_types_are_known_by_any_spelling() -> None:
    """R5.13 R5.11 Times and verdict of a recording in PascalCase are those of the canonical one."""
    spelled = [replace(e, event_type=e.event_type.title().replace("_", "")) for e in late_chain()]
    usual, found = (why(recording(events), "req-000412") for events in (late_chain(), spelled))
    assert found.outcome == usual.outcome
    assert found.time_went == usual.time_went
    missed = event("DeadlineMiss", 9, attributes={"lateness_ns": 5_000_000})
    assert why(recording([missed]), "req-1").outcome.word == "LATE"
