"""Asks the store from a server: some questions at once, each in its time, ended when unwanted."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from whence.model.errors import BudgetExceeded
from whence.query.engines.engine import Engine
from whence.query.engines.resting import Resting
from whence.query.engines.shapes import Budget
from whence.serve.limits import Limits
from whence.serve.problem import Problem

__all__ = ["Asking"]

T = TypeVar("T")
_CANCEL_AGAIN_S = 0.05  # an interruption that comes before the statement is forgotten


class Asking:
    """A few threads, and engines that are opened at a question and rest when there are none.

    With `anew` it is opened for each question and closed after: what reads all of its source at
    once would go on telling of that moment. Ask from one event loop. A question that is cancelled,
    or that takes longer than it may, is ended in the store as well. Close it after use.
    """

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        limits: Limits,
        rested: Callable[[], object] | None = None,
        *,
        anew: bool = False,
    ) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.questions, "whence-ask")
        self._engines = Resting(
            open_engine, limits.questions, rest_s=0.0 if anew else limits.rest_s, rested=rested
        )
        self.waiting = 0
        self.asked = 0
        self.ended_early = 0
        self.seconds = 0.0

    def budget(self) -> Budget:
        """What one question may cost."""
        return Budget(rows=self._limits.question_rows, time_s=self._limits.question_s)

    async def ask(self, question: Callable[[Engine], T]) -> T:
        """The answer of an engine; what it raises. Problem where too many wait or time is over."""
        if self.waiting >= self._limits.waiting + self._limits.questions:
            headers = {"Retry-After": "1"}
            detail = "too many questions wait for the store"
            raise Problem(503, "busy", detail, "ask again later", headers=headers)
        self.waiting += 1
        self.asked += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        task = _Task(question)
        try:
            running = self._threads.submit(task.run, self._engines)
            return await self._until(running, task)
        finally:
            self.waiting -= 1
            self.seconds += loop.time() - began

    async def _until(self, running: Future[T], task: _Task[T]) -> T:
        future = asyncio.wrap_future(running)
        try:
            done, _ = await asyncio.wait((future,), timeout=self._limits.question_s)
            if done:
                return future.result()
            detail = f"the store had no answer within {self._limits.question_s} s"
            raise Problem(503, "too_slow", detail, "a shorter time or fewer events narrow it")
        finally:
            if not future.done():
                self.ended_early += 1
                future.add_done_callback(_ignored)
                running.cancel()
                while not running.done():  # the thread is free again before anybody else asks
                    task.cancel()
                    await _paused(_CANCEL_AGAIN_S)

    def close(self) -> None:
        """Ends the threads and closes their engines."""
        self._engines.cancel()
        self._threads.shutdown(cancel_futures=True)
        self._engines.close()


class _Task(Generic[T]):
    """One question, and the engine that is asked it now."""

    def __init__(self, question: Callable[[Engine], T]) -> None:
        self._question = question
        self._engine: Engine | None = None
        self._unwanted = False
        self._lock = threading.Lock()  # so that nobody ends the next question of the same engine

    def run(self, engines: Resting) -> T:
        """Asks; in a thread of its own."""
        with engines.one() as engine:
            with self._lock:
                if self._unwanted:
                    raise BudgetExceeded("nobody waits for the answer any more")
                self._engine = engine
            try:
                return self._question(engine)
            finally:
                with self._lock:
                    self._engine = None

    def cancel(self) -> None:
        """Ends it, as far as the engine can."""
        with self._lock:
            self._unwanted = True
            cancel = getattr(self._engine, "cancel", None)  # what asks in memory is soon done
            if cancel is not None:
                cancel()


async def _paused(seconds: float) -> None:
    """Waits although the task was cancelled: what it asked has to end first."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(seconds)


def _ignored(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
