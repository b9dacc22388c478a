"""whence collect --metrics serves our own figures while it collects, and ends with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.apps import AppRun
from whence.cli.main import cli

parser = pytest.importorskip("prometheus_client.openmetrics.parser", reason="needs whence[test]")
RunApp = Callable[..., AppRun]


def test_figures_are_served_while_collecting(run_app: RunApp, tmp_path: Path) -> None:
    """A scraper finds what was recorded, and what became of it at each sink. R5.25"""
    run = run_app("""
        import whence
        tick = whence.kind("tick", component="x", n=int)
        for n in range(25):
            tick(n)
        """)
    target = tmp_path / "out.ndjson"
    words = ["--to", str(target), "--metrics", "127.0.0.1:0", "--keep", "--interval", "50ms"]
    with subprocess.Popen(
        [sys.executable, "-m", "whence", "collect", *words],
        env={**os.environ, "WHENCE_DIR": str(run.whence_dir)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as running:
        try:
            assert running.stderr is not None
            told = re.search(r"http://\S+/metrics", running.stderr.readline())
            assert told is not None
            request = urllib.request.Request(
                told[0], headers={"Accept": "application/openmetrics-text"}
            )
            found: dict[tuple[str, str], float] = {}
            end = time.monotonic() + 30
            while time.monotonic() < end:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    text = answer.read().decode()
                found = {
                    (sample.name, sample.labels.get("outcome", "")): sample.value
                    for family in parser.text_string_to_metric_families(text)
                    for sample in family.samples
                }
                if found.get(("whence_exporter_events_total", "delivered")):
                    break
                time.sleep(0.05)
            assert found["whence_exporter_events_total", "delivered"] == 25
            assert found["whence_events_recorded_total", ""] == 25
            assert found["whence_collector_behind_events", ""] == 0
            assert found["whence_drains_total", ""] >= 1
        finally:
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=30)
    assert running.returncode == 0


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", ""])
def test_an_address_that_is_none_is_a_usage_error(address: str) -> None:
    """HOST:PORT is wanted, and said. R5.25"""
    words = ["collect", "--to", "./out.ndjson", "--metrics", address]
    refused = CliRunner().invoke(cli, words)
    assert refused.exit_code == 2
    assert "HOST:PORT is wanted" in refused.output
