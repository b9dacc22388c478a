"""The ring's protocol as programs for the view machine: what is stored, and how it is read.

    slot i of the ring   stamp{i}, word{i}.0 .. word{i}.{n-1}
                         stamp = (ticket + 1) << 1 | busy, 0 = never used
    text ring            text.0 .. text.{m-1}, intent = position up to which text may be written
    ring header          counter (events begun), head (a hint)
    dictionary           name.0, name.1, name.mark: one record; the mark is its checksum

Word 0 of a slot refers to the event's text (ticket, position, length); every other word is
ticket + 1. A text's first word names its ticket, the word at any later position p is p + 1. So
whatever a reader accepts can be compared with what one emit wrote.

A form says which orders and which sequence a side uses. FORM_B and READER_B are what native/whence
does; each mutant in cases.py differs from a safe form in one place.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from view_machine import (
    ACQ,
    REL,
    RLX,
    CompilerFence,
    Fence,
    Load,
    Next,
    Reader,
    ReaderOp,
    Settle,
    Store,
    WriterOp,
)

__all__ = [
    "FORM_B",
    "NAME_MISSING",
    "NOT_LOST",
    "READER_B",
    "REJECTED",
    "TEXT_LOST",
    "TEXT_TORN",
    "TORN",
    "WHOLE",
    "Polled",
    "ReaderForm",
    "Residue",
    "Seen",
    "Shape",
    "WriterForm",
    "counted_reader",
    "counted_writer",
    "ledger_reader",
    "poll_reader",
    "slot_reader",
    "stamp_of",
    "text_ref",
    "text_words",
    "unpack_ref",
    "write_event",
    "writer",
]

Loads: TypeAlias = Generator[ReaderOp, int, Hashable]

# How one read of one slot can end: three answers of the protocol, then what must never happen.
WHOLE = "whole"
REJECTED = "rejected"  # empty, busy, or changed under the reader
TEXT_LOST = "text lost"  # the fields are whole, the text was overtaken
TORN = "torn"  # accepted, but not what one emit wrote
TEXT_TORN = "text torn"
NOT_LOST = "said lost, was not"
NAME_MISSING = "name missing"


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of one exploration.

    Event t has lengths[t % len(lengths)] words of text; `name_from` is the first ticket that uses
    the dictionary's record (-1: none does).
    """

    capacity: int = 1
    tickets: int = 3
    words: int = 2
    text_words: int = 0
    lengths: tuple[int, ...] = (0,)
    name_from: int = -1

    def length(self, ticket: int) -> int:
        return self.lengths[ticket % len(self.lengths)] if self.text_words else 0

    def position(self, ticket: int) -> int:
        return sum(self.length(t) for t in range(ticket))


@dataclass(frozen=True, slots=True)
class WriterForm:
    """How the writer stores one event.

    `fence` says where a release fence stands (form E): nowhere, after the intent (as it must), or
    already after the busy stamp.
    """

    compiler_fence: bool = True
    busy: str = RLX
    busy_stamp: bool = True
    fence: str = "none"  # none | after intent | after busy
    intent: str = "before text"  # before text | after text | start only
    text: str = REL
    words: str = REL
    final: str = REL
    final_when: str = "last"  # last | before words
    counter: str = "before busy"  # before busy | after final
    name: str = "before slot"  # before slot | mark after slot | after slot
    head: str = "none"  # none | after final | before words


@dataclass(frozen=True, slots=True)
class ReaderForm:
    """How a reader copies and re-checks one slot.

    `fence` is an acquire fence before the re-checks (form E). `head_word`: what the reader makes of
    a text whose first word names another ticket. It may call that text lost at once; or, as if the
    word had been forged, take no notice and rely on the intent alone.
    """

    first: str = ACQ
    words: str = ACQ
    text: str = ACQ
    fence: bool = False
    recheck: str = "stamp"  # stamp | none | head
    intent: str = "after text"  # after text | before text | never
    overtaken: str = "past the end"  # past the end | at the end (one word too early)
    head_word: str = "believed"  # believed | ignored


