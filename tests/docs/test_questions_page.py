"""The page about questions: its commands run in their order, and say what is printed there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("duckdb", reason="stores are asked with duckdb")
pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

from whence.model.condition import parse_condition

PAGE = (Path(__file__).parents[2] / "docs" / "questions.md").read_text()
IMPORTS = """
from whence.model.query import TraceQuery
from whence.query.engines.folder import FolderEngine
from whence.query.engines.shapes import Aggregate
from whence.query.engines.traces import TraceFilter
from whence.query.series import SeriesQuestion, series
"""
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, list[str]]]:
    """Each command of the page, and the lines that it prints there."""
    found: list[tuple[str, list[str]]] = []
    for block in _CONSOLE.findall(PAGE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def masked(line: str) -> list[str]:
    """The words of a line but for what differs between runs: times, pids, rates."""
    line = re.sub(r"\d\d:\d\d:\d\d\.\d+|pid \d+|newest\.[\d.]+|\d+,\d{3}", "N", line)
    return re.sub(r"[+!]*\+\d+\.\d us", "OFFSET", line).split()


def test_the_commands_on_the_page_run_and_say_what_is_printed(tmp_path: Path) -> None:
    """R5.11 R4.7 R5.18 A program, a store, and every question of the page."""
    program = re.search(r"```python\n(import whence.*?)```", PAGE, re.DOTALL)
    assert program is not None
    (tmp_path / "app.py").write_text(program[1])
    (tmp_path / "ring").mkdir(mode=0o700)
    env = {**os.environ, "WHENCE_DIR": str(tmp_path / "ring"), "TZ": "UTC", "NO_COLOR": "1"}
    subprocess.run([sys.executable, "app.py"], cwd=tmp_path, env=env, check=True)
    asked = commands()
    assert len(asked) > 8
    for command, printed in asked:
        words = shlex.split(command)
        assert words[0] == "whence"
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        if printed:
            wanted = [masked(line) for line in printed if line]
            assert [masked(line) for line in done.stdout.splitlines() if line] == wanted, command
    parts = re.findall(r"```python\n(with .*?)```", PAGE, re.DOTALL)
    assert len(parts) >= 2
    (tmp_path / "ask.py").write_text("\n".join([IMPORTS, *parts]))
    subprocess.run([sys.executable, "ask.py"], cwd=tmp_path, env=env, check=True)


def test_the_conditions_on_the_page_can_be_read() -> None:
    """R4.43 R5.12 Each line of the block of conditions is one."""
    block = re.search(r"^## Conditions.*?```\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert block is not None
    assert all(parse_condition(line).clauses for line in block[1].splitlines())
