"""What others charge: T7 and T9 beside a typed event of ours, T8 beside a span; and T10."""

from __future__ import annotations

import functools
import io
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import whence
from benchmarks.emit import NUMBERS, bench_numbers
from benchmarks.figure import Measure
from benchmarks.ratio import Call, Ratio, Timer, compare_functions

__all__ = ["measures"]

TYPED = Call(f"emit{NUMBERS}", {"emit": bench_numbers.emit})
SPAN = Call("span('step', component='Bench').end()", {"span": whence.span})
PEER_CALLS = 5_000  # of each in one repetition; they cost microseconds


def measures() -> Iterator[Measure]:
    """T7 to T10; a peer that is not installed is skipped, and that is said."""
    yield Measure("T10", "a decorated function, less the function / the function", _decorated)
    for name, compared, make in _PEERS:
        beside, ours = (SPAN, "span") if name == "T8" else (TYPED, "typed event")
        yield Measure(name, f"{compared} / {ours}", functools.partial(_beside, beside, make))


def _beside(ours: Call, make: Callable[[], Timer]) -> Ratio:
    """The peer is made when its turn comes: some of them slow down every call after that."""
    return compare_functions(make(), ours.timer())


def _decorated() -> Ratio:
    """What @whence.span adds to a call of an empty Python function."""

    def plain() -> None:
        pass

    decorated = whence.span("decorated", component="Bench")(plain)
    whole, alone = Call("f()", {"f": decorated}).timer(), Call("f()", {"f": plain}).timer()
    return compare_functions(lambda: whole() - alone(), alone)


def _timer(statement: str, **names: Any) -> Timer:
    return Call(statement, names).timer(PEER_CALLS)


def _otel_event() -> Timer:
    from opentelemetry.sdk.trace import TracerProvider

    span = TracerProvider().get_tracer("whence.bench").start_span("bench")
    attributes = {"first": 1, "second": 2, "third": 3.5}
    return _timer("add('event', attributes)", add=span.add_event, attributes=attributes)


def _otel_span() -> Timer:
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider().get_tracer("whence.bench")
    return _timer("start('step').end()", start=tracer.start_span)


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


_PEERS: tuple[tuple[str, str, Callable[[], Timer]], ...] = (
    ("T7", "OpenTelemetry span.add_event", _otel_event),
    ("T8", "OpenTelemetry span start and end", _otel_span),
    ("T9 picologging", "picologging.info to the null device", _picologging),
    ("T9 structlog", "structlog JSON to the null device", _structlog),
    ("T9 loguru", "loguru to the null device", _loguru),
    ("T9 logging", "logging.info to the null device", _logging),
    ("T9 viztracer", "viztracer log_instant", _viztracer),
)
