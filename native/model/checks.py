"""What each exploration must find true, over all the sizes it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TypeAlias

from crash_machine import Findings, crash, drain_after_kill
from protocol import (
    FORM_B,
    READER_B,
    REJECTED,
    TEXT_LOST,
    WHOLE,
    Polled,
    ReaderForm,
    Residue,
    Seen,
    Shape,
    WriterForm,
    counted_reader,
    counted_writer,
    ledger_reader,
    poll_reader,
    slot_reader,
    stamp_of,
    writer,
)
from view_machine import RLX, Reader, Store, WriterOp, explore

__all__ = ["NAMES", "PLAIN", "TEXT", "counts", "crashes", "cursor", "drains", "ledger", "slots"]

Shapes: TypeAlias = Sequence[Shape]
Examine: TypeAlias = Callable[[], Findings]

# Capacity 1 and 2, two to four laps, two and three words.
PLAIN: Shapes = [Shape(c, c * laps, w) for c, laps, w in product((1, 2), (2, 3, 4), (2, 3))]
# Text that is overtaken while its slot still stands: text rings of 1-4 words, events of 0-2 words.
TEXT: Shapes = [
    Shape(1, 4, 2, text_words=2, lengths=(1, 2)),
    Shape(2, 4, 2, text_words=1, lengths=(1,)),
    Shape(2, 6, 2, text_words=2, lengths=(1, 2)),
    Shape(2, 6, 3, text_words=3, lengths=(2, 1)),
    Shape(2, 8, 2, text_words=3, lengths=(1, 0, 2, 2)),
    Shape(3, 7, 2, text_words=4, lengths=(2, 1, 0)),
]
NAMES: Shapes = [Shape(c, 4, 2, name_from=first) for c, first in product((1, 2), (0, 1, 2))]
_CURSORS: Shapes = [Shape(1, 3, 2), Shape(2, 4, 2), Shape(2, 6, 2), Shape(3, 6, 2)]
_LEDGERS: Shapes = [Shape(1, 4, 2), Shape(2, 5, 2), Shape(3, 6, 2)]
_CRASHES: Shapes = [
    Shape(c, 4 * c + 1, w, text_words=t, lengths=lengths, name_from=1)
    for c, w in product((1, 2, 3), (2, 3))
    for t, lengths in ((1, (1,)), (2, (1, 2)), (3, (1, 0, 2)), (4, (2, 0)))
]
# Without the compiler fence the images multiply, and the shortest run already shows it.
_SHORT_CRASHES: Shapes = [Shape(c, 3, 2) for c in (1, 2, 3)]
_DRAINS: Shapes = [
    Shape(1, 4, 2, text_words=2, lengths=(1, 2)),
    Shape(2, 5, 2, text_words=3, lengths=(1, 0, 2)),
    Shape(3, 5, 2),
]


def slots(shapes: Shapes, form: WriterForm = FORM_B, reads: ReaderForm = READER_B) -> Examine:
    """Every validated read of every slot is whole, refused, or has lost its text and says so."""

    def examine() -> Findings:
        findings = Findings()
        for shape in shapes:
            for slot in range(shape.capacity):
                _one_read(findings, shape, writer(shape, form), slot_reader(shape, reads), slot)
        return findings

    return examine


def counts(
    words: str = RLX, writer_fence: bool = True, reads: str = RLX, reader_fence: bool = True
) -> Examine:
    """The same for the family without stamps: a count of events begun, one of events done."""

    def examine() -> Findings:
        findings = Findings()
        for shape in PLAIN:
            program = counted_writer(shape, words, writer_fence)
            _one_read(findings, shape, program, counted_reader(shape, reads, reader_fence), 0)
        return findings

    return examine


def cursor(lapped: str = "bisect") -> Examine:
    """A cursor delivers or counts every ticket it passes; lost means overwritten, no less."""

    def examine() -> Findings:
        findings = Findings()
        for shape in _CURSORS:
            program = writer(shape)
            found = explore(program, poll_reader(shape, polls=4, lapped=lapped))
            findings.states += found.states
            for outcome, moments in found.outcomes.items():
                assert isinstance(outcome, Polled)
                findings.seen.add("lost" if outcome.lost else "delivered")
                where = f"{shape}: {outcome}"
                if outcome.verdict != WHOLE:
                    findings.breaks(outcome.verdict, where)
                if outcome.delivered | outcome.lost != (1 << outcome.cursor) - 1:
                    findings.breaks("delivered + lost = cursor", where)
                if outcome.lost >> _overwritten(shape, program, min(moments)):
                    findings.breaks("lost means overwritten", where)
        return findings

    return examine


def ledger(form: WriterForm = FORM_B, counter_first: bool = False) -> Examine:
    """A live reading may find events in flight; it never finds more complete than were counted."""

    def examine() -> Findings:
        findings = Findings()
        for shape in _LEDGERS:
            found = explore(writer(shape, form), ledger_reader(shape, counter_first))
            findings.states += found.states
            for outcome in found.outcomes:
                assert isinstance(outcome, Residue)
                findings.seen.add("closed" if outcome.events == 0 else "in flight")
                if outcome.events < 0:
                    findings.breaks("recorded >= complete", f"{shape}: {outcome}")
        return findings

    return examine


def crashes(form: WriterForm = FORM_B, order: str = "program", trust_head: bool = False) -> Examine:
    """What recovery promises, for every image a kill can leave (crash_machine.crash)."""
    hoisted = order == "compiler" and not form.compiler_fence

    def examine() -> Findings:
        findings = Findings()
        for shape in _SHORT_CRASHES if hoisted else _CRASHES:
            findings.add(crash(shape, form, order, trust_head))
        return findings

    return examine


def drains(form: WriterForm = FORM_B, reads: ReaderForm = READER_B) -> Examine:
    """The ledger closes for a reader that was attached when the writer died (drain_after_kill)."""

    def examine() -> Findings:
        findings = Findings()
        for shape in _DRAINS:
            findings.add(drain_after_kill(shape, form, reads))
        return findings

    return examine


def _one_read(
    findings: Findings, shape: Shape, program: Sequence[WriterOp], reader: Reader, slot: int
) -> None:
    found = explore(program, reader, slot)
    findings.states += found.states
    for outcome in found.outcomes:
        assert isinstance(outcome, Seen)
        findings.seen.add(outcome.verdict)
        if outcome.verdict not in (WHOLE, REJECTED, TEXT_LOST):
            findings.breaks(outcome.verdict, f"{shape}: {outcome}")


def _overwritten(shape: Shape, program: Sequence[WriterOp], moment: int) -> int:
    """How many tickets, from 0 up, the writer has begun to overwrite after `moment` steps."""
    begun = {stamp_of(ticket, busy=True): ticket + 1 for ticket in range(shape.tickets)}
    stored = (op for op in program[:moment] if isinstance(op, Store))
    newest = max((begun.get(op.value, 0) for op in stored if "stamp" in op.location), default=0)
    return max(0, newest - shape.capacity)
