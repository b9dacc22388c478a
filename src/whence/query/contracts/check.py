"""Holds one chain to one contract, member by member, and says why what is missing may be so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from whence.model.condition import field_value, parse_condition
from whence.model.event import TraceEvent
from whence.model.names import canonical
from whence.query.contracts.causes import (
    DAMAGED,
    FILTERED,
    NOT_RECORDED,
    OPEN,
    TEXT_LOST,
    UNSURE,
    Cause,
    Causes,
)
from whence.query.contracts.contract import Contract, Requirement, as_text, parse_count
from whence.query.contracts.finding import Finding
from whence.query.contracts.guards import Rules
from whence.query.index import Index
from whence.query.told import untold
from whence.query.words import count_text, duration_text, listed

__all__ = ["COMPLETE", "INCOMPLETE", "UNKNOWN", "ChainCheck", "ChainReport"]

# Causes for which the absence of an optional member is worth telling.
_TELLING = UNSURE - {OPEN, FILTERED, DAMAGED}

# What readers put into a rationale for an argument that was overwritten.
_LOST_ARGUMENT = "<text lost>"

_LONGEST_VALUE = 60

COMPLETE = "complete"
INCOMPLETE = "incomplete"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What became of checking one chain.

    `verdict` is "complete", "incomplete" (the contract is broken) or "unknown" (something is not
    there that may be lost, off, sampled out or still to come). `present` of `required` members
    are there, and `event_ids` are those members; `end` is the type that ended the chain, "" if
    nothing did.
    """

    contract: str
    request_id: str
    chain_id: str
    verdict: str
    required: int
    present: int
    end: str = ""
    event_ids: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is missing or wrong."""
        return self.verdict == COMPLETE

    @property
    def open(self) -> bool:
        """Whether the chain has not ended, in a process that may still end it."""
        return any(cause.kind == OPEN for finding in self.findings for cause in finding.causes)


class ChainCheck:
    """The check of one chain, whose events are in order and not empty, against one contract.

    `causes` may be shared by the checks of one recording.
    """

    def __init__(
        self, events: Sequence[TraceEvent], contract: Contract, index: Index, causes: Causes
    ) -> None:
        events = untold(events)
        self._events, self._contract, self._index, self._causes = events, contract, index, causes
        self._times = [index.time_ns(event) for event in events]
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for place, event in enumerate(events):
            self._places[canonical(event.event_type)].append(place)
        wanted = {requirement.type: requirement for requirement in contract.require}
        if contract.opens not in wanted:
            wanted[contract.opens] = Requirement(contract.opens, count="1+")
        self._wanted = wanted
        self._end_types = {end.type for end in contract.ends}
        self._ending = self._find_ends()
        self._end = min((place for places in self._ending for place in places), default=None)
        self._ended = self._end is not None or not contract.ends
        self._members: set[int] = set()
        self._missing = 0
        self._findings: list[Finding] = []

    def report(self, strict: bool) -> ChainReport:
        """All findings and the verdict; with `strict`, unknown counts as incomplete."""
        for requirement in self._wanted.values():
            self._check_count(requirement)
            self._check_order(requirement)
            self._check_fields(requirement)
            self._check_values(requirement)
        self._check_end()
        self._check_guards()
        self._check_bound()
        self._check_rationales()
        self._check_damage()
        self._note_texts()
        first = self._events[0]
        return ChainReport(
            contract=self._contract.name,
            request_id=first.request_id,
            chain_id=first.decision_chain_id or first.trace_id,
            verdict=self._verdict(strict),
            required=len(self._members) + self._missing,
            present=len(self._members),
            end=self._events[self._end].event_type if self._end is not None else "",
            event_ids=self._ids(sorted(self._members)),
            findings=tuple(self._findings),
        )

    def _verdict(self, strict: bool) -> str:
        flaws = [finding for finding in self._findings if not finding.optional]
        if not flaws:
            return COMPLETE
        return UNKNOWN if not strict and all(flaw.unsure for flaw in flaws) else INCOMPLETE

    # --- members --------------------------------------------------------------------------------

    def _check_count(self, wanted: Requirement) -> None:
        least, most = parse_count(wanted.count)
        found = self._places.get(wanted.type, [])
        applies = self._applies(wanted)
        if most is not None and len(found) > most:
            sentence = f"{len(found)} {wanted.type}, at most {most} allowed"
            self._add("duplicate", wanted.type, sentence, places=found)
        if least and applies is not False:
            self._members.update(found[:most])
        if len(found) >= max(least, 1):
            return
        if not least:
            self._note_optional(wanted, applies)
        elif applies:
            self._missing += least - len(found)
            seen = f"{len(found)} of {least}" if found else "no"
            self._add("missing", wanted.type, f"{seen} {wanted.type}", self._absence([wanted.type]))
        elif applies is None and (opening := self._places.get(self._contract.opens)):
            sentence = f"cannot tell whether {wanted.type} is required when {wanted.when}"
            lost = any(self._events[place].text_lost for place in opening)
            self._add("undecided", wanted.type, sentence, [_text_cause(lost)], places=opening)

    def _applies(self, wanted: Requirement) -> bool | None:
        """Whether the chain needs the member; None if its opening events do not say."""
        if not wanted.when:
            return True
        condition = parse_condition(wanted.when)
        opening = self._places.get(self._contract.opens, [])
        if not opening:
            return condition.holds(None, self._places)
        answers = [condition.holds(self._events[place], self._places) for place in opening]
        return True if True in answers else None if None in answers else False

    def _note_optional(self, wanted: Requirement, applies: bool | None) -> None:
        if wanted.type in self._end_types or applies is False:
            return
        causes = [cause for cause in self._absence([wanted.type]) if cause.kind in _TELLING]
        if causes:
            self._add("missing", wanted.type, f"no {wanted.type}", causes, optional=True)

    def _check_order(self, wanted: Requirement) -> None:
        for name in wanted.after:
            before = self._places.get(name)
            if not before:
                continue
            first_ns = self._times[before[0]]
            early = [at for at in self._places.get(wanted.type, []) if self._times[at] < first_ns]
            if early:
                sentence = f"{wanted.type} comes before the first {name}"
                self._add("out of order", wanted.type, sentence, places=[*early, before[0]])

    def _check_fields(self, wanted: Requirement) -> None:
        for name in wanted.fields:
            lacking = [
                place
                for place in self._places.get(wanted.type, ())
                if field_value(self._events[place], name) is None
            ]
            if not lacking or (name == "rationale" and self._is_decision(lacking)):
                continue  # decisions without a rationale are found whatever the contract says
            kind = "empty rationale" if name == "rationale" else "missing field"
            times = f" ({count_text(len(lacking))} times)" if len(lacking) > 1 else ""
            lost = all(self._events[place].text_lost for place in lacking)
            self._add(
                kind,
                wanted.type,
                f"{wanted.type} has no {name}{times}",
                [_text_cause(lost)],
                places=lacking,
            )

    def _check_values(self, wanted: Requirement) -> None:
        for name, allowed in wanted.values.items():
            texts = [as_text(value) for value in allowed]
            found = {
                place: as_text(value)
                for place in self._places.get(wanted.type, ())
                if (value := field_value(self._events[place], name)) is not None
            }
            wrong = {place: text for place, text in found.items() if text not in texts}
            for text in dict.fromkeys(wrong.values()):
                shown = repr(text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…")
                none = listed(texts) if len(texts) <= 4 else f"the {len(texts)} allowed"
                sentence = f"{wanted.type} has {name} {shown}, none of {none}"
                places = [place for place, other in wrong.items() if other == text]
                self._add("wrong value", wanted.type, sentence, places=places)

    # --- the end and the time until then --------------------------------------------------------

    def _find_ends(self) -> Sequence[Sequence[int]]:
        """For each of the contract's ends, where the events stand that end the chain."""
        return [
            [
                place
                for place in self._places.get(end.type, ())
                if not end.where
                or parse_condition(end.where).holds(self._events[place], self._places)
            ]
            for end in self._contract.ends
        ]

    def _check_end(self) -> None:
        for name in sorted(self._end_types - self._wanted.keys()):
            ends = zip(self._contract.ends, self._ending, strict=True)
            found = sorted({place for end, places in ends if end.type == name for place in places})
            if len(found) > 1:
                self._add("duplicate", name, f"{len(found)} {name}, one ends", places=found)
        if self._end is not None:
            self._members.add(self._end)
        elif self._contract.ends:
            names = list(dict.fromkeys(end.type for end in self._contract.ends))
            # an opening event that could have ended the chain is there, but did not
            names = [name for name in names if name not in self._places] or names
            sentence = f"no {listed(names, 'or')}"
            if any(flaw.sentence == sentence and not flaw.optional for flaw in self._findings):
                return  # it is required besides, and told already
            self._missing += 1
            causes = [*self._lost_conditions(), *self._absence(names)]
            self._add("missing", names[0], sentence, causes)

    def _check_guards(self) -> None:
        rules = Rules(self._events, self._times, self._index, self._causes)
        for guard in self._contract.guards:
            self._findings.extend(rules.unguarded(guard, open_end=not self._ended))
        ends = zip(self._contract.ends, self._ending, strict=True)
        closing = [(end, min(places)) for end, places in ends if end.closes and places]
        self._findings.extend(rules.after_closing(closing))

    def _lost_conditions(self) -> Iterator[Cause]:
        """A cause if an event may be the end, but what would tell was lost."""
        for end in self._contract.ends:
            for place in self._places.get(end.type, ()) if end.where else ():
                holds = parse_condition(end.where).holds(self._events[place], self._places)
                if holds is None and self._events[place].text_lost:
                    yield Cause(kind=TEXT_LOST, sentence=f"whether {end.type} ended it")
                    return

    def _check_bound(self) -> None:
        opening = self._places.get(self._contract.opens)
        if self._contract.within is None or not opening:
            return
        start_ns = self._times[opening[0]]
        if self._end is not None:
            length_ns, verb = self._times[self._end] - start_ns, "took"
        elif any(cause.kind == OPEN for found in self._findings for cause in found.causes):
            length_ns, verb = (self._index.newest_ns or start_ns) - start_ns, "is open for"
        else:
            return
        if length_ns > self._contract.within.nanos:
            allowed = duration_text(self._contract.within.nanos)
            sentence = f"{verb} {duration_text(length_ns)} of {allowed} allowed"
            places = [opening[0], *([] if self._end is None else [self._end])]
            self._add("time bound", self._contract.opens, sentence, places=places)

    def _check_damage(self) -> None:
        """What cannot be read may hold events of the chain, even one that looks complete."""
        flaws = [flaw for flaw in self._findings if not flaw.optional]
        told = any(cause.kind == DAMAGED for flaw in flaws for cause in flaw.causes)
        if not told and (causes := tuple(self._causes.of_damage(self._events))):
            self._add("missing", "", "events of this chain may be missing", causes)

    # --- texts ----------------------------------------------------------------------------------

    def _check_rationales(self) -> None:
        for place, event in enumerate(self._events):
            if not self._index.is_decision(event):
                continue
            empty = not event.rationale.strip()
            if empty or (event.text_lost and _LOST_ARGUMENT in event.rationale):
                lacks = "no rationale" if empty else "lost a part of its rationale"
                sentence = f"{event.event_type} has {lacks}"
                causes = [_text_cause(event.text_lost)]
                self._add("empty rationale", event.event_type, sentence, causes, places=[place])

    def _note_texts(self) -> None:
        for place, event in enumerate(self._events):
            for flag, kind in ((event.text_lost, "text lost"), (event.truncated, "truncated")):
                if flag:
                    name = event.event_type
                    sentence = f"some text of {name} was {kind.removeprefix('text ')}"
                    causes = [Cause(kind=TEXT_LOST)] if event.text_lost else []
                    self._add(kind, name, sentence, causes, places=[place], optional=True)

    def _is_decision(self, places: Iterable[int]) -> bool:
        return all(self._index.is_decision(self._events[place]) for place in places)

    # --- what is known of an absence --------------------------------------------------------------

    def _absence(self, types: Collection[str]) -> Sequence[Cause]:
        """Why none of the types is seen where the contract has its place for them."""
        earliest = [self._earliest_ns(name) for name in types]
        latest = [self._latest_ns(name) for name in types]
        return self._causes.of_absence(
            self._index.known_spellings(types),
            self._events,
            earliest_ns=_unless_open(min, earliest),
            latest_ns=_unless_open(max, latest),
            tail=not self._ended and None in latest,
        )

    def _earliest_ns(self, name: str) -> int | None:
        if name == self._contract.opens:
            return None
        wanted = self._wanted.get(name)
        before = [*(wanted.after if wanted else ()), self._contract.opens]
        return max(
            (self._times[self._places[n][0]] for n in before if n in self._places), default=None
        )

    def _latest_ns(self, name: str) -> int | None:
        if name == self._contract.opens:
            return self._times[0]
        later = [
            self._times[self._places[wanted.type][0]]
            for wanted in self._wanted.values()
            if name in wanted.after and wanted.type in self._places
        ]
        if self._end is not None:
            later.append(self._times[self._end])
        return min(later, default=None)

    def _add(
        self,
        kind: str,
        member: str,
        sentence: str,
        causes: Iterable[Cause] = (),
        *,
        places: Sequence[int] = (),
        optional: bool = False,
    ) -> None:
        self._findings.append(
            Finding(
                kind=kind,
                member=member,
                sentence=sentence,
                causes=tuple(causes),
                event_ids=self._ids(places),
                optional=optional,
            )
        )

    def _ids(self, places: Iterable[int]) -> tuple[str, ...]:
        return tuple(self._events[place].event_id for place in places)


def _unless_open(pick: Callable[[list[int]], int], moments: list[int | None]) -> int | None:
    known = [moment for moment in moments if moment is not None]
    return pick(known) if known and len(known) == len(moments) else None


def _text_cause(lost: bool) -> Cause:
    return Cause(kind=TEXT_LOST if lost else NOT_RECORDED)
