"""The other commands: ls, chain, stats, stream, export, recover, demo and their JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import Result

from tests.cli.room import FakeStream, Room
from tests.query.build import (
    at_ms,
    event,
    inference_chain,
    late_chain,
    ledger,
    recording,
    session,
)
from whence.cli.filters import Picked
from whence.cli.main import cli
from whence.cli.stream import follow
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import GateChange, KindCounts, Recording
from whence.model.severity import Severity
from whence.receive.json_export import read_json_export

Run = Callable[..., Result]
Export = Callable[[Recording], Path]
Furnish = Callable[..., Room]


def live(name: str, pid: int) -> Recording:
    """A live process that recorded one request."""
    info = session(name, pid=pid, live=True, state="recording")
    moved = [replace(e, session=name) for e in inference_chain(f"req-{name}")]
    return recording(moved, sessions=[info], rings=[])


def test_ls_lists_the_processes(run: Run, room: Furnish) -> None:
    """R5.9 Each session with its state, pid and service; --live leaves out the dead."""
    room(live("alpha", 7), recording([]))
    lines = run("ls").output.splitlines()
    assert lines[0].split() == ["state", "pid", "service", "started", "session"]
    assert all(re.search(r"  2026-11-20 14:23:44.160  ", line) for line in lines[1:])
    assert [line.split()[0] for line in lines[1:]] == ["recording", "dead"]
    assert "demo-4711" not in run("ls", "--live").output
    found = json.loads(run("ls", "--json").stdout)["sessions"]
    assert [(s["name"], s["live"]) for s in found] == [("alpha", True), ("demo-4711", False)]
    assert isinstance(found[0]["key"], str)
    room(recording([]), recording([], sessions=[session("second")]))
    none = "None of 2 sessions in /dev/shm/whence-test is live.\n"
    assert run("ls", "--live").output == none
    room()
    assert run("ls").output == "No process has recorded here.\n"


def test_chain_prints_events_in_order(run: Run, export: Export) -> None:
    """R0.49 R5.9 The events of a chain, as rows or as exports hold them."""
    path = export(recording(late_chain()))
    head, _, *rows = run("chain", "0412", "--from", path).output.splitlines()
    assert head == "req-000412  5 events"
    lines = [line for line in rows if " ms  " in line]
    assert len([line for line in lines if line[1:].lstrip().startswith("+")]) == 5
    found = json.loads(run("chain", "0412", "--from", path, "--json").stdout)
    assert [e["event_type"] for e in found["events"]] == [e.event_type for e in late_chain()]
    assert found["request_id"] == "req-000412"
    assert run("chain", "zzz", "--from", path).exit_code == 4


def test_stats_shows_a_ledger_that_closes(run: Run, export: Export) -> None:
    """R1.53 R5.25 Per ring and per type, with the sum of what was recorded and its parts."""
    events = inference_chain()
    ring = ledger(events, 0, {"alloc": 41}, in_flight=1, text_lost=2)
    found = run("stats", "--from", export(recording(events, rings=[ring])))
    assert "46 recorded = 4 readable + 41 lost + 1 in flight  closes" in found.output
    assert found.exit_code == 0
    row = next(line for line in found.output.splitlines() if "MainThread" in line)
    assert row.split() == ["0", "MainThread", "10,000", "46", "4", "41", "1", "2", "0"]
    kinds = [line.split() for line in found.output.splitlines() if line.startswith("alloc")]
    assert kinds == [["alloc", "Scheduler", "41", "41"]]


def test_stats_shows_every_way_a_call_can_go(run: Run, export: Export) -> None:
    """R1.53 R5.5 Called is recorded, sampled out, throttled, below minimum, rejected and nested."""
    counts = KindCounts("tick", "Clock", 1, 2, 3, 4, 5, 6)
    ring = ledger([], per_kind=(counts,))
    gates = [GateChange("demo-4711", at_ms(5), "tick", False)]
    path = export(recording([], rings=[ring], gate_changes=gates))
    output = run("stats", "--from", path).output
    assert ["tick", "Clock", "21", "1", "2", "3", "4", "5", "6"] in [
        line.split() for line in output.splitlines()
    ]
    assert "14:23:45.165  tick        off" in output
    (kind,) = json.loads(run("stats", "--from", path, "--json").stdout)["kinds"]
    assert (kind["called"], kind["below_minimum"]) == (21, 4)


def test_stats_lists_no_gate_change_that_says_nothing(run: Run, export: Export) -> None:
    """R1.53 R5.11 Off by default and configured at once is as if never switched; JSON has all."""
    session, steps = "demo-4711", [(0, "a", False), (0.1, "a", True), (0, "b", False)]
    steps += [(0.1, "c", False), (0.2, "c", True), (90, "c", False), (95, "b", False)]
    steps += [(99, "c", False), (120, "d", True)]
    gates = [GateChange(session, at_ms(ms), kind, on) for ms, kind, on in steps]
    path = export(recording([], rings=[ledger([])], gate_changes=gates))
    output = run("stats", "--from", path).output
    switched = [line.split()[1:] for line in output.partition("switched")[2].splitlines()[1:]]
    assert switched == [["b", "off"], ["c", "off"], ["d", "on"]]
    assert len(json.loads(run("stats", "--from", path, "--json").stdout)["gate_changes"]) == 9


def test_stats_exits_with_3_if_a_sum_does_not_close(run: Run, export: Export) -> None:
    """R5.25 A ledger that does not add up is an alarm, not a table."""
    events = inference_chain()
    open_ring = replace(ledger(events), recorded=9)
    found = run("stats", "--from", export(recording(events, rings=[open_ring])))
    assert found.exit_code == 3
    assert "does not close: 5 unaccounted for" in found.output
    cleared = replace(ledger(events), recorded=9, cleared=5)
    found = run("stats", "--from", export(recording(events, rings=[cleared])))
    assert "9 recorded = 4 readable + 0 lost + 5 cleared + 0 in flight  closes" in found.output


def test_stats_of_a_plain_export_has_no_ledger_to_show(run: Run, export: Export) -> None:
    """R1.53 A file of others keeps no counts, and none are made up."""
    found = run("stats", "--from", export(Recording((event("tick"),))))
    assert found.output == "1 event, from a source that keeps no ledger\n"


def test_stream_prints_what_a_process_holds(run: Run, room: Furnish) -> None:
    """R1.45 R1.51 R5.9 A process is followed from its oldest event on, as text or NDJSON."""
    room(live("alpha", 7))
    lines = run("stream", "--once").output.splitlines()
    assert len(lines) == 4
    assert all("req-alpha" in line for line in lines)
    found = [
        json.loads(line) for line in run("stream", "--once", "--format", "json").output.splitlines()
    ]
    assert [e["event_type"] for e in found] == [e.event_type for e in inference_chain()]
    assert (
        run("stream", "--once", "--json").output
        == run("trace", "stream", "--once", "--json").output
    )


def test_stream_follows_the_newest_run_or_what_was_chosen(run: Run, room: Furnish) -> None:
    """R5.9 As with every command; rows of several processes name the pid."""
    older = recording([event("tick", session="old")], sessions=[session("old", run="run-0")])
    room(live("alpha", 7), live("beta", 8), older)
    newest = run("stream", "--once").output
    assert newest.count("req-") == 8
    assert set(re.findall(r"\.\d{3}  (\d+)  ", newest)) == {"7", "8"}
    assert run("stream", "--once", "--pid", 8).output.count("req-beta") == 4
    assert run("stream", "--once", "--all").output.count("req-") == 9


def test_stream_says_which_events_are_warnings_or_worse(run: Run, export: Export) -> None:
    """R1.45 R5.9 Without colours, a severity of Warning or more is still seen."""
    rows = [event("tick", n, ticket=n, severity=level) for n, level in enumerate(Severity)]
    lines = run("stream", "--from", export(recording(rows))).output.splitlines()
    found = [[level.name for level in Severity if level.name in line] for line in lines]
    assert found == [[], [], ["Warning"], ["Error"], ["Critical"]]


def test_stream_prints_the_events_of_an_export_once(run: Run, export: Export) -> None:
    """R1.45 R5.9 What was exported has ended: there is nothing to wait for."""
    live_then = recording(late_chain(), sessions=[session(live=True)])
    found = run("stream", "--from", export(live_then), "--json")
    assert found.exit_code == 0
    events = [json.loads(line) for line in found.output.splitlines()]
    assert [e["event_id"] for e in events] == [e.event_id for e in late_chain()]


def test_stream_filters(run: Run, room: Furnish) -> None:
    """R1.44 R1.45 Only the events asked for are streamed."""
    room(live("alpha", 7))
    found = run("stream", "--once", "--type", "execution_started")
    assert found.output.count("\n") == 1
    assert run("stream", "--once", "--severity", "error").output == ""
    unknown = run("stream", "--once", "--type", "execution_begun")
    assert unknown.stdout == ""
    assert "no kind is called 'execution_begun'" in unknown.stderr
    assert "execution_started" in unknown.stderr
    assert run("stream", "--once", "--type", "alloc").stderr == ""
    assert run("stream", "--once", "--severity", "loud").exit_code == 2


def test_following_ends_with_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    """R5.9 Polls go on while the process lives; its last events are shown, losses are counted."""
    events = inference_chain()
    stream = FakeStream(session(live=True), [events[:1], [], events[1:3], [], events[3:]])
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        stream.lost = 41
        if len(waited) == 2:
            stream.info = session(live=False)

    shown: list[TraceEvent] = []
    picked = Picked(TraceQuery())
    follow([stream], picked, lambda e, _: shown.append(e), once=False, wait=wait)
    assert shown == events
    assert waited == [0.1, 0.1]
    assert capsys.readouterr().err == "lost 41 events before they could be read\n"


def test_streams_of_several_processes_are_merged_by_time() -> None:
    """R1.45 Within one poll the events of all processes come in order of time."""
    one, two = inference_chain("a"), inference_chain("b", 1, first_ticket=10)
    streams = [FakeStream(session(), [one]), FakeStream(session("two"), [two])]
    shown: list[TraceEvent] = []
    follow(streams, Picked(TraceQuery()), lambda e, _: shown.append(e), once=True)
    assert shown == sorted([*one, *two], key=lambda e: e.order_key)


def test_export_writes_what_why_reads(run: Run, export: Export, tmp_path: Path) -> None:
    """R1.49 R1.54 An export of an export is the same recording, in a file or on standard output."""
    path = export(recording(late_chain()))
    copy = tmp_path / "copy.json"
    found = run("trace", "export", "--format", "json", "--from", path, "--output", copy)
    assert found.output == f"{copy}: 5 events\n"
    assert read_json_export(copy) == read_json_export(path)
    assert json.loads(run("export", "--from", path).stdout)["format"] == "whence-json"
    report = json.loads(run("export", "--from", path, "-o", copy, "--json").stdout)
    assert (report["events"], report["left_out"]) == (5, 0)
    refused = run("export", "--from", path, "-o", tmp_path / "absent" / "x.json")
    assert refused.exit_code == 1
    assert "cannot write" in refused.stderr


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--last", "16ms"], 3),
        (["--time-range", "1h"], 5),
        (["--type", "scheduling_decision"], 2),
        (["--component", "AdmissionController"], 1),
        (["--model", "ocr_rec"], 3),
        (["--request", "nobody"], 0),
        (["--severity", "warning"], 0),
        (["--type", "scheduling_decision", "--last", "16ms"], 1),
    ],
)
def test_export_keeps_only_what_was_asked_for(
    run: Run, export: Export, tmp_path: Path, options: list[str], left: int
) -> None:
    """R1.44 R1.50 R1.55 Events are picked by type, component, model, request, severity and age."""
    path, part = export(recording(late_chain())), tmp_path / "part.json"
    run("export", "--from", path, "-o", part, *options)
    found = read_json_export(part)
    assert len(found.events) == left
    assert found.sessions[0].state == ("exported" if left == 5 else "filtered")


def test_a_length_of_time_must_have_a_unit(run: Run, export: Export) -> None:
    """R1.50 --last 5 is refused: five of what?"""
    found = run("export", "--from", export(recording([])), "--last", "5")
    assert found.exit_code == 2
    assert "no length of time" in found.stderr


def test_demo_gets_its_own_arguments(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """R0.1 `whence demo` hands its options on, --help among them, and returns the demo's code."""
    asked: list[list[str]] = []
    stand_in = SimpleNamespace(main=lambda arguments: asked.append(arguments) or 7)
    monkeypatch.setitem(sys.modules, "whence.demo.run", stand_in)  # type: ignore[arg-type]
    assert run("demo", "--requests", 5, "--help").exit_code == 7
    assert asked == [["--requests", "5", "--help"]]


def test_every_command_explains_itself(run: Run) -> None:
    """R5.9 Each command has a help text with a first sentence, and says what its options do."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(100).endswith("."), name
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.help, (name, parameter.name)
    assert "Commands:" in run("--help").output
    assert run("--version").output.startswith("whence, version ")


def test_without_its_libraries_the_command_says_what_to_install() -> None:
    """R5.28 Where click or rich is missing, `python -m whence` prints the pip line and exits 2."""
    for missing in ("click", "rich"):
        code = (
            f"import sys; sys.modules[{missing!r}] = None\nfrom whence.__main__ import main\nmain()"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert found.returncode == 2
        assert "pip install 'whence[cli]'" in found.stderr
        assert "Traceback" not in found.stderr


def test_a_command_imports_no_other_one() -> None:
    """R5.9 `whence ls` loads neither the other commands nor what they need."""
    code = (
        "import sys\nfrom whence.cli.main import cli\n"
        "cli(['ls', '--help'], standalone_mode=False)\n"
        "print([name for name in sys.modules if name.startswith('whence.cli.')], file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    for other in ("why", "collect", "top", "select"):
        assert f"whence.cli.{other}'" not in found.stderr
