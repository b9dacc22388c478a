"""Outcomes told later: they join the request they speak of, and change nothing that happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.apps import AppRun
from tests.query.build import (
    SESSION,
    WALL_NS,
    event,
    inference_chain,
    recording,
    session,
)
from whence.cli.render.answer import answer_lines
from whence.model.event import AttributeValue, TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.chain import find_chain, reconstruct_chain
from whence.query.contracts.completeness import completeness_share
from whence.query.contracts.declared import INFERENCE
from whence.query.contracts.verify import verify
from whence.query.plain import plain
from whence.query.select import select
from whence.query.told import is_told, told_sentence, untold
from whence.query.why import why
from whence.receive.json_export import parse_json_export

RunApp = Callable[..., AppRun]

DECIDING = """
    import whence
    admit = whence.kind("admission_decision", component="A", decision=True,
                        rationale="Admitted, attempt {n}", n=int, admitted=bool)
    with whence.request("req-17"):
        admit({n}, True)
"""
TELLING = """
    import whence
    whence.outcome("req-17", score=0.92, label="{label}", comment="as in the contract")
"""


def told(
    offset_ms: float,
    request_id: str = "req-1",
    *,
    name: str = SESSION,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> TraceEvent:
    """What somebody said of the request."""
    said = {"score": 0.92, "label": "accepted"} if attributes is None else attributes
    return event(
        "outcome",
        offset_ms,
        request_id,
        ticket=90,
        session=name,
        component="whence",
        attributes=said,
    )


def test_an_outcome_stands_beside_what_happened() -> None:
    """R5.8 R5.11 In the answer it has its own place; times, verdict and contract are as without."""
    bare = why(recording(inference_chain()), "req-1")
    found = why(recording([*inference_chain(), told(7_200_000)]), "req-1")
    (said,) = found.told
    assert (said.score, said.label, said.comment) == (0.92, "accepted", "")
    assert said.after_ns == 7_200_000 * 1_000_000
    assert (said.service, said.pid) == ("demo", 4711)
    assert (found.outcome, found.time_went, found.reports) == (
        bare.outcome,
        bare.time_went,
        bare.reports,
    )
    assert found.complete
    assert found.story[:-1] == bare.story
    assert found.story[-1].told
    assert plain(found)["told"][0]["label"] == "accepted"


def test_the_page_says_what_was_told_when_and_by_whom() -> None:
    """R5.8 R5.11 One line; offsets of the story stay in their unit, however late it was told."""
    found = why(recording([*inference_chain(), told(7_200_000)]), "req-1")
    lines = [line.plain for line in answer_lines(found)]
    assert (
        "Told    outcome told later: accepted, score 0.92 (2 h 0 min later, by demo, pid 4711)"
        in lines
    )
    assert any("+20.0 ms" in line for line in lines)


def test_where_nothing_was_recorded_the_outcome_told_is_the_verdict() -> None:
    """R5.8 Nothing else says what became of it; something recorded is never overruled."""
    source = recording([event("tick", 0, "req-1"), told(5)])
    assert why(source, "req-1").outcome.text == "TOLD: accepted, score 0.92"
    assert why(recording([*inference_chain(), told(50)])).outcome.word == "MET deadline"


def test_contracts_look_at_what_happened_alone() -> None:
    """R5.8 R5.12 No member is there or too many because somebody spoke of it."""
    bare = recording(inference_chain())
    spoken = recording([*inference_chain(), told(500), told(-3)])
    assert completeness_share(spoken, INFERENCE) == completeness_share(bare, INFERENCE)
    assert verify(spoken).verdict == verify(bare).verdict == "complete"


def test_whoever_tells_does_not_keep_a_dead_chain_open() -> None:
    """R5.8 R5.16 The process that decided has crashed; that the teller lives changes nothing."""
    begun = [event("admission_decision", 0, attributes={"admitted": True})]
    teller = session("teller-1", live=True, state="recording", pid=5)
    source = recording([*begun, told(90, name="teller-1")], sessions=[session(), teller])
    found = why(source, "req-1")
    assert found.outcome.text == "UNFINISHED: crashed"
    assert (found.pid, found.other_processes) == (4711, 0)


def test_an_outcome_alone_says_that_the_request_is_elsewhere() -> None:
    """R5.8 R5.16 A process that only tells has no decision to show, and does not look complete."""
    found = why(recording([told(0)]), "req-1")
    assert not found.complete
    assert found.gaps[0].sentence == "the request itself"
    assert found.next_commands[0] == "whence why req-1 --all"
    assert found.told[0].after_ns is None
    assert [line.plain for line in answer_lines(found)].count("") == 1  # no room for no story


def test_other_kinds_called_outcome_are_what_they_are() -> None:
    """R5.8 An event of that type from another component happened."""
    own = event("outcome", 1, component="Billing")
    assert not is_told(own)
    assert untold([own, told(2)]) == [own]
    assert untold([told(2)]) == [told(2)]


def test_outcomes_in_words_survive_other_writers() -> None:
    """R5.8 A file of others may hold anything in these fields."""
    assert told_sentence(told(0, attributes={"score": "x", "label": 5})) == "5"
    assert told_sentence(told(0, attributes={"score": "0.5"})) == "score 0.5"
    assert told_sentence(told(0, attributes={})) == ""


def test_another_process_of_another_run_tells_of_the_request(run_app: RunApp) -> None:
    """R5.8 R5.13 The same id, told after the first run ended: one chain for every question."""
    run_app(DECIDING.replace("{n}", "1"))
    source = run_app(TELLING.replace("{label}", "accepted")).recording()
    assert len({info.run for info in source.sessions}) == 2
    chain = find_chain(source, "req-17")
    assert [e.event_type for e in chain.events] == ["admission_decision", "outcome"]
    (said,) = why(source, "req-17").told
    assert (said.score, said.label) == (0.92, "accepted")
    assert said.comment == "as in the contract"
    assert said.after_ns is not None
    assert said.after_ns > 0
    asked = TraceQuery(event_type="outcome", request_id="req-17")
    assert [e.attributes["label"] for e in select(source, asked)] == ["accepted"]


def test_an_export_holds_what_was_told(run_app: RunApp, tmp_path: Path) -> None:
    """R5.8 R0.51 JSON written by the process that tells reads back with the score as a number."""
    run_app(f"""
        import whence
        whence.outcome("req-17", score=0.92, label="accepted")
        whence.collector().export_json({str(tmp_path / "told.json")!r})
    """)
    content = (tmp_path / "told.json").read_bytes()
    (written,) = json.loads(content)["events"]
    assert written["attribute_types"] == {"score": "float"}
    (read,) = parse_json_export(content).events
    assert is_told(read)
    assert read.attributes["score"] == 0.92


def test_an_outcome_speaks_of_the_newest_request_of_that_id_by_then(run_app: RunApp) -> None:
    """R5.8 R5.13 Told between two runs it is of the first; the run that came later has its own."""
    run_app(DECIDING.replace("{n}", "1"))
    run_app(TELLING.replace("{label}", "first"))
    run_app(DECIDING.replace("{n}", "2"))
    source = run_app(TELLING.replace("{label}", "second")).recording()
    assert len({info.run for info in source.sessions}) == 4
    assert _labels(source, "req-17") == ["second"]
    (older,) = {e.session for e in source.events if e.attributes.get("n") == 1}
    info = source.session(older)
    assert info is not None
    assert _labels(source, f"req-17 of run {info.run}") == ["first"]


def test_of_the_tellers_own_run_rather_than_of_the_newest() -> None:
    """R5.8 R5.13 Whoever joins the run of a request speaks of that one, however late."""
    names = {"old-1": "run-1", "new-1": "run-2", "late-1": "run-1"}
    sessions = [
        session(name, run=run, started_wall_ns=WALL_NS + n * 1_000_000_000)
        for n, (name, run) in enumerate(names.items())
    ]
    source = recording(
        [
            event("tick", 0, session="old-1"),
            event("tick", 1_000, session="new-1"),
            told(2_000, name="late-1"),
        ],
        sessions=sessions,
    )
    assert _labels(source, "req-1 of run run-1") == ["accepted"]
    assert _labels(source, "req-1") == []


def _labels(source: Recording, name: str) -> list[str]:
    return [said.label for said in why(source, name).told]


def test_a_store_joins_what_was_told(run_app: RunApp, tmp_path: Path) -> None:
    """R5.8 R5.21 From the rows of a folder the answer is the one that rings give."""
    pytest.importorskip("duckdb")
    from tests.query.stores import stored
    from whence.query.engines.folder import FolderEngine

    for body in (DECIDING.replace("{n}", "1"), TELLING.replace("{label}", "first")):
        run_app(body)
    source = run_app(DECIDING.replace("{n}", "2")).recording()
    with FolderEngine(stored(tmp_path / "store", source), threads=1) as engine:
        kept = engine.recording(TraceQuery(request_id="req-17"))
    runs = {info.run for info in source.sessions}
    names = ["req-17", *(f"req-17 of run {run}" for run in sorted(runs))]
    found = [chain for name in names for chain in reconstruct_chain(kept, name)]
    assert [e.event_id for e in found] == [
        e.event_id for name in names for e in reconstruct_chain(source, name)
    ]
    assert _labels(kept, "req-17") == []
    assert "first" in [e.attributes.get("label") for e in found]
