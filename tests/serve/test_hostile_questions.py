"""Statements of SQL wherever a question takes a name: refused, or a name like any other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest

from tests.query.build import inference_chain, recording
from tests.query.stores import stored
from tests.serve.hostile import SQL
from tests.serve.serving import Client, served
from whence.model.ids import event_id
from whence.model.recording import Recording
from whence.query.engines.memory import InMemory

EVENT_FILTERS = (
    "event_type", "component", "model_id", "request_id", "decision_chain_id", "trace_id",
    "session", "status", "level", "q", "where", "cursor", "order", "limit",
    "started_after", "started_before",
)  # fmt: skip
TRACE_FILTERS = (
    "context_id", "execution_id", "trace_type", "status", "level", "event_type", "component",
    "model_id", "request_id", "tag", "q", "sort", "cursor", "page",
)  # fmt: skip
FIGURES = ("group_by", "bucket", "measure", "of", "where", "event_type", "q")
PATHS = ("/decisions/{}", "/traces/{}", "/traces/{}/chain", "/traces/{}/events", "/events/{}")


@pytest.fixture(scope="module")
def world() -> Recording:
    """Chains, and an event named and described by each text."""
    made = [*inference_chain("req-0001"), *inference_chain("req-0002")]
    made += [
        replace(
            made[at % 4], event_type=text, component=text, request_id=text, rationale=text,
            attributes={text: at, "n": at, "said": text},
        )
        for at, text in enumerate(SQL)
    ]  # fmt: skip
    events = [
        replace(event, event_id=event_id(7, 0, at), ticket=at) for at, event in enumerate(made)
    ]
    return recording(events)


@pytest.fixture(scope="module")
def both(
    world: Recording, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, ...]]:
    """A server over files, which are asked in SQL, and one over plain values in memory."""
    store = stored(tmp_path_factory.mktemp("hostile") / "traces", world, segments=2)
    with (
        served(store) as of_files,
        served(store, engine=lambda: InMemory(world)) as of_values,
    ):
        yield of_files, of_values


def _same(both: tuple[Client, ...], path: str) -> int:
    """Both say the same, and it is an answer or a no that says why."""
    answers = [client.get(path) for client in both]
    assert {each.status for each in answers} <= {200, 400, 404, 409, 422}, (path, answers)
    assert answers[0].status == answers[1].status, (path, answers)
    if answers[0].status == 200:
        assert answers[0].json == answers[1].json, path
    return answers[0].status


@pytest.mark.parametrize("name", EVENT_FILTERS)
def test_a_statement_in_a_filter_on_events_is_a_text(both: tuple[Client, ...], name: str) -> None:
    """The files answer as plain values do, or both refuse. R4.63 R5.23"""
    for text in SQL:
        _same(both, f"/events?{urlencode({'limit': 50, 'order': 'oldest', name: text})}")
        if name == "where":
            for wrapped in (f"said = '{text}'", f"{text} = 1", f'"{text}" = 1', f"n = {text}"):
                _same(both, f"/events?{urlencode({'limit': 50, name: wrapped})}")


@pytest.mark.parametrize("name", TRACE_FILTERS)
def test_a_statement_in_a_filter_on_traces_is_a_text(both: tuple[Client, ...], name: str) -> None:
    """Also what traces are sorted and paged by. R4.63"""
    for text in SQL:
        _same(both, f"/traces?{urlencode({'limit': 50, name: text})}")


@pytest.mark.parametrize("name", FIGURES)
def test_a_statement_in_a_group_or_measure_is_a_name(both: tuple[Client, ...], name: str) -> None:
    """Groups, measures and attributes are names alone, however they are spelled. R4.63"""
    answered = 0
    for text in SQL:
        asked = {"measure": "count", name: text}
        answered += _same(both, f"/metrics/query?{urlencode(asked)}") == 200
        if name == "group_by":
            _same(both, f"/metrics/query?{urlencode({**asked, 'of': text, 'measure': 'p95'})}")
    assert answered or name in ("bucket", "measure", "where", "of")


@pytest.mark.parametrize("path", PATHS)
def test_a_statement_in_a_path_is_an_id(both: tuple[Client, ...], path: str) -> None:
    """It is found if something is called so, and otherwise not. R4.63"""
    for text in SQL:
        if text not in (".", ".."):
            _same(both, path.format(quote(text, safe="")))


def test_statements_together_are_texts(both: tuple[Client, ...]) -> None:
    """Several at once, drawn at random. R4.63"""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for _ in range(100):
        asked = {name: chance.choice(SQL) for name in chance.sample(EVENT_FILTERS[:7], 3)}
        try:
            _same(both, f"/events?{urlencode(asked)}")
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


def test_questions_without_end_are_bounded(both: tuple[Client, ...]) -> None:
    """Buckets of a millisecond over ten years, endless pages and conditions: an answer within its
    bounds, or a no that says what to ask for. R4.63 R4.50"""
    files = both[0]
    ten_years = "started_after=2016-01-01T00:00:00Z&started_before=2026-01-01T00:00:00Z"
    deep = " and ".join(["n > 1"] * 120)
    for path in (
        f"/metrics/query?bucket=1ms&{ten_years}",
        f"/metrics/query?bucket=1ns&group_by=request&group_by=said&{ten_years}",
        f"/dashboards/overview?group_by=1ms&{ten_years}",
        "/events?limit=1000000000",
        "/traces?limit=1000&page=9223372036854775807",
        "/traces?limit=10&page=99999999999999999999999999",
        "/events?cursor=newest.0.99999999999999999999999999.0.0.0",
        f"/events?where={quote(deep)}",
        f"/events?where={quote('(' * 500 + 'n = 1' + ')' * 500)}",
        f"/events?q={quote('%' * 1000)}",
        "/events?" + "&".join(["event_type=x"] * 1000),
    ):
        answer = files.get(path)
        assert answer.status in (200, 400, 414, 422), (path, answer)
        assert len(answer.body) < 1_000_000
        if answer.status != 200:
            assert answer.json["advice"] or answer.json["detail"], path
    assert files.get("/events?limit=1").status == 200
