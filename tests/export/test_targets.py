"""What an export does to the file that it is told to write."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

from whence import TraceCollector


def _collector() -> TraceCollector:
    collector = TraceCollector(10)
    collector.record_now("tick", "test", "one event")
    return collector


def test_an_export_follows_links_and_keeps_the_mode_of_the_file_it_replaces(tmp_path: Path) -> None:
    """R0.50 The link stays a link, and who could not read the old file cannot read the new one."""
    target, link = tmp_path / "events.json", tmp_path / "newest.json"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    _collector().export_json(link)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert len(json.loads(target.read_text())["events"]) == 1


def test_an_export_is_written_into_a_pipe_and_does_not_replace_it(tmp_path: Path) -> None:
    """R0.50 What is no plain file, such as a pipe or /dev/null, is written to as it is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    _collector().export_json(pipe)
    reader.join(30)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert len(json.loads(received[0])["events"]) == 1
