"""Keeps commands quick and servers small: what nothing here uses is not loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["give_back", "leave_pandas_out", "make_lean"]


def leave_pandas_out() -> None:
    """For a process that is a command of ours and nothing else. May come twice.

    pyarrow loads pandas wherever there is one, for 150 ms and 50 MB; there is none for it here.
    """
    if "pandas" not in sys.modules and not any(type(each) is _Without for each in sys.meta_path):
        sys.meta_path.insert(0, _Without())


def make_lean() -> None:
    """For a process that is a server and nothing else, before it loads the rest. May come twice.

    Arrow takes its memory where everything else does, so that what is free can be given back.
    """
    leave_pandas_out()
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each has a buffer, and none is used here


def give_back() -> None:
    """Gives memory that is free back to the machine."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()  # the system's pool trims the whole heap


class _Without(MetaPathFinder):
    """Finds no pandas, wherever there is one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas" or fullname.startswith("pandas."):
            raise ModuleNotFoundError("no command of whence uses pandas", name=fullname)
        return None
