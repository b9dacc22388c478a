"""Files read in a process of its own: the same as here, and what is too much for it dies alone."""

from __future__ import annotations

from datetime import timedelta, timezone
from pathlib import Path

import pytest

from tests.receive.files.stored import AGENT_RUNS, brought, opened, stored_events, written
from whence.model.errors import CorruptFile
from whence.receive.files.apart import ReadApart
from whence.receive.files.into import import_files
from whence.receive.files.report import FileReport
from whence.receive.files.source import ImportLimits, ReadOptions

RUNS = [str(path) for path in sorted(AGENT_RUNS.glob("*.ndjson"))]


def test_what_is_read_apart_is_what_is_read_here(tmp_path: Path) -> None:
    """R4.69 F19: the same rows, sessions and reports; files that cannot be read are told alike."""
    bad = written(tmp_path / "bad", "nothing")
    odd = written(tmp_path / "odd", '{"type":"x","ts":"2026-01-01T00:00:00"}', "{")
    paths = [*RUNS, str(bad), str(tmp_path / "none"), str(odd)]
    options = ReadOptions(zone=timezone(timedelta(hours=2)))
    with ReadApart(options) as apart, opened(tmp_path / "apart") as delivery:
        reports = import_files(paths, delivery.intake, options, "auto", apart.read_parts)
    here = brought(tmp_path / "here", *map(Path, paths), options=options)
    assert [each.plain() for each in reports] == [each.plain() for each in here]
    assert stored_events(tmp_path / "apart") == stored_events(tmp_path / "here")


def test_a_file_that_takes_too_much_ends_its_reader_alone(tmp_path: Path) -> None:
    """R4.69 F19: it is an error of that file; the next one is read by a new process."""
    path = tmp_path / "big.json"
    path.write_text("[" + "[]," * 20_000_000 + "[]]")
    options = ReadOptions(limits=ImportLimits(memory_bytes=1_200 << 20))
    with ReadApart(options) as apart:
        with pytest.raises(CorruptFile, match="takes more than 1200 MiB"):
            list(apart.read_parts(str(path), options, "auto", FileReport("big")))
        report = FileReport("good")
        parts = list(apart.read_parts(RUNS[0], options, "auto", report))
    assert (sum(len(table) for each in parts for table, _ in each), report.events) == (6, 6)
