"""Kills the writer after every store and recovers what it left, as `whence recover` does.

A killed process leaves in the mapped file the stores it had executed: the kernel delivers the
signal between two instructions, and stores already executed reach memory even if the processor
still held them in a buffer. What has been executed is a prefix of the *compiled* program, and that
may differ from the source: C++ lets a compiler move a relaxed store up past an earlier release
store to another word. So there are two kinds of image:

    "program"    every prefix of the stores as written
    "compiler"   every set of stores that some permitted compilation has executed at some
                 instruction: with a store, all earlier stores to its location; with a release
                 store, or with any store after a fence, all stores before it

`drain_after_kill` asks the same with a reader attached while the writer dies, on the view machine.
Not modelled: loss of power (a tmpfs does not survive it), and files cut short by others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from protocol import (
    FORM_B,
    NAME_MISSING,
    READER_B,
    TEXT_LOST,
    TEXT_TORN,
    TORN,
    WHOLE,
    Polled,
    ReaderForm,
    Shape,
    WriterForm,
    poll_reader,
    text_ref,
    text_words,
    unpack_ref,
    writer,
)
from view_machine import REL, Store, WriterOp, explore

__all__ = ["Findings", "crash", "drain_after_kill", "images", "recover"]

Image: TypeAlias = dict[str, int]


@dataclass(slots=True)
class Findings:
    """What an exploration found: broken promises with an example each, and the answers seen."""

    broken: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    states: int = 0

    def breaks(self, promise: str, example: str) -> None:
        self.broken.setdefault(promise, example)

    def add(self, other: Findings) -> None:
        for promise, example in other.broken.items():
            self.breaks(promise, example)
        self.seen |= other.seen
        self.states += other.states


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a scan of one image yields: a verdict per complete ticket, and tickets in mid-write."""

    events: dict[int, str]
    busy: list[int]
    counter: int

    @property
    def complete(self) -> int:
        """How many events were ever completed: a busy stamp of ticket u proves that u - 1 was.

        Without that, a ring of one slot would forget its past when the writer dies inside an emit.
        """
        return max(max(self.events, default=-1) + 1, *self.busy, 0)


def crash(
    shape: Shape,
    form: WriterForm = FORM_B,
    order: str = "program",
    trust_head: bool = False,
) -> Findings:
    """Check every promise about recovery on every image a kill can leave."""
    findings = Findings()
    for image, finished in images(shape, form, order):
        findings.states += 1
        _judge(shape, recover(shape, image, trust_head), finished, findings)
    return findings


def drain_after_kill(
    shape: Shape, form: WriterForm = FORM_B, reads: ReaderForm = READER_B, polls: int = 2
) -> Findings:
    """A live reader polls, the writer dies at any step, the reader drains: the ledger closes."""
    findings = Findings()
    program = writer(shape, form)
    for taken in range(len(program) + 1):
        stored = program[:taken]
        begun = sum(_is_counter(op) for op in stored)
        finished = sum(_is_final(op) for op in stored)
        overwritten = max(0, sum(_is_busy(op) for op in stored) - shape.capacity)
        found = explore(stored, poll_reader(shape, reads, polls=polls, drain=True))
        findings.states += found.states
        for outcome in found.outcomes:
            assert isinstance(outcome, Polled)
            where = f"killed after step {taken}: {outcome}"
            findings.seen.add("lost" if outcome.lost else "all delivered")
            findings.seen.add("in flight" if begun > finished else "at rest")
            if outcome.verdict != WHOLE:
                findings.breaks(outcome.verdict, where)
            elif outcome.delivered | outcome.lost != (1 << finished) - 1:
                findings.breaks("delivered + lost = finished", where)
            elif outcome.delivered & outcome.lost:
                findings.breaks("delivered or lost, never both", where)
            elif outcome.lost >> overwritten:
                findings.breaks("lost means overwritten", where)
            if begun - finished not in (0, 1):
                findings.breaks("at most one event in flight", where)
    return findings


