"""Ending: what asks stores in threads of its own is ended before the program is."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable
from types import MethodType
from typing import cast

__all__ = ["end_at_exit"]


def end_at_exit(end: Callable[[], object]) -> Callable[[], None]:
    """Calls a method when the program ends, the last one named first; the answer takes that back.

    A daemon thread that is in the middle of a question when the interpreter goes would take the
    process down by SIGABRT: an engine written in C++ cannot be left as Python leaves its threads.
    While these calls are made all threads still run. The object of the method is not kept for it.
    In a forked child, which has none of the threads, nothing is called.
    """
    there, pid = weakref.WeakMethod(cast("MethodType", end)), os.getpid()

    def run() -> None:
        method = there()
        if method is not None and os.getpid() == pid:
            method()

    atexit.register(run)
    return lambda: atexit.unregister(run)
