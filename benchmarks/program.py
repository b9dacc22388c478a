"""What recording costs a whole program: T14, an agent loop of steps of a millisecond.

Two answers: events times what one costs, over the program's CPU time; and the CPU time itself with
recording on and off, in turns for a minute, beside a null ratio of off to off.
"""

from __future__ import annotations

import json
import re
import resource
import statistics
from collections.abc import Iterator

import whence
from benchmarks.ratio import Call

__all__ = ["lines"]

STEPS = 500  # a turn; each takes 1 to 2 ms of CPU
TURNS = 27  # of each of: on, off, off again
EVENTS_A_STEP = 5
NULL_BAND = (0.998, 1.002)

_WORDS = re.compile(r"[a-z]+")
_PAGE = json.dumps(
    [{"id": i, "text": f"what tool {i} answered, in some words"} for i in range(600)]
)


@whence.kind(component="Agent", decision=True, rationale="Called {tool}: {matches} of it matched")
def tool_chosen(tool: str, matches: int) -> None:
    """The agent's choice of a tool."""


@whence.kind(component="Agent")
def tool_returned(tool: str, length: int, ok: bool) -> None:
    """What the tool gave back."""


@whence.kind(component="Agent")
def context_grew(items: int, tokens: int, share: float) -> None:
    """How full the context is."""


def lines() -> Iterator[tuple[str, str, str]]:
    """(what, target, result) of T14; about a minute."""
    kinds = (tool_chosen, tool_returned, context_grew)
    _turn()  # warm
    on, off, null = [], [], []
    for _ in range(TURNS):
        first = _switched(kinds, False)
        on.append(_switched(kinds, True) / first)
        second = _switched(kinds, False)
        null.append(second / first)
        off.append(first)
    _switch(kinds, True)
    share = EVENTS_A_STEP * STEPS * _event_cost_ns() / 1e9 / statistics.median(off)
    yield "T14 agent loop: 1 + events x cost / CPU time", "must 1.01, aim 1.001", f"{1 + share:.5f}"
    band = statistics.median(null)
    ratio = f"{statistics.median(on):.4f}, null {band:.4f}"
    valid = NULL_BAND[0] <= band <= NULL_BAND[1]
    yield (
        f"T14 agent loop: CPU time on / off, {sum(off) * 3:.0f} s",
        "null 0.998-1.002",
        ratio if valid else f"below noise ({ratio})",
    )


def _switched(kinds: tuple[whence.Kind[...], ...], on: bool) -> float:
    _switch(kinds, on)
    return _turn()


def _switch(kinds: tuple[whence.Kind[...], ...], on: bool) -> None:
    for kind in kinds:
        if on:
            kind.enable()
        else:
            kind.disable()


def _turn() -> float:
    begin = _cpu_s()
    for step in range(STEPS):
        with whence.request(f"step-{step}"):
            _step(step)
    return _cpu_s() - begin


def _step(step: int) -> None:
    page = json.loads(_PAGE)
    matches = sum(len(_WORDS.findall(item["text"])) for item in page)
    tool_chosen("search", matches)
    tool_returned("search", len(_PAGE), True)
    context_grew(len(page), matches, step / STEPS)
    answer = json.dumps(page)
    tool_chosen("summarise", matches)
    tool_returned("summarise", len(answer), True)


def _event_cost_ns() -> float:
    """The dearest of the loop's events: a decision in a request."""
    call = Call("kind('search', 1750)", {"kind": tool_chosen}).timer()
    with whence.request("step-0"):
        return statistics.median(call() for _ in range(9))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
