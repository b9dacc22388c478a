"""The commands on real sessions: of a program that ended, was killed, or still runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from whence.collect.sessions import SessionStream

PROGRAM = """
import os, sys
import whence

@whence.kind(component="AdmissionController", decision=True,
             rationale="Admitted: U={utilisation:.3f}")
def admission_decision(model_id: str, admitted: bool, reason: str, utilisation: float,
                       wcrt_ns: int, max_blocking_ns: int) -> None: ...

@whence.kind(component="Scheduler", decision=True,
             rationale="Selected {model_id}: {slack_ns:ns} to its deadline, the least")
def scheduling_decision(model_id: str, slack_ns: int, options: list[whence.Option]) -> None: ...

@whence.kind(component="ExecutionContext", rationale="worker {worker}")
def execution_started(worker: int) -> None: ...

@whence.kind(component="ExecutionContext")
def execution_completed(model_id: str, duration_ns: int, deadline_met: bool, response_ns: int,
                        deadline_ns: int) -> None: ...

def begin(request):
    with whence.request(request):
        admission_decision("ocr_rec", True, "schedulable", 0.742, 38_000_000, 31_000_000)
        scheduling_decision("ocr_rec", 8_400_000, [
            whence.Option("ocr_rec", {"slack_ms": 8.4}, chosen=True),
            whence.Option("magika", {"slack_ms": 68.4}, reason="later deadline")])
        execution_started(2)

def end(request, met):
    with whence.request(request):
        execution_completed("ocr_rec", 15_000_000, met, 46_800_000, 40_000_000)

begin("req-1"); end("req-1", True)
begin("req-2"); end("req-2", False)
begin("req-3")
for word in sys.argv[1:]:
    if word == "kill":
        os.kill(os.getpid(), 9)
    if word == "wait":
        print("ready", flush=True)
        sys.stdin.readline()
        end("req-3", True)
"""


def whence(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "whence", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"NO_COLOR": "1", "TZ": "UTC"},
        check=False,
        **options,  # type: ignore[call-overload]
    )


def record(*arguments: str) -> int:
    """Runs the recorded program; its exit status."""
    return subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=False).returncode


@contextmanager
def running() -> Iterator[subprocess.Popen[str]]:
    """The recorded program, alive, with one request open."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.communicate("\n")


def session_folder(base: Path) -> Path:
    """The only session there."""
    (folder,) = [entry for entry in base.iterdir() if entry.is_dir()]
    return folder


def test_the_run_that_lives_answers_and_a_newer_one_that_ended_is_named(whence_dir: Path) -> None:
    """R5.9 R5.11 R5.24 Whoever meant the newer one is told how to ask it."""
    with running() as process:
        assert json.loads(whence("why", "--json").stdout)["pid"] == process.pid
        record()
        newer = json.loads(whence("ls", "--json").stdout)["sessions"][0]
        assert not newer["live"]
        for verb in ("why", "stats"):
            found = whence(verb)
            assert f"A newer run has ended: --session {newer['name']} reads it" in found.stderr
        assert json.loads(whence("why", "--json").stdout)["pid"] == process.pid
        followed = json.loads(whence("top", "--once", "--interval", "100ms", "--json").stdout)
        assert [each["pid"] for each in followed["activity"]["processes"]] == [process.pid]
    found = whence("why")
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("end", ["", "kill"])
def test_a_process_that_ended_or_was_killed_is_explained(whence_dir: Path, end: str) -> None:
    """R5.1 R5.9 R5.11 The files answer alike, however the process ended."""
    assert record(end) == (-signal.SIGKILL if end else 0)
    found = whence("why")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("req-2  ocr_rec  LATE by 6.8 ms (46.8 of 40.0 ms)")
    assert "Selected ocr_rec: 8.4 ms to its deadline, the least" in found.stdout
    assert "chosen  ocr_rec   8.4 ms" in found.stdout
    assert 'complete: 4 of 4 required by contract "inference"' in found.stdout
    crashed = whence("why", "req-3")
    assert crashed.returncode == 3
    assert crashed.stdout.startswith("req-3  ocr_rec  UNFINISHED: crashed")


def test_an_event_id_is_enough_to_find_its_chain(whence_dir: Path) -> None:
    """R5.13 The id that an emitted event derives from its place leads back to its request."""
    record()
    events = json.loads(whence("chain", "req-1", "--json").stdout)["events"]
    found = whence("why", events[1]["event_id"])
    assert found.stdout.startswith("req-1  ocr_rec  MET deadline")
    assert "\n>" in found.stdout


