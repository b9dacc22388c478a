"""Keeps a store from within the programs that record into it: one owns it, the others stand by."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  what the last commit imports; not to be had at exit
import contextlib
import importlib.util
import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from whence.collect.follower import Ended, Follower, Source, Step
from whence.collect.glances import Glances
from whence.collect.local import local_session
from whence.collect.local_source import LocalSource
from whence.collect.pipeline import Pipeline, common_start
from whence.collect.positions import StateFile, state_path
from whence.collect.sink_ledger import SinkLedger
from whence.export.deliveries import open_store, resume
from whence.model.errors import CollectorRunning, StoreOwned
from whence.model.store_settings import NO_SETTINGS, StoreSettings
from whence.ring.folders import base_folders, session_folders
from whence.ring.session_file import read_description
from whence.store.place import check_place

if TYPE_CHECKING:
    from whence.store.intake import Intake

__all__ = ["BackgroundStore", "background_store", "keep"]

INTERVAL_S = 1.0
GLANCE_S = 0.05
TAKE_OVER_S = 1.0  # how often those that stand by ask whether the owner is gone
GRACE_S = 5.0

_kept: weakref.WeakSet[BackgroundStore] = weakref.WeakSet()
_current: BackgroundStore | None = None


class BackgroundStore:
    """A thread that collects into a store all sessions which named it, living and dead.

    One process owns the store; while another does, this one stands by, says whose it is in
    `owner`, and takes over within two seconds of its end. Recording never waits for it, and
    nothing is raised into the program: `trouble` and ledger() tell. When the program ends it drains
    a last time. A forked child has none: its session is collected by the owner.
    """

    def __init__(self, path: str, words: str, settings: StoreSettings = NO_SETTINGS) -> None:
        self.path = Path(path)
        self._settings = settings
        self.owner = ""
        self._trouble = ""
        self._words = words
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._rounds = 0  # how often everything was drained
        self._asked = 0  # the round that somebody waits for
        self._pipeline: Pipeline | None = None
        self._state: StateFile | None = None
        self._thread = threading.Thread(target=self._run, name="whence-keep", daemon=True)

    def start(self) -> None:
        """Begins; may be called once."""
        self._thread.start()
        _kept.add(self)
        atexit.register(self.stop)

    @property
    def owns(self) -> bool:
        """Whether this process writes to the store at present."""
        return self._pipeline is not None and os.getpid() == self._pid

    @property
    def trouble(self) -> str:
        """Why something does not work right now; empty if everything does."""
        pipeline = self._pipeline
        told = pipeline.deliveries[0].trouble or pipeline.trouble if pipeline else ""
        return "; ".join(filter(None, (self._trouble, told)))

    @property
    def is_full(self) -> bool:
        """Whether there is no room on the disk at present; that passes by itself."""
        pipeline = self._pipeline
        return bool(pipeline and getattr(pipeline.deliveries[0], "is_full", False))

    def ledger(self) -> SinkLedger:
        """What became of the events of all sessions here; of none while another process owns."""
        pipeline = self._pipeline if os.getpid() == self._pid else None
        return pipeline.deliveries[0].ledger() if pipeline else SinkLedger()

    def intake(self) -> Intake:
        """By which other things than recorded events come into the store. StoreOwned: not here."""
        pipeline = self._pipeline if os.getpid() == self._pid else None
        if pipeline is None or self._stop.is_set():
            raise StoreOwned(self.owner or f"store:{self.path} is not open in this process")
        found: Intake = pipeline.deliveries[0].intake  # type: ignore[attr-defined]
        return found

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Drains and commits now. Whether all that was recorded before is in the store.

        False: the time was too short, something was given up, or another process owns the store.
        """
        pipeline = self._pipeline
        if pipeline is None or self._stop.is_set() or os.getpid() != self._pid:
            return False
        end_s = time.monotonic() + timeout_s
        with self._changed:
            # the round under way may have passed a ring already: the next one counts
            wanted = self._asked = self._rounds + 2
            self._changed.notify_all()
            while self._rounds < wanted and not self._stop.is_set():
                left = end_s - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        (delivery,) = pipeline.deliveries
        settled = delivery.wait_settled(end_s - time.monotonic())
        ledger = delivery.ledger()
        return settled and not ledger.refused and not ledger.expired

    def stop(self, timeout_s: float = GRACE_S) -> None:
        """Drains a last time, commits for at most that long, and gives the store up."""
        if os.getpid() != self._pid or self._stop.is_set():
            return
        atexit.unregister(self.stop)
        _kept.discard(self)
        end_s = time.monotonic() + timeout_s
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return
        with contextlib.suppress(Exception):
            self._finish(max(0.0, end_s - time.monotonic()))

    def leave_behind(self) -> None:
        """In a forked child: gives up the parent's files, whose locks the child would keep."""
        with contextlib.suppress(Exception):
            if self._state is not None:
                self._state.close()
            if self._pipeline is not None:
                self._pipeline.deliveries[0].leave_behind()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._keep()
            except (StoreOwned, CollectorRunning) as error:
                self.owner, self._trouble = str(error), ""
            except Exception as error:  # whatever it is, the program goes on
                self._trouble = f"{type(error).__name__}: {error}"
            if not self._stop.is_set():
                self._give_up()
                self._stop.wait(TAKE_OVER_S)

    def _keep(self) -> None:
        """Owns the store until the end."""
        store = open_store(f"store:{self.path}", self._words)
        self.owner = ""
        (delivery,) = resume([store], {})
        try:
            store.keep(days=self._settings.keep_days, size=self._settings.keep_bytes)
            store.promote(self._settings.promote)
            self._state = StateFile(state_path(base_folders()[0], [store.name]))
        except BaseException:
            store.close()
            raise
        start = common_start([delivery])
        source = _Both(LocalSource(start), Follower(self._others, start))
        pipeline = Pipeline(source, [delivery], state=self._state, reaps=True)
        pipeline.start()
        self._pipeline = pipeline
        glances = Glances(pipeline.pressure, GLANCE_S)
        self._trouble = "; ".join(store.trouble)

        def wait() -> bool:
            with self._changed:
                self._rounds += 1
                self._changed.notify_all()
            glances.wait(INTERVAL_S, self._wait)
            return self._stop.is_set() or store.is_lost

        pipeline.run(wait, self._stop.is_set)

    def _wait(self, seconds: float) -> bool:
        """Whether there is something to do before the interval has passed."""
        with self._changed:
            if self._rounds >= self._asked and not self._stop.is_set():
                self._changed.wait(seconds)
            return self._stop.is_set() or self._rounds < self._asked

    def _finish(self, timeout_s: float) -> None:
        if self._pipeline is not None:
            self._pipeline.finish(timeout_s)
        if self._state is not None:
            self._state.close()

    def _give_up(self) -> None:
        """After an error: another try begins from what is committed."""
        with contextlib.suppress(Exception):
            self._finish(0.0)
        self._pipeline = self._state = None

    def _others(self) -> Iterator[Path]:
        """The folders of the sessions, but for our own, that named this store."""
        own = local_session()
        for base in base_folders():
            for folder in session_folders(base):
                if (own is None or str(folder) != own.path) and self._is_ours(folder):
                    yield folder

    def _is_ours(self, folder: Path) -> bool:
        return read_description(folder).get("store") == str(self.path)


