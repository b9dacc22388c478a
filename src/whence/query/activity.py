"""What processes are doing: rates, loss and silence, worked out from two readings of counters."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from whence._native import Batch
from whence.collect.counters import SessionCounters
from whence.collect.events import to_events
from whence.collect.gates import KindGate
from whence.collect.live import Reading
from whence.model.event import TraceEvent
from whence.model.recording import KindCounts, KindInfo
from whence.model.severity import Severity
from whence.query.outcome import OUTCOME_FIELDS, went_wrong

__all__ = [
    "COLLECTED",
    "RECORDING",
    "SILENT",
    "UNCOLLECTED",
    "Activity",
    "Failures",
    "KindActivity",
    "ProcessActivity",
    "activity_of",
]

RECORDING = "recording"
SILENT = "silent: declared, no events"
UNCOLLECTED = "dead, uncollected"
COLLECTED = "dead, collected"

MOST_CANDIDATES = 2_000  # rows of one refresh that are looked at for failures
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessActivity:
    """One session. Rates are None where there is no earlier reading to compare with.

    `ring_fill` is the share of slots that hold events, of its fullest ring. `last_event_age_ns` is
    None where nothing was recorded. `damaged` names files that cannot be read.
    """

    session: str
    path: str
    pid: int
    service: str
    run: str
    state: str
    threads: int
    recorded: int
    events_per_s: float | None
    ring_fill: float
    lost: int
    lost_per_s: float | None
    sampled_out: int
    last_event_age_ns: int | None
    behind: int | None
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KindActivity:
    """One event type over all processes.

    `on` and `sample_rate` are None where no live process declares it or they differ. `errors`
    counts events that said something went wrong, as far as they were seen.
    """

    event_type: str
    component: str
    decision: bool
    recorded: int
    events_per_s: float | None
    on: bool | None
    sample_rate: float | None
    sampled_out: int
    errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """The whole at one moment.

    `behind` counts recorded events that collectors have not delivered everywhere; None where nobody
    collects. `lost_per_s` are the events that collectors missed or, without one, all overwritten.
    """

    wall_ns: int
    runs: tuple[str, ...] = ()
    processes: tuple[ProcessActivity, ...] = ()
    kinds: tuple[KindActivity, ...] = ()
    events_per_s: float | None = None
    lost_per_s: float | None = None
    behind: int | None = None


def activity_of(
    now: Reading, before: Reading | None = None, errors: Mapping[tuple[str, str], int] = {}
) -> Activity:
    """What the sessions of `now` have been doing since `before`.

    `errors` are Failures.counts. A session that began after `before` counts from nothing.
    """
    seconds = (now.wall_ns - before.wall_ns) / _SECOND if before else 0.0
    former = {each.info.uuid: each for each in before.sessions} if before else {}
    bases = {
        each.info.uuid: _base(each, former.get(each.info.uuid), before) for each in now.sessions
    }
    processes = [_process(each, bases[each.info.uuid], seconds, now) for each in now.sessions]
    processes.sort(key=lambda each: (each.state not in (RECORDING, SILENT), each.pid, each.session))
    behinds = [each.behind for each in processes if each.behind is not None]
    return Activity(
        wall_ns=now.wall_ns,
        runs=tuple(dict.fromkeys(each.run for each in processes)),
        processes=tuple(processes),
        kinds=tuple(_kinds(now, bases, seconds, errors)),
        events_per_s=_sum(each.events_per_s for each in processes),
        lost_per_s=_lost_per_s(now, before, seconds, processes),
        behind=sum(behinds) if behinds else None,
    )


class Failures:
    """The newest events that say something went wrong, and how many there were by type.

    Fed with every batch of new events. Beside events that went wrong it looks at decisions, for
    the newest rationale of each request. `incomplete`: some events were not looked at.
    """

    def __init__(self, most: int = 50, most_requests: int = 10_000) -> None:
        self.newest: list[tuple[TraceEvent, str]] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.incomplete = False
        self._most = most
        self._most_requests = most_requests
        self._rationales: dict[tuple[str, str], str] = {}

    def add(self, batches: Iterable[Batch], kinds: Sequence[KindInfo], left_out: bool) -> None:
        """Looks at new events. `kinds` are those of their sessions; newest failures come first."""
        types = sorted({kind.name for kind in kinds if kind.decision or _tells_outcome(kind)})
        self.incomplete |= left_out
        found = []
        for batch in batches:
            for event in self._candidates(batch, types):
                if event.rationale and event.request_id:
                    self._keep_rationale(event)
                if went_wrong(event):
                    self.counts[event.event_type, event.component] += 1
                    found.append(event)
        found.sort(key=lambda event: event.order_key, reverse=True)
        told = [(event, self._rationale(event)) for event in found[: self._most]]
        self.newest = (told + self.newest)[: self._most]

    def _candidates(self, batch: Batch, types: Sequence[str]) -> list[TraceEvent]:
        selections = [batch.select(min_severity=int(Severity.Warning))]
        if types:
            selections.append(batch.select(event_types=types))
        events = {}
        for selected in selections:
            count = len(selected)
            if count > MOST_CANDIDATES:
                self.incomplete = True
                selected = selected.select(first=count - MOST_CANDIDATES)
            for event in to_events(selected.rows()):
                events[event.order_key] = event
        return [events[key] for key in sorted(events)]

    def _keep_rationale(self, event: TraceEvent) -> None:
        key = (event.session, event.request_id)
        self._rationales.pop(key, None)
        self._rationales[key] = event.rationale
        if len(self._rationales) > self._most_requests:
            del self._rationales[next(iter(self._rationales))]

    def _rationale(self, event: TraceEvent) -> str:
        return event.rationale or self._rationales.get((event.session, event.request_id), "")


def _tells_outcome(kind: KindInfo) -> bool:
    return any(field.name in OUTCOME_FIELDS for field in kind.fields)


def _base(
    each: SessionCounters, former: SessionCounters | None, before: Reading | None
) -> SessionCounters | None:
    """What a session's counters are compared with: nothing recorded yet, if it is new."""
    if former is None and before is not None and each.info.started_wall_ns >= before.wall_ns:
        return SessionCounters(info=each.info)
    return former


