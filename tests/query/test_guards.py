"""Rules about order: guards before what needs them, nothing after what closed the chain."""

from __future__ import annotations

import pytest

from tests.query.build import at_ms, event, inference_chain, ledger, recording, session
from whence.model.errors import ContractError
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.query.contracts.completeness import check_chain, contract_for
from whence.query.contracts.contract import Contract, End, Guard, Requirement
from whence.query.contracts.declared import BUILT_IN, INFERENCE, parse_contracts
from whence.query.contracts.finding import Finding


def guarded(**rule: object) -> Contract:
    """A contract with one guard: of denials by a check, unless told otherwise."""
    guard: dict[str, object] = {"type": "denial", "by": ("check",), **rule}
    return Contract("asking", "asked", guards=(Guard(**guard),))  # type: ignore[arg-type]


def chain(*steps: str) -> list[TraceEvent]:
    """Events a millisecond apart, each "type" or "type call_id"."""
    return [
        event(
            name.split()[0],
            number,
            ticket=number,
            attributes={"call_id": name.split()[1]} if " " in name else {},
        )
        for number, name in enumerate(["asked", *steps])
    ]


def findings(
    events: list[TraceEvent], contract: Contract, source: Recording | None = None
) -> list[Finding]:
    """What is wrong with a chain under the contract."""
    return list(check_chain(events, contract, source or recording(events)).findings)


def test_a_guard_before_the_event_is_enough() -> None:
    """R5.12 One check covers all denials after it, and none before."""
    assert findings(chain("check", "denial", "denial"), guarded()) == []
    early = chain("denial", "check", "denial")
    (finding,) = findings(early, guarded())
    assert (finding.kind, finding.event_ids) == ("unguarded", (early[1].event_id,))
    assert finding.sentence == "denial without check before it"


def test_at_the_same_moment_is_before() -> None:
    """R5.12 Clocks tie; what is not surely late is not blamed."""
    events = [
        event("asked", 0, ticket=0),
        event("denial", 1, ticket=1),
        event("check", 1, ticket=2),
    ]
    assert findings(events, guarded()) == []


def test_anywhere_is_anywhere() -> None:
    """R5.12 A rule may ask for a gate that confirms afterwards."""
    assert findings(chain("denial", "check"), guarded(anywhere=True)) == []
    (finding,) = findings(chain("denial", "denial"), guarded(anywhere=True))
    assert finding.sentence == "denial without check (2 times)"
    assert len(finding.event_ids) == 2


def test_the_same_call_is_meant() -> None:
    """R5.12 With `same`, the check of one call does not cover another."""
    contract = guarded(same=("call_id",))
    assert findings(chain("check a", "check b", "denial b", "denial a"), contract) == []
    events = chain("check a", "denial a", "denial b")
    (finding,) = findings(events, contract)
    assert finding.event_ids == (events[3].event_id,)


def test_only_those_of_which_the_condition_holds_need_a_guard() -> None:
    """R5.12 An allowed call is no denial; the value that made it one is told."""
    contract = guarded(type="decision", where="outcome = deny")
    allowed = event("decision", 1, ticket=1, attributes={"outcome": "allow"})
    denied = event("decision", 2, ticket=2, attributes={"outcome": "deny"})
    (finding,) = findings([event("asked"), allowed, denied], contract)
    assert finding.event_ids == (denied.event_id,)
    assert finding.sentence == "decision (outcome deny) without check before it"


def test_stars_stand_for_any_letters_and_all_else_for_itself() -> None:
    """R5.12 Types of many spellings are named by what they share."""
    contract = guarded(type="*.denial", by=("*check*", "gate?"))
    assert findings(chain("policy.check.v2", "tool.denial"), contract) == []
    assert len(findings(chain("gates", "tool.denial"), contract)) == 1


def test_a_guard_that_may_be_lost_is_unknown() -> None:
    """R5.12 R5.16 A ring that overwrote checks before the denial explains their absence."""
    events = chain("work", "denial")
    lost = ledger(events, 3, {"check": 5}, oldest_ns=at_ms(1.5))
    source = recording(events, rings=[ledger(events), lost])
    report = check_chain(events, guarded(), source)
    assert report.verdict == "unknown"
    assert report.findings[0].causes[0].kind == "possibly lost"
    assert check_chain(events, guarded(), source, strict=True).verdict == "incomplete"


def test_what_was_lost_before_one_denial_excuses_no_other() -> None:
    """R5.16 Each denial is judged by itself: the certain one makes the chain incomplete."""
    events = [*chain("denial"), event("denial", 9, ticket=9)]
    lost = ledger([], 3, {"other": 5}, oldest_ns=at_ms(5))
    source = recording(events, rings=[ledger(events), lost])
    report = check_chain(events, guarded(), source)
    assert report.verdict == "incomplete"


def test_a_guard_may_still_come_while_the_process_runs() -> None:
    """R5.16 Where a later gate will do, an open chain is unknown, not broken."""
    events = chain("denial")
    contract = Contract("asking", "asked", (End("done"),), guards=guarded(anywhere=True).guards)
    report = check_chain(events, contract, recording(events, sessions=[session(live=True)]))
    assert report.verdict == "unknown"


def test_a_lost_text_leaves_undecided_whether_a_guard_is_needed() -> None:
    """R5.16 An outcome that was overwritten is neither yes nor no."""
    contract = guarded(type="decision", where="outcome = deny")
    events = [event("asked"), event("decision", 1, ticket=1, text_lost=True)]
    report = check_chain(events, contract, recording(events))
    assert [finding.kind for finding in report.findings if not finding.optional] == ["undecided"]
    assert report.verdict == "unknown"


