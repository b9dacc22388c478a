"""Commands and servers load nothing that they do not use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="stores are written with pyarrow")

from whence.store.folder import FolderStore

_SEEN = """
from whence.cli.lean import give_back, make_lean
make_lean()
make_lean()
import sys
from whence.cli.serving import Serving
import pyarrow as pa
pa.table({"a": pa.array([1, None])}).to_pylist()
give_back()
print(sorted({"pandas", "duckdb", "grpc"} & sys.modules.keys()))
"""


def test_a_server_that_nobody_asks_has_loaded_neither_pandas_nor_duckdb() -> None:
    """Nor what speaks gRPC; each is some tens of megabytes. R4.63"""
    done = subprocess.run([sys.executable, "-c", _SEEN], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_command_looks_for_no_pandas(tmp_path: Path) -> None:
    """One that is there would cost each command that asks a store 150 ms. R5.11"""
    (tmp_path / "pandas.py").write_text("raise SystemExit('pandas was loaded')\n")
    with FolderStore(tmp_path / "traces", write=True):
        pass
    asked = [sys.executable, "-m", "whence", "select", "--from", str(tmp_path / "traces"), "--json"]
    done = subprocess.run(
        asked, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert "pandas" not in done.stderr + done.stdout
