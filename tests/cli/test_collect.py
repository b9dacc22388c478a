"""whence collect: its own process, its signals, its summary, and when it removes sessions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.apps import AppRun
from tests.cli.conftest import Run
from whence.ring.folders import session_folders

RunApp = Callable[..., AppRun]

RECORDS = """
    import whence
    tick = whence.kind("tick", component="Clock", n=int)
    choose = whence.kind("choose", component="Head", decision=True, rationale="took {n}", n=int)
    for n in range(20):
        tick(n)
    choose(7)
"""


@pytest.fixture
def dead(run_app: RunApp, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the session of a program that has ended."""
    app = run_app(RECORDS)
    monkeypatch.setenv("WHENCE_DIR", str(app.whence_dir))
    return app.whence_dir


def types(path: Path) -> list[str]:
    """The types of the events in an NDJSON file."""
    return [json.loads(line)["event_type"] for line in path.read_text().splitlines()]


def test_what_is_there_is_delivered_once_and_the_session_removed(
    run: Run, dead: Path, tmp_path: Path
) -> None:
    """Everything arrived everywhere, so the dead session goes; a line says why. R1.39 R5.10"""
    lines, document = tmp_path / "o.ndjson.gz", tmp_path / "o.json"
    result = run("collect", "--once", "--to", lines, "--to", document)
    assert result.exit_code == 0
    assert result.output.count("21 events read = 21 delivered") == 2
    assert "Removed 1 dead session" in result.output
    assert len(json.loads(document.read_text())["events"]) == 21
    assert list(session_folders(dead)) == []
    stone = json.loads((dead / "tombstones.ndjson").read_text())
    assert stone["why"] == f"collected to file://{lines}, file://{document}"
    again = run("collect", "--once", "--json", "--to", lines, "--to", document)
    told = json.loads(again.output)
    assert [sink["delivered"] for sink in told["sinks"]] == [21, 21]
    assert all(sink["closes"] for sink in told["sinks"])
    (state,) = dead.glob("collector-*.state")
    assert all(not sink["positions"] for sink in json.loads(state.read_text())["sinks"].values())


