"""Puts a verification into words: the same in the terminal, in a page and in a failed test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whence.query.contracts.check import COMPLETE, INCOMPLETE
from whence.query.contracts.declared import BUILT_IN
from whence.query.contracts.finding import gap_text
from whence.query.contracts.flaws import FlawGroup
from whence.query.contracts.verify import NOTHING, Flaw, Verdict, Verification
from whence.query.safe import safe
from whence.query.words import (
    can_be_typed,
    chains_text,
    command_text,
    count_text,
    events_text,
    files_text,
    listed,
)

__all__ = [
    "first_command",
    "flaw_lines",
    "group_cells",
    "notes",
    "verdict_cells",
    "verification_text",
]

_BUILT_IN = frozenset(contract.name for contract in BUILT_IN)


def verification_text(
    found: Verification, source_words: Sequence[str] | None = (), most_chains: int = 5
) -> str:
    """The whole in plain lines: each contract, and some chains with all that is wrong there."""
    lines = []
    for verdict in found.contracts:
        lines.append("  ".join(verdict_cells(verdict)))
        lines += [f"  {text}" for flaw in verdict.flaws[:most_chains] for text in flaw_lines(flaw)]
        more = verdict.chains - verdict.complete - min(most_chains, len(verdict.flaws))
        if more:
            lines.append(f"  and {chains_text(more)} more")
    lines += notes(found)
    if command := first_command(found, source_words):
        lines.append(f"First: {command}")
    return "\n".join(lines)


def flaw_lines(flaw: Flaw) -> Iterator[str]:
    """A chain that is not complete: a line for each thing that is wrong, with its causes."""
    for finding in flaw.report.findings:
        if not finding.optional:
            yield f"{safe(flaw.name)}: {safe(gap_text(finding))}"


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
