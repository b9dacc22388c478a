"""Chrome's trace events: spans, flows, counters and names, exactly and whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.receive.files.stored import brought, stored_events
from whence.receive.files.chrome import chrome_events_of, read_chrome
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions, source_of

BASE_NS = 1_700_000_000_000_000_000


def part(ph: str, ts: Any = None, name: str = "n", tid: int = 1, **more: Any) -> dict[str, Any]:
    """A trace event of process 1."""
    made = {"ph": ph, "name": name, "pid": 1, "tid": tid} | more
    return made if ts is None else made | {"ts": ts}


PARTS = [
    part("M", name="process_name", args={"name": "trainer"}),
    part("M", name="thread_name", args={"name": "main"}),
    part("X", 10.125, "step", dur=100.5, args={"batch": [1, 2], "loss": 0.5}),
    part("B", 20, "forward", cat="cpu_op"),
    part("s", 21, "launch", id=7, cat="flow"),
    part("i", 22, "mark", s="t"),
    part("E", 40, "forward", args={"bytes": 12}),
    part("X", 50, "kernel", tid=2, dur=5, cat="kernel"),
    part("f", 50, "launch", tid=2, id=7, cat="flow", bp="e"),
    part("b", 60, "async", cat="net", id="0x1"),
    part("e", 70, "async", cat="net", id="0x1"),
    part("C", 80, "memory", args={"used": 3}),
]


def put(path: Path, content: Any) -> Path:
    """A file of JSON."""
    path.write_text(json.dumps(content))
    return path


def test_a_trace_of_kineto_is_exact_and_whole(tmp_path: Path) -> None:
    """R4.69 R5.18 Spans nest by time, flows link, args stay, and times are right to the ns."""
    document = {"traceEvents": PARTS, "baseTimeNanoseconds": BASE_NS, "schemaVersion": 1}
    (report,) = brought(tmp_path / "store", put(tmp_path / "t.json", document))
    assert (report.format, report.rejected) == ("chrome", [])
    events = stored_events(tmp_path / "store")
    assert chrome_events_of(list(events)) == document
    spans = {event.event_type: event for event in events if event.span}
    step, forward, kernel = spans["step"], spans["forward"], spans["kernel"]
    assert (step.timestamp.value_ns, step.duration.nanos) == (BASE_NS + 10_125, 100_500)
    assert (forward.parent_span_id, forward.duration.nanos) == (step.span_id, 20_000)
    assert [link.span_id for link in kernel.links] == [forward.span_id]
    assert spans["async"].duration.nanos == 10_000
    mark = next(event for event in events if event.event_type == "mark")
    assert (mark.span, mark.span_id) == (False, forward.span_id)
    assert (step.component, forward.component) == ("trainer", "cpu_op")


def test_microseconds_since_1970_keep_their_fraction(tmp_path: Path) -> None:
    """R4.69 Sixteen digits before the point and three behind it: more than a float has."""
    path = tmp_path / "t.json"
    path.write_text('[{"ph":"X","name":"a","ts":1700000000123456.789,"dur":0.001,"pid":1,"tid":1}]')
    brought(tmp_path / "store", path)
    (event,) = stored_events(tmp_path / "store")
    assert (event.timestamp.value_ns, event.duration.nanos) == (1_700_000_000_123_456_789, 1)
    assert event.attributes["import.exact.ts"] == "1700000000123456.789"


def test_a_list_without_its_end_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """R4.69 Programs that were killed leave such files; the report tells."""
    path = tmp_path / "t.json"
    path.write_text(json.dumps(PARTS)[:-1] + ",\n")
    (report,) = brought(tmp_path / "store", path)
    assert chrome_events_of(list(stored_events(tmp_path / "store"))) == PARTS
    assert report.notes["its end was missing: read as far as it goes"] == 1


def test_begins_and_ends_that_do_not_match_stay(tmp_path: Path) -> None:
    """R4.69 A begin without an end is a span of no length, an end alone an event; both counted."""
    parts = [part("E", 1, "late"), part("B", 2, "open"), part("n", 3, "async", id=1)]
    (report,) = brought(tmp_path / "store", put(tmp_path / "t.json", parts))
    events = stored_events(tmp_path / "store")
    assert [(event.event_type, event.span) for event in events] == [
        ("late", False),
        ("open", True),
        ("async", False),
    ]
    assert report.notes["a begin without an end"] == 1
    assert report.notes["an end without a begin: an event"] == 1


@pytest.mark.parametrize("bad", [7, {}, {"ph": 1}, part("X"), part("X", "noon"), part("X", 1e300)])
def test_what_is_no_event_is_rejected_by_its_path(bad: Any, tmp_path: Path) -> None:
    """R4.69 And hinders no other."""
    path = put(tmp_path / "t.json", {"traceEvents": [PARTS[2], bad]})
    (report,) = brought(tmp_path / "store", path)
    assert [each.where for each in report.rejected] == ["$.traceEvents[1]"]
    assert report.stored == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
ANY_PARTS = st.builds(
    lambda ph, ts, dur, more: {"ph": ph, "ts": ts, "dur": dur} | more,
    st.sampled_from("XBEbenSTFsftiICMNODPRvc"),
    st.integers(0, 50) | st.floats(0, 50),
    st.integers(0, 20) | VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["a", "b"]) | VALUES,
            "cat": st.just("c") | VALUES,
            "pid": st.sampled_from([1, 2]),
            "tid": st.sampled_from([1, "2"]),
            "id": st.sampled_from([1, "0x2"]) | VALUES,
            "id2": VALUES,
            "bp": st.just("e"),
            "args": VALUES,
        },
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ANY_PARTS, min_size=1, max_size=12), st.dictionaries(st.text(max_size=5), VALUES))
def test_whatever_stands_in_a_file_can_be_put_together_again(
    parts: list[Any], rest: dict[str, Any]
) -> None:
    """R4.69 Each part of the file is in an event, and stands where it stood."""
    document = rest | {"traceEvents": parts}
    source = source_of(json.dumps(document).encode(), "t", ReadOptions())
    report = FileReport("t")
    made = [each for chunk in read_chrome(source, ReadOptions(), report) for each in chunk]
    assert report.rejected == []
    found = json.dumps(chrome_events_of(made), sort_keys=True)
    assert found == json.dumps(document, sort_keys=True)
    starts = {event.span_id: event for event in made if event.span}
    for event in made:
        around = starts.get(event.parent_span_id if event.span else event.span_id)
        if around is not None and around is not event:
            assert around.timestamp <= event.timestamp
