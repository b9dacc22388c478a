"""The end of a program: threads that ask a store are ended before, so that none is met in it."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from tests.apps import run_program
from whence.watch import ending
from whence.watch.ending import end_at_exit

# None of these programs stops what it started; each ends while its threads are in a question.
STORE = """
from pathlib import Path
import threading
from tests.query.build import WALL_NS
from tests.watch.growing import Program
from whence.query.engines.folder import FolderEngine
from whence.query.engines.shapes import Aggregate
from whence.model.query import TraceQuery
from whence.store.folder import FolderStore

with FolderStore(Path("traces").absolute(), write=True) as store:
    program = Program(store)
    program.commit([program.event(n) for n in range(20_000)])
engine = FolderEngine("traces")
inside = threading.Event()

def ask():
    inside.set()
    for _ in range(5):
        engine.aggregate(Aggregate(("type",), 7), TraceQuery())
"""
COLLECTED = """
from whence.watch.metrics.collecting import MetricsCollection
from whence.watch.metrics.configuration import MetricsConfiguration

class Asks:
    def read(self):
        ask()
        return self
    def readings(self):
        return []

MetricsCollection(MetricsConfiguration(collection_interval=1), application=Asks()).start()
inside.wait()
"""
FOLLOWED = """
from whence.watch.following import Following
from whence.watch.listeners import Listeners
from whence.watch.tail import Tail

listeners = Listeners()
def make(token, sleep):
    tail = Tail("traces", after=token or "beginning", sleep=sleep)
    poll = tail.poll
    def slow():
        ask()
        return poll()
    tail.poll = slow
    return tail
Following(make, listeners).start()
inside.wait()
"""
LISTENED = """
from whence.model.event import TraceEvent
from whence.watch.listeners import Listeners

listeners = Listeners()
listeners.add(lambda event: ask())
listeners.tell([program.event(n) for n in range(100)])
inside.wait()
"""


@pytest.mark.parametrize("threads", [COLLECTED, FOLLOWED, LISTENED])
def test_a_program_ends_well_while_its_threads_ask(tmp_path: Path, threads: str) -> None:
    """R4.9 R4.30 Nothing is stopped by hand, and the process neither aborts nor complains."""
    source = STORE + threads + "print('end')\n"
    root = Path(__file__).parents[2]
    env = {"PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}"}
    ended = run_program(f"import os; os.chdir({str(tmp_path)!r})\n" + source, tmp_path, env=env)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "end\n", "")


class Thing:
    """Counts its ends."""

    ends = 0

    def end(self) -> None:
        """One more."""
        self.ends += 1


def test_ends_are_called_in_order_unless_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.9 The last one that began ends first; whoever is forgotten, or of a parent, is not."""
    calls: list[object] = []
    monkeypatch.setattr(ending.atexit, "register", calls.append)
    monkeypatch.setattr(ending.atexit, "unregister", calls.remove)
    kept, gone, over = Thing(), Thing(), Thing()
    end_at_exit(kept.end)
    end_at_exit(gone.end)
    take_back = end_at_exit(over.end)
    assert len(calls) == 3
    take_back()
    assert len(calls) == 2
    del gone
    gc.collect()
    for call in calls:
        call()  # type: ignore[operator]
    assert (kept.ends, over.ends) == (1, 0)
    monkeypatch.setattr(ending.os, "getpid", lambda: -1)
    for call in calls:
        call()  # type: ignore[operator]
    assert kept.ends == 1
