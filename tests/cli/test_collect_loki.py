"""whence collect --to loki://: from the rings into Loki, with every event accounted for."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from tests.apps import AppRun
from tests.mocks.loki_double import Limits, LokiDouble, Scripted
from whence.cli.main import cli

pytest.importorskip("cramjam", reason="needs whence[loki]")
pytest.importorskip("google.protobuf", reason="needs whence[loki]")
RunApp = Callable[..., AppRun]

APP = """
    import whence
    @whence.kind(component="Scheduler", decision=True, rationale="Selected {model}")
    def chosen(model: str) -> None: ...
    for n in range(1_000):
        with whence.request(f"req-{n}"):
            chosen(f"m{n}")
    """


def collected(run: AppRun, url: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, int]]:
    """Exit code and ledger of one collection."""
    monkeypatch.setenv("WHENCE_DIR", str(run.whence_dir))
    done = CliRunner().invoke(cli, ["collect", "--once", "--to", url, "--grace", "30s", "--json"])
    (sink,) = json.loads(done.stdout)["sinks"]
    return done.exit_code, sink


def test_what_was_recorded_is_in_loki_once(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Throttled, broken and told to send less, it delivers all, none twice, and says so. R1.43"""
    run = run_app(APP)
    with LokiDouble(time.time_ns(), limits=Limits(body_bytes=40_000)) as loki:
        loki.answers = deque([Scripted(429, {"Retry-After": "0"}), Scripted(503)])
        code, sink = collected(run, f"loki://{loki.place}?tenant=t1", monkeypatch)
        lines = loki.lines("t1")
    assert code == 0
    assert (sink["read"], sink["delivered"], sink["closes"]) == (1_000, 1_000, True)
    assert [line.metadata["request_id"] for line in lines] == [f"req-{n}" for n in range(1_000)]
    assert json.loads(lines[7].line)["rationale"] == "Selected m7"
    assert loki.refused == []
    assert len(loki.requests) > 4  # bodies were halved until they were taken


def test_another_tenant_is_another_place(run_app: RunApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two tenants neither goes on where the other was, and each goes on. R1.43 R5.10"""
    run = run_app(APP)
    monkeypatch.setenv("WHENCE_DIR", str(run.whence_dir))
    state = str(run.whence_dir / "one.state")
    with LokiDouble(time.time_ns()) as loki:
        for tenant, format in (("a", "json"), ("b", "json"), ("a", "protobuf")):
            url = f"loki://{loki.place}?tenant={tenant}&format={format}"
            words = ["collect", "--once", "--keep", "--to", url, "--state", state]
            assert CliRunner().invoke(cli, words).exit_code == 0
        assert [len(loki.lines(tenant)) for tenant in ("a", "b")] == [1_000, 1_000]
        assert len(loki.requests) == 2


def test_what_loki_refuses_is_counted_with_its_words(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocked ingestion and lines that are too old are refused, never called delivered. R1.43"""
    run = run_app(APP)
    with LokiDouble(time.time_ns()) as loki:
        loki.answers = deque([Scripted(260, body="ingestion blocked until tomorrow")] * 20)
        code, sink = collected(run, f"loki://{loki.place}", monkeypatch)
    assert code == 3
    assert (sink["delivered"], sink["refused"], sink["closes"]) == (0, 1_000, True)
    assert "ingestion blocked" in json.dumps(sink["reasons"])
