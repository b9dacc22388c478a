"""whence why: what it prints, what it exits with, and that nothing recorded can harm a terminal."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.cli.room import Room
from tests.query.build import at_ms, event, inference_chain, late_chain, ledger, recording, session
from whence.cli.render.answer import answer_lines
from whence.model.event import Option
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.query.why import why

Run = Callable[..., Result]
Export = Callable[[Recording], Path]

LATE = """\
req-000412  ocr_rec  LATE by 6.8 ms (46.8 of 40.0 ms)    DATE 14:23:45.160  demo, pid 4711
Time went   waiting 31.6 ms · executing 15.0 ms · other 0.2 ms

  +0.0 ms  admission_decision   Admitted: U=0.742 <= 1.000 [EDF], adding ocr_rec (C=15 ms, T=60 ms)
  +0.1 ms  scheduling_decision  Deferred: blocked by req-000409 (ocr_det, non-preemptive, 31.4 ms
                                left)
 +31.6 ms  scheduling_decision  Selected ocr_rec: 8.4 ms to its deadline, the least
                                           slack
             chosen  ocr_rec req-000412   8.4 ms
             not     magika req-000415   68.4 ms  later deadline
             not     ocr_cls req-000413        -  over memory budget (512 MB)
 +31.8 ms  execution_started    worker 2
!+46.8 ms  execution_completed  15.0 ms of 15.0 ms budget; deadline missed

Chain   complete: 5 of 5 required by contract "inference"
Gaps    no alloc, optional (possibly lost: ring 3 overwrote 41 events, among them 41 alloc, up to
        +33.0 ms)
Next    whence why req-000409 --from FILE · whence why req-000412 --from FILE --json
"""


def late_recording() -> Recording:
    """The late request, the one that blocked it, and a ring that lost alloc events."""
    events = [*late_chain(), *inference_chain("req-000409", -50, first_ticket=50)]
    rings = [ledger(events), ledger(events, 3, {"alloc": 41}, oldest_ns=at_ms(33))]
    return recording(events, rings=rings)


def test_the_answer_is_printed_in_100_columns(
    run: Run, export: Export, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """R5.11 Verdict, time, story, options, chain, gaps and next commands, as documented."""
    monkeypatch.chdir(tmp_path)
    export(late_recording()).rename("FILE")
    found = run("why", "--from", "FILE", "0412")
    text = re.sub(r"\d{4}-\d\d-\d\d (?=\d\d:)", "DATE ", found.output)
    text = re.sub(r"    (\d\d:\d\d:\d\d\.)", r"    DATE \1", text)
    assert text == LATE
    assert max(map(cell_len, found.output.splitlines())) <= 100
    assert found.exit_code == 0


def test_colours_do_not_change_the_words(run: Run, export: Export) -> None:
    """R5.11 What colours say, marks and words say too: stripped of colours the text is the same."""
    path = export(late_recording())
    plain = run("why", "--from", path)
    coloured = run("why", "--from", path, color=True, env={"NO_COLOR": "", "FORCE_COLOR": "1"})
    assert "\x1b[" in coloured.output
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.output) == plain.output


def test_an_incomplete_chain_exits_with_3(run: Run, export: Export) -> None:
    """R5.11 R5.16 What is missing is told with its cause, and in the exit code."""
    found = run("why", "--from", export(recording(inference_chain()[:3])))
    assert found.exit_code == 3
    assert "incomplete: 2 of 3 required" in found.output
    assert "crashed: pid 4711 ended while this was open" in " ".join(found.output.split())
    assert "whence stats" in found.output


def test_members_that_are_there_but_lack_a_field_lead_to_the_gaps(run: Run, export: Export) -> None:
    """R5.11 R5.16 "incomplete: 4 of 4" alone would contradict itself."""
    events = inference_chain()
    events[0] = replace(events[0], attributes={"admitted": True})
    found = run("why", "--from", export(recording(events)))
    assert found.exit_code == 3
    assert 'incomplete: 4 of 4 required by contract "inference", but see the gaps' in found.output
    assert "admission_decision has no wcrt_ns" in found.output


def test_a_gap_names_the_events_it_rests_on(run: Run, export: Export) -> None:
    """R5.12 What is there and wrong is named by its id, which why takes for a question."""
    events = inference_chain()
    events[3] = replace(events[3], attributes={})
    path = export(recording(events))
    text = " ".join(run("why", "--from", path).output.split())
    said = f"execution_completed has no deadline_met (not recorded; event {events[3].event_id})"
    assert said in text
    data = json.loads(run("why", "--from", path, "--json").output)
    assert data["gaps"][0]["event_ids"] == [events[3].event_id]
    assert data["reports"][0]["event_ids"] == [one.event_id for one in events]


def test_an_unknown_id_exits_with_4_and_the_nearest(run: Run, export: Export) -> None:
    """R5.11 Not found is told on standard error with ids that look alike."""
    path = export(late_recording())
    found = run("why", "req-000419", "--from", path)
    assert found.exit_code == 4
    assert found.stdout == ""
    assert "nothing here is called 'req-000419'" in found.stderr
    assert "\nNearest:\n    req-000412\n" in found.stderr


def test_an_ambiguous_id_exits_with_2_and_the_candidates(run: Run, export: Export) -> None:
    """R5.11 A part of several ids is not guessed at."""
    found = run("why", "req-0004", "--from", export(late_recording()))
    assert found.exit_code == 2
    assert "names 2 requests" in found.stderr
    assert "    req-000409\n    req-000412\n" in found.stderr


def test_json_is_the_answer_or_the_error(run: Run, export: Export) -> None:
    """R5.11 --json gives plain data, also when the question failed."""
    path = export(late_recording())
    answer = json.loads(run("why", "--from", path, "--json").stdout)
    assert answer["request_id"] == "req-000412"
    assert answer["complete"] is True
    missing = run("why", "nothing-like-it", "--from", path, "--json")
    assert json.loads(missing.stdout)["error"] == "not found"
    several = run("why", "req-0004", "--from", path, "--json")
    assert json.loads(several.stdout)["candidates"] == ["req-000409", "req-000412"]


@pytest.mark.parametrize(("columns", "widest"), [(40, 60), (80, 80), (300, 100)])
def test_lines_are_as_wide_as_the_terminal_allows(
    run: Run, export: Export, monkeypatch: pytest.MonkeyPatch, columns: int, widest: int
) -> None:
    """R5.11 Text is wrapped to the terminal, between 60 and 100 columns."""
    size = os.terminal_size((columns, 24))
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: size)
    lines = [line.plain for line in answer_lines(why(late_recording()))]
    assert widest - 12 < max(map(cell_len, lines)) <= widest


def test_an_event_id_marks_its_row(run: Run, export: Export) -> None:
    """R5.11 Asked by the end of an event's id, the answer points at that event."""
    events = late_chain()
    found = run("why", events[2].event_id, "--from", export(recording(events)))
    assert ">+31.6 ms  scheduling_decision" in found.output


