"""The page about the server: its routes are those there are, its commands run as printed."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'whence[serve]'")

from tests.serve.serving import served
from tools.http_docs import PAGE, ROOT, page
from whence.serve.writing import Writing
from whence.traces.service import TraceService

TEXT = (ROOT / PAGE).read_text()
_CONSOLE = re.compile(r"^```console\n(\$ curl.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "-- next --"


def test_the_routes_on_the_page_are_those_there_are() -> None:
    """The page is written from the OpenAPI document, and is not stale. R4.63"""
    assert page(TEXT) == TEXT


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_on_the_page_run_and_say_what_is_printed(tmp_path: Path) -> None:
    """A trace is begun, recorded, failed, read and found with curl, as on the page. R4.63"""
    (block,) = _CONSOLE.findall(TEXT)
    commands = [part.partition("\n") for part in f"\n{block}".split("\n$ ")[1:]]
    assert len(commands) > 8
    with TraceService(tmp_path / "traces") as service:
        service.flush().value()
        with (
            contextlib.closing(Writing(service)) as writing,
            served(tmp_path / "traces", writing=writing, read_only=str) as client,
        ):
            (tmp_path / "token.header").write_text(f"Authorization: Bearer {client.token}\n")
            script = f"\necho; echo '{_MARK}'\n".join(command for command, _, _ in commands)
            address = f"http://{client.host}:{client.port}"
            done = subprocess.run(
                ["bash", "-euc", script.replace("http://127.0.0.1:8765", address)],
                cwd=tmp_path, capture_output=True, text=True, timeout=120,
            )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [part.strip() for part in done.stdout.split(_MARK)]
    assert said == [printed.strip() for _, _, printed in commands]
