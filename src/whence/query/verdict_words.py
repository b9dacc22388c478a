"""Puts a verification into words: the same in the terminal, in a page and in a failed test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whence.query.check import COMPLETE, INCOMPLETE
from whence.query.contracts import BUILT_IN
from whence.query.flaws import FlawGroup
from whence.query.verify import NOTHING, Verdict, Verification
from whence.query.words import (
    can_be_typed,
    chains_text,
    command_text,
    count_text,
    events_text,
    files_text,
    listed,
)

__all__ = ["first_command", "group_cells", "notes", "verdict_cells"]

_BUILT_IN = frozenset(contract.name for contract in BUILT_IN)


def verdict_cells(verdict: Verdict) -> tuple[str, str, str, str]:
    """The contract, its chains, those complete, and its verdict in one word or two."""
    return (
        verdict.contract,
        chains_text(verdict.chains),
        f"{count_text(verdict.complete)} complete ({verdict.share})",
        _word(verdict),
    )


def group_cells(group: FlawGroup, clock: str = "") -> tuple[str, str, str, str]:
    """How many chains, what they lack, why, and what is known of that up to a time of day."""
    detail = group.detail
    if clock and detail:
        detail = f"{detail}, up to {clock}" if group.ring >= 0 else f"{detail} after {clock}"
    count = f"{'?' if group.unsure else ''}{count_text(group.chains)}"
    return count, group.sentence, group.why, detail


def notes(found: Verification) -> Iterator[str]:
    """What else is to be known of the figures."""
    if found.verdict == NOTHING and not found.chains:
        yield "nothing to verify: there is no chain here"
    elif found.verdict == NOTHING:
        of = "1 chain is not" if found.chains == 1 else f"none of {chains_text(found.chains)} is"
        yield f"nothing to verify: {of} covered by {listed(found.unused, 'or')}"
    elif found.uncovered:
        yield f"{chains_text(found.uncovered)} that no contract covers"
    for name in (name for name in found.unused if name not in _BUILT_IN):
        yield f'contract "{name}" covers no chain here'
    if found.outside:
        events = events_text(found.outside)
        yield f"{events} outside of chains: they name neither a request nor a chain"
    if found.lost:
        were = "was" if found.lost == 1 else "were"
        yield f"{events_text(found.lost)} {were} overwritten; whole chains may be among them"
    if found.damaged:
        yield f"{files_text(found.damaged)} cannot be read; chains in them are not counted"


def first_command(
    found: Verification, source_words: Sequence[str] | None, check_words: Sequence[str] = ()
) -> str:
    """The command that explains the chain to look at first; empty if there is none to type."""
    if source_words is None or not can_be_typed(found.first):
        return ""
    return command_text("why", found.first, (*source_words, *check_words))


def _word(verdict: Verdict) -> str:
    if verdict.verdict == COMPLETE:
        return "complete"
    return "FAILED" if verdict.verdict == INCOMPLETE else "unknown"