def test_a_contract_of_the_users_is_checked(run: Run, export: Export, tmp_path: Path) -> None:
    """R5.12 --contracts and WHENCE_CONTRACTS come before what is built in."""
    path = tmp_path / "contracts.toml"
    path.write_text('[[contract]]\nname = "mine"\nopens = "admission_decision"\nwithin = "1ms"\n')
    source = export(late_recording())
    found = run("why", "--from", source, "--contracts", path)
    assert 'required by contract "mine"' in found.output
    assert run("why", "--from", source, env={"WHENCE_CONTRACTS": str(path)}).output == found.output
    path.write_text("[[contract]]\n")
    refused = run("why", "--from", source, "--contracts", path)
    assert refused.exit_code == 2
    assert "'name' is missing" in refused.stderr


@pytest.mark.parametrize(
    "options",
    [["--all"], ["--session", "demo-4711"], ["--pid", "4711"], ["--from", "demo-4711"], []],
)
def test_what_to_type_next_repeats_what_was_given(
    run: Run, room: Callable[..., Room], tmp_path: Path, options: list[str]
) -> None:
    """R5.11 The commands offered ask the same source, under the same contracts."""
    room(recording(inference_chain()[:2]))
    path = tmp_path / "contracts.toml"
    path.write_text("")
    checks = ["--contracts", str(path), "--strict"]
    (answer,) = [json.loads(run("why", *options, *checks, "--json").stdout)]
    stats, again = answer["next_commands"]
    assert shlex.split(stats) == ["whence", "stats", *options]
    assert shlex.split(again) == ["whence", "why", "req-1", *options, *checks, "--json"]
    assert run(*shlex.split(again)[1:]).exit_code == 3


def test_nothing_is_offered_next_that_cannot_be_typed_again(run: Run, export: Export) -> None:
    """R5.11 Standard input is gone once it was read."""
    found = run("why", "--from", "-", input=export(late_recording()).read_bytes())
    assert found.output.startswith("req-000412")
    assert "Next" not in found.output


def test_strict_fails_what_is_unknown(run: Run, export: Export) -> None:
    """R5.12 With --strict an open chain counts as incomplete."""
    source = recording(inference_chain()[:3], sessions=[session(live=True)])
    path = export(source)
    assert "unknown: 2 of 3" in run("why", "--from", path).output
    assert "incomplete: 2 of 3" in run("why", "--from", path, "--strict").output


def test_a_long_story_shows_its_beginning_and_its_end(run: Run, export: Export) -> None:
    """R5.11 --limit keeps a chain of thousands readable, and says what it leaves out."""
    events = [event("tick", n, ticket=n, rationale=f"tick {n}") for n in range(50)]
    found = run("why", "--from", export(recording(events)), "--limit", 4)
    assert re.findall(r"tick (\d+)\n", found.output) == ["0", "1", "48", "49"]
    assert "… 46 more events: --limit 0 shows them" in found.output
    assert len(run("why", "--from", export(recording(events)), "--limit", 0).output) > 50 * 20


