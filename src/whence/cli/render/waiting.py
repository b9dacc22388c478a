"""Shows on a terminal that a question takes long, without a word to whoever reads a pipe."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console

from whence.query.words import count_text

__all__ = ["counting", "waiting"]

PATIENCE_S = 0.7


@contextlib.contextmanager
def waiting(what: str, so_far: Callable[[], str] = str) -> Iterator[None]:
    """While the body runs longer than a moment, a line on standard error says so, and how far."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_show, args=(what, so_far, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def counting(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """The same, with how many there are so far: the body calls what it is given with some more."""
    count = 0
    of = f" of {count_text(total)}" if total is not None else ""

    def more(some: int) -> None:
        nonlocal count
        count += some

    with waiting(what, lambda: f", {count_text(count)}{of}"):
        yield more


def _show(what: str, so_far: Callable[[], str], done: threading.Event) -> None:
    if done.wait(PATIENCE_S):
        return
    begun = time.monotonic() - PATIENCE_S
    with Console(stderr=True).status(what) as status:
        while not done.wait(0.2):
            status.update(f"{what} {time.monotonic() - begun:.0f} s{so_far()}")
