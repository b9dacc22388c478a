"""The routes that tell figures, delete and export: as the trace service and engines answer."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.serving import Client, served
from whence.query.plain import plain
from whence.serve.writing import Writing
from whence.traces.service import TraceService

# The store has all events of the process, those of earlier tests too: these tell ours apart.
CONTEXTS = ("figures-0", "figures-1", "figures-2")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraceService]:
    """A service with nine traces: three failed, one is active."""
    with TraceService(tmp_path_factory.mktemp("figures") / "traces") as made:
        for number in range(9):
            kind = "workflow_execution" if number % 2 else "custom"
            trace = made.create_trace(CONTEXTS[number % 3], trace_type=kind, name=f"n{number}")
            name = trace.value().trace_id
            made.record_event(name, "figured", "error" if number % 3 == 0 else "info").value()
            if number % 3 == 0:
                made.fail(name, "no room").value()
            elif number != 8:
                made.complete(name).value()
        made.flush().value()
        yield made


@pytest.fixture(scope="module")
def client(service: TraceService) -> Iterator[Client]:
    """Who asks a server over it."""
    store = Path(service.name.removeprefix("store:"))
    with (
        contextlib.closing(Writing(service)) as writing,
        served(store, writing=writing, read_only=str) as found,
    ):
        yield found


def test_statistics_are_those_of_the_service(client: Client, service: TraceService) -> None:
    """The same figures over HTTP and in process, of all traces and of some. R4.47 R4.63"""
    found, same = client.get("/traces/statistics").json, plain(service.statistics().value())
    # sums of floats: threads add them in any order
    assert found.pop("average_duration") == pytest.approx(same.pop("average_duration"))
    assert found == same
    some = client.get("/traces/statistics?context_id=figures-0&has_errors=true").json
    assert (some["total_traces"], some["by_status"]) == (3, {"failed": 3})


def test_performance_tells_what_lasted_longest(client: Client, service: TraceService) -> None:
    """The longest first, those that are active left out. R4.50 R4.63"""
    found = client.get("/traces/performance?limit=5").json
    durations = [row["duration_ns"] for row in found["slowest"]]
    assert len(durations) == 5
    assert durations == sorted(durations, reverse=True)
    types = {group["keys"]["trace_type"] for group in found["by_type"]}
    assert types >= {"custom", "workflow_execution"}  # and those of earlier tests


def test_a_query_in_one_body_has_its_page_and_its_figures(
    client: Client, service: TraceService
) -> None:
    """Filter, aggregation and pagination in one object, as the service takes them. R4.7 R4.44"""
    asked = {
        "filter": {"trace_types": ["custom"], "has_errors": False},
        "aggregation": {"group_by": ["status"], "metrics": ["count", "error_rate"]},
        "pagination": {"page": 1, "limit": 2},
    }
    found = client.post("/traces/query", asked).json
    same = service.query_traces(**asked).value()
    assert (found["total"], found["pages"]) == (same.total, same.pages)
    assert [row["trace_id"] for row in found["items"]] == [row.trace_id for row in same.items]
    assert found["aggregations"] == plain(same.aggregations)


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": {"no_such": 1}},
        {"filter": {"status": "nonsense", "has_errors": "perhaps"}},
        {"aggregation": {"metrics": ["everything"]}},
        {"pagination": {"limit": -1}},
        {"pagination": {"page": "one"}},
        {"more": 1},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(client: Client, asked: object) -> None:
    """With 400 and what is not understood. R4.63"""
    answer = client.post("/traces/query", asked)
    assert answer.status == 400
    assert answer.json["detail"]


def test_metrics_are_figures_of_groups_of_events(client: Client) -> None:
    """Counted as the engine counts them, weights and all. R4.8 R4.63"""
    found = client.get("/metrics/query?group_by=severity&event_type=figured&measure=count").json
    assert {group["keys"][0]: group["rows"] for group in found["items"]} == {"Error": 3, "Info": 6}
    assert client.get("/metrics/query?bucket=1h&group_by=type").status == 200
    for asked in ("bucket=soon", "bucket=0s", "measure=most", "group_by="):
        assert client.get(f"/metrics/query?{asked}").status == 400


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_an_export_is_a_file_with_what_matches(client: Client, compression: str | None) -> None:
    """It holds the traces with their events, and is gone from the server afterwards. R4.55 R4.58"""
    wanted = {"has_errors": True, "context_ids": CONTEXTS}
    asked = {"filter": wanted, "compression": compression}
    answer = client.post("/exports", asked)
    assert answer.status == 200, answer.json
    assert answer.headers["x-whence-traces"] == "3"
    assert "attachment" in answer.headers["content-disposition"]
    body = gzip.decompress(answer.body) if compression else answer.body
    traces = json.loads(body)["traces"]
    assert {trace["status"] for trace in traces} == {"failed"}
    assert all(len(trace["events"]) == 1 for trace in traces)


def test_an_export_of_another_format_and_of_too_much_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A format that there is not is 400; more traces than a file may have is 422. R4.63"""
    assert client.post("/exports", {"format": "xml"}).status == 400
    monkeypatch.setattr("whence.serve.routes.admin.MOST_EXPORTED", 3)
    assert client.post("/exports", {}).status == 422


def test_a_deleted_trace_is_gone_at_once(client: Client) -> None:
    """From lists, from its own route and from searches; a second time it is 404. R4.63"""
    name = client.post("/traces", {"name": "unwanted"}).json["trace_id"]
    assert client.ask("DELETE", f"/traces/{name}").json == {"deleted_count": 1}
    assert client.get(f"/traces/{name}").status == 404
    assert client.get("/traces/search?q=unwanted").json["items"] == []
    assert client.ask("DELETE", f"/traces/{name}").status == 404


def test_cleaning_up_leaves_what_is_younger(client: Client) -> None:
    """Nothing here is a day old. R4.32 R4.63"""
    before = client.get("/traces").json["total"]
    answer = client.post("/traces/cleanup", {"older_than_days": 1})
    assert answer.json == {"deleted_count": 0}
    assert client.get("/traces").json["total"] == before
    assert client.post("/traces/cleanup", {"older_than_days": -1}).status == 400


def test_a_dashboard_is_that_of_the_service(client: Client, service: TraceService) -> None:
    """The overview of the last 24 hours, and 400 or 404 for what there is not. R4.46 R4.48 R4.49"""
    found = client.get("/dashboards/overview").json
    same = plain(service.get_dashboard_data().value())
    for name in ("total_traces", "error_count", "success_rate", "bucket_ns", "top_errors"):
        assert found[name] == same[name]
    assert len(found["timeseries"]) in (24, 25)
    for asked in ("?metric=luck", "?group_by=never", "?started_after=9&started_before=3"):
        assert client.get(f"/dashboards/overview{asked}").status == 400
    assert client.get("/dashboards/secret").status == 400
