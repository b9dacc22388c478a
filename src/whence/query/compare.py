"""Compares two chains: which steps both have, what differs in them, and where the time went."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from whence.model.event import AttributeValue, TraceEvent
from whence.model.recording import Recording
from whence.query.align import aligned
from whence.query.chain import Chain, find_chain
from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import BUILT_IN
from whence.query.critical_path import PathPart, time_by_span
from whence.query.index import Index, as_index
from whence.query.outcome import Outcome
from whence.query.told import is_told, told_sentence, untold
from whence.query.why import why
from whence.query.words import event_sentence, value_text

__all__ = ["Comparison", "Difference", "Side", "Step", "StepSide", "TimePair", "compare"]

_TIME_UNITS = frozenset({"ns", "us", "ms", "s"})
# A number is looked at from its beginning alone, so that a text of digits costs its length.
_TIMES = re.compile(r"(?<![\d,.])\d[\d,]*(?:\.\d+)? ?(?:ns|us|ms|s|min|h)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field of a step in which the chains differ, in words; None where one has no such field.

    What is `only_time` is a length of time, which no two chains have alike: it makes nothing
    different.
    """

    field: str
    a: str | None
    b: str | None
    only_time: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSide:
    """A step as one chain has it; offsets count from the chain's first event."""

    offset_ns: int
    duration_ns: int
    sentence: str
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of either chain or of both: "same", "differs", "only a" or "only b"."""

    kind: str
    event_type: str
    component: str
    a: StepSide | None
    b: StepSide | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the chains. `complete` is false where something of it is known to be missing."""

    name: str
    request_id: str
    chain_id: str
    model_id: str
    outcome: Outcome
    wall_ns: int | None
    service: str
    pid: int
    event_count: int
    complete: bool
    critical_path: tuple[PathPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePair:
    """How long one part took in both chains, None where that was not recorded."""

    name: str
    a_ns: int | None
    b_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two chains side by side.

    `same` is whether both came to the same outcome by the same steps in the same order, with the
    same values but for times and their own ids. `time_went` has the parts of both and "in all",
    from the first event to the end of the last. `path` sums the critical paths by span, where
    there are spans.
    """

    same: bool
    same_outcome: bool
    a: Side
    b: Side
    time_went: tuple[TimePair, ...]
    path: tuple[TimePair, ...]
    steps: tuple[Step, ...]

    def count(self, kind: str) -> int:
        """How many steps are "same", "differs", "only a" or "only b"."""
        return sum(step.kind == kind for step in self.steps)


def compare(
    a_source: Recording | Index,
    a: str,
    b_source: Recording | Index,
    b: str,
    contracts: Sequence[Contract] = BUILT_IN,
) -> Comparison:
    """Compare the chains that two texts name, each in its source, which may be the same.

    What the texts may be, and the errors they raise, are those of `find_chain`. Steps are aligned
    by their event types, in order, as many as can be. Costs what `aligned` does, and reading.
    """
    index_a, index_b = as_index(a_source), as_index(b_source)
    chains = find_chain(index_a, a), find_chain(index_b, b)
    steps = tuple(_steps(_View(index_a, chains[0]), _View(index_b, chains[1])))
    answers = why(index_a, a, contracts), why(index_b, b, contracts)
    sides = [
        Side(
            name=answer.name,
            request_id=answer.request_id,
            chain_id=answer.chain_id,
            model_id=answer.model_id,
            outcome=answer.outcome,
            wall_ns=answer.wall_ns,
            service=answer.service,
            pid=answer.pid,
            event_count=answer.event_count,
            complete=answer.complete,
            critical_path=answer.critical_path,
        )
        for answer in answers
    ]
    went = [{share.name: share.duration_ns for share in answer.time_went} for answer in answers]
    lengths = [
        {"in all": _length_ns(i, c)} for i, c in zip((index_a, index_b), chains, strict=True)
    ]
    paths = [time_by_span(side.critical_path) for side in sides]
    same_outcome = sides[0].outcome.word == sides[1].outcome.word
    return Comparison(
        same=same_outcome and all(step.kind == "same" for step in steps),
        same_outcome=same_outcome,
        a=sides[0],
        b=sides[1],
        time_went=(*_paired(*went), *_paired(*lengths)),
        path=tuple(_paired(*paths)),
        steps=steps,
    )


class _View:
    """A chain with what is needed to look at its events from outside of it."""

    def __init__(self, index: Index, chain: Chain) -> None:
        self.events = chain.events
        begun_ns = index.time_ns(untold(chain.events)[0])
        self._offsets = [index.time_ns(event) - begun_ns for event in chain.events]
        own = {chain.request_id, chain.chain_id, *(e.request_id for e in chain.events)} - {""}
        longest_first = sorted(own, key=len, reverse=True)
        self._own = re.compile("|".join(rf"(?<!\w){re.escape(i)}(?!\w)" for i in longest_first))
        self.keys: list[str] = [event.event_type for event in chain.events]
        self._has_ids = bool(own)

    def side(self, at: int) -> StepSide:
        """The step as it was in this chain."""
        event = self.events[at]
        return StepSide(
            offset_ns=self._offsets[at],
            duration_ns=event.duration.nanos,
            sentence=_sentence(event),
            event_id=event.event_id,
        )

    def alike(self, text: str) -> str:
        """The text with the chain's own ids and all lengths of time made equal."""
        return _TIMES.sub("<time>", self._own.sub("<id>", text) if self._has_ids else text)


def _steps(a: _View, b: _View) -> Iterator[Step]:
    """Every step of either chain once, in an order that keeps both chains'."""
    for at, other in aligned(a.keys, b.keys):
        if at is None or other is None:
            side = a if at is not None else b
            place = at if at is not None else other or 0
            yield Step(
                kind="only b" if at is None else "only a",
                event_type=side.keys[place],
                component=side.events[place].component,
                a=None if at is None else a.side(at),
                b=None if other is None else b.side(other),
            )
        else:
            yield _both(a, at, b, other)


def _both(a: _View, at: int, b: _View, other: int) -> Step:
    differences = tuple(_differences(a, a.events[at], b, b.events[other]))
    differs = any(not difference.only_time for difference in differences)
    return Step(
        kind="differs" if differs else "same",
        event_type=a.keys[at],
        component=a.events[at].component,
        a=a.side(at),
        b=b.side(other),
        differences=differences,
    )


def _differences(a: _View, ours: TraceEvent, b: _View, theirs: TraceEvent) -> Iterator[Difference]:
    for name in ("component", "model_id", "status", "status_message"):
        yield from _texts(name, a, getattr(ours, name), b, getattr(theirs, name))
    yield from _texts("severity", a, ours.severity.name, b, theirs.severity.name)
    yield from _texts("rationale", a, ours.rationale, b, theirs.rationale)
    chosen = [[o.name for o in event.options if o.chosen] for event in (ours, theirs)]
    yield from _texts("chosen", a, ", ".join(chosen[0]), b, ", ".join(chosen[1]))
    left = [sorted(o.name for o in event.options if not o.chosen) for event in (ours, theirs)]
    yield from _texts("not chosen", a, ", ".join(left[0]), b, ", ".join(left[1]))
    if ours.duration != theirs.duration:
        lengths = [value_text("duration_ns", event.duration.nanos) for event in (ours, theirs)]
        yield Difference(field="duration_ns", a=lengths[0], b=lengths[1], only_time=True)
    for name in sorted({*ours.attributes, *theirs.attributes}):
        yield from _values(name, a, ours.attributes.get(name), b, theirs.attributes.get(name))


def _texts(name: str, a: _View, ours: str, b: _View, theirs: str) -> Iterator[Difference]:
    if a.alike(ours) != b.alike(theirs):
        yield Difference(field=name, a=ours or None, b=theirs or None)


def _values(
    name: str, a: _View, ours: AttributeValue | None, b: _View, theirs: AttributeValue | None
) -> Iterator[Difference]:
    if isinstance(ours, str) and isinstance(theirs, str):
        yield from _texts(name, a, ours, b, theirs)
        return
    if ours == theirs and type(ours) is type(theirs):
        return
    words = [None if value is None else value_text(name, value) for value in (ours, theirs)]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (ours, theirs))
    only_time = numbers and "_" in name and name.rpartition("_")[2] in _TIME_UNITS
    if words[0] == words[1]:  # alike to the eye: another type, or in digits that words leave out
        words = [repr(ours), repr(theirs)]
    yield Difference(field=name, a=words[0], b=words[1], only_time=only_time)


def _sentence(event: TraceEvent) -> str:
    return f"told later: {told_sentence(event)}" if is_told(event) else event_sentence(event)


def _length_ns(index: Index, chain: Chain) -> int:
    own = untold(chain.events)
    return max(index.time_ns(e) + e.duration.nanos * e.span for e in own) - index.time_ns(own[0])


def _paired(a: Mapping[str, int], b: Mapping[str, int]) -> Iterator[TimePair]:
    for name in dict.fromkeys((*a, *b)):
        yield TimePair(name=name, a_ns=a.get(name), b_ns=b.get(name))
