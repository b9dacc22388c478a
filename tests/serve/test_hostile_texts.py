"""Texts that mean harm come back as data: in JSON, streams, headers, files and terminals."""

from __future__ import annotations

import contextlib
import csv
import http.client
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.serve.hostile import HOSTILE
from tests.serve.serving import API, Client, served
from whence.serve.writing import Writing
from whence.traces.service import TraceService


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraceService]:
    """A service over a folder."""
    with TraceService(tmp_path_factory.mktemp("texts") / "traces") as made:
        yield made


@pytest.fixture(scope="module")
def client(service: TraceService) -> Iterator[Client]:
    """Who asks a server over it, in which each text is a trace's name and all else of it."""
    store = Path(service.name.removeprefix("store:"))
    with (
        contextlib.closing(Writing(service)) as writing,
        served(store, writing=writing, read_only=str) as found,
    ):
        for text in HOSTILE:
            trace = service.create_trace(
                text, text, name=text, description=text, tags=[text], metadata={text: [text]}
            ).value()
            service.record_event(
                trace.trace_id,
                "said_to_harm",
                message=text,
                component=text or "x",
                data={text: text},
            ).value()
            service.fail(trace.trace_id, text).value()
        service.flush().value()
        yield found


def _pages(client: Client) -> list[dict[str, Any]]:
    return list(client.get("/traces?limit=1000&sort=oldest&event_type=said_to_harm").json["items"])


def test_json_has_the_texts_as_they_were(client: Client) -> None:
    """Names, keys and values of every trace, and headers that are the same for all. R4.63"""
    found = _pages(client)
    assert sorted(each["name"] for each in found) == sorted(HOSTILE)
    usual = None
    for each in found:
        text = each["name"]
        answer = client.get(f"/traces/{each['trace_id']}")
        whole = answer.json
        assert (whole["description"], whole["context_id"], whole["tags"]) == (text, text, [text])
        assert whole["metadata"] == {text: [text]}
        headers = set(answer.headers) - {"content-length", "date"}
        usual = usual or headers
        assert headers == usual
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        (event,) = client.get(f"/traces/{each['trace_id']}/events").json["items"]
        assert (event["message"], event["data"]) == (text, {text: text})


def test_what_is_asked_for_is_in_no_header(client: Client) -> None:
    """Ids and filters with line ends come back in a body of JSON alone, if at all. R4.63"""
    for text in HOSTILE:
        if text in (".", ".."):
            continue
        asked = quote(text, safe="")
        for path in (f"/events/{asked}", f"/traces/{asked}", f"/decisions/{asked}",
                     f"/events?q={asked}", f"/events?{asked}=1", f"/{asked}"):  # fmt: skip
            answer = client.get(path)
            assert answer.status < 500, (path, answer)
            assert "set-cookie" not in answer.headers
            assert answer.headers["content-type"] in (
                "application/json",
                "application/problem+json",
            )
            json.loads(answer.body)


def test_a_stream_has_one_line_for_each_event(client: Client) -> None:
    """No text ends its line, so none makes an event, an id or a comment of its own. R4.63"""
    connection = http.client.HTTPConnection(client.host, client.port, timeout=30)
    with contextlib.closing(connection):
        path = f"{API}/events/stream?after=beginning&event_type=said_to_harm"
        connection.request("GET", path, headers={"Authorization": f"Bearer {client.token}"})
        response = connection.getresponse()
        told: list[str] = []
        while len(told) < len(HOSTILE):
            line = response.readline().decode()
            assert line.endswith("\n")
            assert line == "\n" or line.startswith((":", "id: ", "data: ", "event: ", "retry: "))
            if line.startswith("data: "):
                told.append(json.loads(line[6:])["rationale"])
    assert sorted(told) == sorted(HOSTILE)


@pytest.mark.parametrize("format", ["json", "csv"])
def test_a_file_is_named_by_the_server_and_holds_the_texts(client: Client, format: str) -> None:
    """Nothing that was recorded is in its name or its header; its cells hold them. R4.52"""
    for text in (*HOSTILE[-40:], *HOSTILE[:10]):
        answer = client.post("/exports", {"format": format, "filter": {"tag": text}})
        if answer.status != 200:
            assert answer.status == 400, answer
            continue
        said = answer.headers["content-disposition"]
        assert said.isascii()
        assert said.isprintable()
        assert "/" not in said
        assert ".." not in said
        if format == "json":
            assert text in [each["name"] for each in json.loads(answer.body)["traces"]]
        else:
            rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
            assert text in [row["name"] for row in rows]


def test_other_formats_and_names_are_no_way_out_of_the_folder(client: Client) -> None:
    """Formats, encodings and names of dashboards that are paths are refused. R4.52"""
    for text in HOSTILE:
        assert client.post("/exports", {"format": text}).status in (400, 422)
        assert client.post("/exports", {"compression": text}).status in (400, 422)
        assert client.get(f"/dashboards/{quote(text, safe='')}").status in (400, 404, 422)


@pytest.mark.parametrize("verb", [["why", "newest"], ["select"], ["stats"]])
def test_a_terminal_is_given_nothing_that_it_would_obey(
    client: Client, service: TraceService, verb: list[str]
) -> None:
    """No control, no escape and no mark of direction reaches the screen. R5.11"""
    store = service.name.removeprefix("store:")
    command = [sys.executable, "-m", "whence", *verb, "--from", store]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    shown = (done.stdout + done.stderr).decode().replace("\n", "")
    assert shown
    assert [letter for letter in shown if not letter.isprintable()] == []
