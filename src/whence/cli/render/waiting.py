"""Shows on a terminal that a question takes long, without a word to whoever reads a pipe."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from rich.console import Console

__all__ = ["waiting"]

PATIENCE_S = 0.7


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """While the body runs longer than a moment, a line on standard error says so."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_show, args=(what, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show(what: str, done: threading.Event) -> None:
    if done.wait(PATIENCE_S):
        return
    begun = time.monotonic() - PATIENCE_S
    with Console(stderr=True).status(what) as status:
        while not done.wait(0.2):
            status.update(f"{what} {time.monotonic() - begun:.0f} s")
