"""Holds all chains to their contracts: how many are complete, and what the others lack and why."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from whence.model.event import TraceEvent
from whence.model.names import canonical
from whence.model.recording import Damage, Recording
from whence.query.chain import Chain, chains
from whence.query.contracts.causes import Causes
from whence.query.contracts.check import COMPLETE, INCOMPLETE, UNKNOWN, ChainCheck, ChainReport
from whence.query.contracts.completeness import contract_for
from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import BUILT_IN
from whence.query.contracts.flaws import FlawGroup, FlawGroups
from whence.query.index import Index, as_index
from whence.query.words import can_be_typed, share_text

__all__ = ["NOTHING", "Flaw", "Verdict", "Verification", "verify"]

Among = Callable[[Index], Callable[[TraceEvent], bool]]

NOTHING = "nothing"  # the verdict where no chain is covered

# Kinds of flaws that are told apart, and chains that are told of one by one.
MOST_GROUPS = 1_000
MOST_FLAWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One chain that is not complete. `name` finds it again, `report` says what it lacks.

    `event_ids` are those of all its events that were recorded.
    """

    name: str
    report: ChainReport
    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the chains of one contract.

    `verdict` is "complete" if all are, "incomplete" if one breaks the contract, "unknown" if none
    does but not all are known to keep it, "nothing" if there are none. `chains` = `complete` +
    `incomplete` + `unknown`; `open` of those not complete have not ended and may yet. `groups`
    count the chains that are not complete, each once, by what they lack and why, the most chains
    first; `ungrouped` chains lack what found no place among the groups. `flaws` are the first such
    chains, those that break the contract before the others. `first` names the one to look at first.
    """

    contract: str
    verdict: str
    chains: int = 0
    complete: int = 0
    incomplete: int = 0
    unknown: int = 0
    open: int = 0
    first: str = ""
    groups: tuple[FlawGroup, ...] = ()
    ungrouped: int = 0
    flaws: tuple[Flaw, ...] = ()

    @property
    def share(self) -> str:
        """The complete share of the chains, rounded down: "100 %", "99.93 %"."""
        return share_text(self.complete, self.chains)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What became of all chains.

    `verdict` is the worst of those of the contracts, "nothing" where no chain is covered by one.
    `contracts` are those that cover chains, `unused` the names of the others.
    `chains` are all that were looked at, `uncovered` those that no contract speaks of. `outside`
    counts the events that contracts speak of and that name neither a request nor a chain. `lost`
    counts the events that rings overwrote: chains that lay wholly among them are not counted,
    since nobody knows of them. `damaged` counts the files that could not be read.
    """

    verdict: str
    contracts: tuple[Verdict, ...]
    unused: tuple[str, ...] = ()
    chains: int
    uncovered: int
    outside: int = 0
    lost: int = 0
    damaged: int = 0
    strict: bool = False

    @property
    def ok(self) -> bool:
        """Whether chains were checked, and none of them breaks its contract."""
        return self.verdict in (COMPLETE, UNKNOWN)

    @property
    def first(self) -> str:
        """The name of the chain to look at first, "" if all are complete."""
        broken = [each.first for each in self.contracts if each.verdict == INCOMPLETE]
        unsure = [each.first for each in self.contracts if each.first]
        return next(iter([*broken, *unsure]), "")

    def __str__(self) -> str:
        from whence.query.contracts.verdict_words import verification_text

        return verification_text(self, None)

    def _repr_html_(self) -> str:
        """For notebooks: the same words, without scripts."""
        from whence.query.page import verification_page

        return verification_page(self)


def verify(
    source: Recording | Index | Iterable[Recording | Index],
    contracts: Sequence[Contract] = BUILT_IN,
    *,
    strict: bool = False,
    ended: bool = False,
    among: Among | None = None,
    most_flaws: int = MOST_FLAWS,
) -> Verification:
    """Hold every chain to the contract that covers it, the one that `why` holds it to.

    `source` is a recording, or many one after the other, of which each holds its chains whole;
    only one is kept at a time. With `strict`, what is unknown counts as incomplete. With `ended`
    nothing more is to come, though the processes still run. `among` says, for each recording,
    which events are asked for: a chain with one of them is checked, whole. At most `most_flaws`
    chains of a contract are told of one by one. Costs O(events), and for each thing found missing
    the rings that lost events; memory beyond one recording is bounded.
    """
    pieces = [source] if isinstance(source, Recording | Index) else source
    sums = _Sums(contracts, strict, ended, among, most_flaws)
    deque(map(sums.add, pieces), maxlen=0)  # no name keeps a piece while the next one is read
    return sums.verification()