FORM_B = WriterForm()
READER_B = ReaderForm()


class Seen(NamedTuple):
    """The outcome of one read of one slot."""

    verdict: str
    ticket: int


class Polled(NamedTuple):
    """The outcome of a cursor: sets of tickets as bit masks, and where it stopped."""

    verdict: str
    delivered: int
    lost: int
    cursor: int


class Residue(NamedTuple):
    """Recorded by the counter minus recorded by the stamps, as one reader saw them."""

    events: int


class _Cursor(NamedTuple):
    cursor: int
    delivered: int
    lost: int
    polls: int
    settled: bool


# ---------------------------------------------------------------- words

_HEAD_WORD = 1 << 16


def stamp_of(ticket: int, busy: bool = False) -> int:
    return (ticket + 1) << 1 | busy


def text_ref(shape: Shape, ticket: int) -> int:
    """Word 0 of a slot: ticket, text position and text length in one word."""
    return (ticket + 1) << 16 | shape.position(ticket) << 8 | shape.length(ticket)


def text_words(shape: Shape, ticket: int) -> list[int]:
    """The text of one event."""
    start, length = shape.position(ticket), shape.length(ticket)
    return [_HEAD_WORD | ticket + 1, *range(start + 2, start + length + 1)][:length]


def unpack_ref(word: int) -> tuple[int, int]:
    """(position, length) out of word 0; any word is safe to unpack."""
    return word >> 8 & 0xFF, word & 0xFF


# ---------------------------------------------------------------- writers


def writer(shape: Shape, form: WriterForm = FORM_B) -> list[WriterOp]:
    """The writer's whole program: one write_event per ticket."""
    return [op for ticket in range(shape.tickets) for op in write_event(shape, form, ticket)]


def write_event(shape: Shape, form: WriterForm, ticket: int) -> list[WriterOp]:
    """One emit: name record if new, counter, busy stamp, intent, text, slot words, final stamp."""
    slot = ticket % shape.capacity
    counter = Store("counter", ticket + 1, RLX)
    final = Store(f"stamp{slot}", stamp_of(ticket), form.final)
    new_name = ticket == shape.name_from
    ops: list[WriterOp] = []
    if form.compiler_fence:
        ops.append(CompilerFence())
    if new_name and form.name != "after slot":
        ops += _name_record(mark=form.name == "before slot")
    if form.counter == "before busy":
        ops.append(counter)
    if form.busy_stamp:
        ops.append(Store(f"stamp{slot}", stamp_of(ticket, busy=True), form.busy))
    if form.fence == "after busy":
        ops.append(Fence(REL))
    ops += _text(shape, form, ticket)
    if form.head == "before words":
        ops.append(Store("head", ticket + 1, REL))
    if form.final_when == "before words":
        ops.append(final)
    ops.append(Store(f"word{slot}.0", text_ref(shape, ticket), form.words))
    ops += [Store(f"word{slot}.{n}", ticket + 1, form.words) for n in range(1, shape.words)]
    if form.final_when == "last":
        ops.append(final)
    if form.counter == "after final":
        ops.append(counter)
    if form.head == "after final":
        ops.append(Store("head", ticket + 1, REL))
    if new_name and form.name == "after slot":
        ops += _name_record(mark=True)
    if new_name and form.name == "mark after slot":
        ops.append(_NAME_MARK)
    return ops


_NAME_MARK = Store("name.mark", 3, RLX)


def _name_record(mark: bool) -> list[WriterOp]:
    """Relaxed is enough: the release stores of the slot using the name carry the record along."""
    record: list[WriterOp] = [Store("name.0", 1, RLX), Store("name.1", 2, RLX)]
    return [*record, _NAME_MARK] if mark else record


