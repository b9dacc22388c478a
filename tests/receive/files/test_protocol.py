"""Traces of the multi-agent protocol: checked by path, taken apart, and put together again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.receive.files.stored import brought, stored_events
from whence.model.errors import CorruptFile
from whence.receive.files.protocol import read_protocol, traces_of
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions, source_of

TRACE = "0af76519-16cd-43dd-8448-eb211c80319c"


def trace(**changed: Any) -> dict[str, Any]:
    """A trace of three segments and two events; fields may be changed."""
    return {
        "meta": {"protocol_version": "2.0.0", "tags": ["a", None]},
        "trace_id": TRACE,
        "context_id": "c-1",
        "root_span": {
            "trace_id": TRACE,
            "span_id": "root-1",
            "context_id": "c-1",
            "attributes": {"name": "plan and run", "weights": [1, 2.5]},
        },
        "status": "completed",
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:00:10Z",
        "segments": [
            segment("s-1", "plan", "completed", 1, 4),
            segment("s-2", "search", "failed", 2, 3, parent_segment_id="s-1"),
            segment("s-3", "run", "skipped", 5, None),
        ],
        "events": [
            {
                "event_id": "e-1",
                "event_type": "pipeline_stage",
                "source": "planner",
                "timestamp": "2026-01-01T00:00:02.000000001Z",
                "trace_id": TRACE,
                "data": {"stage_id": "x", "stage_status": "running", "segment_id": "s-2"},
            },
            {"event_id": "e-2", "event_type": "intent", "timestamp": 1767225606, "extra": [1]},
        ],
    } | changed


def segment(name: str, label: str, status: str, start: int, end: int | None, **more: Any) -> Any:
    """A segment that began so many seconds after the trace."""
    made = {"segment_id": name, "label": label, "status": status, "attributes": {"cost": 1.5}}
    made["started_at"] = f"2026-01-01T00:00:{start:02}Z"
    return made | ({} if end is None else {"finished_at": f"2026-01-01T00:00:{end:02}Z"}) | more


def put(path: Path, content: Any) -> Path:
    """A file of JSON."""
    path.write_text(json.dumps(content, indent=1))
    return path


def test_a_trace_becomes_spans_and_events(tmp_path: Path) -> None:
    """R4.69 R5.18 The root, segments under their parents, events in them, both ends; all of it."""
    (report,) = brought(tmp_path / "store", put(tmp_path / "t.json", trace()))
    assert (report.format, report.rejected, report.flaws) == ("mplp", [], [])
    events = stored_events(tmp_path / "store")
    assert traces_of(list(events)) == [trace()]
    assert {event.trace_id for event in events} == {TRACE.replace("-", "")}
    spans = {event.event_type: event for event in events if event.span}
    assert list(spans) == ["plan and run", "plan", "search", "run"]
    root = spans["plan and run"]
    assert (root.duration.nanos, root.status, root.parent_span_id) == (10 * 10**9, "ok", 0)
    assert spans["search"].parent_span_id == spans["plan"].span_id
    assert spans["plan"].parent_span_id == root.span_id
    assert [spans[name].status for name in ("plan", "search", "run")] == ["ok", "error", ""]
    stage = next(event for event in events if event.event_type == "pipeline_stage")
    assert (stage.component, stage.span_id) == ("planner", spans["search"].span_id)
    assert stage.timestamp.value_ns % 10**9 == 1
    assert events[-1].event_type == "trace_ended"


def test_importing_a_trace_again_adds_nothing(tmp_path: Path) -> None:
    """R4.69 Nor does it twice in one go."""
    path = put(tmp_path / "t.json", trace())
    first, second = brought(tmp_path / "store", path, path)
    assert (first.duplicates, second.stored) == (0, 0)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"status": "odd"}, "$.status"),
        ({"meta": None}, "$.meta"),
        ({"context_id": ""}, "$.context_id"),
        ({"finished_at": "soon"}, "$.finished_at"),
        ({"segments": {}}, "$.segments"),
        ({"segments": [segment("a", "x", "odd", 1, 2)]}, "$.segments[0].status"),
        ({"segments": [segment("a", "x", "failed", 3, 2)]}, "$.segments[0].finished_at"),
        (
            {"segments": [segment("a", "x", "failed", 1, 2, parent_segment_id="b")]},
            "$.segments[0].parent_segment_id",
        ),
        (
            {"events": [{"event_id": "a", "event_type": "B-c", "timestamp": 1767225606}]},
            "$.events[0].event_type",
        ),
        ({"events": [{"event_id": "a", "event_type": "b"}]}, "$.events[0].timestamp"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(
    changed: dict[str, Any], where: str, tmp_path: Path
) -> None:
    """R4.69 A flaw is named and all is taken as it is; a strict import refuses the file."""
    path = put(tmp_path / "t.json", trace(**changed))
    (report,) = brought(tmp_path / "store", path)
    assert where in [flaw.where for flaw in report.flaws]
    assert traces_of(list(stored_events(tmp_path / "store"))) == [trace(**changed)]
    with pytest.raises(CorruptFile, match=r"t\.json: "):
        brought(tmp_path / "strict", path, options=ReadOptions(strict=True))


def test_a_trace_without_an_id_or_a_time_is_rejected(tmp_path: Path) -> None:
    """R4.69 The others of the file are taken; they may stand in a list or one a line."""
    timeless = trace(segments=[], events=[], started_at=None, finished_at=None, trace_id="t-2")
    found = [trace(), trace(trace_id=None), timeless, trace(trace_id="t-3", status="running")]
    path = put(tmp_path / "t.json", found)
    (report,) = brought(tmp_path / "store", path)
    assert [(each.where, each.reason) for each in report.rejected] == [
        ("$[1].trace_id", "no-id"),
        ("$[2]", "no-time"),
    ]
    lines = tmp_path / "t.jsonl"
    lines.write_text("".join(json.dumps(each) + "\n" for each in found))
    (again,) = brought(tmp_path / "lines", lines)
    assert [each.reason for each in again.rejected] == ["no-id", "no-time"]
    events = stored_events(tmp_path / "lines")
    assert traces_of(list(events)) == [found[0], found[3]]
    assert sum(event.event_type == "trace_ended" for event in events) == 1


NAMES = st.text(max_size=8) | st.sampled_from(["import.part", "attributes", "data", "name"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
PARTS = st.dictionaries(
    st.sampled_from(
        ["segment_id", "parent_segment_id", "label", "status", "started_at", "finished_at",
         "attributes", "event_id", "event_type", "timestamp", "source", "data", "trace_id", "x"]
    ),
    VALUES | st.sampled_from(["s-1", "completed", "2026-01-01T00:00:03Z", 1767225606]),
    max_size=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PARTS, max_size=3),
    st.lists(PARTS, max_size=3),
    st.dictionaries(NAMES.filter(lambda name: name != "trace_id"), VALUES, max_size=3),
    VALUES,
)
def test_whatever_stands_in_a_trace_is_taken_whole(
    segments: list[Any], events: list[Any], more: dict[str, Any], root: Any
) -> None:
    """R4.69 Whatever is wrong with its parts, the trace can be put together again."""
    found = trace(segments=segments, events=events, root_span=root, **more)
    report = FileReport("t")
    source = source_of(json.dumps(found).encode(), "t", ReadOptions())
    made = [each for chunk in read_protocol(source, ReadOptions(), report) for each in chunk]
    assert report.rejected == []
    expected = json.dumps([found], sort_keys=True)
    assert json.dumps(traces_of(made), sort_keys=True) == expected
    assert len({event.event_id for event in made}) == len(made)
