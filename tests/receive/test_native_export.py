"""Exports of the native writer read back as what the session itself holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from whence.collect.sessions import list_sessions, read_recording
from whence.model.event import Option
from whence.query.contracts.completeness import completeness_share
from whence.query.contracts.contract import Contract, End
from whence.receive.json_export import read_json_export

PROGRAM = """
import sys
import whence

@whence.kind(component="Scheduler", decision=True, rationale="Selected {model}: {slack_ns:ns} left")
def choice(model: str, slack_ns: int, share: float, last: bool, note: str, caused_by: str,
           options: list[whence.Option]) -> None: ...

@whence.kind(component="Worker")
def done(model: str, deadline_met: bool, duration_ns: int) -> None: ...

for n in range(300):
    with whence.request(f"req-{n}"):
        choice("m\\u00e9", 8_400_000 - n, n / 7, n % 2 == 0,
               "t\\x1b\\u202e\\U0001f600 \\"" * (n % 5),
               f"req-{n - 1}", [whence.Option("a", {"s": n / 3}, True),
                                whence.Option("b", {}, False, "why not")])
        done("m", n % 3 == 0, n)
whence.collector().export_json(sys.argv[1])
"""


def test_a_native_export_reads_back_as_the_session_holds_it(
    whence_dir: Path, tmp_path: Path
) -> None:
    """R0.50 R0.51 R0.52 Both ways to the same events give the same values, to the last bit."""
    path = tmp_path / "native.json"
    subprocess.run([sys.executable, "-c", PROGRAM, str(path)], check=True, env=dict(os.environ))
    exported = read_json_export(path)
    (info,) = list_sessions()
    recorded = read_recording([Path(info.path)])
    assert exported.events == recorded.events
    assert len(exported.events) == 600
    assert exported.kinds == recorded.kinds
    assert exported.rings == recorded.rings
    assert [session.name for session in exported.sessions] == [info.name]
    first = exported.events[0]
    assert first.options == (Option("a", {"s": 0.0}, True), Option("b", {}, False, "why not"))
    assert exported.wall_ns(first) == recorded.wall_ns(first)


def test_decisions_are_reconstructed_from_a_native_export_alone(
    whence_dir: Path, tmp_path: Path
) -> None:
    """R0.1 R5.12 The share of complete chains is computed from the file, without the session."""
    path = tmp_path / "native.json"
    subprocess.run([sys.executable, "-c", PROGRAM, str(path)], check=True, env=dict(os.environ))
    share = completeness_share(read_json_export(path), Contract("c", "choice", (End("done"),)))
    assert (share.decisions, share.reconstructible, share.text) == (300, 300, "100 %")