def test_nothing_may_come_after_what_closed_the_chain() -> None:
    """R5.12 Each type is told once, with all its events, beside the first that closed it."""
    ends = (End("stop", closes=("tool.*",)), End("state", where="to = done", closes=("tool.*",)))
    contract = Contract("run", "asked", ends)
    assert findings(chain("tool.call", "stop", "report"), contract) == []
    events = chain("stop", "tool.call", "tool.call", "tool.result")
    found = [(one.kind, one.sentence, len(one.event_ids)) for one in findings(events, contract)]
    assert found == [
        ("after the end", "tool.call after stop (2 times)", 3),
        ("after the end", "tool.result after stop", 2),
    ]


def test_states_that_do_not_end_a_chain_are_no_duplicates() -> None:
    """R5.12 Of a type that ends only under a condition, others of that type may be many."""
    contract = Contract("run", "asked", (End("state", where="to = done"),))
    states = ["waiting", "running", "waiting", "done"]
    events = [
        event("asked"),
        *(
            event("state", n + 1, ticket=n + 1, attributes={"to": to})
            for n, to in enumerate(states)
        ),
    ]
    assert findings(events, contract) == []
    again = event("state", 9, ticket=9, attributes={"to": "done"})
    (finding,) = findings([*events, again], contract)
    assert finding.event_ids == (events[-1].event_id, again.event_id)


def test_values_outside_a_list_are_found() -> None:
    """R5.12 Numbers and flags are compared as they are written; what is absent is not wrong."""
    values = {"code": (0, 1), "final": (True,)}
    contract = Contract("run", "asked", require=(Requirement("exit", "0+", values=values),))
    right = event("exit", 1, ticket=1, attributes={"code": 1, "final": True})
    wrong = event("exit", 2, ticket=2, attributes={"code": 7})
    (finding,) = findings([event("asked"), right, wrong], contract)
    assert (finding.kind, finding.event_ids) == ("wrong value", (wrong.event_id,))
    assert finding.sentence == "exit has code '7', none of 0 and 1"


def test_duplicates_and_what_is_out_of_order_are_listed() -> None:
    """R5.12 Every event that a finding rests on is named, not the first alone."""
    events = inference_chain()
    twice = event("execution_started", 6, ticket=8)
    (finding,) = findings([*events[:3], twice, events[3]], INFERENCE)
    assert finding.event_ids == (events[2].event_id, twice.event_id)
    contract = Contract("run", "asked", require=(Requirement("b", "0+", after=("a",)),))
    swapped = chain("b", "b", "a", "b")
    (finding,) = findings(swapped, contract)
    assert finding.kind == "out of order"
    assert finding.event_ids == tuple(one.event_id for one in swapped[1:4])


def test_old_spellings_mean_the_same_member() -> None:
    """R5.12 A runtime that says AdmissionDecision or admission_result is held to the contract."""
    names = {"admission_decision": "AdmissionResult", "execution_completed": "ExecutionCompleted"}
    events = inference_chain()
    spelled = [
        event(
            names.get(one.event_type, one.event_type),
            number,
            ticket=number,
            attributes=one.attributes,
            duration_ms=1,
            decision=one.decision,
            rationale=one.rationale,
            model_id=one.model_id,
        )
        for number, one in enumerate(events)
    ]
    source = recording(spelled)
    assert contract_for(spelled, BUILT_IN, source) is INFERENCE
    assert check_chain(spelled, INFERENCE, source).verdict == "complete"


TOML = """
[[contract]]
name = "asking"
opens = "asked"
ends = [{ type = "stop", closes = "tool.*" }]

[[contract.require]]
type = "exit"
count = "0+"
values = { code = [0, 1] }

[[contract.guard]]
type = "denial"
where = "outcome = deny"
by = ["check", "gate"]
same = "call_id"
anywhere = true
"""


def test_guards_values_and_closing_are_written_in_toml_or_python() -> None:
    """R5.12 The file and the values say the same."""
    assert parse_contracts(TOML) == (
        Contract(
            "asking",
            "asked",
            (End("stop", closes=("tool.*",)),),
            (Requirement("exit", "0+", values={"code": (0, 1)}),),
            guards=(
                Guard("denial", ("check", "gate"), "outcome = deny", ("call_id",), anywhere=True),
            ),
        ),
    )
    assert hash(parse_contracts(TOML)[0]) == hash(parse_contracts(TOML)[0])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('by = ["check", "gate"]', "by = []", "guarded by nothing"),
        ("anywhere = true", 'anywhere = "yes"', "'anywhere' must be true or false"),
        ("anywhere", "anywere", "did you mean 'anywhere'"),
        ("code = [0, 1]", "code = []", "and not empty"),
        ("code = [0, 1]", "code = 1", "'values' must be { field = [values] }"),
        ("code = [0, 1]", "code = [[1]]", "must be texts or numbers"),
        ('where = "outcome = deny"', 'where = "outcome deny"', "cannot understand the condition"),
        ("closes", "close", "did you mean 'closes'"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_its_place(old: str, new: str, said: str) -> None:
    """R5.12 The message names the contract and the entry."""
    with pytest.raises(ContractError, match='contract "asking"') as refused:
        parse_contracts(TOML.replace(old, new))
    assert said in str(refused.value)
