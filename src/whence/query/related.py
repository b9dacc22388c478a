"""Finds what is related to a chain: by ids that both name, and, if asked, by mere resemblance."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.query.chain import Chain
from whence.query.index import Index, as_index

__all__ = ["HEURISTICS", "NEAR_NS", "RELATIONS", "Reason", "Related", "related"]

# What one id that both name tells, in the order in which reasons are given. The ids are exact: an
# event is related or it is not, and no degree of it is made up.
RELATIONS = (
    "request",
    "decision chain",
    "caused by",
    "causes",
    "parent span",
    "child span",
    "within span",
    "around",
    "link to",
    "link from",
    "lineage",
    "trace",
)
# What no id tells. Such a relation is a guess and says so.
HEURISTICS = ("same model", "same component", "overlapping wait")

NEAR_NS = 1_000_000  # "close in time", where nothing else is asked for

# Events that end the wait of their chain.
_WAIT_ENDS = frozenset({"execution_started", "deadline_miss"})
_INVERSE = {
    "caused by": "causes",
    "parent span": "child span",
    "within span": "around",
    "link to": "link from",
}

_Key = tuple[str, str]  # what kind of thing is named, and its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an event is related: what kind of relation, by which id, to which event of the chain.

    `by` is one of RELATIONS or HEURISTICS. `id` is the id that both name, and of a heuristic what
    they resemble each other in. `of` is the id of the first event of the chain that it holds for.
    """

    by: str
    id: str
    of: str
    heuristic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """An event outside a chain that is related to it, and each reason once."""

    event: TraceEvent
    reasons: tuple[Reason, ...]

    @property
    def heuristic(self) -> bool:
        """Whether no id tells of the relation."""
        return all(reason.heuristic for reason in self.reasons)


def related(
    source: Recording | Index, chain: Chain, *, heuristic: bool = False, near_ns: int = NEAR_NS
) -> tuple[Related, ...]:
    """The events outside the chain that are related to one of its events, in order of time.

    They share its request, decision chain, trace or lineage id, are its cause or its effect, the
    span around it or within it, or linked with it; what is related to these in turn is not among
    them. With `heuristic` there are also events of the same model or component within `near_ns`,
    and the openings of chains that waited while this one did, unless an id relates them anyway.
    Costs one pass over the recording, and the events found.
    """
    index = as_index(source)
    names = _Names(index)
    found: defaultdict[int, dict[tuple[str, str], Reason]] = defaultdict(dict)
    own = {id(event) for event in chain.events}
    for event in chain.events:
        for at, by, name in names.related_to(event):
            if id(index.events[at]) not in own:
                reason = Reason(by=by, id=name, of=event.event_id)
                found[at].setdefault((by, name), reason)
    if heuristic:
        for at, reason in _resembling(index, chain, near_ns):
            if id(index.events[at]) not in own and (at not in found or _guessed(found[at])):
                found[at].setdefault((reason.by, reason.id), reason)
    ordered = sorted(found, key=lambda at: (index.time_ns(index.events[at]), at))
    return tuple(
        Related(event=index.events[at], reasons=tuple(sorted(found[at].values(), key=_rank)))
        for at in ordered
    )


_RANKS = {by: rank for rank, by in enumerate((*RELATIONS, *HEURISTICS))}


def _rank(reason: Reason) -> tuple[int, str]:
    return _RANKS[reason.by], reason.id


def _guessed(reasons: Mapping[tuple[str, str], Reason]) -> bool:
    return all(reason.heuristic for reason in reasons.values())


