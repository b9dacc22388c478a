"""whence export --format otlp-jsonl on recorded sessions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.apps import AppRun
from tests.cli.conftest import Run

RunApp = Callable[..., AppRun]

PROGRAM = """
import whence
picked = whence.kind("picked", component="A", n=int)
lasted = whence.kind("lasted", component="B", duration_ns=int)
with whence.request("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"):
    for n in range(3):
        picked(n)
    lasted(1_000)
"""
RESOURCE = "deployment.environment.name=a%20b,service.name=from-resource"


@pytest.fixture
def folder(run_app: RunApp) -> Path:
    """A folder of one ended session."""
    run = run_app(PROGRAM, env={"OTEL_RESOURCE_ATTRIBUTES": RESOURCE})
    return run.whence_dir


def groups(text: str) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in text.splitlines()]


def test_each_signal_goes_to_a_file_of_its_own(run: Run, folder: Path, tmp_path: Path) -> None:
    """The same lines as the collector's sink writes. R5.17 R5.18"""
    out = tmp_path / "out.jsonl"
    result = run("trace", "export", "--from", folder, "--format", "otlp-jsonl", "-o", out)
    assert result.exit_code == 0
    assert "out.logs.jsonl" in result.output
    assert "4 events" in result.output
    (logs,) = groups((tmp_path / "out.logs.jsonl").read_text())
    (traces,) = groups((tmp_path / "out.traces.jsonl").read_text())
    records = logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    (span,) = traces["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [record["eventName"] for record in records] == ["whence.picked"] * 3
    assert span["traceId"] == records[0]["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_session_says_who_recorded(run: Run, folder: Path) -> None:
    """Its service is the resource's where nothing else names it; values are decoded. R5.17"""
    result = run("export", "--from", folder, "--format", "otlp-jsonl")
    logs, _ = groups(result.stdout)
    resource = {
        pair["key"]: pair["value"] for pair in logs["resourceLogs"][0]["resource"]["attributes"]
    }
    assert resource["service.name"] == {"stringValue": "from-resource"}
    assert resource["deployment.environment.name"] == {"stringValue": "a b"}
    assert "host.name" in resource


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (["--type", "lasted"], {"resourceSpans": 1}),
        (["--component", "A"], {"resourceLogs": 3}),
        (["--last", "1h"], {"resourceLogs": 3, "resourceSpans": 1}),
        (["--type", "nothing", "--last", "1h"], {}),
    ],
)
def test_filters_apply(run: Run, folder: Path, filters: list[str], kept: dict[str, int]) -> None:
    """The same filters as for the JSON export. R5.17 R1.44"""
    result = run("export", "--from", folder, "--format", "otlp-jsonl", *filters)
    found = {}
    for line in groups(result.stdout):
        ((name, (group,)),) = line.items()
        inner = "scopeLogs" if name == "resourceLogs" else "scopeSpans"
        (records,) = (
            group[inner][0][key] for key in ("logRecords", "spans") if key in group[inner][0]
        )
        found[name] = len(records)
    assert found == kept


def test_the_newest_moment_counts_over_all_sessions(run: Run, folder: Path) -> None:
    """--last of nearly nothing keeps the newest event. R1.44"""
    result = run("export", "--from", folder, "--format", "otlp-jsonl", "--last", "1ns")
    ((group,),) = (line["resourceSpans"] for line in groups(result.stdout))
    assert group["scopeSpans"][0]["spans"][0]["name"] == "whence.lasted"


def test_what_was_written_can_be_told_as_json(run: Run, folder: Path, tmp_path: Path) -> None:
    """--json reports paths and counts. R5.17"""
    out = tmp_path / "o.jsonl"
    arguments = ["--format", "otlp-jsonl", "-o", out, "--component", "B", "--json"]
    result = run("export", "--from", folder, *arguments)
    told = json.loads(result.stdout)
    assert told["events"] == 1
    assert told["left_out"] == 3
    assert [Path(path).name for path in told["paths"]] == ["o.logs.jsonl", "o.traces.jsonl"]
    assert (tmp_path / "o.logs.jsonl").read_bytes() == b""


def test_an_export_file_or_a_store_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    """Its events are held as values; OTLP is written from sessions. R5.17"""
    out = tmp_path / "run.json"
    assert run("export", "--from", folder, "-o", out).exit_code == 0
    result = run("export", "--from", out, "--format", "otlp-jsonl")
    assert result.exit_code == 1
    assert "from sessions, not from an export file" in result.output
    (tmp_path / "MANIFEST").write_text("{}")
    result = run("export", "--from", tmp_path, "--format", "otlp-jsonl")
    assert result.exit_code == 1
    assert "from sessions, not from a store" in result.output