def _text(shape: Shape, form: WriterForm, ticket: int) -> list[WriterOp]:
    start, length = shape.position(ticket), shape.length(ticket)
    promised = start if form.intent == "start only" else start + length
    intent: list[WriterOp] = [Store("intent", promised, RLX)] if length else []
    fence: list[WriterOp] = [Fence(REL)] if form.fence == "after intent" else []
    text: list[WriterOp] = [
        Store(f"text.{p % shape.text_words}", word, form.text)
        for p, word in enumerate(text_words(shape, ticket), start)
    ]
    if form.intent == "after text":
        return [*fence, *text, *intent]
    return [*intent, *fence, *text]


def counted_writer(
    shape: Shape, words: str = RLX, fence: bool = True, begun: str = REL
) -> list[WriterOp]:
    """The other family: no stamps, but a count of events begun and one of events done."""
    ops: list[WriterOp] = []
    for ticket in range(shape.tickets):
        slot = ticket % shape.capacity
        ops.append(Store("begun", ticket + 1, begun))
        if fence:
            ops.append(Fence(REL))
        ops += [Store(f"word{slot}.{n}", ticket + 1, words) for n in range(shape.words)]
        ops.append(Store("done", ticket + 1, REL))
    return ops


# ---------------------------------------------------------------- readers


def slot_reader(shape: Shape, form: ReaderForm = READER_B) -> Reader:
    """Reader of state = slot: one validated read of that slot, ending in a Seen."""

    def read(slot: int) -> Loads:
        return (yield from _read_slot(shape, form, slot))

    return read


def poll_reader(
    shape: Shape,
    form: ReaderForm = READER_B,
    polls: int = 3,
    lapped: str = "bisect",
    drain: bool = False,
) -> Reader:
    """Reader of state = None: a cursor from ticket 0, ending in a Polled.

    A slot that holds a later ticket u proves that all tickets up to u - capacity are gone. The
    cursor looks for a still later one by bisection, counts what is gone as lost and goes to the
    next. `lapped` may leave out the bisection ("by this slot"), or be a mutant: "one too far" and
    "to newest" give up readable events, "uncounted" is silent. With `drain` the reader then settles
    (the writer is dead or at rest) and reads all that is left.
    """

    def read(state: _Cursor | None) -> Loads:
        at = state or _Cursor(0, 0, 0, polls, False)
        if at.polls == 0 and not at.settled:
            if not drain:
                return Polled(WHOLE, at.delivered, at.lost, at.cursor)
            yield Settle()
            at = at._replace(settled=True)
        slot = at.cursor % shape.capacity
        stamp = yield Load(f"stamp{slot}", form.first)
        if stamp < stamp_of(at.cursor) or stamp == stamp_of(at.cursor, busy=True):
            if at.settled:
                return Polled(WHOLE, at.delivered, at.lost, at.cursor)
            return Next(at._replace(polls=at.polls - 1))
        if stamp == stamp_of(at.cursor):
            seen = yield from _copy(shape, form, slot, stamp)
            if seen.verdict in (WHOLE, TEXT_LOST):
                return Next(_delivered(at))
            if seen.verdict != REJECTED:
                return Polled(seen.verdict, at.delivered, at.lost, at.cursor)
            stamp = yield Load(f"stamp{slot}", form.first)  # it moved on: by how much?
        newest = (stamp >> 1) - 1
        if lapped != "by this slot":
            newest = yield from _newest_from(shape, newest)
        target = newest - shape.capacity + 1 + (lapped == "one too far")
        if lapped == "to newest":
            target = newest
        return Next(_skipped(at, target, counted=lapped != "uncounted"))

    return read


def ledger_reader(shape: Shape, counter_first: bool = False) -> Reader:
    """Reader of state = None: the ledger read live, stamps before counter; ends in a Residue."""

    def read(_: None) -> Loads:
        counter = 0
        if counter_first:
            counter = yield Load("counter", ACQ)
        complete = 0
        for slot in range(shape.capacity):
            stamp = yield Load(f"stamp{slot}", ACQ)
            if not stamp & 1:
                complete = max(complete, stamp >> 1)
        if not counter_first:
            counter = yield Load("counter", RLX)
        return Residue(counter - complete)

    return read


