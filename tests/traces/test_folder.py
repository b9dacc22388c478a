"""Traces in a folder: after the process is gone, and while another process owns the store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

WRITER = """
    import json, os, sys
    from whence.emit.kind import kind
    from whence.traces.service import TraceService

    service = TraceService(sys.argv[1])
    step = kind("step", component="Worker", n=int)
    ids = []
    with service.trace("first", context_id="ctx") as t:
        assert t.event("stage_started", stage="context").success
        step(7)
        ids.append(t.trace_id)
    ids.append(service.create_trace("ctx", name="open").unwrap().trace_id)
    service.record_event(ids[1], "said", data={"list": [1, None]}).unwrap()
    found = [service.get_trace_by_id(each).unwrap() for each in ids]
    assert [f.status for f in found] == ["completed", "active"], found
    assert sorted(e.event_type for e in found[0].events) == ["stage_started", "step"], found
    print(json.dumps(ids), flush=True)
"""
READER = """
    import json, sys
    from whence.traces.service import TraceService

    with TraceService(sys.argv[1]) as service:
        found = [service.get_trace_by_id(each).unwrap() for each in sys.argv[2:]]
        print(json.dumps([[f.name, f.status, len(f.events)] for f in found]))
"""


class Program:
    """A program that reads lines, and is killed at the end if it still runs."""

    def __init__(self, source: str, folder: Path, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
            env={**os.environ, "WHENCE_DIR": str(folder / "whence")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def kill(self) -> None:
        """Ends it at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def test_a_killed_process_leaves_its_traces(tmp_path: Path) -> None:
    """R4.2 R4.6 R4.64 What was recorded is there for the next process, the last event included."""
    late = 'service.record_event(ids[1], "late").unwrap(); print("x", flush=True); sys.stdin.read()'
    writer = Program(WRITER + "    " + late, tmp_path, tmp_path / "traces")
    ids = json.loads(writer.line())
    writer.line()
    writer.kill()
    text = output_of_reader(tmp_path, ids)
    assert json.loads(text) == [["first", "completed", 2], ["open", "active", 2]]


def test_writes_are_seen_where_another_process_owns_the_store(tmp_path: Path) -> None:
    """R4.6 R4.64 A second process waits until the owner has its events, and reads them all."""
    owner = Program(WRITER + "    sys.stdin.read()", tmp_path, tmp_path / "traces")
    try:
        own = json.loads(owner.line())
        other = Program(WRITER, tmp_path, tmp_path / "traces")
        ids = json.loads(other.line())
        other.process.communicate()
        assert other.process.returncode == 0
        assert json.loads(output_of_reader(tmp_path, own + ids))[2:] == [
            ["first", "completed", 2], ["open", "active", 1],
        ]  # fmt: skip
    finally:
        owner.kill()


def output_of_reader(folder: Path, ids: list[str]) -> str:
    """What a program of its own finds."""
    reader = Program(READER, folder, folder / "traces", *ids)
    text, _ = reader.process.communicate()
    assert reader.process.returncode == 0
    return text


def test_a_program_that_named_no_store_in_time_is_told_so(tmp_path: Path) -> None:
    """R4.12 R4.64 Where another process owns the store and would never look at its events."""
    late = """
    from whence.emit.kind import kind
    from whence.traces.service import TraceService
    import sys

    kind("early", component="Worker")()
    service = TraceService(sys.argv[1], enable_metrics_collection=False)
    trace_id = service.create_trace("ctx").unwrap().trace_id
    print(service.get_trace_by_id(trace_id).error, flush=True)
    """
    owner = Program(WRITER + "    sys.stdin.read()", tmp_path, tmp_path / "traces")
    try:
        owner.line()
        other = Program(late, tmp_path, tmp_path / "traces")
        told = other.line()
        other.process.communicate()
    finally:
        owner.kill()
    assert told.startswith("Unavailable: ")
    assert "began to record before it named" in told
