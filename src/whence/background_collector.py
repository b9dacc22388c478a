"""BackgroundCollector: a thread in the producer's own process that delivers what it records."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from whence import _native
from whence.collect.delivery import Limits
from whence.collect.glances import Glances
from whence.collect.local_source import LocalSource
from whence.collect.pipeline import Pipeline
from whence.collect.sink_ledger import SinkLedger
from whence.collect.wanted import Wanted
from whence.export.deliveries import open_deliveries
from whence.model.severity import Severity
from whence.ring.session_file import parse_description

__all__ = ["BackgroundCollector"]

DEFAULT_INTERVAL_MS = 1_000
LEAST_INTERVAL_S = 0.01
GLANCE_S = 0.05
LONGEST_S = 30 * 86_400.0  # what no lock is waited for longer, however long somebody asks for
FORMATS = {"otlp_grpc": "otlp://localhost:4317", "loki": "loki://localhost:3100"}

_running: weakref.WeakSet[BackgroundCollector] = weakref.WeakSet()


class BackgroundCollector:
    """Delivers this process's events to files and services while it runs.

        with whence.BackgroundCollector(to=["./out.ndjson"]):
            ...

    `to` are URLs as `whence collect --to` takes them; left out, what the configuration given to
    start() names: ./whence-PID.json, or the usual local port of the service. `interval_ms` is how
    often it delivers (rings that fill up are drained before), `batch_size` the most events of one
    delivery; left out, what was configured, else 1,000 ms and what each sink likes. `event_types`,
    `components` and `min_severity` select. `options` are what sinks understand, such as
    `rotate_bytes` and `headers`.

    Recording never waits for it: rings are copied without the GIL, and a sink that hangs fills a
    bounded queue. Once it runs nothing is raised into the program: `trouble` and ledger() tell.
    At the end of the `with`, on stop(), or when the program ends it drains a last time, and
    delivers for at most `grace_s` seconds. A forked child has none; it may start one of its own.

    Raises UnknownSink, ValueError, OSError or ImportError for a sink that cannot be had.
    """

    def __init__(
        self,
        to: Sequence[str] = (),
        *,
        interval_ms: int | None = None,
        batch_size: int | None = None,
        event_types: Sequence[str] = (),
        components: Sequence[str] = (),
        min_severity: Severity = Severity.Debug,
        options: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        grace_s: float = 5.0,
    ) -> None:
        if isinstance(to, str):
            raise TypeError("to is a sequence of URLs, not one str")
        for name, value in (("interval_ms", interval_ms), ("batch_size", batch_size)):
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, not {value}")
        configured = _configured()
        wanted = Wanted(tuple(event_types), tuple(components), min_severity=min_severity)
        deliveries = open_deliveries(
            to or [_usual_target(configured)],
            options or {},
            batch_size or _positive(configured, "export_batch_size"),
            limits,
            filtered=not wanted.is_everything,
        )
        self._interval_ms = interval_ms
        self._grace_s = grace_s
        self._trouble = ""
        self._pid = os.getpid()
        self._pipeline = Pipeline(
            LocalSource(),
            deliveries,
            wanted=wanted,
        )
        self._glances = Glances(self._pressure, GLANCE_S)
        self._changed = threading.Condition()
        self._rounds = 0  # how often everything was drained
        self._asked = 0  # the round that somebody waits for
        self._stopping = False
        self._thread: threading.Thread | None = None
        _running.add(self)

    def start(self) -> Self:
        """Begins to collect. May be called once; `with` does it.

        Does nothing in a forked child of the process that made it. Where no thread can be had,
        `trouble` says so, and nothing is collected.
        """
        if self._thread is not None:
            raise RuntimeError("a collector is started once: make another one")
        if self._is_elsewhere():
            return self
        thread = threading.Thread(target=self._run, name="whence-collect", daemon=True)
        try:
            self._pipeline.start()
            thread.start()
        except (RuntimeError, MemoryError) as error:  # the program goes on without a collector
            self._trouble = f"cannot collect: {error}"
            self._leave_behind()
            return self
        self._thread = thread
        atexit.register(self.stop)
        return self

    def stop(self, timeout_s: float | None = None) -> None:
        """Drains a last time and delivers for at most `timeout_s`; what is left then is expired.

        Without a timeout `grace_s` counts. May come twice; does nothing in a forked child.
        """
        if self._thread is None or self._stopping or self._is_elsewhere():
            return
        atexit.unregister(self.stop)
        _running.discard(self)
        end_s = _moment(self._grace_s if timeout_s is None else timeout_s)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(max(0.0, end_s - time.monotonic()))
        with contextlib.suppress(Exception):
            self._pipeline.finish(max(0.0, end_s - time.monotonic()), give_up=True)

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Drains now and waits for the sinks. Whether all that was recorded before was delivered.

        False: the time was too short, or an event was refused or expired since the collector
        began; ledger() says which.
        """
        if self._thread is None or self._is_elsewhere():
            return False
        end_s = _moment(timeout_s)
        with self._changed:
            # the round under way may have passed a ring already: the next one counts
            wanted = self._asked = self._rounds + 2
            self._changed.notify_all()
            while self._rounds < wanted and not self._stopping:
                left = end_s - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        deliveries = self._pipeline.deliveries
        settled = [each.wait_settled(end_s - time.monotonic()) for each in deliveries]
        failed = any(each.refused or each.expired for each in self.ledger().values())
        return all(settled) and not failed

    def ledger(self) -> dict[str, SinkLedger]:
        """By sink what became of the events; empty in a forked child. Any thread."""
        if self._is_elsewhere():
            return {}
        return {each.name: each.ledger() for each in self._pipeline.deliveries}

    @property
    def trouble(self) -> str:
        """Why something does not work right now; empty if everything does."""
        if self._is_elsewhere():
            return ""
        told = [
            f"{each.name}: {each.trouble}" for each in self._pipeline.deliveries if each.trouble
        ]
        return "; ".join([self._trouble, *told] if self._trouble else told)

    def __enter__(self) -> Self:
        """Starts."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops."""
        self.stop()

    def _run(self) -> None:
        while True:
            try:
                while self._pipeline.step() and not self._stopping:
                    pass
                self._trouble = ""
            except Exception as error:  # whatever it is, the program goes on
                self._trouble = f"cannot drain: {type(error).__name__}: {error}"
            with self._changed:
                self._rounds += 1
                self._changed.notify_all()
            try:
                waited = self._glances.wait(self._interval_s(), self._wait)
            except Exception as error:
                self._trouble = f"cannot wait: {type(error).__name__}: {error}"
                waited = self._wait(LEAST_INTERVAL_S)
            if waited:
                with self._changed:
                    if self._stopping:
                        return

    def _wait(self, seconds: float) -> bool:
        """Whether there is something to do before the interval has passed."""
        with self._changed:
            if self._rounds >= self._asked and not self._stopping:
                self._changed.wait(seconds)
            return self._stopping or self._rounds < self._asked

    def _pressure(self) -> float:
        try:
            return self._pipeline.pressure()
        except Exception:  # the next drain tells of it
            return 0.0

    def _interval_s(self) -> float:
        configured = self._interval_ms or _positive(_configured(), "export_interval_ms")
        interval_s = (configured or DEFAULT_INTERVAL_MS) / 1e3
        return min(max(LEAST_INTERVAL_S, interval_s), LONGEST_S)

    def _is_elsewhere(self) -> bool:
        return os.getpid() != self._pid

    def _leave_behind(self) -> None:
        """In a forked child: gives up the parent's files, whose locks the child would keep."""
        for delivery in self._pipeline.deliveries:
            with contextlib.suppress(Exception):
                delivery.leave_behind()


def _moment(timeout_s: float) -> float:
    """When that time has passed; what is no time has passed at once."""
    seconds = timeout_s if timeout_s == timeout_s else 0.0
    return time.monotonic() + min(max(0.0, seconds), LONGEST_S)


def _configured() -> dict[str, object]:
    """What start() was told of exports, as far as there is a session."""
    data = _native.session_bytes()
    return {} if data is None else parse_description(data)


def _positive(configured: Mapping[str, object], name: str) -> int | None:
    value = configured.get(name)
    return value if isinstance(value, int) and value > 0 else None


def _usual_target(configured: Mapping[str, object]) -> str:
    return FORMATS.get(str(configured.get("export_format")), f"./whence-{os.getpid()}.json")


def _after_fork_in_child() -> None:
    for collector in list(_running):
        collector._leave_behind()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
