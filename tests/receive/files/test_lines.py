"""Events one a line: each dialect into a store, told apart, in order, with nothing lost."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.receive.files.stored import AGENT_RUNS, brought, stored_events, written
from whence.model.errors import CorruptFile
from whence.receive.files.lines import line_of, read_lines
from whence.receive.files.report import FileReport
from whence.receive.files.source import ImportLimits, ReadOptions, source_of

RUNS = sorted(AGENT_RUNS.glob("*.ndjson"))


def objects(path: Path) -> list[dict[str, Any]]:
    """The lines of a file as plain JSON."""
    return [json.loads(text) for text in path.read_text().splitlines()]


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_a_run_of_others_comes_back_whole(path: Path, tmp_path: Path) -> None:
    """R4.69 R5.18 Every field of every line of each sample is in the store, in order of time."""
    (report,) = brought(tmp_path / "store", path)
    lines = objects(path)
    assert (report.format, report.events, report.stored) == ("ndjson", len(lines), len(lines))
    assert report.rejected == []
    events = stored_events(tmp_path / "store")
    in_order = sorted(lines, key=lambda each: each.get("timestamp") or each["ts"])  # stable
    assert [line_of(event) for event in events] == in_order


def test_files_share_no_ids(tmp_path: Path) -> None:
    """R4.69 Ids that repeat across files are told apart; nothing of one hides the other's."""
    reports = brought(tmp_path / "store", *RUNS)
    total = sum(len(objects(path)) for path in RUNS)
    assert sum(report.stored for report in reports) == total
    ids = [event.event_id for event in stored_events(tmp_path / "store")]
    assert len(set(ids)) == len(ids) == total
    assert sum(each.endswith("/evt-001") for each in ids) == 2


def test_importing_again_adds_nothing(tmp_path: Path) -> None:
    """R4.69 The second import stores nothing, and says that all was there; so does a .gz of it."""
    brought(tmp_path / "store", *RUNS)
    before = stored_events(tmp_path / "store")
    packed = tmp_path / "run.ndjson.gz"
    packed.write_bytes(gzip.compress(RUNS[0].read_bytes()))
    again = brought(tmp_path / "store", *RUNS, packed)
    assert sum(report.stored for report in again) == 0
    assert [report.duplicates for report in again] == [report.events for report in again]
    assert stored_events(tmp_path / "store") == before


def test_a_file_that_has_grown_adds_what_is_new(tmp_path: Path) -> None:
    """R4.69 With a name of its own a file is known again although it holds more."""
    path = written(tmp_path / "a.ndjson", '{"type":"x","ts":1700000000}')
    options = ReadOptions(called="mine")
    brought(tmp_path / "store", path, options=options)
    written(path, '{"type":"x","ts":1700000000}', '{"type":"y","ts":1700000001}')
    (report,) = brought(tmp_path / "store", path, options=options)
    assert (report.stored, report.duplicates) == (1, 1)


def test_dialects_may_be_mixed_in_a_file(tmp_path: Path) -> None:
    """R4.69 Each line is told by its own fields, and the report counts them."""
    path = written(
        tmp_path / "mixed.log",
        '{"event_type":"a","timestamp":"2026-01-01T00:00:00Z"}',
        '{"type":"b","ts":1767225601000}',
        '{"event":"c","timestamp":1767225602,"data":{"type":"inner"}}',
        '{"event":"d","timestamp":"2026-01-01T02:00:03+02:00","type":"extra","ts":null}',
        '{"type":"e","timestamp":1767225604000000000}',
    )
    (report,) = brought(tmp_path / "store", path)
    events = stored_events(tmp_path / "store")
    assert [event.event_type for event in events] == ["a", "b", "c", "d", "e"]
    assert [line_of(event) for event in events] == objects(path)
    assert dict(report.shapes) == {
        "event_type+timestamp": 1,
        "type+ts": 1,
        "event+timestamp+data": 1,
        "event+timestamp": 1,
        "type+timestamp": 1,
    }
    start_ns = 1_767_225_600 * 10**9
    assert [event.timestamp.value_ns for event in events] == [
        start_ns + at * 10**9 for at in range(5)
    ]
    assert dict(report.times) == {
        "ISO 8601 with a zone": 2,
        "milliseconds, by their size": 1,
        "seconds, by their size": 1,
        "nanoseconds, by their size": 1,
    }