def test_several_processes_and_chains_are_told(run: Run, export: Export) -> None:
    """R5.11 R5.13 A request with two decision chains has a line for each."""
    events = []
    for n, name in enumerate(("first", "second")):
        part = inference_chain("req-1", n * 50, first_ticket=n * 10)
        events.extend(replace(e, decision_chain_id=name) for e in part)
    there = replace(events[-1], session="other")
    source = recording([*events[:-1], there], sessions=[session(), session("other")], rings=[])
    found = run("why", "req-1", "--from", export(source))
    assert "Chain   first: complete: 4 of 4" in found.output
    assert "Chain   second: complete: 4 of 4" in found.output
    assert "demo, pid 4711 and 1 more" in found.output


def test_rows_of_several_processes_name_their_pid(run: Run, export: Export) -> None:
    """R5.9 R5.13 Who recorded an event is told where it could be one of several."""
    events = inference_chain()
    moved = [*events[:2], *(replace(e, session="other") for e in events[2:])]
    sessions = [session(), session("other", pid=12)]
    path = export(recording(moved, sessions=sessions, rings=[]))
    for command in ("why", "chain"):
        rows = [line.split() for line in run(command, "req-1", "--from", path).output.splitlines()]
        pids = [row[2] for row in rows if row and row[0].startswith(("+", "!"))]
        assert pids == ["4711", "4711", "12", "12"]
    alone = run("why", "req-1", "--from", export(recording(events))).output
    assert alone.count("4711") == 1


HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07",
    "line\r\nbreak\rover\x0bup\x0c",
    "\x9b31mC1\x85",
    "\u202eright to left\u202c \u2066isolated\u2069",
    "zero\u200bwidth\ufeff\u2028sep\u2029",
    "[bold red]markup[/] :boom:",
    "\ud800half \udfff",
    "\U000e0041tag\u00adsoft\u3164",
    "tab\there and \x7fdel",
    "W" * 300,
    "広い" * 80,
    "e" + "\u0301" * 500,
]


def printable(text: str) -> bool:
    """Whether a terminal would show the text as it stands."""
    return all(letter.isprintable() or letter == "\n" for letter in text)


def harmless(text: str) -> bool:
    """Whether it would, with each line in 100 cells."""
    return printable(text) and all(cell_len(line) <= 100 for line in text.split("\n"))


def hostile_recording(text: str) -> Recording:
    """A recording with the text in every field that is printed."""
    odd = event(
        text,
        0,
        text,
        component=text,
        model_id=text,
        rationale=text,
        severity=Severity.Error,
        attributes={text: text, "error": text, "status": "failed"},
        options=(
            Option(text, {text: 1.0, "b": 2.0, f"{text}!": 3.0, "d": 4.0}, True, text),
            Option(text, {}, False, text),
        ),
        caused_by=text,
        decision_chain_id=text,
    )
    bare = event(text, 1, text, ticket=1, component=text, rationale="", attributes={text: text})
    gone = ledger([odd, bare], 3, {text: 2}, oldest_ns=at_ms(9))
    info = session(service=text)
    return recording([odd, bare], sessions=[info], rings=[ledger([odd, bare]), gone])


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_harmless_in_every_view(run: Run, export: Export, text: str) -> None:
    """R5.11 Control, format and bidirectional characters are escaped in all output."""
    path = export(hostile_recording(text))
    for command in (["why"], ["why", text], ["chain", text], ["stats"]):
        found = run(*command, "--from", path)
        assert harmless(found.stdout), command
        assert printable(found.stderr), command
        as_json = run(*command, "--from", path, "--json").stdout
        assert as_json.isascii()
        assert json.loads(as_json)
    refused = run("why", text + "?", "--from", path)
    assert refused.exit_code == 4
    assert printable(refused.stderr)


@given(st.text(st.characters(), max_size=60))
def test_no_text_breaks_the_lines_of_an_answer(text: str) -> None:
    """R5.11 Whatever was recorded, every line is printable and within 100 cells."""
    source = hostile_recording(text or "x")
    for line in answer_lines(why(source)):
        assert line.plain.isprintable()
        assert cell_len(line.plain) <= 100
        assert "\n" not in line.plain


def test_why_and_chain_say_of_what_only_a_share_was_recorded(run: Run, export: Export) -> None:
    """R5.5 R5.11 R1.35 Rows that stand for others are told of; without such rows nothing is."""
    events = [event("ran", 0), event("tick", 1, ticket=1, weight=10.0)]
    path = export(recording(events))
    assert "Sampled at 10 %: tick\n" in run("why", "req-1", "--from", path).output
    assert json.loads(run("why", "req-1", "--from", path, "--json").stdout)["sampled"] == (
        "sampled at 10 %: tick"
    )
    assert "sampled at 10 %: tick\n" in run("chain", "req-1", "--from", path).output
    whole = export(recording(events[:1]))
    for verb in ("why", "chain"):
        assert "ampled" not in run(verb, "req-1", "--from", whole).output
