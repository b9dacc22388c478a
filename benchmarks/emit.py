"""What recording costs: T1-T6 and T12, beside an empty builtin call and a disabled logging call."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import whence
from benchmarks.figure import Measure
from benchmarks.ratio import Call, Ratio, Timer, compare, compare_functions
from whence import _native

__all__ = ["measures"]

EMPTY = Call("empty(1, 2, 3.5)", {"empty": _native.empty_call})
NUMBERS = "(1, 2, 3.5)"
SHORT = "a model's name that takes 36 letters"
LONG = "and a text of sixty letters, which is what a reason may take"
REQUEST = "5b2c9a10-7f1e-4c55-9d27-2f4f3a6f0001"
DISTINCT_TEXTS = 50_000  # more than the dictionary and its filter can know


@whence.kind(component="Bench")
def bench_numbers(first: int, second: int, third: float) -> None:
    """Three scalars."""


@whence.kind(component="Bench")
def bench_texts(first: int, short: str, long: str) -> None:
    """A number and two texts."""


@whence.kind(component="Bench", decision=True, rationale="Selected {model}: {slack_ns:ns} left")
def bench_decision(model: str, slack_ns: int) -> None:
    """A decision whose sentence takes two arguments."""


def measures() -> Iterator[Measure]:
    """T1 to T6, and T12. R1.12 R1.13 R1.19 R1.54"""
    numbers: dict[str, Any] = {"emit": bench_numbers.emit, "kind": bench_numbers}
    emit, kind = Call(f"emit{NUMBERS}", numbers), Call(f"kind{NUMBERS}", numbers)
    guarded = Call(f"kind and kind{NUMBERS}", numbers)
    yield Measure("T1 emit", "kind.emit(int, int, float) / empty call", _beside_empty(emit))
    yield Measure("T1 kind", "kind(int, int, float) / empty call", _beside_empty(kind))
    yield Measure("T2 emit", "kind.emit(...) switched off / empty call", _off(emit))
    yield Measure("T2 kind", "kind(...) switched off / empty call", _off(kind))
    yield Measure("T3", "kind and kind(...) switched off / empty call", _off(guarded))
    yield Measure("T4 texts", "in a request, recurring texts of 36 and 60 / empty call", _texts)
    yield Measure(
        "T4 unique", "in a request, texts that never recur, 36 and 60 / empty call", _unique_texts
    )
    decision = Call("emit('ocr_rec', 8_400_000)", {"emit": bench_decision.emit})
    yield Measure(
        "T4 decision", "decision, template of two arguments / empty call", _beside_empty(decision)
    )
    record_now = Call(
        "record_now('admission', 'Controller', 'U=0.742 is below the bound')",
        {"record_now": whence.TraceCollector().record_now},
    )
    yield Measure(
        "T5",
        "collector.record_now(type, component, rationale) / empty call",
        _beside_empty(record_now),
    )
    logger = logging.getLogger("whence.bench")
    logger.setLevel(logging.INFO)
    disabled = Call("debug('an event')", {"debug": logger.debug})
    yield Measure(
        "T6",
        "logging.debug disabled / kind.emit(int, int, float)",
        functools.partial(compare, disabled, emit),
    )
    yield Measure("T12", "kind.emit(...) at a sample rate of 1 % / switched off", _sampled_out)


def _beside_empty(call: Call) -> Callable[[], Ratio]:
    return functools.partial(compare, call, EMPTY)


@contextmanager
def _rate(sample_rate: float) -> Iterator[None]:
    """While it is open, the numbers are sampled; 0 switches them off."""
    if sample_rate > 0:
        bench_numbers.enable(sample_rate)
    else:
        bench_numbers.disable()
    try:
        yield
    finally:
        bench_numbers.enable()


def _sampled_out() -> Ratio:
    """Of a hundred events one is kept, and paid for; the others are only counted."""
    emit = Call(f"emit{NUMBERS}", {"emit": bench_numbers.emit}).timer()

    def at(sample_rate: float) -> Timer:
        def once() -> float:
            with _rate(sample_rate):
                return emit()

        return once

    return compare_functions(at(0.01), at(0))


def _off(call: Call) -> Callable[[], Ratio]:
    def measure() -> Ratio:
        with _rate(0):
            return compare(call, EMPTY)

    return measure


def _texts() -> Ratio:
    """Texts that recur are in the dictionary by their second sight."""
    names = {"emit": bench_texts.emit, "short": SHORT, "long": LONG}
    with whence.request(REQUEST):
        return compare(Call("emit(1, short, long)", names), EMPTY)


def _unique_texts() -> Ratio:
    """Texts that never recur go to the text ring whole, every time."""
    texts = [(f"{SHORT[:-6]}{i:06d}", f"{LONG[:-6]}{i:06d}") for i in range(DISTINCT_TEXTS)]
    unique = Call(
        "short, long = take(); emit(1, short, long)",
        {"emit": bench_texts.emit, "take": _endless(texts)},
    )
    taking = Call("short, long = take()", {"take": _endless(texts)})
    with whence.request(REQUEST):
        return compare(unique, EMPTY, less=taking)


def _endless(items: list[tuple[str, str]]) -> Any:
    def forever() -> Iterator[tuple[str, str]]:
        while True:
            yield from items

    return forever().__next__
