"""whence outcome: the request is found by a part of its id, and its run is joined."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.apps import AppRun

RunApp = Callable[..., AppRun]

APP = """
    import whence
    admit = whence.kind("admission_decision", component="A", decision=True,
                        rationale="Admitted", admitted=bool)
    with whence.request("req-17"):
        admit(True)
    admit(False)
"""


def whence(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which records to that folder."""
    return subprocess.run(
        [sys.executable, "-m", "whence", *words],
        env={"PATH": "/usr/bin:/bin", "WHENCE_DIR": str(folder), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_outcome_told_on_the_command_line_joins_its_request(run_app: RunApp) -> None:
    """R5.8 By the end of the id; the run stays the newest one, so that why needs no option."""
    folder = run_app(APP).whence_dir
    done = whence(folder, "outcome", "17", "--score", "0.5", "--label", "good", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "request_id": "req-17",
        "score": 0.5,
        "label": "good",
        "comment": "",
    }
    answer = json.loads(whence(folder, "why", "req-17", "--json").stdout)
    assert [(told["label"], told["service"]) for told in answer["told"]] == [
        ("good", "whence outcome")
    ]
    assert answer["event_count"] == 2
    sessions = json.loads(whence(folder, "ls", "--json").stdout)["sessions"]
    assert len({session["run"] for session in sessions}) == 1


def test_nothing_is_told_of_what_is_not_there(run_app: RunApp) -> None:
    """R5.8 No such request, no request at all, or nothing to tell: no session is left behind."""
    run = run_app(APP)
    alone = next(e for e in run.recording().events if not e.request_id)
    for words, code in (
        (["req-18", "--label", "good"], 4),
        (["req-17"], 2),
        (["req-17", "--score", "nan"], 2),
        (["req-17", "--comment", "hm"], 2),
        ([alone.event_id, "--label", "good"], 1),
    ):
        done = whence(run.whence_dir, "outcome", *words)
        assert (done.returncode, done.stdout) == (code, ""), words
        assert done.stderr
    assert len(run.session_dirs) == 1