def test_lines_are_in_order_of_time_and_then_of_the_file(tmp_path: Path) -> None:
    """R4.69 Ties keep the file's order, also where they stand apart in it."""
    times = [3, 1, 2, 1, 3, 1]
    path = written(
        tmp_path / "a.ndjson",
        *(f'{{"type":"t","ts":{1_700_000_000 + at},"n":{n}}}' for n, at in enumerate(times)),
    )
    (report,) = brought(tmp_path / "store", path)
    found = [event.attributes["n"] for event in stored_events(tmp_path / "store")]
    assert found == [1, 3, 5, 2, 0, 4]
    assert report.out_of_order == 3


def test_what_cannot_be_taken_is_counted_by_line(tmp_path: Path) -> None:
    """R4.69 Bad lines hinder no others, and each says where it stands and why."""
    path = written(
        tmp_path / "a.ndjson",
        '{"type":"x","ts":1700000000}',
        "",
        "{",
        "7",
        '{"type":"x"}',
        '{"type":"x","ts":12}',
        '{"type":"x","ts":1700000000,"ts":1700000001}',
        '{"type":"x","ts":1700000000,"deep":' + "[" * 70 + "]" * 70 + "}",
        '{"type":"x","ts":1700000002}',
    )
    (report,) = brought(tmp_path / "store", path)
    assert (report.lines, report.blank, report.stored) == (9, 1, 2)
    assert [(each.where, each.reason) for each in report.rejected] == [
        ("line 3", "not-json"),
        ("line 4", "no-object"),
        ("line 5", "no-type-or-time"),
        ("line 6", "no-time"),
        ("line 7", "name-twice"),
        ("line 8", "too-much"),
    ]
    with pytest.raises(CorruptFile, match="line 3: not-json"):
        brought(tmp_path / "other", path, options=ReadOptions(strict=True))


def test_a_line_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    """R4.69 The limit is the caller's; the next line is read as if nothing had been."""
    path = written(
        tmp_path / "a.ndjson",
        '{"type":"x","ts":1700000000}',
        f'{{"type":"y","ts":1700000000,"text":"{"z" * 200}"}}',
        '{"type":"z","ts":1700000000}',
    )
    options = ReadOptions(limits=ImportLimits(line_bytes=100))
    (report,) = brought(tmp_path / "store", path, options=options)
    assert [each.reason for each in report.rejected] == ["too-long"]
    assert report.stored == 2


def test_the_same_line_twice_is_one_event_only_where_it_has_an_id(tmp_path: Path) -> None:
    """R4.69 Lines that are sent again are known by their ids; an id for two things is numbered."""
    path = written(
        tmp_path / "a.ndjson",
        '{"type":"x","ts":1700000000}',
        '{"type":"x","ts":1700000000}',
        '{"type":"x","ts":1700000000,"event_id":"evt-1"}',
        '{"type":"x","ts":1700000000,"event_id":"evt-1"}',
        '{"type":"other","ts":1700000000,"event_id":"evt-1"}',
    )
    (report,) = brought(tmp_path / "store", path)
    assert (report.stored, report.repeated) == (4, 1)
    ids = [event.event_id.rpartition("/")[2] for event in stored_events(tmp_path / "store")]
    assert ids[2:] == ["evt-1", "evt-1#2"]