def test_a_live_process_is_listed_followed_and_asked(whence_dir: Path) -> None:
    """R5.9 Another process attaches by opening the session; the open request is still open."""
    with running() as process:
        (info,) = json.loads(whence("ls", "--json").stdout)["sessions"]
        assert (info["pid"], info["live"], info["state"]) == (process.pid, True, "recording")
        opened = whence("why", "req-3", "--pid", process.pid)
        assert opened.returncode == 3
        assert "still open" in opened.stdout
        stats = whence("stats")
        assert stats.returncode == 0
        assert "11 recorded = 11 readable" in stats.stdout
        follower = subprocess.Popen(
            [sys.executable, "-m", "whence", "stream", "--format", "json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert follower.stdout is not None
        first = json.loads(follower.stdout.readline())
        assert first["event_type"] == "admission_decision"
    with follower.stdout:  # not communicate(), which skips what is buffered
        rest = [json.loads(line) for line in follower.stdout]
    assert follower.wait(60) == 0
    assert len(rest) == 11
    assert (rest[-1]["request_id"], rest[-1]["attributes"]["deadline_met"]) == ("req-3", "true")


def test_a_stream_counts_what_it_came_too_late_for(whence_dir: Path) -> None:
    """R5.9 R1.45 Between two polls a ring of 100 overwrote 900 events: exactly these are lost."""
    program = (
        "import sys, whence\n"
        "tick = whence.kind('tick', component='Clock', n=int)\n"
        "whence.start(ring_slots=100)\n"
        "for amount in (150, 1000):\n"
        "    for n in range(amount): tick(n)\n"
        "    print('ready', flush=True); sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        stream = SessionStream(session_folder(whence_dir))
        assert [e.attributes["n"] for e in stream.poll()] == list(range(50, 150))
        assert stream.lost == 50
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        assert [e.attributes["n"] for e in stream.poll()] == list(range(900, 1000))
        assert stream.lost == 950
    finally:
        process.communicate("\n")


def test_an_export_answers_as_the_session_does(whence_dir: Path, tmp_path: Path) -> None:
    """R0.1 R0.50 R5.11 Decisions are reconstructed from the export alone."""
    record("kill")
    path = tmp_path / "run.json"
    assert whence("export", "--output", path).returncode == 0
    from_session = json.loads(whence("why", "--json").stdout)
    from_export = json.loads(whence("why", "--json", "--from", path).stdout)
    del from_session["next_commands"], from_export["next_commands"]
    assert from_session == from_export


def test_recover_writes_what_a_killed_process_left(whence_dir: Path, tmp_path: Path) -> None:
    """R5.1 Every event that was completely written is in the export, and counted per thread."""
    record("kill")
    target = tmp_path / "out.json"
    for path in (session_folder(whence_dir), session_folder(whence_dir) / "ring-00000", whence_dir):
        found = whence("recover", path, "--output", target)
        assert found.returncode == 0, found.stderr
        assert "11 recorded = 11 readable + 0 lost + 0 in flight  closes" in found.stdout
        assert f"Wrote {target}: 11 events" in found.stdout
        assert len(json.loads(target.read_text())["events"]) == 11
    report = json.loads(whence("recover", whence_dir, "-o", target, "--json").stdout)
    assert (report["events"], report["damaged"], report["removed"]) == (11, [], [])
    assert session_folder(whence_dir).is_dir()


def test_recover_names_its_file_after_the_session(whence_dir: Path, tmp_path: Path) -> None:
    """R5.1 Without --output the export appears in the folder one is in."""
    record()
    folder = session_folder(whence_dir)
    assert whence("recover", folder, cwd=tmp_path).returncode == 0
    assert [entry.name for entry in tmp_path.glob("*.json")] == [f"recovered-{folder.name}.json"]


def test_recover_takes_a_pid_or_a_name(whence_dir: Path, tmp_path: Path) -> None:
    """R5.1 What `whence ls` shows is enough to recover a session by."""
    record()
    (info,) = json.loads(whence("ls", "--json").stdout)["sessions"]
    for number, word in enumerate((info["pid"], info["name"])):
        found = whence("recover", word, "-o", tmp_path / f"{number}.json")
        assert (found.returncode, "11 events" in found.stdout) == (0, True)


def test_recover_removes_only_what_it_wrote_down_and_is_dead(
    whence_dir: Path, tmp_path: Path
) -> None:
    """R5.1 R5.10 --reap removes dead sessions after their export, never a live one."""
    target = tmp_path / "out.json"
    record("kill")
    dead = session_folder(whence_dir)
    with running():
        found = whence("recover", whence_dir, "-o", target, "--reap")
        assert f"Removed {dead}" in found.stdout
        assert "its process lives" in found.stdout
        assert not dead.exists()
        assert session_folder(whence_dir).is_dir()
    assert len(json.loads(target.read_text())["sessions"]) == 2
    partly = whence("recover", session_folder(whence_dir) / "ring-00000", "-o", target, "--reap")
    assert "only a part of it was recovered" in partly.stdout
    assert session_folder(whence_dir).is_dir()


def test_recover_tells_of_damaged_files_and_keeps_them(whence_dir: Path, tmp_path: Path) -> None:
    """R5.1 R5.24 A ring that cannot be read is named, exits with 3, and is not removed."""
    record()
    folder = session_folder(whence_dir)
    (folder / "ring-00000").write_bytes(b"\xff" * 4096)
    found = whence("recover", folder, "-o", tmp_path / "out.json", "--reap")
    assert found.returncode == 3
    assert f"Cannot be read: {folder.name}/ring-00000" in found.stdout
    assert folder.is_dir()
    stats = whence("stats", "--json")
    (damage,) = json.loads(stats.stdout)["damage"]
    assert (stats.returncode, damage["file"]) == (3, "ring-00000")
    assert json.loads(whence("ls", "--json").stdout)["damage"] == [damage]
    assert f"Cannot be read: {folder.name}/ring-00000" in whence("ls").stdout


def test_two_runs_do_not_mix_their_requests(whence_dir: Path) -> None:
    """R0.49 R5.13 Programs that number their requests alike are told apart when read together."""
    record()
    record()
    found = json.loads(whence("chain", "req-2", "--all", "--json").stdout)
    assert len(found["events"]) == 4
    assert len(json.loads(whence("stats", "--all", "--json").stdout)["sessions"]) == 2


def test_recover_never_removes_what_it_has_just_written(whence_dir: Path, tmp_path: Path) -> None:
    """R5.1 An export that would lie in the session's folder is refused; others' files stay."""
    record()
    folder = session_folder(whence_dir)
    inside = whence("recover", ".", "--reap", cwd=folder)
    assert inside.returncode == 2
    assert "name another place" in inside.stderr
    assert (folder / "ring-00000").exists()
    (folder / "notes.txt").write_text("somebody's own")
    target = tmp_path / "out.json"
    assert whence("recover", ".", "--reap", "-o", target, cwd=folder).returncode == 0
    assert [entry.name for entry in folder.iterdir()] == ["notes.txt"]
    (session,) = json.loads(target.read_text())["sessions"]
    assert session["name"] == folder.name


def test_the_chains_of_a_killed_process_are_verified(whence_dir: Path, tmp_path: Path) -> None:
    """R5.12 R5.16 From the session as from its export: two complete, one cut short by the kill."""
    record("kill")
    assert whence("export", "--output", tmp_path / "run.json").returncode == 0
    for source in ([], ["--from", tmp_path / "run.json"]):
        found = whence("verify", "--json", *source)
        (verdict,) = json.loads(found.stdout)["contracts"]
        assert found.returncode == 1
        assert (verdict["chains"], verdict["complete"], verdict["first"]) == (3, 2, "req-3")
        (group,) = verdict["groups"]
        assert (group["why"], group["chains"], len(verdict["flaws"][0]["event_ids"])) == (
            "crashed",
            1,
            3,
        )


def test_the_chains_of_a_running_process_are_verified(whence_dir: Path) -> None:
    """R5.12 R5.16 The one that is open may yet end: unknown while it runs, complete thereafter."""
    with running():
        found = whence("verify", "--json")
        (verdict,) = json.loads(found.stdout)["contracts"]
        assert (found.returncode, verdict["verdict"], verdict["open"]) == (0, "unknown", 1)
        assert whence("verify", "--strict").returncode == 1
    assert whence("verify").stdout == "inference  3 chains  3 complete (100 %)  complete\n"
