"""Alerts: looks at the rules as a store grows, keeps their states, and tells those they name."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import BUILT_IN
from whence.query.engines.engine import Engine
from whence.store.disk import Disk
from whence.watch.alerts.actions import open_target
from whence.watch.alerts.clocks import Stretches
from whence.watch.alerts.delivery import Delivery, DeliveryCounts, Pace, Target
from whence.watch.alerts.evaluate import Figures, Losses, shown
from whence.watch.alerts.grammar import Measured
from whence.watch.alerts.guard import Guard, Resolve
from whence.watch.alerts.kept import FILE, Firing, Kept, read_kept, write_kept
from whence.watch.alerts.message import AlertMessage
from whence.watch.alerts.rules import AlertRule
from whence.watch.alerts.settings import AlertSettings
from whence.watch.alerts.states import AlertState, Timing, step
from whence.watch.growth import FolderGrowth

__all__ = ["AlertStatus", "Alerts"]

LOOK_S = 0.05
LEAST_BETWEEN_S = 1.0
END_S = 5.0
MOST_TOLD = 1_000  # messages that are shown as the newest ones


@dataclass(frozen=True, slots=True)
class AlertStatus:
    """A rule, where its alert is in its life, and its figures when they were last looked at."""

    rule: AlertRule
    state: AlertState
    holds: bool | None
    values: Mapping[str, str]
    message: AlertMessage | None


class Alerts:
    """Looks after the alerts of the store in a folder, from start() to close(). Any thread.

    `open_engine` gives what the store is asked by; it is used by one thread. The states are kept in
    `state`, by default a file in the store's folder. `trouble` says what does not work just now.
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        settings: AlertSettings,
        open_engine: Callable[[], Engine],
        *,
        state: Path | None = None,
        contracts: Sequence[Contract] = BUILT_IN,
        pace: Pace | None = None,
        resolve: Resolve | None = None,
        targets: Mapping[str, Target] | None = None,
        disk: Disk | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_clock_ns: Callable[[], int] = time.time_ns,
        make_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.trouble = ""
        self.looked = 0
        self._path = Path(store)
        self._settings = settings
        self._names = frozenset(rule.name for rule in settings.rules)
        self._open_engine = open_engine
        self._file = state or Path(self._path, FILE)
        self._contracts = contracts
        self._disk = disk or Disk()
        self._make_id = make_id
        self._guard = Guard(settings.allow, resolve=resolve)
        self._lock = threading.RLock()
        self._saving = threading.Lock()
        most_ns = max((rule.window_ns for rule in settings.rules), default=0) + 3_600_000_000_000
        self._stretches = Stretches(most_ns, clock_ns=clock_ns, wall_clock_ns=wall_clock_ns)
        self._losses = Losses(most_ns)
        kept = read_kept(self._file, self._stretches.see()[0])
        self.trouble = kept.trouble
        self._firings = kept.firings
        self._seen: dict[str, tuple[bool | None, Mapping[str, str]]] = {}
        self._told: deque[AlertMessage] = deque(maxlen=MOST_TOLD)
        self._undelivered: dict[str, dict[tuple[str, str], AlertMessage]] = {}
        self._newest_ns: int | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._deliveries = {
            name: Delivery(
                (targets or {}).get(name) or open_target(action, self._guard),
                pace,
                done=self._done_of(name),
            )
            for name, action in settings.actions.items()
        }
        for name in set(self._firings) - self._names:  # its rule went while nobody looked
            del self._firings[name]
        for name, messages in kept.undelivered.items():
            for message in messages:
                self._hand(name, message)

    # ---- asked from outside

    @property
    def settings(self) -> AlertSettings:
        """What it was made of, with the rules as they are now."""
        return self._settings

    @property
    def counts(self) -> Mapping[str, DeliveryCounts]:
        """What became of the messages, by action."""
        return {name: each.counts for name, each in self._deliveries.items()}

    @property
    def delivery_troubles(self) -> Mapping[str, str]:
        """Why those cannot be told just now that cannot, by action."""
        return {name: each.trouble for name, each in self._deliveries.items() if each.trouble}

    @property
    def told(self) -> tuple[AlertMessage, ...]:
        """The newest messages, the oldest first."""
        with self._lock:
            return tuple(self._told)

    def status(self) -> list[AlertStatus]:
        """Each rule, in the order in which they are declared."""
        with self._lock:
            return [self._status(rule) for rule in self._settings.rules]

    def set_rules(self, rules: Sequence[AlertRule]) -> None:
        """Puts these rules in the place of the others; those that fire and go are resolved.

        AlertError where they do not fit together, or name an action that there is not.
        """
        with self._lock:
            settings = self._settings.with_rules(rules)
            kept = {rule.name for rule in rules}
            for rule in self._settings.rules:
                if rule.name not in kept:
                    firing = self._firings.pop(rule.name, None)
                    if firing is not None and firing.message is not None:
                        self._resolve(rule, firing.message, {}, "its rule was taken away")
            self._settings, self._names = settings, frozenset(kept)
        self._save()

    def test(self, name: str) -> Mapping[str, str]:
        """Sends a message of a rule to each of its actions; what went wrong, "" for nothing.

        It is sent at once, once, and goes by the same guard as all. LookupError for no such rule.
        """
        rule = next((each for each in self._settings.rules if each.name == name), None)
        if rule is None:
            raise LookupError(f'no alert is called "{name}"')
        _, wall_ns = self._stretches.see()
        message = self._message(rule, {}, wall_ns, status="test", note="This is a test.")
        found = {}
        for action in rule.actions:
            target = open_target(self._settings.actions[action], self._guard)
            with contextlib.closing(target):
                try:
                    target.deliver([message], 0, Pace().timeout_s)
                    found[action] = ""
                except Exception as error:
                    found[action] = str(error) or type(error).__name__
        return found

    # ---- its own thread

    def start(self) -> Self:
        """Begins to look, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="whence-alerts", daemon=True)
        self._thread.start()
        return self

    def close(self, timeout_s: float = END_S) -> None:
        """Ends it; what could not be told yet is kept for the next time. May come twice."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        for each in self._deliveries.values():
            each.close(timeout_s)
        self._save()

    def __enter__(self) -> Self:
        """Starts."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends."""
        self.close()

    def _run(self) -> None:
        engine: Engine | None = None
        growth: FolderGrowth | None = None
        mark: object = None
        while not self._stop.is_set():
            try:
                engine = engine or self._open_engine()
                growth = growth or FolderGrowth(self._path)
                mark = growth.mark()
                self.look(engine)
            except Exception as error:  # the next look may go well
                self.trouble = f"{type(error).__name__}: {error}"
                if engine is not None:
                    with contextlib.suppress(Exception):
                        engine.close()
                engine = None
            self._wait(growth, mark)
        if engine is not None:
            engine.close()

    def _wait(self, growth: FolderGrowth | None, mark: object) -> None:
        """Until the store has grown, a second at least, or the interval is over."""
        end_s = time.monotonic() + self._settings.interval_ns / 1e9
        if self._stop.wait(LEAST_BETWEEN_S):
            return
        while time.monotonic() < end_s and not self._stop.is_set():
            if growth is not None and growth.mark() != mark:
                return
            self._stop.wait(LOOK_S)

    def look(self, engine: Engine) -> None:
        """Looks at every rule once, by what the store holds now. One thread at a time."""
        now_ns, wall_ns = self._stretches.see()
        self._see(engine, now_ns, wall_ns)
        figures: dict[int, Figures] = {}
        changed = False
        with self._lock:
            rules = self._settings.rules
        for rule in rules:
            window = figures.get(rule.window_ns)
            if window is None:
                window = figures[rule.window_ns] = self._figures(engine, rule.window_ns, now_ns)
            holds = rule.parsed.holds(window.measure)
            changed |= self._step(rule, holds, window, now_ns, wall_ns)
        self.looked += 1
        self.trouble = ""
        if changed:
            self._save()

    def _see(self, engine: Engine, now_ns: int, wall_ns: int) -> None:
        self._losses.saw_lost(now_ns, sum(ring.lost for ring in engine.ledger()))
        newest_ns = engine.newest_wall_ns()
        if newest_ns is not None and newest_ns != self._newest_ns:
            if self._newest_ns is not None:  # what lay there before was not stored just now
                self._losses.saw_lag(now_ns, max(0, wall_ns - newest_ns))
            self._newest_ns = newest_ns

    def _figures(self, engine: Engine, window_ns: int, now_ns: int) -> Figures:
        return Figures(
            engine,
            self._stretches.within(window_ns),
            lost=lambda: self._losses.lost(now_ns, window_ns),
            lag=lambda: self._losses.lag(now_ns, window_ns),
            contracts=self._contracts,
            store=str(self._path),
            links=self._settings.links,
        )

    def _step(
        self, rule: AlertRule, holds: bool | None, figures: Figures, now_ns: int, wall_ns: int
    ) -> bool:
        """Whether there is something to be kept."""
        timing = Timing(rule.for_ns, rule.cooldown_ns, rule.no_data)
        measured = {metric: figures.measure(metric) for metric in rule.parsed.metrics}
        values = {metric: shown(metric, found) for metric, found in measured.items()}
        with self._lock:
            if rule.name not in self._names:
                return False  # it was taken away meanwhile
            firing = self._firings.get(rule.name) or Firing()
            state, change = step(firing.state, holds, now_ns, timing)
            self._seen[rule.name] = (holds, values)
            if change == "firing":
                causes = figures.causes(rule.parsed.metrics)
                message = self._message(rule, values, wall_ns, note=_unknown(measured, holds))
                message = replace(message, causes=causes)
                self._firings[rule.name] = Firing(state, message)
                self._tell(rule, message)
            elif change == "resolved" and firing.message is not None:
                self._firings[rule.name] = Firing(state)
                self._resolve(rule, firing.message, values)
            elif state != AlertState():
                self._firings[rule.name] = Firing(state, firing.message)
            else:
                self._firings.pop(rule.name, None)
            return change != "" or state.phase == "pending" or state != firing.state

    def _message(
        self,
        rule: AlertRule,
        values: Mapping[str, str],
        wall_ns: int,
        status: Any = "firing",
        note: str = "",
    ) -> AlertMessage:
        return AlertMessage(
            id=self._make_id(),
            name=rule.name,
            status=status,
            severity=rule.severity,
            condition=rule.condition,
            window=rule.window,
            started_wall_ns=wall_ns,
            values=values,
            labels=rule.labels,
            note=note,
        )

    def _resolve(
        self, rule: AlertRule, fired: AlertMessage, values: Mapping[str, str], note: str = ""
    ) -> None:
        _, wall_ns = self._stretches.see()
        ended_ns = max(wall_ns, fired.started_wall_ns)  # the wall clock may have been set back
        self._tell(
            rule,
            replace(fired, status="resolved", ended_wall_ns=ended_ns, values=values, note=note),
        )

    def _tell(self, rule: AlertRule, message: AlertMessage) -> None:
        self._told.append(message)
        for name in rule.actions:
            self._hand(name, message)

    def _hand(self, name: str, message: AlertMessage) -> None:
        delivery = self._deliveries.get(name)
        if delivery is not None:
            with self._lock:
                waiting = self._undelivered.setdefault(name, {})
                waiting[message.id, message.status] = message
            delivery.offer(message)

    def _done_of(self, name: str) -> Callable[[AlertMessage], None]:
        def done(message: AlertMessage) -> None:
            with self._lock:
                waiting = self._undelivered.get(name, {})
                waiting.pop((message.id, message.status), None)
                empty = not waiting
            if empty:  # of many, those before the last are at worst told again after a crash
                self._save()

        return done

    def _status(self, rule: AlertRule) -> AlertStatus:
        firing = self._firings.get(rule.name) or Firing()
        holds, values = self._seen.get(rule.name, (None, {}))
        return AlertStatus(rule, firing.state, holds, values, firing.message)

    def _save(self) -> None:
        with self._saving:
            with self._lock:
                kept = Kept(
                    dict(self._firings),
                    {name: list(each.values()) for name, each in self._undelivered.items()},
                )
            try:
                write_kept(self._file, kept, self._stretches.see()[0], self._disk)
            except OSError as error:
                self.trouble = f"{self._file} cannot be written: {error}"


def _unknown(measured: Mapping[str, Measured], holds: bool | None) -> str:
    if holds is not None:
        return ""
    names = ", ".join(name for name, found in measured.items() if found.value is None)
    return f"It fires because nothing is known of {names}."
