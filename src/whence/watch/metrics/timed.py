"""An engine whose questions are timed, by what is asked and how that ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from whence.query.engines.engine import Engine
from whence.watch.metrics.registry import Registry

__all__ = ["timed"]

_QUESTIONS = frozenset(
    {
        "select", "aggregate", "traces", "recording", "find", "event", "nearest", "effects",
        "newest_wrong", "table", "sql",
    }
)  # fmt: skip


def timed(
    engine: Engine, registry: Registry, *, clock: Callable[[], float] = time.perf_counter
) -> Engine:
    """The same engine, but every question's time goes into `whence_query_seconds`, an exponential
    histogram by `question` and `outcome`: "answered", or the name of what was raised.

    The registry is one that has no reserved names. Whatever else the engine offers it offers.
    """
    return cast(Engine, _Timed(engine, registry, clock))


class _Timed:
    def __init__(self, engine: Engine, registry: Registry, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._seconds = registry.histogram(
            "whence_query_seconds",
            "What questions took.",
            unit="seconds",
            labels=("question", "outcome"),
        )

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if name not in _QUESTIONS:
            return found

        def ask(*arguments: Any, **named: Any) -> Any:
            began_s, outcome = self._clock(), "answered"
            try:
                return found(*arguments, **named)
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                took_s = max(0.0, self._clock() - began_s)
                self._seconds.observe(took_s, question=name, outcome=outcome)

        return ask
