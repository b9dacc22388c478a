"""The routes that write traces: begin, record, end; readers see it once it is answered."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.serving import Client, served
from whence.serve.writing import Writing
from whence.traces.service import TraceService


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Who asks a server that writes."""
    store = tmp_path_factory.mktemp("writes") / "traces"
    with TraceService(store) as service:
        service.create_trace(name="first").value()
        service.flush().value()
        with (
            contextlib.closing(Writing(service)) as writing,
            served(store, writing=writing, read_only=str) as found,
        ):
            yield found


def _begun(client: Client, **given: Any) -> str:
    answer = client.post("/traces", given)
    assert answer.status == 201, answer.json
    assert answer.headers["location"] == f"/api/v1/traces/{answer.json['trace_id']}"
    trace_id: str = answer.json["trace_id"]
    return trace_id


def test_a_trace_is_begun_recorded_ended_and_read(client: Client) -> None:
    """What was answered is read at once, values nested as they were given. R4.2 R4.4 R4.63 R4.66"""
    metadata = {"plan": {"steps": ["a", "b"], "budget": None}}
    name = _begun(
        client, name="Release", trace_type="workflow_execution", context_id="ctx-1",
        tags=["nightly"], metadata=metadata,
    )  # fmt: skip
    data = {"stage": "build", "sizes": [1, 2.5, None], "deep": {"er": True}}
    step = {
        "event_type": "stage_completed", "level": "warn", "message": "slow", "data": data,
        "duration_ms": 12.5, "component": "builder",
    }  # fmt: skip
    recorded = client.post(f"/traces/{name}/events", step)
    assert recorded.status == 201
    assert client.post(f"/traces/{name}/complete", {}).json["status"] == "completed"
    found = client.get(f"/traces/{name}").json
    assert (found["name"], found["status"], found["context_id"]) == (
        "Release", "completed", "ctx-1",
    )  # fmt: skip
    assert (found["metadata"], found["tags"]) == (metadata, ["nightly"])
    (read,) = found["steps"]["items"]
    assert read["data"] == data
    assert (read["level"], read["duration_ns"]) == ("warn", 12_500_000)
    assert read["event_id"] == recorded.json["event_id"]
    assert (found["events"], found["warnings"], found["has_errors"]) == (1, 1, False)
    assert found["duration_ns"] > 0


@pytest.mark.parametrize(
    ("verb", "status"), [("complete", "completed"), ("fail", "failed"), ("cancel", "cancelled")]
)
def test_a_trace_ends_once(client: Client, verb: str, status: str) -> None:
    """Each end is final: another one, and another event, are 409. R4.20 R4.63"""
    name = _begun(client, name=verb)
    body = {} if verb == "complete" else {"reason": "because"}
    ended = client.post(f"/traces/{name}/{verb}", body)
    assert (ended.status, ended.json["status"]) == (200, status)
    assert client.get(f"/traces/{name}").json["reason"] == body.get("reason", "")
    for again in ("complete", "fail", "cancel"):
        answer = client.post(f"/traces/{name}/{again}", {})
        assert (answer.status, answer.json["code"]) == (409, "conflict")
    late = client.post(f"/traces/{name}/events", {"event_type": "late"})
    assert late.status == 409


def test_ends_need_no_body(client: Client) -> None:
    """Who has no reason sends nothing. R4.63"""
    name = _begun(client)
    assert client.ask("POST", f"/traces/{name}/fail").status == 200


def test_several_events_are_recorded_at_once(client: Client) -> None:
    """In their order, each with its id. R4.63"""
    name = _begun(client)
    steps = [{"event_type": "step", "message": str(number)} for number in range(50)]
    answer = client.post(f"/traces/{name}/events/batch", {"events": steps})
    assert (answer.status, answer.json["recorded"]) == (201, 50)
    found = client.get(f"/traces/{name}/events?limit=100").json["items"]
    assert {step["event_id"] for step in found} == set(answer.json["event_ids"])


def test_a_batch_that_stops_says_how_far_it_came(client: Client) -> None:
    """Of an event that cannot be recorded the number is told, and those before it stay. R4.63"""
    name = _begun(client)
    steps = [{"event_type": "good"}, {"event_type": "bad", "timestamp": "no time"}]
    answer = client.post(f"/traces/{name}/events/batch", {"events": steps})
    assert (answer.status, answer.json["code"]) == (400, "recorded_in_part")
    assert answer.json["recorded"] == 1
    assert client.get(f"/traces/{name}").json["events"] == 1


@pytest.mark.parametrize(
    "given",
    [
        {"trace_type": "nonsense"},
        {"name": 7},
        {"nmae": "misspelled"},
        {"tags": "one"},
        {"timeout_ms": 0},
        {"metadata": []},
        [],
        "text",
        None,
    ],
)
def test_what_is_no_trace_is_refused(client: Client, given: Any) -> None:
    """A body that does not fit is a 400 that says where. R4.63"""
    answer = client.post("/traces", given)
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert answer.json["errors"][0]["where"].startswith("body")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"event_type": ""},
        {"event_type": "x", "level": "loud"},
        {"event_type": "x", "timestamp": "yesterday"},
        {"event_type": "x", "duration_ms": -1},
        {"event_type": "x", "data": {"deep": None}, "more": 1},
    ],
)
def test_what_is_no_event_is_refused(client: Client, given: Any) -> None:
    """Nothing of it is recorded. R4.63"""
    name = _begun(client)
    assert client.post(f"/traces/{name}/events", given).status == 400
    assert client.get(f"/traces/{name}").json["events"] == 0


def test_json_that_is_none_or_too_deep_is_refused(client: Client) -> None:
    """Broken JSON, NaN and a thousand brackets are 400, never a 5xx. R4.63"""
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b"[" * 100_000, b'{"name": NaN}', b"\xff"):
        answer = client.ask("POST", "/traces", body, headers)
        assert answer.status == 400, body[:20]


def test_a_trace_that_there_is_not_takes_no_events(client: Client) -> None:
    """404, whatever is to be done with it. R4.63"""
    for path in ("events", "complete", "fail", "cancel"):
        body = {"event_type": "x"} if path == "events" else {}
        assert client.post(f"/traces/{'e' * 32}/{path}", body).status == 404


def test_many_write_at_once_and_nothing_is_lost(client: Client) -> None:
    """Every event that was answered with 201 is there, from however many clients. R4.63"""
    name = _begun(client, name="busy")
    statuses: list[int] = []

    def record(own: int) -> None:
        for number in range(10):
            step = {"event_type": "step", "data": {"own": own, "number": number}}
            statuses.append(client.post(f"/traces/{name}/events", step).status)

    threads = [threading.Thread(target=record, args=(own,)) for own in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert statuses == [201] * 60
    assert client.get(f"/traces/{name}?events=0").json["events"] == 60


def test_a_server_that_only_reads_says_so(tmp_path: Path) -> None:
    """Every route that writes is 403 with the reason. R5.26"""
    with served(tmp_path) as client:
        for path in ("/traces", f"/traces/{'e' * 32}/events", f"/traces/{'e' * 32}/complete"):
            answer = client.post(path, {"event_type": "x"})
            assert (answer.status, answer.json["code"]) == (403, "read_only")
