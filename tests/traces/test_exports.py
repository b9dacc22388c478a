"""Traces as files: in three formats, compressed or not, and read again."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from whence.model.errors import CorruptFile
from whence.model.result import ErrorCode
from whence.traces.exports import read_json_traces
from whence.traces.service import TraceService


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[TraceService]:
    """A service with two traces, the second without events."""
    with TraceService("memory", export_folder=tmp_path / "out") as service:
        with service.trace("one", context_id="a", metadata={"deep": [None, b"\0"]}) as t:
            t.event("stage_started", level="warn", stage="context", bytes=b"\xff", list=[1, {}])
            t.event("performance_metric", metric_name="load", metric_value=0.5, metric_unit="%")
        service.fail(service.create_trace("b", name='=two "quoted"\n').unwrap().trace_id, "no")
        yield service


def test_json_comes_back_as_it_was(traces: TraceService) -> None:
    """R4.11 R4.55 R4.58 R4.59 R4.68 Compressed or not; the file has a name made here."""
    for compression in (None, "gzip"):
        made = traces.export_traces(compression=compression).unwrap()
        assert (made.traces, made.events) == (2, 2)
        assert made.path.stat().st_size == made.bytes
        assert (made.path.read_bytes()[:2] == b"\x1f\x8b") is (compression == "gzip")
        found = read_json_traces(made.path)
        stored = [traces.get_trace_by_id(each.trace_id).unwrap() for each in found]
        assert found == stored
        assert [each.name for each in found] == ["one", '=two "quoted"\n']
    assert len({each.name for each in made.path.parent.iterdir()}) == 2


def test_without_events_and_with_metrics(traces: TraceService) -> None:
    """R4.59 R4.60 Events are left out, and the figures of each trace stand in it."""
    made = traces.export_traces(include_events=False, include_metrics=True).unwrap()
    assert made.events == 0
    (one, two) = json.loads(made.path.read_text())["traces"]
    assert "events" not in one
    assert (one["summary"]["total_events"], one["summary"]["warning_count"]) == (2, 1)
    assert one["summary"]["performance_metrics"]["load"]["last"] == 0.5
    assert two["summary"]["total_events"] == 0


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_csv_and_parquet_hold_the_same_rows(traces: TraceService, compression: str | None) -> None:
    """R4.56 R4.57 R4.58 R4.60 A row for each event, and one for a trace without any."""
    as_csv = traces.export_traces(format="csv", compression=compression, include_metrics=True)
    as_parquet = traces.export_traces(
        format="parquet", compression=compression, include_metrics=True
    )
    content = as_csv.data.path.read_bytes()
    text = (gzip.decompress(content) if compression else content).decode()
    rows = list(csv.DictReader(text.splitlines(keepends=True)))
    table = pq.read_table(as_parquet.data.path).to_pylist()
    assert len(rows) == len(table) == 3
    for row, other in zip(rows, table, strict=True):
        assert row == {name: "" if each is None else str(each) for name, each in other.items()}
    assert [row["event_type"] for row in rows] == ["stage_started", "performance_metric", ""]
    assert json.loads(rows[0]["event_data"])["stage"] == "context"
    assert {row["total_events"] for row in rows} == {"2", "0"}


def test_only_what_matches_is_exported(traces: TraceService) -> None:
    """R4.11 R4.60 Filters are those of queries."""
    made = traces.export_traces({"status": "failed"}, "csv", include_events=False).unwrap()
    (row,) = csv.DictReader(made.path.read_text().splitlines(keepends=True))
    assert (row["context_id"], row["reason"]) == ("b", "no")
    assert "event_type" not in row


def test_an_export_that_fails_leaves_no_file(traces: TraceService, tmp_path: Path) -> None:
    """R4.11 R4.12 Formats and compressions that there are not are named."""
    assert traces.export_traces(format="xml").error.code is ErrorCode.InvalidArgument
    assert traces.export_traces(compression="rar").error.code is ErrorCode.InvalidArgument
    (tmp_path / "out").write_text("in the way")
    assert traces.export_traces().error.code is ErrorCode.Unavailable
    assert (tmp_path / "out").read_text() == "in the way"
    with pytest.raises(CorruptFile):
        read_json_traces(tmp_path / "out")