class _Names:
    """Where each name is borne, and where it is pointed to."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._shared: defaultdict[_Key, list[int]] = defaultdict(list)
        self._borne: defaultdict[_Key, list[int]] = defaultdict(list)
        self._pointed: defaultdict[_Key, list[tuple[str, str, int]]] = defaultdict(list)
        for at, event in enumerate(index.events):
            for key, _ in self._shares(event):
                self._shared[key].append(at)
            for key in self._bears(event):
                self._borne[key].append(at)
            for by, key, shown in self._points(event):
                self._pointed[key].append((by, shown, at))

    def related_to(self, event: TraceEvent) -> Iterator[tuple[int, str, str]]:
        """(position, kind of relation, the id that tells) of every event related to this one."""
        request, _ = self._index.names_of(event)
        for key, shown in self._shares(event):
            for at in self._shared[key]:
                # within a request, its chains and its trace go without saying
                own = request and key[0] in ("decision chain", "trace")
                if not own or self._index.names_of(self._index.events[at])[0] != request:
                    yield at, key[0], shown
        for by, key, shown in self._points(event):
            for at in self._borne.get(key, ()):
                yield at, by, shown
        for key in self._bears(event):
            for by, shown, at in self._pointed.get(key, ()):
                yield at, _INVERSE[by], shown

    def _shares(self, event: TraceEvent) -> Iterator[tuple[_Key, str]]:
        """What two events have in common by naming it, and how it is shown."""
        request, chain = self._index.names_of(event)
        if request:
            yield ("request", request), event.request_id
        if chain:
            yield ("decision chain", chain), event.decision_chain_id
        if event.trace_id:
            yield ("trace", event.trace_id), event.trace_id
        if event.lineage_id:
            yield ("lineage", str(event.lineage_id)), str(event.lineage_id)

    def _bears(self, event: TraceEvent) -> Iterator[_Key]:
        """The names by which other events may point to this one."""
        names = {event.event_id, *self._index.names_of(event)} - {""}
        for name in names:
            yield "event", name
        if event.span:
            for key, _ in _span_keys(event):
                yield key

    def _points(self, event: TraceEvent) -> Iterator[tuple[str, _Key, str]]:
        """The kind of relation, what it points to, and the id as it is shown."""
        if event.caused_by:
            yield (
                "caused by",
                ("event", self._index.name_in(event, event.caused_by)),
                event.caused_by,
            )
        for key, shown in _span_keys(event, event.parent_span_id):
            yield "parent span", key, shown
        for key, shown in () if event.span else _span_keys(event):
            yield "within span", key, shown
        for link in event.links:
            shown = f"{link.span_id:016x}"
            yield "link to", ("span", f"{link.trace_id or event.session}/{shown}"), shown


def _span_keys(event: TraceEvent, span_id: int | None = None) -> Iterator[tuple[_Key, str]]:
    """The names of a span as an event knows it, by default its own, and the id as it is shown.

    Span ids are unique in their trace, and in their process: a span may have begun before the
    request did whose trace it is in now.
    """
    number = event.span_id if span_id is None else span_id
    if number:
        shown = f"{number:016x}"
        for where in {event.trace_id, event.session} - {""}:
            yield ("span", f"{where}/{shown}"), shown


# --- what no id tells --------------------------------------------------------------------------


def _resembling(index: Index, chain: Chain, near_ns: int) -> Iterator[tuple[int, Reason]]:
    for by, column, read in (
        ("same model", "model_id", attrgetter("model_id")),
        ("same component", "component", attrgetter("component")),
    ):
        moments: dict[str, list[tuple[int, int]]] = {}
        for event in chain.events:
            if name := read(event):
                if name not in moments:
                    places = index.positions(column, name)
                    moments[name] = sorted((index.time_ns(index.events[at]), at) for at in places)
                at_ns = index.time_ns(event)
                first = bisect_left(moments[name], (at_ns - near_ns, -1))
                behind = bisect_right(moments[name], (at_ns + near_ns, len(index.events)))
                reason = Reason(by=by, id=name, of=event.event_id, heuristic=True)
                for _, at in moments[name][first:behind]:
                    yield at, reason
    yield from _waiting_meanwhile(index, chain)


def _waiting_meanwhile(index: Index, chain: Chain) -> Iterator[tuple[int, Reason]]:
    """The openings of chains whose wait overlaps this one's."""
    own = _wait(index, chain.events)
    if own is None:
        return
    for (request, name), positions in index.chains.items():
        events = index.at(positions)
        other = _wait(index, events)
        if other is None or other[0] >= own[1] or own[0] >= other[1]:
            continue
        at = next(at for at in positions if index.events[at] is events[0])
        shown = request if request == name or not request else f"{request}/{name}"
        reason = Reason(
            by="overlapping wait", id=shown or name, of=chain.events[0].event_id, heuristic=True
        )
        yield at, reason


def _wait(index: Index, events: Sequence[TraceEvent]) -> tuple[int, int] | None:
    """From a chain's first event until it was executed or given up; None if it never was."""
    ends = [index.time_ns(event) for event in events if event.event_type in _WAIT_ENDS]
    return (index.time_ns(events[0]), ends[0]) if ends else None