def test_positions_in_a_folder_of_its_own_are_remembered(
    run: Run, dead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions that only --from names are no removed ones: nothing is read twice. R1.39"""
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "elsewhere"))
    lines = tmp_path / "o.ndjson"
    for _ in range(2):
        told = run("collect", "--once", "--keep", "--json", "--from", dead, "--to", lines)
        assert [sink["read"] for sink in json.loads(told.output)["sinks"]] == [21]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (("--type", "tick"), ["tick"] * 20),
        (("--type", "choose", "--type", "tick"), ["tick"] * 20 + ["choose"]),
        (("--component", "Head"), ["choose"]),
        (("--severity", "error"), []),
        (("--keep",), ["tick"] * 20 + ["choose"]),
    ],
)
def test_filters_choose_and_keep_the_session(
    run: Run, dead: Path, tmp_path: Path, arguments: tuple[str, ...], kept: list[str]
) -> None:
    """What was left out is counted as filtered, and is nowhere else, so nothing goes. R1.44"""
    out = tmp_path / "o.ndjson"
    result = run("collect", "--once", "--json", "--to", out, *arguments)
    assert result.exit_code == 0
    (sink,) = json.loads(result.output)["sinks"]
    assert types(out) == kept
    assert (sink["read"], sink["delivered"], sink["filtered"]) == (21, len(kept), 21 - len(kept))
    assert len(list(session_folders(dead))) == 1


def test_a_damaged_session_is_told_of_and_kept(run: Run, dead: Path, tmp_path: Path) -> None:
    """Exit code 3; what could not be read may yet be looked at. R5.10"""
    (folder,) = session_folders(dead)
    os.truncate(folder / "ring-00000", 100)
    result = run("collect", "--once", "--to", tmp_path / "o.ndjson")
    assert result.exit_code == 3
    assert "ring-00000" in result.output
    assert len(list(session_folders(dead))) == 1


def test_a_session_is_kept_while_one_sink_lacks_it(
    run: Run, dead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One place that does not answer keeps what the other has. R1.39 R5.10"""
    gone = tmp_path / "gone"
    gone.mkdir()
    broken, fine = gone / "o.ndjson", tmp_path / "o.ndjson"

    from whence.export import ndjson_sink

    real = ndjson_sink.NdjsonSink.deliver

    def deliver(self: Any, payload: Any, timeout_s: float) -> Any:
        if "gone" in self.name:
            raise ConnectionRefusedError("nobody there")
        return real(self, payload, timeout_s)

    monkeypatch.setattr(ndjson_sink.NdjsonSink, "deliver", deliver)
    arguments = ("collect", "--once", "--grace", "100ms", "--to", broken, "--to", fine)
    result = run(*arguments, "--json")
    assert result.exit_code == 3
    told = json.loads(result.output[result.output.index("{") :])
    assert [sink["queued"] for sink in told["sinks"]] == [21, 0]
    assert [sink["delivered"] for sink in told["sinks"]] == [0, 21]
    assert len(list(session_folders(dead))) == 1
    monkeypatch.undo()
    monkeypatch.setenv("WHENCE_DIR", str(dead))
    result = run(*arguments)
    assert result.exit_code == 0
    assert (len(types(broken)), len(types(fine))) == (21, 21)
    assert list(session_folders(dead)) == []


def test_wrong_questions_are_answered_at_once(run: Run, dead: Path, tmp_path: Path) -> None:
    """Each with its exit code and a message that helps."""
    out = tmp_path / "o.ndjson"
    unknown = run("collect", "--to", "carrier+pigeon://roof")
    assert (unknown.exit_code, "there are" in unknown.output) == (2, True)
    assert run("collect").exit_code == 2
    assert run("collect", "--to", out, "--interval", "soon").exit_code == 2
    wrong = run("collect", "--once", "--to", "loki://u:SEC/RET@host")
    assert (wrong.exit_code, "SEC" in wrong.output) == (2, False)
    assert run("collect", "--to", out, "--rotate", "0").exit_code == 2
    assert run("collect", "--to", out, "--from", "99999999", "--once").exit_code == 4
    nowhere = run("collect", "--to", tmp_path / "no" / "o.ndjson", "--once")
    assert (nowhere.exit_code, "make it first" in nowhere.output) == (1, True)
    link = tmp_path / "link.ndjson"
    link.symlink_to(out)
    assert run("collect", "--to", link, "--once").exit_code == 1


class Collector:
    """A collector in a process of its own."""

    def __init__(self, base: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "whence", "collect", "--json", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "WHENCE_DIR": str(base)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, path: Path, lines: int) -> None:
        """Until the file has so many lines."""
        while not path.exists() or path.read_bytes().count(b"\n") < lines:
            assert self.process.poll() is None
            os.sched_yield()

    def end(self, number: int = signal.SIGTERM) -> dict[str, Any]:
        """What it says at its end."""
        self.process.send_signal(number)
        told = json.loads(self.process.communicate(timeout=60)[0])
        assert isinstance(told, dict)
        return told


PRODUCER = """
    import sys, whence
    tick = whence.kind("tick", component="Clock", n=int)
    for line in sys.stdin:
        for n in range(int(line)):
            tick(n)
        print("done", flush=True)
"""


def test_what_cannot_be_had_is_named_before_anything_is_made(
    run: Run, dead: Path, tmp_path: Path
) -> None:
    """A missing folder of a file or of the state: exit code 1 and a sentence. R1.41 R5.10"""
    for suffix in ("o.ndjson", "o.json", "o.jsonl"):
        kind = "otlp-file:" if suffix == "o.jsonl" else ""
        done = run("collect", "--once", "--to", f"{kind}{tmp_path / 'absent' / suffix}")
        assert done.exit_code == 1
        said = " ".join(done.stderr.split())
        assert f"there is no folder {tmp_path / 'absent'}; make it first" in said
        assert not list(dead.glob("*.state*"))
    (tmp_path / "file").touch()
    for state in (tmp_path / "file" / "s", Path("/proc/self/s"), tmp_path):
        done = run("collect", "--once", "--to", tmp_path / "o.ndjson", "--state", state)
        assert done.exit_code == (2 if state == tmp_path else 1)
        assert "cannot keep positions in" in done.stderr or state == tmp_path
    assert not (tmp_path / "absent").exists()
    assert list(session_folders(dead))


def producer(base: Path) -> subprocess.Popen[str]:
    """A program that records as many events as it is told."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PRODUCER)],
        env={**os.environ, "WHENCE_DIR": str(base)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def record(process: subprocess.Popen[str], count: int) -> None:
    """Has it record, and waits until it has."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_last_drain(whence_dir: Path, tmp_path: Path, number: int) -> None:
    """Not after its interval but at once, with everything recorded by then. R1.40"""
    out = tmp_path / "o.ndjson"
    process = producer(whence_dir)
    record(process, 3)
    collector = Collector(whence_dir, "--to", out, "--interval", "1h")
    collector.wait_for(out, 3)
    record(process, 500)
    told = collector.end(number)
    assert collector.process.returncode == 0
    assert told["sinks"][0]["delivered"] == 503
    assert len(types(out)) == 503
    process.communicate("")


def test_sessions_that_come_and_go_are_followed(whence_dir: Path, tmp_path: Path) -> None:
    """A program that begins later, one that is killed, one that lives on. R1.39 R5.10"""
    out = tmp_path / "o.ndjson"
    first = producer(whence_dir)
    record(first, 10)
    collector = Collector(whence_dir, "--to", out, "--interval", "10ms")
    collector.wait_for(out, 10)
    second = producer(whence_dir)
    record(second, 20)
    record(first, 5)
    first.kill()
    first.communicate()
    collector.wait_for(out, 35)
    record(second, 1)
    collector.wait_for(out, 36)
    while len(list(session_folders(whence_dir))) == 2:  # the killed one's goes
        assert collector.process.poll() is None
        os.sched_yield()
    told = collector.end()
    assert told["sinks"][0]["delivered"] == 36
    assert len(told["removed"]) == 1
    second.communicate("")


def test_a_second_collector_to_the_same_places_is_told_of_the_first(
    whence_dir: Path, tmp_path: Path
) -> None:
    """It ends at once and names who keeps the positions. R1.39"""
    out, state = tmp_path / "o.ndjson", tmp_path / "c.state"
    process = producer(whence_dir)
    record(process, 1)
    first = Collector(whence_dir, "--to", out, "--state", state)
    first.wait_for(out, 1)
    second = Collector(whence_dir, "--to", tmp_path / "p.ndjson", "--state", state)
    told = json.loads(second.process.communicate(timeout=60)[0])
    assert second.process.returncode == 1
    assert f"pid {first.process.pid}" in told["error"] + told["message"]
    first.end()
    process.communicate("")


def test_a_stopped_collector_costs_the_producer_nothing(whence_dir: Path, tmp_path: Path) -> None:
    """The producer overwrites its ring; what was lost is counted when the collector wakes. R1.39"""
    out = tmp_path / "o.ndjson"
    process = producer(whence_dir)
    record(process, 1)
    collector = Collector(whence_dir, "--to", out, "--interval", "10ms")
    collector.wait_for(out, 1)
    collector.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, collector.process.pid, os.WSTOPPED | os.WNOWAIT)
    record(process, 25_000)
    collector.process.send_signal(signal.SIGCONT)
    told = collector.end()
    (sink,) = told["sinks"]
    assert sink["read"] + sink["lost"] == 25_001
    assert sink["lost"] == 15_000
    process.communicate("")


