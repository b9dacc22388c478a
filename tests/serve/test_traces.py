"""The routes that read traces: lists, search, and one with its events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.query.build import event, recording
from tests.query.stores import stored
from tests.serve.serving import Client, served
from whence.model.event import TraceEvent
from whence.model.names import OWN_COMPONENT, TRACE_ENDED, TRACE_STARTED
from whence.model.nested import flat
from whence.model.severity import Severity

COUNT = 7


def _trace_id(number: int) -> str:
    return f"{number + 1:032x}"


def _made() -> Iterator[TraceEvent]:
    """Seven traces of two events each; the fourth failed, the last is active."""
    for number in range(COUNT):
        begin_ms = number * 100.0
        named = {"component": OWN_COMPONENT, "trace_id": _trace_id(number), "request_id": ""}
        about = {
            "trace_name": f"Trace {number}", "trace_type": "workflow_execution",
            "context_id": f"ctx-{number % 2}", "description": "", "tags": '["nightly"]',
            **flat({"metadata.plan": {"steps": [1, 2]}}),
        }  # fmt: skip
        yield event(TRACE_STARTED, begin_ms, attributes=about, **named)
        for step in range(2):
            data = flat({"step": step, "nested": {"list": [step]}})
            yield event("stage_completed", begin_ms + 1 + step, attributes=data,
                        rationale=f"Stage {step} of {number}", **named)  # fmt: skip
        if number == COUNT - 1:
            return
        failed = number == 3
        yield event(
            TRACE_ENDED, begin_ms + 10, duration_ms=10,
            attributes={"trace_status": "failed" if failed else "completed"},
            rationale="no room" if failed else "",
            severity=Severity.Error if failed else Severity.Info, **named,
        )  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Who asks a server over these traces."""
    events = [replace(each, event_id="", ticket=at) for at, each in enumerate(_made())]
    folder = tmp_path_factory.mktemp("traces") / "traces"
    with served(stored(folder, recording(events))) as found:
        yield found


def test_traces_are_listed_by_number_and_by_cursor(client: Client) -> None:
    """Both ways give every trace once, the newest first, in the one shape of pages. R4.45 R4.63"""
    by_number = [
        row["trace_id"]
        for number in (1, 2, 3)
        for row in client.get(f"/traces?limit=3&page={number}").json["items"]
    ]
    by_cursor, cursor = [], ""
    for _ in range(3):
        found = client.get(f"/traces?limit=3{cursor}").json
        assert (found["total"], found["pages"], found["limit"]) == (COUNT, 3, 3)
        by_cursor += [row["trace_id"] for row in found["items"]]
        cursor = f"&cursor={found['next_cursor']}"
    assert found["next_cursor"] is None
    assert by_number == by_cursor == [_trace_id(n) for n in reversed(range(COUNT))]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ("has_errors=true", [3]),
        ("has_errors=false", [6, 5, 4, 2, 1, 0]),
        ("status=active&status=failed", [6, 3]),
        ("context_id=ctx-1&sort=oldest", [1, 3, 5]),
        ("tag=nightly&limit=2", [6, 5]),
        ("tag=daily", []),
        ("q=Stage+1+of+2", [2]),
        ("level=error", [3]),
        ("event_type=stage_completed&trace_type=custom", []),
    ],
)
def test_filters_hold_together(client: Client, asked: str, numbers: list[int]) -> None:
    """Only the traces that pass all filters are listed. R4.43 R4.63"""
    found = client.get(f"/traces?{asked}").json["items"]
    assert [row["trace_id"] for row in found] == [_trace_id(number) for number in numbers]


def test_a_trace_has_its_metadata_and_events_as_they_were_given(client: Client) -> None:
    """Nested values come back nested; the events that begin and end it are not among its own."""
    found = client.get(f"/traces/{_trace_id(3)}").json
    assert (found["status"], found["reason"]) == ("failed", "no room")
    assert found["metadata"] == {"plan": {"steps": [1, 2]}}
    steps = found["steps"]["items"]
    assert [step["data"] for step in steps] == [
        {"step": number, "nested": {"list": [number]}} for number in range(2)
    ]
    assert [step["level"] for step in steps] == ["info", "info"]


def test_the_events_of_a_trace_are_paged(client: Client) -> None:
    """By cursor, the oldest first, and none twice. R4.6 R4.63"""
    seen, cursor = [], ""
    while True:
        found = client.get(f"/traces/{_trace_id(0)}/events?limit=1{cursor}").json
        seen += [step["message"] for step in found["items"]]
        if found["next_cursor"] is None:
            break
        cursor = f"&cursor={found['next_cursor']}"
    assert seen == ["Stage 0 of 0", "Stage 1 of 0"]


def test_searching_needs_something_to_look_for(client: Client) -> None:
    """An empty search is a 400, and finds nobody everything. R4.63"""
    for asked in ("", "?q=", "?q=%20"):
        answer = client.get(f"/traces/search{asked}")
        assert (answer.status, answer.json["code"]) == (400, "empty_search")
    found = client.get("/traces/search?q=Trace+5").json
    assert [row["name"] for row in found["items"]] == ["Trace 5"]


def test_traces_with_errors_have_a_list_of_their_own(client: Client) -> None:
    """Those that failed or have an event that is an error. R4.63"""
    found = client.get("/traces/errors").json
    assert [row["trace_id"] for row in found["items"]] == [_trace_id(3)]


@pytest.mark.parametrize("name", ["f" * 32, "0" * 32, "nonsense", "%E2%88%9E"])
def test_what_is_no_trace_is_not_found(client: Client, name: str) -> None:
    """An id that nobody has, and what is none, are 404. R4.63"""
    for path in (f"/traces/{name}", f"/traces/{name}/events"):
        assert (client.get(path).status, client.get(path).json["code"]) == (404, "not_found")


@pytest.mark.parametrize("asked", ["page=0", "page=1&cursor=newest.0.1.2.3", "cursor=x", "sort=x"])
def test_pages_that_cannot_be_are_refused(client: Client, asked: str) -> None:
    """A page is asked for by a number from 1 or a cursor that a page gave. R4.45"""
    assert client.get(f"/traces?{asked}").status == 400


@pytest.mark.parametrize("events", [0, 1, 2, 100])
def test_a_trace_is_the_same_whether_it_is_small_or_not(client: Client, events: int) -> None:
    """However few of its events are asked for, what is said of the trace is its row. R4.6"""
    rows = {row["trace_id"]: row for row in client.get("/traces").json["items"]}
    for name, row in rows.items():
        found = client.get(f"/traces/{name}?events={events}").json
        assert {key: found[key] for key in row} == row
        assert len(found["steps"]["items"]) <= events
        assert found["steps"]["total"] == row["events"]
