"""The routes that ask: why, chains, pages of events, sessions and the ledger, as engines answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.query.build import inference_chain, late_chain, recording, rejected_chain
from tests.query.stores import stored
from tests.serve.serving import Client, served
from whence.model.ids import event_id
from whence.model.severity import Severity
from whence.query.engines.folder import FolderEngine
from whence.query.plain import plain
from whence.query.reach import around
from whence.query.why import why


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three chains."""
    made = [*inference_chain("req-0001"), *rejected_chain("req-0002"), *late_chain()]
    made.append(replace(made[0], event_type="fault_recorded", severity=Severity.Error))
    events = [
        replace(event, event_id=event_id(7, 0, at), ticket=at) for at, event in enumerate(made)
    ]
    return stored(tmp_path_factory.mktemp("serve") / "traces", recording(events), segments=2)


@pytest.fixture(scope="module")
def client(store: Path) -> Iterator[Client]:
    """Who asks a server over it."""
    with served(store) as found:
        yield found


def test_a_decision_is_answered_as_whence_why_answers_it(client: Client, store: Path) -> None:
    """The answer over HTTP is the one that the question itself gives. R4.63"""
    with FolderEngine(store) as engine:
        recording, name = around(engine, "req-0002")
        expected = plain(why(recording, name, source_words=None))
    assert client.get("/decisions/req-0002").json == expected


def test_the_newest_wrong_decision_is_found_without_an_id(client: Client) -> None:
    """`newest` explains the newest decision that went wrong. R4.63"""
    assert client.get("/decisions/newest").json["outcome"]["wrong"] is True


def test_what_is_not_there_is_told_with_what_is_spelled_alike(client: Client) -> None:
    """An unknown id is a 404 that names the nearest ids, in the one shape of problems. R4.63"""
    answer = client.get("/decisions/req-0009x")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "not_found"
    assert "req-0001" in answer.json["nearest"]
    assert answer.json["advice"]


def test_an_id_that_means_several_things_is_told_with_them(client: Client) -> None:
    """A part of several ids is a 409 that lists them. R4.63"""
    answer = client.get("/decisions/req-000")
    assert (answer.status, answer.json["code"]) == (409, "ambiguous")
    assert {"req-0001", "req-0002"} <= set(answer.json["candidates"])


def test_a_chain_has_all_its_events_in_order(client: Client) -> None:
    """The chain of a request is its events, the oldest first. R4.63"""
    found = client.get("/traces/req-0001/chain").json
    assert found["request_id"] == "req-0001"
    times = [event["wall_ns"] for event in found["events"]]
    assert times == sorted(times)
    assert {event["request_id"] for event in found["events"]} == {"req-0001"}


def test_pages_by_cursor_hold_every_event_once(client: Client) -> None:
    """Following next_cursor to its end gives all events, and none twice. R4.45"""
    seen: list[str] = []
    cursor = ""
    for _ in range(100):
        found = client.get(f"/events?limit=3&order=oldest&with_total=true{cursor}").json
        assert found["limit"] == 3
        assert found["pages"] == -(-found["total"] // 3)
        seen += [event["event_id"] for event in found["items"]]
        if found["next_cursor"] is None:
            break
        cursor = f"&cursor={found['next_cursor']}"
    assert len(seen) == found["total"] == len(set(seen))


def test_filters_take_three_states(client: Client) -> None:
    """has_errors true, false and left out are errors, all others, and all. R4.43"""
    counts = [
        client.get(f"/events?with_total=true{asked}").json["total"]
        for asked in ("", "&has_errors=true", "&has_errors=false")
    ]
    assert counts[0] == counts[1] + counts[2]
    assert counts[1] > 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("limit=0", "bad_request"),
        ("limit=1001", "bad_request"),
        ("has_errors=perhaps", "bad_request"),
        ("cursor=nonsense", "bad_request"),
        ("has_error=true", "unknown_parameter"),
        ("started_after=yesterday", "bad_time"),
        ("where=admitted+%3D", "bad_condition"),
        ("q=a%00b", "bad_text"),
        ("trace_id=12", "bad_request"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_words(
    client: Client, asked: str, code: str
) -> None:
    """A wrong filter, and one that is not known, is a 400 and never all events. R4.63"""
    answer = client.get(f"/events?{asked}")
    assert (answer.status, answer.json["code"]) == (400, code)
    assert answer.json["detail"]
    assert answer.json["advice"]


def test_one_event_is_found_by_its_id(client: Client) -> None:
    """An event of a page is had again by its id. R4.63"""
    first = client.get("/events?limit=1").json["items"][0]
    assert client.get(f"/events/{first['event_id']}").json == first


def test_wide_ids_are_texts(client: Client) -> None:
    """Keys and tickets of 64 bits are texts, which JavaScript does not round. R4.63"""
    session = client.get("/sessions").json["items"][0]
    assert isinstance(session["key"], str)
    event = client.get("/events?limit=1").json["items"][0]
    assert isinstance(event["ticket"], str)


def test_the_ledger_adds_up(client: Client) -> None:
    """Its sums are those of its rings. R4.63"""
    found = client.get("/ledger").json
    assert found["recorded"] == sum(ring["recorded"] for ring in found["rings"])


def test_unknown_routes_and_wrong_methods_are_problems_too(client: Client) -> None:
    """What is no route is told in the same shape. R4.63"""
    assert client.get("/nothing").json["code"] == "no_such_route"
    answer = client.ask("DELETE", "/healthz")
    assert (answer.status, answer.json["code"]) == (405, "wrong_method")
    assert answer.headers["allow"] == "GET"


def test_health_needs_no_token_and_says_little(client: Client) -> None:
    """Anybody may ask whether the server works, and learns nothing else. R5.26"""
    answer = client.get("/healthz", token=None)
    assert answer.status == 200
    assert set(answer.json) == {"status", "version", "writable"}


def test_own_figures_are_openmetrics(client: Client) -> None:
    """What the server did is there for Prometheus, each refusal counted. R5.25"""
    client.get("/decisions/req-0001", token=None)
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert 'whence_http_problems_total{code="unauthorized"}' in text
    assert 'whence_http_requests_total{method="GET",status="401"}' in text