def test_stats_show_the_collectors_and_how_far_they_are(
    run: Run, whence_dir: Path, tmp_path: Path
) -> None:
    """Beside the rings stands who collects them, and by how many events it is behind. R5.25"""
    out = tmp_path / "o.ndjson"
    process = producer(whence_dir)
    record(process, 30)
    collector = Collector(whence_dir, "--to", out, "--interval", "10ms")
    collector.wait_for(out, 30)
    (state,) = whence_dir.glob("*.state")
    while '"delivered": 30' not in state.read_text():
        os.sched_yield()
    assert "running" in run("stats").output
    assert "up to date; 30 events read = 30 delivered" in run("stats").output
    collector.end()
    record(process, 7)
    told = json.loads(run("stats", "--json").output)
    (found,) = told["collectors"]
    assert found["running"] is False
    assert [(sink["sink"], sink["behind"]) for sink in found["sinks"]] == [(f"file://{out}", 7)]
    assert "7 events behind" in run("stats").output
    process.communicate("")


def test_a_session_stays_while_another_collector_needs_it(whence_dir: Path, tmp_path: Path) -> None:
    """The last one that is done removes it. R5.10"""
    process = producer(whence_dir)
    record(process, 3)
    first = Collector(whence_dir, "--to", tmp_path / "a.ndjson", "--interval", "10ms")
    first.wait_for(tmp_path / "a.ndjson", 3)
    first.process.send_signal(signal.SIGSTOP)
    record(process, 4)
    process.communicate("")
    second = Collector(whence_dir, "--to", tmp_path / "b.ndjson", "--interval", "10ms")
    second.wait_for(tmp_path / "b.ndjson", 7)
    assert second.end()["removed"] == []
    first.process.send_signal(signal.SIGCONT)
    first.wait_for(tmp_path / "a.ndjson", 7)
    while list(session_folders(whence_dir)):
        assert first.process.poll() is None
        os.sched_yield()
    assert len(first.end()["removed"]) == 1


def test_what_was_collected_can_be_asked(run: Run, dead: Path, tmp_path: Path) -> None:
    """Files that a collector made are sources for every other command. R1.41"""
    names = ("o.ndjson", "o.json", "o.ndjson.gz", "o.json.gz")
    targets = [argument for name in names for argument in ("--to", tmp_path / name)]
    assert run("collect", "--once", *targets).exit_code == 0
    for name in names:
        result = run("stream", "--once", "--json", "--type", "choose", "--from", tmp_path / name)
        assert result.exit_code == 0
        assert json.loads(result.output)["rationale"] == "took 7"