def test_runs_become_requests(tmp_path: Path) -> None:
    """R4.69 The one run of a file is that of all its events; of several each line has the last."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    one = written(
        tmp_path / "one.ndjson",
        '{"event":"A","timestamp":1700000000,"data":{}}',
        f'{{"event":"B","timestamp":1700000001,"data":{{"run_id":"r-1","trace_id":"{trace}"}}}}',
    )
    several = written(
        tmp_path / "several.ndjson",
        '{"type":"A","ts":1700000002,"session_id":"s","run_id":"r-2"}',
        '{"type":"B","ts":1700000003,"chain_id":"c"}',
        '{"type":"C","ts":1700000004,"run_id":"r-3"}',
        '{"type":"D","ts":1700000005,"parent_id":"e","event_id":"f"}',
        '{"type":"E","ts":1700000006,"event_id":"e","caused_by":"elsewhere"}',
    )
    _, report = brought(tmp_path / "store", one, several)
    events = stored_events(tmp_path / "store")
    assert [event.request_id for event in events] == ["r-1"] * 2 + ["r-2"] * 2 + ["r-3"] * 3
    assert {event.trace_id for event in events[:2]} == {trace}
    assert events[3].decision_chain_id == "c"
    assert events[5].caused_by == events[6].event_id
    assert events[6].caused_by == "elsewhere"
    assert report.notes["without run_id: taken for that of the line before"] == 3


def test_columns_are_told_by_the_fields_of_agents(tmp_path: Path) -> None:
    """R4.69 Who, how bad, how long, why and by which model: besides staying data."""
    path = written(
        tmp_path / "a.ndjson",
        '{"event_type":"route.decision","timestamp":"2026-01-01T00:00:00.123456789Z",'
        '"agent_id":"planner","level":"warn","duration_ms":1.5,"model":"m","reason":"cheaper"}',
    )
    brought(tmp_path / "store", path)
    (event,) = stored_events(tmp_path / "store")
    assert (event.component, event.severity.name, event.duration.nanos) == (
        "planner",
        "Warning",
        1_500_000,
    )
    assert (event.model_id, event.rationale, event.decision) == ("m", "cheaper", True)
    assert event.timestamp.value_ns % 10**9 == 123_456_789
    assert line_of(event) == objects(path)[0]


NAMES = st.text(max_size=12) | st.sampled_from(
    ["data", "type", "ts", "event", "import.line", "line.a", "a", "whence.json", "run_id", "id"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TIMES = (
    st.integers(1_600_000_000, 1_800_000_000)
    | st.integers(1_600_000_000_000, 1_800_000_000_000)
    | st.floats(1.6e9, 1.8e9)
    | st.datetimes().map(lambda at: f"{at.isoformat()}Z")
)
PAIRS = st.sampled_from([("event_type", "timestamp"), ("type", "ts"), ("event", "timestamp")])


@st.composite
def line_objects(draw: st.DrawFn) -> dict[str, Any]:
    """A line of any dialect with any fields besides; often with data."""
    type_name, time_name = draw(PAIRS)
    found = draw(st.dictionaries(NAMES, VALUES, max_size=5))
    if draw(st.booleans()):
        found["data"] = draw(st.dictionaries(NAMES, VALUES, max_size=4))
    return found | {type_name: draw(st.text(min_size=1, max_size=8)), time_name: draw(TIMES)}


@settings(max_examples=150, deadline=None)
@given(st.lists(line_objects(), max_size=6))
def test_whatever_stands_in_lines_is_taken_whole_or_told(lines: list[dict[str, Any]]) -> None:
    """R4.69 Each line is an event that has all of it, or stands among those that were rejected."""
    content = "".join(json.dumps(each) + "\n" for each in lines).encode()
    report = FileReport("x")
    source = source_of(content, "x", ReadOptions())
    events = [e for chunk in read_lines(source, ReadOptions(), report) for e in chunk]
    assert len(events) + report.rejections + report.repeated == len(lines) == report.lines
    for event in events:
        line = lines[int(event.attributes["import.line"]) - 1]
        assert json.dumps(line_of(event), sort_keys=True) == json.dumps(line, sort_keys=True)
    assert len({event.event_id for event in events}) == len(events)
    assert report.reasons.keys() <= {"no-time", "no-type-or-time", "names-clash"}
