"""Exports of many traces: read many at a time, told how far they are, and ended when wished."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.model.query import TraceQuery
from whence.model.result import ErrorCode
from whence.query.engines.folder import FolderEngine
from whence.traces import service as services
from whence.traces import whole
from whence.traces.exports import read_json_traces
from whence.traces.service import TraceService

MANY = 60


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraceService]:
    """A service over a folder with many traces of 0 to 4 events each, tagged "kept".

    The folder has what other tests of this process record, too.
    """
    folder = tmp_path_factory.mktemp("exports") / "traces"
    with TraceService(folder, enable_metrics_collection=False) as service:
        for number in range(MANY):
            tags, more = (
                ["kept", "even"] if number % 2 == 0 else ["kept"],
                {"deep": {"n": [number, None]}},
            )
            made = service.create_trace(
                f"ctx-{number % 7}", name=f"ä {number}", tags=tags, metadata=more
            ).unwrap()
            for step in range(number % 5):
                service.record_event(
                    made.trace_id, "step", "error" if step == 3 else "info", f"did {step}",
                    {"step": step, "raw": b"\xff", "list": [1, {"a": 2.5}]}, duration_ms=1.5,
                ).unwrap()  # fmt: skip
            if number % 3:
                service.fail(made.trace_id, "no room")
        yield service


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_an_export_of_a_folder_comes_back(kept: TraceService, compression: str | None) -> None:
    """R4.11 R4.55 R4.58 R4.68 Every trace as it is told one by one, the oldest first."""
    made = kept.export_traces(compression=compression, tag="even").unwrap()
    found = read_json_traces(made.path)
    assert [trace.name for trace in found] == [f"ä {n}" for n in range(0, MANY, 2)]
    assert found == [kept.get_trace_by_id(trace.trace_id).unwrap() for trace in found]
    assert made.events == sum(len(trace.events) for trace in found)


def test_tables_of_a_folder_hold_what_its_traces_do(kept: TraceService) -> None:
    """R4.57 R4.59 R4.68 A row of Parquet for each event, with nothing of its trace left out."""
    made = kept.export_traces(format="parquet", tag="kept").unwrap()
    rows = pq.read_table(made.path).to_pylist()
    for trace in (kept.get_trace_by_id(name).unwrap() for name in {r["trace_id"] for r in rows}):
        own = [row for row in rows if row["trace_id"] == trace.trace_id]
        assert {row["name"] for row in own} == {trace.name}
        assert {(row["status"], row["reason"]) for row in own} == {(trace.status, trace.reason)}
        assert {row["duration_ns"] for row in own} == {trace.duration_ns}
        assert json.loads(own[0]["metadata"]) == trace.metadata
        ids = [row["event_id"] for row in own if row["event_id"]]
        assert ids == [event.event_id for event in trace.events]
        for row, event in zip(own, trace.events, strict=False):
            assert row["event_timestamp_ns"] == event.timestamp_ns
            assert json.loads(row["event_data"])["step"] == event.data["step"]


def test_many_traces_are_read_by_few_questions(
    kept: TraceService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4.11 One question for a page of rows, and one for the events of so many traces."""
    asked: list[TraceQuery] = []
    select = FolderEngine.select

    def counted(self: FolderEngine, query: TraceQuery, **more: Any) -> Any:
        asked.append(query)
        return select(self, query, **more)

    monkeypatch.setattr(FolderEngine, "select", counted)
    assert kept.export_traces(tag="kept").unwrap().traces == MANY
    assert len(asked) == 1
    asked.clear()
    monkeypatch.setattr(whole, "EVENTS_AT_ONCE", 30)
    monkeypatch.setattr(whole, "ROWS_AT_ONCE", 17)
    assert kept.export_traces(tag="kept").unwrap().traces == MANY
    assert 4 <= len(asked) <= 8
    assert all(len(query.trace_ids or ()) < 40 for query in asked)
    asked.clear()
    made = kept.export_traces(tag="kept", include_events=False).unwrap()
    assert {query.event_types for query in asked} == {("trace_started", "trace_ended")}
    assert (made.traces, made.events) == (MANY, 0)


def test_an_export_says_how_far_it_is(kept: TraceService, monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.11 How many traces are written, of how many; the last time of all."""
    monkeypatch.setattr(services, "TOLD_EVERY", 25)
    told: list[tuple[int, int]] = []
    kept.export_traces(tag="kept", progress=lambda done, total: told.append((done, total))).unwrap()
    assert told == [(25, MANY), (50, MANY), (MANY, MANY)]
    told.clear()
    nothing = kept.export_traces(
        {"tag": "no such"}, progress=lambda done, total: told.append((done, total))
    )
    assert (nothing.unwrap().traces, told) == (0, [(0, 0)])


def test_an_export_can_be_ended(kept: TraceService, monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.11 There is no file then, and whoever waits is told."""
    monkeypatch.setattr(services, "TOLD_EVERY", 10)
    cancel = threading.Event()
    before = list(Path(kept._export_folder()).iterdir())
    found = kept.export_traces(tag="kept", progress=lambda done, total: cancel.set(), cancel=cancel)
    assert found.error.code is ErrorCode.BudgetExceeded
    assert "cancelled" in found.error.message
    assert list(Path(kept._export_folder()).iterdir()) == before


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=4)
    | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=6), VALUES, max_size=3), max_size=4))
def test_whatever_data_events_have_comes_back(tmp_path: Path, given_data: list[Any]) -> None:
    """R4.68 R4.59 Nested, empty, binary: an export that is read again is what the service tells."""
    with TraceService("memory", export_folder=tmp_path) as traces:
        with traces.trace("work") as t:
            for data in given_data:
                assert traces.record_event(t.trace_id, "step", data=data).success
        (found,) = read_json_traces(traces.export_traces(compression="gzip").unwrap().path)
        assert found == traces.get_trace_by_id(t.trace_id).unwrap()
        assert [event.data for event in found.events] == given_data


def test_several_traces_are_asked_for_at_once(kept: TraceService) -> None:
    """R4.7 Events of any of these traces; an id that is none is refused."""
    ids = tuple(row.trace_id for row in kept.query_traces(limit=3, tag="kept").unwrap().items)
    with kept._room.asking() as engine:
        found = engine.select(TraceQuery(trace_id=ids), limit=1_000).events
        one = [engine.select(TraceQuery(trace_id=each), limit=1_000).events for each in ids]
    assert sorted(event.event_id for event in found) == sorted(e.event_id for o in one for e in o)
    assert all(TraceQuery(trace_id=ids).matches(event) for event in found)
    with pytest.raises(ValueError, match="32 hexadecimal"):
        TraceQuery(trace_id=[ids[0], "short"])