class _Sums:
    """The counts of all recordings so far."""

    def __init__(
        self,
        contracts: Sequence[Contract],
        strict: bool,
        ended: bool,
        among: Among | None,
        most_flaws: int,
    ) -> None:
        self._contracts = tuple(contracts)
        self._strict, self._ended, self._among = strict, ended, among
        self._tallies = {each.name: _Tally(each.name, most_flaws) for each in self._contracts}
        self._members = frozenset().union(*(each.members for each in self._contracts))
        self._chains = self._uncovered = self._outside = 0
        self._lost: dict[tuple[str, int], int] = {}  # pieces of one source have its rings all
        self._damaged: set[Damage] = set()

    def add(self, piece: Recording | Index) -> None:
        """Count the chains of a recording."""
        index = as_index(piece)
        causes = Causes(index, ended=self._ended)
        passes = self._among(index) if self._among else None
        self._lost |= {(ring.session, ring.ring): ring.lost for ring in index.recording.rings}
        self._damaged.update(index.recording.damage)
        self._outside += sum(
            canonical(event.event_type) in self._members
            and not any(index.chain_key(event))
            and (passes is None or passes(event))
            for event in index.events
        )
        for chain in chains(index):
            if passes is None or any(map(passes, chain.events)):
                self._count(chain, index, causes)

    def verification(self) -> Verification:
        """What all of it makes."""
        verdicts = [tally.verdict() for tally in self._tallies.values()]
        return Verification(
            verdict=_worst(verdict.verdict for verdict in verdicts),
            contracts=tuple(verdict for verdict in verdicts if verdict.chains),
            unused=tuple(verdict.contract for verdict in verdicts if not verdict.chains),
            chains=self._chains,
            uncovered=self._uncovered,
            outside=self._outside,
            lost=sum(self._lost.values()),
            damaged=len(self._damaged),
            strict=self._strict,
        )

    def _count(self, chain: Chain, index: Index, causes: Causes) -> None:
        self._chains += 1
        contract = contract_for(chain.events, self._contracts, index)
        if contract is None:
            self._uncovered += 1
            return
        report = ChainCheck(chain.events, contract, index, causes).report(self._strict)
        self._tallies[contract.name].count(chain, report, index)


class _Tally:
    """The counts of one contract."""

    def __init__(self, contract: str, most_flaws: int) -> None:
        self._contract, self._most = contract, most_flaws
        self._groups = FlawGroups(MOST_GROUPS)
        self._counts = dict.fromkeys((COMPLETE, INCOMPLETE, UNKNOWN), 0)
        self._flaws: dict[str, list[Flaw]] = {INCOMPLETE: [], UNKNOWN: []}
        self._first: dict[str, str] = {}
        self._open = 0

    def count(self, chain: Chain, report: ChainReport, index: Index) -> None:
        """Count one chain of the contract."""
        self._counts[report.verdict] += 1
        if report.complete:
            return
        self._open += report.open
        self._first.setdefault(report.verdict, _typed_name(chain))
        self._groups.add(chain.name, report, index)
        flaws = self._flaws[report.verdict]
        if len(flaws) < self._most:
            event_ids = tuple(event.event_id for event in chain.events)
            flaws.append(Flaw(name=chain.name, report=report, event_ids=event_ids))

    def verdict(self) -> Verdict:
        """What the chains counted so far make."""
        complete, incomplete, unknown = self._counts.values()
        flaws = [*self._flaws[INCOMPLETE], *self._flaws[UNKNOWN]]
        return Verdict(
            contract=self._contract,
            verdict=_worst(verdict for verdict, count in self._counts.items() if count),
            chains=sum(self._counts.values()),
            complete=complete,
            incomplete=incomplete,
            unknown=unknown,
            open=self._open,
            first=self._first.get(INCOMPLETE) or self._first.get(UNKNOWN, ""),
            groups=self._groups.largest_first(),
            ungrouped=self._groups.ungrouped,
            flaws=tuple(flaws[: self._most]),
        )


def _typed_name(chain: Chain) -> str:
    """The chain's name, or the id of its first event where nobody could type that."""
    return chain.name if can_be_typed(chain.name) else chain.events[0].event_id or chain.name


def _worst(verdicts: Iterable[str]) -> str:
    found = frozenset(verdicts)
    return next((each for each in (INCOMPLETE, UNKNOWN, COMPLETE) if each in found), NOTHING)