def counted_reader(shape: Shape, words: str = RLX, fence: bool = True) -> Reader:
    """Reader of state = None for counted_writer: newest done ticket, its words, then the check."""

    def read(_: None) -> Loads:
        done = yield Load("done", ACQ)
        if done == 0:
            return Seen(REJECTED, -1)
        slot = (done - 1) % shape.capacity
        copied = []
        for n in range(shape.words):
            copied.append((yield Load(f"word{slot}.{n}", words)))
        if fence:
            yield Fence(ACQ)
        begun = yield Load("begun", RLX)
        if begun >= done + shape.capacity:
            return Seen(REJECTED, -1)
        whole = all(word == done for word in copied)
        return Seen(WHOLE if whole else TORN, done - 1)

    return read


def _read_slot(shape: Shape, form: ReaderForm, slot: int) -> Generator[ReaderOp, int, Seen]:
    stamp = yield Load(f"stamp{slot}", form.first)
    if stamp == 0 or stamp & 1:
        return Seen(REJECTED, -1)
    return (yield from _copy(shape, form, slot, stamp))


def _copy(shape: Shape, form: ReaderForm, slot: int, stamp: int) -> Generator[ReaderOp, int, Seen]:
    """Copy the slot that `stamp` says is complete, and re-check it."""
    ticket = (stamp >> 1) - 1
    words = []
    for n in range(shape.words):
        words.append((yield Load(f"word{slot}.{n}", form.words)))
    position, length = unpack_ref(words[0])
    intent = 0
    if length and form.intent == "before text":
        intent = yield Load("intent", RLX)
    text: list[int] = []
    for p in range(position, position + min(length, shape.text_words)):
        text.append((yield Load(f"text.{p % shape.text_words}", form.text)))
        if form.head_word == "believed" and text[0] != _HEAD_WORD | ticket + 1:
            break
    if form.fence:
        yield Fence(ACQ)
    if form.recheck == "stamp" and (yield Load(f"stamp{slot}", RLX)) != stamp:
        return Seen(REJECTED, -1)
    if form.recheck == "head" and (yield Load("head", ACQ)) > ticket + shape.capacity:
        return Seen(REJECTED, -1)
    if length and form.intent == "after text":
        intent = yield Load("intent", RLX)
    if words != [text_ref(shape, ticket), *[ticket + 1] * (shape.words - 1)]:
        return Seen(TORN, ticket)
    if -1 < shape.name_from <= ticket:
        for location, value in (("name.0", 1), ("name.1", 2), ("name.mark", 3)):
            if (yield Load(location, RLX)) != value:
                return Seen(NAME_MISSING, ticket)
    if not length:
        return Seen(WHOLE, ticket)
    limit = position + shape.text_words
    said_lost = len(text) < length or intent > limit - (form.overtaken == "at the end")
    if said_lost:
        overtaken = max(intent, (yield Load("intent", RLX))) > limit
        return Seen(TEXT_LOST if overtaken else NOT_LOST, ticket)
    return Seen(WHOLE if text == text_words(shape, ticket) else TEXT_TORN, ticket)


def _newest_from(shape: Shape, ticket: int) -> Generator[ReaderOp, int, int]:
    """The newest ticket, by bisection from one that was begun: they were begun in order."""
    low, high = 0, shape.capacity
    while high - low > 1:
        middle = (low + high) // 2
        stamp = yield Load(f"stamp{(ticket + middle) % shape.capacity}", RLX)
        if stamp >> 1 == ticket + middle + 1:
            low = middle
        else:
            high = middle
    return ticket + low


def _delivered(at: _Cursor) -> _Cursor:
    polls = at.polls if at.settled else at.polls - 1
    return at._replace(cursor=at.cursor + 1, delivered=at.delivered | 1 << at.cursor, polls=polls)


def _skipped(at: _Cursor, target: int, counted: bool) -> _Cursor:
    gone = (1 << target) - (1 << at.cursor) if counted else 0
    polls = at.polls if at.settled else at.polls - 1
    return at._replace(cursor=target, lost=at.lost | gone, polls=polls)
