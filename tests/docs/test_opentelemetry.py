"""docs/opentelemetry.md keeps its word: its commands run, its URLs and variables are understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="grpcio is not installed")

from tests.apps import AppRun
from tests.cli.conftest import run as run
from tests.mocks.otlp_receiver import GrpcReceiver, HttpReceiver
from whence.export.otlp_settings import read_settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "opentelemetry.md").read_text()
(BLOCK,) = re.findall(r"```\n(pip .*?)```", PAGE, re.DOTALL)
COMMANDS = [line.partition("  #")[0].strip() for line in BLOCK.splitlines() if "whence c" in line
            or "whence export" in line]  # fmt: skip
PROGRAM = """
import whence
kind = whence.kind("told", component="C", duration_ns=int)
kind(0)
kind(5)
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_delivers(
    command: str,
    run: Callable[..., object],
    run_app: Callable[..., AppRun],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each as printed, but for the ports; both signals arrive. R5.17"""
    folder = run_app(PROGRAM).whence_dir
    monkeypatch.setenv("WHENCE_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    with GrpcReceiver() as grpc, HttpReceiver() as http:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{http.port}")
        words = shlex.split(command)[1:]
        words = [word.replace("localhost:4317", f"127.0.0.1:{grpc.port}") for word in words]
        words = [word.replace("localhost:4318", f"127.0.0.1:{http.port}") for word in words]
        if words[0] == "collect":
            words += ["--once", "--keep"]
        result = run(*words, "--from", folder)
    assert result.exit_code == 0, result.output  # type: ignore[attr-defined]
    written = [path.read_text().count("\n") for path in sorted(tmp_path.glob("out.*.jsonl"))]
    got = [len(each.received.records + each.received.spans) for each in (grpc, http)]
    assert written == [1, 1] or sorted(got) == [0, 2]


def test_every_option_of_a_url_is_described() -> None:
    """What an unknown one is answered with names them all. R1.42"""
    with pytest.raises(ValueError, match="colour") as caught:
        read_settings("otlp://host?colour=red", {}, {})
    options = str(caught.value).rpartition("there are ")[2].split(", ")
    assert {option for option in options if f"?{option}=" not in PAGE} == set()
