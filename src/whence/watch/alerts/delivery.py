"""Delivery: one target's queue, with retries, a deadline and a rate; it holds up no other."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from whence.collect.sink import Refused, Unavailable
from whence.watch.alerts.message import AlertMessage

__all__ = ["Delivery", "DeliveryCounts", "Pace", "Target"]

_LONGEST_TROUBLE = 300
END_S = 5.0


class Target(Protocol):
    """Who is told."""

    name: str  # as shown: no secrets

    def deliver(self, messages: Sequence[AlertMessage], dropped: int, timeout_s: float) -> None:
        """One attempt to tell all of them at once; `dropped` others found no room before.

        Raises Unavailable to be tried again, Refused never to be. One thread at a time.
        """

    def close(self) -> None:
        """Lets go of what it holds."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a target is told.

    So many messages may wait, and be told at once where there are many. After `burst` of them one
    by one, and then one each `every_s`, those that wait are told together. What fails is tried
    again after `first_s`, twice that and so on up to `longest_s`, each less a random part, until a
    message is `deadline_s` old. One attempt takes `timeout_s` at most.
    """

    most_waiting: int = 10_000
    most_together: int = 1_000
    burst: int = 20
    every_s: float = 3.0
    first_s: float = 1.0
    longest_s: float = 60.0
    deadline_s: float = 3_600.0
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """What became of the messages for a target.

    offered = delivered + refused + expired + dropped + waiting. `attempts` that failed and are
    tried again are `retried`.
    """

    offered: int = 0
    delivered: int = 0
    refused: int = 0
    expired: int = 0
    dropped: int = 0
    waiting: int = 0
    attempts: int = 0
    retried: int = 0


class _Waiting(NamedTuple):
    message: AlertMessage
    since_s: float


class Delivery:
    """Tells one target of messages, in their order, in a thread of its own. Any thread offers.

    `done` is called with each message that is settled, however that was.
    """

    def __init__(
        self,
        target: Target,
        pace: Pace | None = None,
        *,
        done: Callable[[AlertMessage], None] = lambda message: None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.target = target
        self.trouble = ""
        self._pace = pace or Pace()
        self._done = done
        self._clock = clock
        self._chance = chance
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._in_hand: list[_Waiting] = []
        self._counts = dict.fromkeys(DeliveryCounts.__dataclass_fields__, 0)
        self._dropped_untold = 0
        self._tokens = float(self._pace.burst)
        self._filled_s = clock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="whence-alert", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> DeliveryCounts:
        """What became of its messages so far."""
        with self._changed:
            waiting = len(self._queue) + len(self._in_hand)
            return DeliveryCounts(**{**self._counts, "waiting": waiting})

    def offer(self, message: AlertMessage) -> None:
        """Puts a message into the queue; never waits. The oldest makes room where there is none."""
        gone = None
        with self._changed:
            if self._closed:
                return
            self._counts["offered"] += 1
            if len(self._queue) >= self._pace.most_waiting:
                gone = self._queue.popleft().message
                self._counts["dropped"] += 1
                self._dropped_untold += 1
            self._queue.append(_Waiting(message, self._clock()))
            self._changed.notify_all()
        if gone is not None:
            self._done(gone)

    def wait_settled(self, timeout_s: float) -> bool:
        """Waits until nothing waits; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._queue or self._in_hand), timeout_s)

    def close(self, timeout_s: float = END_S) -> None:
        """Ends it; what waits is not told any more, nor is it settled. May come twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        self.target.close()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            failures = 0
            while not self._attempt(taken, failures):
                failures += 1
                if self._closed:
                    return

    def _take(self) -> list[_Waiting] | None:
        """The next message, or all that wait where it is too many; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            held_up = False
            while not self._closed and self._lacks_s() > 0:
                held_up = True
                self._changed.wait(self._lacks_s())
            if self._closed:
                return None
            self._tokens -= 1
            most = self._pace.most_together if held_up else 1
            count = min(most, len(self._queue))
            self._in_hand = [self._queue.popleft() for _ in range(count)]
            return self._in_hand

    def _lacks_s(self) -> float:
        """How long until the next one may be told."""
        now_s = self._clock()
        gained = (now_s - self._filled_s) / self._pace.every_s
        self._tokens = min(float(self._pace.burst), self._tokens + gained)
        self._filled_s = now_s
        return max(0.0, (1 - self._tokens) * self._pace.every_s) if self._tokens < 0.999 else 0.0

    def _attempt(self, taken: list[_Waiting], failures: int) -> bool:
        """Whether that is settled; where it is not, it has waited to be tried again."""
        messages = [each.message for each in taken]
        dropped = self._dropped_untold
        again_s: float | None = None
        outcome, trouble = "delivered", ""
        self._counts["attempts"] += 1
        try:
            self.target.deliver(messages, dropped, self._pace.timeout_s)
            self._dropped_untold -= dropped
        except Unavailable as error:
            outcome, trouble, again_s = "", str(error) or "unavailable", error.retry_after_s
        except Refused as error:
            outcome, trouble = "refused", str(error)
        except Exception as error:  # a target's own fault ends nobody's alerts
            outcome, trouble = "", f"{type(error).__name__}: {error}"
        if not outcome:
            wait_s = self._wait_s(failures, again_s)
            if self._clock() + wait_s - taken[0].since_s > self._pace.deadline_s:
                outcome = "expired"
            elif not self._closed:
                with self._changed:
                    self.trouble = trouble[:_LONGEST_TROUBLE]
                    self._counts["retried"] += 1
                    self._changed.wait_for(lambda: self._closed, wait_s)
                return False
            else:
                return False
        with self._changed:
            self.trouble = trouble[:_LONGEST_TROUBLE]
            self._counts[outcome] += len(taken)
            self._in_hand = []
            self._changed.notify_all()
        for message in messages:
            self._done(message)
        return True

    def _wait_s(self, failures: int, asked_s: float | None) -> float:
        """Twice as long each time, less a random part up to half; never less than was asked for."""
        pace = self._pace
        usual_s = min(pace.longest_s, pace.first_s * 2.0 ** min(failures, 30))
        return max(usual_s * (1 - self._chance() / 2), asked_s or 0.0)