def images(shape: Shape, form: WriterForm, order: str) -> Iterator[tuple[Image, int]]:
    """Every memory image a kill can leave, with the number of events whose final stamp is in it."""
    program = writer(shape, form)
    stores = [op for op in program if isinstance(op, Store)]
    if order == "program":
        sets: Iterator[frozenset[int]] = (
            frozenset(range(taken)) for taken in range(len(stores) + 1)
        )
    else:
        sets = _closed_sets(_must_precede(program))
    for chosen in sets:
        image: Image = {}
        for n in sorted(chosen):
            image[stores[n].location] = stores[n].value
        yield image, sum(_is_final(stores[n]) for n in chosen)


def recover(shape: Shape, image: Image, trust_head: bool = False) -> Recovered:
    """Scan the stamps. With `trust_head` (a mutant) go by the published head instead."""
    events: dict[int, str] = {}
    busy = []
    for slot in range(shape.capacity):
        stamp = image.get(f"stamp{slot}", 0)
        ticket = (stamp >> 1) - 1
        if stamp & 1:
            busy.append(ticket)
        elif stamp and not (trust_head and ticket >= image.get("head", 0)):
            events[ticket] = _recover_slot(shape, image, slot, ticket)
    return Recovered(events, busy, image.get("counter", 0))


def _recover_slot(shape: Shape, image: Image, slot: int, ticket: int) -> str:
    words = [image.get(f"word{slot}.{n}", 0) for n in range(shape.words)]
    if words != [text_ref(shape, ticket), *[ticket + 1] * (shape.words - 1)]:
        return TORN
    name = [image.get(f"name.{part}", 0) for part in ("0", "1", "mark")]
    if -1 < shape.name_from <= ticket and name != [1, 2, 3]:
        return NAME_MISSING
    position, length = unpack_ref(words[0])
    if length and image.get("intent", 0) > position + shape.text_words:
        return TEXT_LOST
    places = range(position, position + length)
    text = [image.get(f"text.{p % shape.text_words}", 0) for p in places]
    return WHOLE if text == text_words(shape, ticket) else TEXT_TORN


def _judge(shape: Shape, got: Recovered, finished: int, findings: Findings) -> None:
    where = f"{finished} finished, recovered {got}"
    findings.seen.update(got.events.values())
    findings.seen.add("in flight" if got.busy else "at rest")
    for verdict in got.events.values():
        if verdict not in (WHOLE, TEXT_LOST):
            findings.breaks(verdict, where)
    if got.complete != finished:
        findings.breaks("every finished event is recovered", where)
    oldest = max(0, got.complete - shape.capacity + (1 if got.busy else 0))
    if sorted(got.events) != list(range(oldest, got.complete)):
        findings.breaks("recovered = newest contiguous tickets", where)
    if len(got.busy) > 1 or any(ticket != got.complete for ticket in got.busy):
        findings.breaks("at most one event in flight", where)
    if got.counter - got.complete not in (0, 1):
        findings.breaks("ledger residue 0 or 1", where)


def _must_precede(program: Sequence[WriterOp]) -> list[frozenset[int]]:
    """For each store, the stores that any compilation executes before it."""
    before: list[frozenset[int]] = []
    latest: dict[str, int] = {}
    fenced = 0  # every later store comes after the first `fenced` stores
    for op in program:
        if not isinstance(op, Store):
            fenced = len(before)
            continue
        known = range(len(before)) if op.order == REL else range(fenced)
        same = [latest[op.location]] if op.location in latest else []
        latest[op.location] = len(before)
        before.append(frozenset([*known, *same]))
    return before


def _closed_sets(before: list[frozenset[int]]) -> Iterator[frozenset[int]]:
    """Every set that contains, with a store, all that must precede it."""
    start: frozenset[int] = frozenset()
    stack = [start]
    seen = {start}
    while stack:
        chosen = stack.pop()
        yield chosen
        for n, needed in enumerate(before):
            if n not in chosen and needed <= chosen:
                larger = chosen | {n}
                if larger not in seen:
                    seen.add(larger)
                    stack.append(larger)


def _is_busy(op: WriterOp) -> bool:
    return isinstance(op, Store) and op.location.startswith("stamp") and op.value & 1 == 1


def _is_final(op: WriterOp) -> bool:
    return isinstance(op, Store) and op.location.startswith("stamp") and op.value & 1 == 0


def _is_counter(op: WriterOp) -> bool:
    return isinstance(op, Store) and op.location == "counter"
