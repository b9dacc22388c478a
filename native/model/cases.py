"""Which forms of the protocol are safe and which mutants must be caught, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from checks import NAMES, PLAIN, TEXT, counts, crashes, cursor, drains, ledger, slots
from crash_machine import Findings
from protocol import REJECTED, TEXT_LOST, WHOLE, ReaderForm, WriterForm
from view_machine import ACQ, REL, RLX

__all__ = ["CASES", "Case"]


@dataclass(frozen=True, slots=True)
class Case:
    """One form of the protocol and the verdict expected of it.

    A safe one must also show every answer in `shows`: a program in which nothing is ever accepted
    would be safe for nothing.
    """

    name: str
    safe: bool
    reason: str
    examine: Callable[[], Findings]
    shows: frozenset[str] = frozenset()

    def complaint(self, found: Findings) -> str:
        """Why the findings are not the expected ones, or "" if they are."""
        if self.safe and found.broken:
            return f"not safe: {found.broken}"
        if not self.safe and not found.broken:
            return "mutant not caught"
        missing = self.shows - found.seen
        return f"never seen: {', '.join(sorted(missing))}" if missing else ""


def _safe(name: str, reason: str, examine: Callable[[], Findings], *shows: str) -> Case:
    return Case(name, True, reason, examine, frozenset(shows))


def _mutant(name: str, reason: str, examine: Callable[[], Findings]) -> Case:
    return Case(name, False, reason, examine)


_FENCED = WriterForm(fence="after intent", words=RLX, text=RLX)
_FENCED_READER = ReaderForm(words=RLX, text=RLX, fence=True)
_READ = (WHOLE, REJECTED)
_TEXT_READ = (WHOLE, REJECTED, TEXT_LOST)
_KILLED = (WHOLE, TEXT_LOST, "in flight", "at rest")
_DRAINED = ("all delivered", "lost", "in flight", "at rest")

_SLOT: Sequence[Case] = [
    _safe("B", "release words and stamp, acquire loads: no fence needed", slots(PLAIN), *_READ),
    _safe("E", "relaxed words, one fence per side", slots(PLAIN, _FENCED, _FENCED_READER), *_READ),
    _safe("F", "fenced writer, acquire reader: forms mix", slots(PLAIN, _FENCED), *_READ),
    _safe("I", "release writer, fenced reader", slots(PLAIN, reads=_FENCED_READER), *_READ),
    _safe("K", "counts before and after, one fence per side", counts(), *_READ),
    _safe("L", "counts, release words, acquire loads", counts(REL, False, ACQ, False), *_READ),
    _mutant(
        "A: all relaxed but the last store",
        "the old stamp can be re-read beside new words",
        slots(PLAIN, WriterForm(words=RLX), ReaderForm(words=RLX)),
    ),
    _mutant(
        "C: reader's words relaxed",
        "the words' release meets no acquire",
        slots(PLAIN, reads=ReaderForm(words=RLX)),
    ),
    _mutant(
        "D: writer's words relaxed",
        "an acquire of a relaxed word brings no busy stamp",
        slots(PLAIN, WriterForm(words=RLX)),
    ),
    _mutant(
        "G: first stamp read relaxed",
        "words may be older than the stamp",
        slots(PLAIN, reads=ReaderForm(first=RLX)),
    ),
    _mutant(
        "H: final stamp stored relaxed",
        "the stamp may be seen before its words",
        slots(PLAIN, WriterForm(final=RLX)),
    ),
    _mutant(
        "J: count stored release, no fence",
        "a release store does not hold later words back",
        counts(RLX, False, RLX, True),
    ),
    _mutant(
        "M: counts, plain copy",
        "the count may be read before the words",
        counts(reader_fence=False),
    ),
    _mutant(
        "no busy stamp",
        "nothing tells the reader that words are being replaced",
        slots(PLAIN, WriterForm(busy_stamp=False)),
    ),
    _mutant(
        "stamp not re-checked",
        "the copy may straddle two events",
        slots(PLAIN, reads=ReaderForm(recheck="none")),
    ),
    _mutant(
        "re-check against the head",
        "the head counts finished events; the one being written is ahead of it",
        slots(PLAIN, WriterForm(head="after final"), ReaderForm(recheck="head")),
    ),
]

_TEXT: Sequence[Case] = [
    _safe("text B", "intent relaxed, then release text", slots(TEXT), *_TEXT_READ),
    _safe(
        "text B, first word forged",
        "the intent alone is enough",
        slots(TEXT, reads=ReaderForm(head_word="ignored")),
        *_TEXT_READ,
    ),
    _safe(
        "text E", "the fence after the intent", slots(TEXT, _FENCED, _FENCED_READER), *_TEXT_READ
    ),
    _safe("text F", "fenced writer, acquire reader", slots(TEXT, _FENCED), *_TEXT_READ),
    _safe(
        "text I", "release writer, fenced reader", slots(TEXT, reads=_FENCED_READER), *_TEXT_READ
    ),
    _mutant(
        "text relaxed",
        "new text brings no intent along",
        slots(TEXT, WriterForm(text=RLX)),
    ),
    _mutant(
        "reader's text relaxed",
        "the text's release meets no acquire",
        slots(TEXT, reads=ReaderForm(text=RLX)),
    ),
    _mutant(
        "intent after the text",
        "text is overtaken before anyone is told",
        slots(TEXT, WriterForm(intent="after text")),
    ),
    _mutant(
        "intent holds the start",
        "an event overtakes text up to its end, not its start",
        slots(TEXT, WriterForm(intent="start only")),
    ),
    _mutant(
        "fence before the intent",
        "the fence covers the busy stamp only",
        slots(TEXT, WriterForm(fence="after busy", words=RLX, text=RLX)),
    ),
    _mutant(
        "final stamp relaxed, with text",
        "the stamp may be seen before words and text",
        slots(TEXT, WriterForm(final=RLX)),
    ),
    _mutant(
        "intent not re-read",
        "the slot may stand while its text is gone",
        slots(TEXT, reads=ReaderForm(intent="never")),
    ),
    _mutant(
        "intent read before the text",
        "the text may be overtaken after the check",
        slots(TEXT, reads=ReaderForm(intent="before text")),
    ),
    _mutant(
        "lost one word early",
        "whole text is called lost",
        slots(TEXT, reads=ReaderForm(overtaken="at the end")),
    ),
]

_NAMED: Sequence[Case] = [
    _safe("name first", "a relaxed record is carried by the slot's release", slots(NAMES), *_READ),
    _mutant(
        "name used before its record is complete",
        "the slot is readable, its name is not",
        slots(NAMES, WriterForm(name="mark after slot")),
    ),
    _mutant(
        "name appended after the slot",
        "the slot is readable, its name is not there",
        slots(NAMES, WriterForm(name="after slot")),
    ),
]

_COUNTED: Sequence[Case] = [
    _safe(
        "cursor",
        "a later ticket, sought by bisection, proves what is gone",
        cursor(),
        "lost",
        "delivered",
    ),
    _safe("cursor without bisection", "later, but as exact", cursor("by this slot"), "lost"),
    _mutant("cursor jumps one too far", "a readable event is called lost", cursor("one too far")),
    _mutant(
        "cursor jumps to the newest",
        "readable events are called lost",
        cursor("to newest"),
    ),
    _mutant("cursor jumps uncounted", "delivered + lost falls short", cursor("uncounted")),
    _safe("live ledger", "stamps, then counter", ledger(), "closed", "in flight"),
    _mutant(
        "counter read before the stamps",
        "events completed in between exceed it",
        ledger(counter_first=True),
    ),
    _mutant(
        "counter stored after the event",
        "a complete event is not counted yet",
        ledger(WriterForm(counter="after final")),
    ),
]

_KILLS: Sequence[Case] = [
    _safe("kill B", "every prefix of the stores", crashes(), *_KILLED),
    _safe(
        "kill B, compiled",
        "and every order a compiler may choose",
        crashes(order="compiler"),
        *_KILLED,
    ),
    _safe("kill E, compiled", "the same with fences", crashes(_FENCED, "compiler"), *_KILLED),
    _safe("kill, then drain", "a reader attached when the writer dies", drains(), *_DRAINED),
    _safe("kill E, then drain", "the same with fences", drains(_FENCED, _FENCED_READER), *_DRAINED),
    _mutant(
        "kill: no compiler fence",
        "the next busy stamp and counter may be moved up past a final stamp",
        crashes(WriterForm(compiler_fence=False), "compiler"),
    ),
    _mutant(
        "kill: no busy stamp",
        "a half-written slot looks finished",
        crashes(WriterForm(busy_stamp=False)),
    ),
    _mutant(
        "kill: stamp before the words",
        "a half-written slot looks finished",
        crashes(WriterForm(final_when="before words")),
    ),
    _mutant(
        "kill: intent after the text",
        "overtaken text looks whole",
        crashes(WriterForm(intent="after text")),
    ),
    _mutant(
        "kill: name record unfinished",
        "a recovered event has no name",
        crashes(WriterForm(name="mark after slot")),
    ),
    _mutant(
        "kill: counter after the event",
        "the ledger is short by one",
        crashes(WriterForm(counter="after final")),
    ),
    _mutant(
        "kill: recovery trusts the head",
        "finished events beyond it are thrown away",
        crashes(WriterForm(head="after final"), trust_head=True),
    ),
    _mutant(
        "kill, then drain: no busy stamp",
        "the drained slot is half one event, half another",
        drains(WriterForm(busy_stamp=False)),
    ),
]

CASES: Sequence[Case] = [*_SLOT, *_TEXT, *_NAMED, *_COUNTED, *_KILLS]
