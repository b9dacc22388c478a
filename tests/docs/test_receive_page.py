"""docs/receive.md keeps its word: its program prints what it says, its limits are the limits."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'whence[serve]'")
pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="no OTLP exporter over HTTP")

from whence.receive.otlp.requests import OtlpLimits

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "receive.md").read_text()


def test_the_program_prints_what_the_page_says() -> None:
    """As printed, in a process of its own. R5.17"""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    wanted = re.findall(r"^#> (.*)$", program, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == wanted


def test_the_limits_are_those_there_are() -> None:
    """Every number of the page is the default of its limit. R5.17"""
    limits = OtlpLimits()
    said = PAGE.partition("## Limits")[2]
    assert f"{limits.rows:,} rows" in said
    assert f"{limits.attributes} attributes" in said
    assert f"names of {limits.key_bytes:,} bytes" in said
    assert f"{limits.value_bytes >> 10} KiB" in said
    assert f"{limits.depth} deep" in said
    assert f"{limits.parts:,} events and links" in said
    assert f"{limits.body_bytes >> 20} MiB" in PAGE
    assert len(fields(limits)) == 7
