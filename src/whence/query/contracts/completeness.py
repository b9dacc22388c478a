"""Says which chains are complete under a contract, and how much of a recording that makes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from whence.model.event import TraceEvent
from whence.model.names import canonical
from whence.model.recording import Recording
from whence.query.chain import Chain, chains
from whence.query.contracts.causes import Causes
from whence.query.contracts.check import COMPLETE, INCOMPLETE, UNKNOWN, ChainCheck, ChainReport
from whence.query.contracts.contract import Contract
from whence.query.contracts.finding import Finding
from whence.query.index import Index, as_index
from whence.query.words import share_text

__all__ = [
    "ChainReport",
    "Finding",
    "Share",
    "check_chain",
    "check_recording",
    "completeness_share",
    "contract_for",
]

_SHOWN_FLAWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of a recording can be reconstructed under a contract.

    `decisions` counts those that were recorded in chains of the contract, `lost` of them
    overwritten before they were read; `reconstructible` are those with a rationale in complete
    chains. `uncovered` decisions belong to no chain that the contract speaks of, and count
    nowhere else. `chains` = `complete` + `incomplete` + `unknown`, and `open` of the unknown may
    still become complete. `first_flaws` names up to ten chains that are not complete.
    """

    contract: str
    decisions: int = 0
    reconstructible: int = 0
    lost: int = 0
    uncovered: int = 0
    chains: int = 0
    complete: int = 0
    incomplete: int = 0
    unknown: int = 0
    open: int = 0
    first_flaws: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The reconstructible share of the decisions, rounded down: "100 %", "99.93 %", "none"."""
        return share_text(self.reconstructible, self.decisions)


def check_chain(
    events: Sequence[TraceEvent],
    contract: Contract,
    source: Recording | Index,
    *,
    strict: bool = False,
) -> ChainReport:
    """Hold one chain's events to a contract.

    The events are in order, as `find_chain` and `chains` give them; ValueError if there are none.
    `source` is the recording they come from: it tells why something may be absent. With `strict`,
    what is unknown counts as incomplete. Costs O(events of the chain), and for each thing found
    missing the rings that lost events.
    """
    if not events:
        raise ValueError("a chain without events cannot be checked")
    index = as_index(source)
    return ChainCheck(events, contract, index, Causes(index)).report(strict)


def check_recording(
    source: Recording | Index, contract: Contract, *, strict: bool = False
) -> Iterator[tuple[Chain, ChainReport]]:
    """Every chain of the recording that the contract covers, with its report, oldest first."""
    index = as_index(source)
    causes = Causes(index)
    for chain in chains(index):
        if _covers(contract, chain.events, index):
            yield chain, ChainCheck(chain.events, contract, index, causes).report(strict)


def contract_for(
    events: Iterable[TraceEvent], contracts: Iterable[Contract], source: Recording | Index
) -> Contract | None:
    """The contract that a chain is held to: one whose opening event it has, else one it touches.

    Whether a contract's opening type is known depends on the chain's own sessions alone: what
    else stands in the recording changes no verdict.
    """
    events, index = tuple(events), as_index(source)
    types = {canonical(event.event_type) for event in events}
    covering = [contract for contract in contracts if _covers(contract, events, index)]
    opened = (contract for contract in covering if contract.opens in types)
    return next(opened, covering[0] if covering else None)


def _covers(contract: Contract, events: Sequence[TraceEvent], index: Index) -> bool:
    members = contract.members
    if not any(canonical(event.event_type) in members for event in events):
        return False
    return index.knows(contract.opens, {event.session for event in events})


def completeness_share(source: Recording | Index, contract: Contract) -> Share:
    """How many of the recording's decisions can be reconstructed from the recording alone.

    Decisions that rings count as recorded but no longer hold are decisions that cannot be.
    """
    index = as_index(source)
    in_chains = reconstructible = still_open = 0
    verdicts: Counter[str] = Counter()
    flaws: list[str] = []
    for chain, report in check_recording(index, contract):
        decisions = sum(map(index.is_decision, chain.events))
        in_chains += decisions
        verdicts[report.verdict] += 1
        if report.complete:
            reconstructible += decisions
            continue
        still_open += report.verdict == UNKNOWN and report.open
        if len(flaws) < _SHOWN_FLAWS:
            flaws.append(chain.name)
    alone = _outside_chains(index, contract)
    lost = _lost_decisions(index, contract)
    return Share(
        contract=contract.name,
        decisions=in_chains + alone + lost,
        reconstructible=reconstructible,
        lost=lost,
        uncovered=sum(map(index.is_decision, index.events)) - in_chains - alone,
        chains=verdicts.total(),
        complete=verdicts[COMPLETE],
        incomplete=verdicts[INCOMPLETE],
        unknown=verdicts[UNKNOWN],
        open=still_open,
        first_flaws=tuple(flaws),
    )


def _outside_chains(index: Index, contract: Contract) -> int:
    """Decisions the contract speaks of that name neither a request nor a chain nor a trace."""
    members = contract.members
    return sum(
        not any(index.chain_key(event)) and event.event_type in members and index.is_decision(event)
        for event in index.events
    )


def _lost_decisions(index: Index, contract: Contract) -> int:
    """Decisions the contract speaks of that rings recorded and then overwrote."""
    members = contract.members
    declared = {
        kind.name
        for kind in index.recording.kinds
        if kind.decision and canonical(kind.name) in members
    }
    lost = 0
    for ring in index.recording.rings:
        recorded: defaultdict[str, int] = defaultdict(int)
        for counts in ring.per_kind:
            if counts.kind in declared:
                recorded[counts.kind] += counts.recorded
        gone = (n - index.seen(ring.session, ring.ring, kind) for kind, n in recorded.items())
        lost += min(sum(max(0, count) for count in gone), ring.lost)
    return lost