class _Both:
    """This process's rings and the sessions of others, as one source; each step is of one."""

    def __init__(self, local: LocalSource, others: Follower) -> None:
        self._local = local
        self._others = others
        self._parts: Sequence[Source] = (local, others)
        self._quiet = 0  # how many steps found that there is no more

    def step(self, most_events: int, *, spare_dead: bool = False) -> Step:
        """What is new in one of them; there is more until both have been asked."""
        first, second = self._parts
        self._parts = (second, first)
        step = first.step(most_events, spare_dead=spare_dead)
        self._quiet = 0 if step.more else self._quiet + 1
        if self._quiet < len(self._parts):
            return step._replace(more=True)
        self._quiet = 0
        return step

    def pressure(self) -> float:
        """The largest share of a ring that is unread."""
        return max(self._local.pressure(), self._others.pressure())

    def take_ended(self) -> list[Ended]:
        """Of the others: while this asks, the process lives."""
        return self._others.take_ended()

    def take_removed(self) -> list[str]:
        """Of the others."""
        return self._others.take_removed()


def keep(path: str, words: str, settings: StoreSettings = NO_SETTINGS) -> BackgroundStore:
    """Starts to keep a store in this process; the same one is kept once.

    `settings` are what the owner asks of the store: see FolderStore.keep() and promote().
    Raises ImportError without pyarrow, NotAStore for a folder of other things.
    """
    global _current
    if _current is not None and _current._pid == os.getpid():
        if _current.path == Path(path) and not _current._stop.is_set():
            return _current
        _current.stop()
    if importlib.util.find_spec("pyarrow") is None:
        raise ImportError("a store needs pyarrow: pip install 'whence[store]'")
    check_place(Path(path))
    _current = BackgroundStore(path, words, settings)
    _current.start()
    return _current


def background_store() -> BackgroundStore | None:
    """What keeps this process's store; None without one, once stopped, and in a forked child."""
    found = _current
    if found is None or found._pid != os.getpid() or found._stop.is_set():
        return None
    return found


def _after_fork_in_child() -> None:
    for each in list(_kept):
        each.leave_behind()
    _kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
