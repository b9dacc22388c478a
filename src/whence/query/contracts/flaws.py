"""Counts the chains that are not complete by what they lack and why, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from whence.model.recording import REMOVED_RINGS
from whence.query.contracts.causes import (
    CRASHED,
    LOST,
    OFF,
    OPEN,
    SAMPLED,
    SAMPLED_OUT,
    WEAK,
    Cause,
)
from whence.query.contracts.check import INCOMPLETE, ChainReport
from whence.query.contracts.finding import Finding
from whence.query.index import Index
from whence.query.words import events_text

__all__ = ["FlawGroup", "FlawGroups", "deciding"]

Key = tuple[str, str, str, str, int]  # kind and member of the finding; kind and place of the cause

# What causes say of one chain, said of many: sentences of causes have offsets from its beginning.
_OF_MANY = {
    OFF: "was switched off",
    SAMPLED: "was sampled",
    SAMPLED_OUT: "was sampled",
    WEAK: "was left out below its minimum",
    OPEN: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlawGroup:
    """Chains that are not complete for one and the same reason.

    `sentence` is what the first of them, `first`, lacks or has wrong, and `event_ids` are the
    events of it that this rests on. `why` is the kind of the most telling cause, or of the flaw
    where there is none to tell; `detail` what is known of it, `session` and `ring` where it was
    seen, `wall_ns` until when, None if unknown. `unsure` says that the chains may be complete.
    """

    sentence: str
    why: str
    detail: str
    chains: int
    unsure: bool
    first: str
    event_ids: tuple[str, ...] = ()
    session: str = ""
    ring: int = -1
    wall_ns: int | None = None


class FlawGroups:
    """The groups of one contract, the first `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[Key, FlawGroup] = {}
        self.ungrouped = 0

    def add(self, name: str, report: ChainReport, index: Index) -> None:
        """Count a chain that is not complete."""
        flaw = deciding(report)
        cause = flaw.cause
        kind, session, ring = (cause.kind, cause.session, cause.ring) if cause else ("", "", -1)
        key = flaw.kind, flaw.member, kind, session, ring
        if known := self._found.get(key):
            self._found[key] = replace(known, chains=known.chains + 1)
        elif len(self._found) < self._most:
            self._found[key] = _group(name, flaw, index)
        else:
            self.ungrouped += 1

    def largest_first(self) -> tuple[FlawGroup, ...]:
        """The groups, those with the most chains first, the certain ones before the others."""
        found = self._found.values()
        return tuple(sorted(found, key=lambda group: (group.unsure, -group.chains)))


def deciding(report: ChainReport) -> Finding:
    """The finding for which the chain is not complete: one that is certain, if it is incomplete."""
    flaws = [finding for finding in report.findings if not finding.optional]
    certain = [finding for finding in flaws if not finding.unsure]
    return certain[0] if certain and report.verdict == INCOMPLETE else flaws[0]


def _group(name: str, flaw: Finding, index: Index) -> FlawGroup:
    cause = flaw.cause
    return FlawGroup(
        sentence=flaw.sentence,
        why=cause.kind if cause else flaw.kind,
        detail=_detail(flaw, cause) if cause else "",
        chains=1,
        unsure=flaw.unsure,
        first=name,
        event_ids=flaw.event_ids,
        session=cause.session if cause else "",
        ring=cause.ring if cause else -1,
        wall_ns=_until(cause, index) if cause else None,
    )


def _detail(flaw: Finding, cause: Cause) -> str:
    if cause.kind == LOST and cause.ring != REMOVED_RINGS:
        return f"ring {cause.ring} overwrote {events_text(cause.count)}"
    if cause.kind == LOST:
        return f"removed rings overwrote {events_text(cause.count)}"
    if cause.kind == CRASHED:
        return cause.sentence.partition(" while ")[0]
    told = _OF_MANY.get(cause.kind)
    return cause.sentence if told is None else f"{flaw.member} {told}" if told else ""


def _until(cause: Cause, index: Index) -> int | None:
    if cause.kind == CRASHED:
        moments = [
            ring.newest_ns for ring in index.recording.rings if ring.session == cause.session
        ]
        last_ns = max((ns for ns in moments if ns is not None), default=None)
        session = index.recording.session(cause.session)
        return session.wall_ns(last_ns) if session and last_ns is not None else None
    if cause.kind == LOST and cause.end_ns is not None:
        return index.wall_ns(cause.session, cause.end_ns)
    return None
