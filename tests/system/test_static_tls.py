"""The native module loads after whatever else has taken the room for thread-local variables."""

from __future__ import annotations

import re
import subprocess

import pytest

from whence import _native


def test_the_module_wants_no_static_room_for_other_libraries_variables() -> None:
    """Importing torch first works: libstdc++ is loaded by then, and cannot be moved. R5.28"""
    try:
        listed = subprocess.run(
            ["readelf", "-rW", str(_native.__file__)], capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        pytest.skip("no readelf here")
    wanted = re.findall(r"R_X86_64_TPOFF64\s+(\S.*)", listed.stdout)
    assert [symbol for symbol in wanted if "@" in symbol or symbol.startswith("_Z")] == []