def _process(
    each: SessionCounters, base: SessionCounters | None, seconds: float, now: Reading
) -> ProcessActivity:
    info = each.info
    newest = [ring.newest_ns for ring in each.rings if ring.newest_ns is not None]
    newest_wall_ns = info.wall_ns(max(newest)) if newest else None
    behind = _behind(each, now)
    return ProcessActivity(
        session=info.name,
        path=info.path,
        pid=info.pid,
        service=info.service,
        run=info.run,
        state=_state(each, behind, now),
        threads=sum(1 for ring in each.rings if not ring.idle and not ring.shared),
        recorded=each.recorded,
        events_per_s=_rate(each.recorded, base.recorded if base else None, seconds),
        ring_fill=max((ring.held / ring.capacity for ring in each.rings), default=0.0),
        lost=each.lost,
        lost_per_s=_rate(each.lost, base.lost if base else None, seconds),
        sampled_out=sum(kind.sampled_out for ring in each.rings for kind in ring.per_kind),
        last_event_age_ns=(
            max(0, now.wall_ns - newest_wall_ns) if newest_wall_ns is not None else None
        ),
        behind=behind,
        damaged=tuple(f"{file}: {problem}" for file, problem in each.damaged),
    )


def _state(each: SessionCounters, behind: int | None, now: Reading) -> str:
    if each.info.live:
        return RECORDING if each.recorded else SILENT
    known = now.collected is not None and each.info.uuid in now.collected.tickets
    return COLLECTED if known and behind == 0 else UNCOLLECTED


def _behind(each: SessionCounters, now: Reading) -> int | None:
    if now.collected is None:
        return None
    known = now.collected.tickets.get(each.info.uuid, {})
    return sum(max(0, ring.recorded - known.get(ring.ring, 0)) for ring in each.rings)


def _lost_per_s(
    now: Reading, before: Reading | None, seconds: float, processes: Sequence[ProcessActivity]
) -> float | None:
    if now.collected is None or now.collected.lost is None:
        return _sum(each.lost_per_s for each in processes)
    missed_before = before.collected.lost if before and before.collected else None
    return _rate(now.collected.lost, missed_before, seconds)


def _kinds(
    now: Reading,
    bases: Mapping[str, SessionCounters | None],
    seconds: float,
    errors: Mapping[tuple[str, str], int],
) -> Iterator[KindActivity]:
    """Every type that is declared or counted anywhere, the busiest first."""
    decisions: dict[tuple[str, str], bool] = {}
    counts: defaultdict[tuple[str, str], list[KindCounts]] = defaultdict(list)
    former: Counter[tuple[str, str]] = Counter()
    known = all(base is not None for base in bases.values()) and seconds > 0
    for each in now.sessions:
        for kind in each.kinds:
            key = (kind.name, kind.component)
            decisions[key] = decisions.get(key, False) or kind.decision
        for counted in _counted(each):
            counts[counted.kind, counted.component].append(counted)
        base = bases[each.info.uuid]
        for counted in _counted(base) if base else ():
            former[counted.kind, counted.component] += counted.recorded
    gates = _gates(now)
    found = []
    for key in {**decisions, **counts}:
        recorded = sum(counted.recorded for counted in counts[key])
        on, sample_rate = gates.get(key, (None, None))
        found.append(
            KindActivity(
                event_type=key[0],
                component=key[1],
                decision=decisions.get(key, False),
                recorded=recorded,
                events_per_s=_rate(recorded, former[key], seconds) if known else None,
                on=on,
                sample_rate=sample_rate,
                sampled_out=sum(counted.sampled_out for counted in counts[key]),
                errors=errors.get(key, 0),
            )
        )
    found.sort(key=lambda kind: (-(kind.events_per_s or 0.0), -kind.recorded, kind.event_type))
    yield from found


def _counted(each: SessionCounters) -> Iterator[KindCounts]:
    for ring in each.rings:
        yield from ring.per_kind


def _gates(now: Reading) -> dict[tuple[str, str], tuple[bool | None, float | None]]:
    """On and rate of each type, None where live processes differ."""
    all_of: defaultdict[tuple[str, str], list[KindGate]] = defaultdict(list)
    for gates in now.gates.values():
        for gate in gates:
            all_of[gate.event_type, gate.component].append(gate)
    found = {}
    for key, several in all_of.items():
        ons, rates = {gate.on for gate in several}, {gate.sample_rate for gate in several}
        found[key] = (
            ons.pop() if len(ons) == 1 else None,
            rates.pop() if len(rates) == 1 else None,
        )
    return found


def _rate(now: int, before: int | None, seconds: float) -> float | None:
    if before is None or seconds <= 0:
        return None
    return max(0, now - before) / seconds


def _sum(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
