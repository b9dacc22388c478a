"""What others charge for an event: T7 and T9, each beside a typed event of ours."""

from __future__ import annotations

import functools
import io
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.emit import NUMBERS, bench_numbers
from benchmarks.figure import Measure
from benchmarks.ratio import Call, Ratio, Timer, compare_functions

__all__ = ["measures"]

TYPED = Call(f"emit{NUMBERS}", {"emit": bench_numbers.emit})
PEER_CALLS = 5_000  # of each in one repetition; they cost microseconds


def measures() -> Iterator[Measure]:
    """T7 and T9; a peer that is not installed is skipped, and that is said."""
    for name, compared, make in _PEERS:
        try:
            timer = make()
        except ImportError:
            print(f"{name:14} SKIPPED: not installed ({compared})")
            continue
        yield Measure(name, f"{compared} / typed event", functools.partial(_beside_typed, timer))


def _beside_typed(peer: Timer) -> Ratio:
    return compare_functions(peer, TYPED.timer())


def _timer(statement: str, **names: Any) -> Timer:
    return Call(statement, names).timer(PEER_CALLS)


def _otel_event() -> Timer:
    from opentelemetry.sdk.trace import TracerProvider

    span = TracerProvider().get_tracer("whence.bench").start_span("bench")
    attributes = {"first": 1, "second": 2, "third": 3.5}
    return _timer("add('event', attributes)", add=span.add_event, attributes=attributes)


def _viztracer() -> Timer:
    from viztracer import VizTracer

    tracer = VizTracer(tracer_entries=100_000, log_gc=False, verbose=0)
    started = _timer("log('event', (1, 2, 3.5))", log=tracer.log_instant)

    def once() -> float:
        tracer.start()
        try:
            return started()
        finally:
            tracer.stop()
            tracer.clear()

    return once


def _picologging() -> Timer:
    import picologging

    logger = picologging.Logger("whence.bench", picologging.INFO)
    logger.addHandler(picologging.StreamHandler(_nowhere()))
    return _timer("info('event %d %d %f', 1, 2, 3.5)", info=logger.info)


def _structlog() -> Timer:
    import structlog

    logger = structlog.wrap_logger(
        structlog.PrintLogger(_nowhere()), processors=[structlog.processors.JSONRenderer()]
    ).bind()
    return _timer("info('event', first=1, second=2, third=3.5)", info=logger.info)


def _loguru() -> Timer:
    from loguru import logger

    logger.remove()
    logger.add(_nowhere())
    return _timer("info('event {} {} {}', 1, 2, 3.5)", info=logger.info)


def _logging() -> Timer:
    logger = logging.getLogger("whence.bench.peer")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(_nowhere()))
    return _timer("info('event %d %d %f', 1, 2, 3.5)", info=logger.info)


@functools.cache
def _nowhere() -> io.TextIOWrapper:
    return open(os.devnull, "w", encoding="utf-8")


_PEERS: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    ("T7", "OpenTelemetry span.add_event", _otel_event),
    ("T9 viztracer", "viztracer log_instant", _viztracer),
    ("T9 picologging", "picologging.info to the null device", _picologging),
    ("T9 structlog", "structlog JSON to the null device", _structlog),
    ("T9 loguru", "loguru to the null device", _loguru),
    ("T9 logging", "logging.info to the null device", _logging),
)
