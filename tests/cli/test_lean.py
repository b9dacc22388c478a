"""A server loads nothing that it does not use."""

from __future__ import annotations

import subprocess
import sys

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
