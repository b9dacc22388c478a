"""Keeps a server's memory small: what nothing here uses is not loaded, what is freed goes back."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["give_back", "make_lean"]

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h
_ARENAS = 2


def make_lean() -> None:
    """For a process that is a server and nothing else, before it loads the rest. May come twice.

    pyarrow loads pandas wherever there is one, for 50 MB; there is none for it here. Threads share
    two heaps instead of having one each, and Arrow takes its memory there as well.
    """
    if "pandas" not in sys.modules and not any(type(each) is _Without for each in sys.meta_path):
        sys.meta_path.insert(0, _Without())
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each has a buffer, and none is used here
    _libc_call("mallopt", _ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Gives memory that is free back to the machine."""
    _libc_call("malloc_trim", 0)


class _Without(MetaPathFinder):
    """Finds no pandas, wherever there is one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas" or fullname.startswith("pandas."):
            raise ModuleNotFoundError("a server uses no pandas", name=fullname)
        return None


def _libc_call(name: str, *values: int) -> None:
    """Where the C library has such a function: glibc has."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*values)
