"""Looks up a recording's events by request, chain, id and name without reading them twice."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property

from whence.model.event import TraceEvent
from whence.model.names import DECISION_TYPES, spellings
from whence.model.recording import OpenSpan, Recording
from whence.query.contracts.contract import matching
from whence.query.eras import Reused, reused_names
from whence.query.spans import in_span_order, open_spans, parent_of

__all__ = ["ChainKey", "Index", "Names", "as_index"]

_CLOCK_SLACK_NS = 1_000_000_000  # clocks on the wall are set
ChainKey = tuple[str, str]  # (request, decision chain)


class Index:
    """Tables over one recording, each made when it is first asked for, in O(n log n) at most.

    `events` are the recording's, in its order; tables hold positions in it. Nothing is copied,
    so an index may live as long as its recording. Threads may share an index: at worst two of
    them make the same table at once.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.events = recording.events

    def positions(self, column: str, value: str) -> Sequence[int]:
        """Where the events with that request_id, event_type, component or model_id stand."""
        return self._columns[column].get(value, ())

    def at(self, positions: Iterable[int]) -> tuple[TraceEvent, ...]:
        """The events at those positions in the order of a chain: by common time, then by ring.

        None comes before the span that it lies in.
        """
        events = [self.events[position] for position in positions]
        if not self._one_clock:
            events.sort(key=lambda event: (self.time_ns(event), event.order_key))
        return tuple(in_span_order(events, self.time_ns))

    def time_ns(self, event: TraceEvent) -> int:
        """When the event happened, on a clock that all of the recording's sessions share."""
        return self.moment_ns(event.session, event.timestamp.value_ns)

    def moment_ns(self, session: str, monotonic_ns: int) -> int:
        """A session's monotonic moment on the common clock.

        That is the monotonic clock itself where all sessions ran in one boot of one host, and
        otherwise wall time by each session's anchors.
        """
        if self._one_clock:
            return monotonic_ns
        info = self.recording.session(session)
        wall_ns = info.wall_ns(monotonic_ns) if info else None
        return monotonic_ns if wall_ns is None else wall_ns

    def wall_ns(self, session: str, common_ns: int) -> int | None:
        """Wall time of a session's moment on the common clock; None without a known clock."""
        if not self._one_clock:
            return common_ns
        info = self.recording.session(session)
        return info.wall_ns(common_ns) if info else None

    def started_ns(self, session: str) -> int | None:
        """Before which no event of a session can be, on the common clock; None if unknown."""
        info = self.recording.session(session)
        if info is None or not info.anchors or not info.started_wall_ns:
            return None
        if not self._one_clock:
            return info.started_wall_ns - _CLOCK_SLACK_NS
        first = info.anchors[0]
        return first.monotonic_ns - (first.wall_ns - info.started_wall_ns) - _CLOCK_SLACK_NS

    def is_decision(self, event: TraceEvent) -> bool:
        """Whether the event is a decision: marked, declared, or known by name where neither is."""
        if event.decision or event.event_type in self._declared_decisions:
            return True
        return not self.recording.kinds and event.event_type in DECISION_TYPES

    def knows(self, event_type: str, sessions: Iterable[str]) -> bool:
        """Whether that type, in any spelling, is declared in one of these sessions or occurs in it.

        A kind of which the source does not say who declared it counts for every session.
        """
        of_all = (self._known.get(name, frozenset()) for name in spellings(event_type))
        return any("" in known or not known.isdisjoint(sessions) for known in of_all)

    def known_spellings(self, names: Iterable[str]) -> tuple[str, ...]:
        """The types, known here, that these names mean, by old spellings and by a * in a name.

        A name that means none of them stands for itself.
        """
        found: dict[str, None] = {}
        for name in names:
            meant = [spelled for spelled in spellings(name) if spelled in self._known]
            if "*" in name:
                meant = list(filter(matching((name,)), self._known))
            found.update(dict.fromkeys(meant or [name]))
        return tuple(found)

    def seen(self, session: str, ring: int, event_type: str) -> int:
        """How many events of that type the source holds of that ring."""
        return self._seen[session, ring, event_type]

    def is_known(self, name: str) -> bool:
        """Whether a request, a decision chain or an event is called so."""
        return name in self.requests or name in self.chain_keys or name in self.event_ids

    def first_ticket(self, session: str, ring: int) -> int | None:
        """The ticket of the oldest event that the recording holds of that ring; None without."""
        return self._first_tickets.get((session, ring))

    @cached_property
    def times_ns(self) -> Sequence[int]:
        """The monotonic times of the events, in their order: never decreasing."""
        return [event.timestamp.value_ns for event in self.events]

    def names_of(self, event: TraceEvent) -> ChainKey:
        """The request and the decision chain that an event names; both are "" if it names none.

        They are the event's own ids, unless another run used these again: see `eras`.
        """
        request, chain = event.request_id, event.decision_chain_id
        if self._reused and (name := self._reused.get((request or chain, event.session))):
            whole = chain == request or not request
            return (name if request else ""), (name if whole else chain)
        return request, chain

    def chain_key(self, event: TraceEvent) -> ChainKey:
        """The chain that an event is named in: its request's or decision chain's, else its trace.

        Both are "" of an event that stands alone.
        """
        request, chain = self.names_of(event)
        return request, chain or event.trace_id

    def name_in(self, event: TraceEvent, name: str) -> str:
        """What an event means by the id of a request or chain: see `names_of`."""
        return self._reused.get((name, event.session), name)

    @cached_property
    def requests(self) -> Mapping[str, Sequence[int]]:
        """Positions by request, in the order in which the requests first appear."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for position, (request, _) in enumerate(self._names):
            if request:
                found[request].append(position)
        return dict(found)

    @cached_property
    def chains(self) -> Mapping[ChainKey, Sequence[int]]:
        """Positions by chain, in order of first appearance; each event is in one chain at most.

        A request is one chain unless its events name several decision chains: then each of these
        is one, and events of the request that name none are another. Of a trace, what names
        neither a request nor a decision chain is one.
        """
        named: defaultdict[str, set[str]] = defaultdict(set)
        for request, chain in self._names:
            if chain != request:
                named[request].add(chain)
        found: defaultdict[ChainKey, list[int]] = defaultdict(list)
        for position, (request, chain) in enumerate(self._names):
            if request and len(named.get(request, ())) < 2:
                chain = request
            if chain:
                found[request, chain].append(position)
        return dict(found)

    @cached_property
    def named_chains(self) -> Mapping[ChainKey, Sequence[int]]:
        """Positions by request and decision chain or trace, of the events that name such a one."""
        found: defaultdict[ChainKey, list[int]] = defaultdict(list)
        for position, (request, chain) in enumerate(self._names):
            if chain != request:
                found[request, chain].append(position)
        return dict(found)

    @cached_property
    def chain_keys(self) -> Mapping[str, Sequence[ChainKey]]:
        """The chains that a decision chain or trace id names: several if requests use the same."""
        keys: defaultdict[str, list[ChainKey]] = defaultdict(list)
        for key in self.named_chains:
            keys[key[1]].append(key)
        return dict(keys)

    @cached_property
    def trace_requests(self) -> Mapping[str, Sequence[str]]:
        """The requests that events of a trace were recorded in."""
        found: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for event, (request, _) in zip(self.events, self._names, strict=True):
            if request and event.trace_id:
                found[event.trace_id][request] = None
        return {trace: tuple(requests) for trace, requests in found.items()}

    @cached_property
    def spans(self) -> Mapping[int, Sequence[int]]:
        """Positions by span id: the ended spans of that id, else the events that lie in it."""
        ended: defaultdict[int, list[int]] = defaultdict(list)
        inside: defaultdict[int, list[int]] = defaultdict(list)
        for position, event in enumerate(self.events):
            if event.span:
                ended[event.span_id].append(position)
            if around := parent_of(event):
                inside[around].append(position)
        return {**inside, **ended}

    @cached_property
    def event_ids(self) -> Mapping[str, int]:
        """Position by event id; the first event if an id occurs twice."""
        found: dict[str, int] = {}
        for position, event in enumerate(self.events):
            if event.event_id:
                found.setdefault(event.event_id, position)
        return found

    @cached_property
    def event_spellings(self) -> Mapping[str, Sequence[str]]:
        """Event ids by what they are in lower case: several if they differ in that alone."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name in self.event_ids:
            found[name.lower()].append(name)
        return dict(found)

    @cached_property
    def request_names(self) -> Names:
        """Request ids by prefix and suffix."""
        return Names(self.requests)

    @cached_property
    def chain_names(self) -> Names:
        """Decision chain ids, and traces' that are chains, by prefix and suffix."""
        return Names(self.chain_keys)

    @cached_property
    def trace_names(self) -> Names:
        """The ids of traces that requests were recorded in, by prefix and suffix."""
        return Names(self.trace_requests)

    @cached_property
    def event_names(self) -> Names:
        """Event ids, in lower case, by prefix and suffix."""
        return Names(self.event_spellings)

    @cached_property
    def span_ids(self) -> Set[int]:
        """The ids of all ended spans."""
        return frozenset(event.span_id for event in self.events if event.span)

    @cached_property
    def open_spans(self) -> Mapping[int, OpenSpan]:
        """The spans that had begun and not ended, by their ids."""
        return open_spans(self.recording)

    @cached_property
    def newest_ns(self) -> int | None:
        """The newest moment on the common clock that anything in the recording speaks of."""
        moments = [self.time_ns(event) for event in self.events[-1:]]
        for ring in self.recording.rings:
            if ring.newest_ns is not None:
                moments.append(self.moment_ns(ring.session, ring.newest_ns))
        if not self._one_clock:
            moments.extend(self.time_ns(event) for event in self.events)
        return max(moments, default=None)

    @cached_property
    def _names(self) -> Sequence[ChainKey]:
        return [self.chain_key(event) for event in self.events]

    @cached_property
    def _reused(self) -> Reused:
        return reused_names(self.recording)

    @cached_property
    def _one_clock(self) -> bool:
        return len({session.boot_id for session in self.recording.sessions}) < 2

    @cached_property
    def _columns(self) -> Mapping[str, Mapping[str, Sequence[int]]]:
        return _LazyColumns(self.events)

    @cached_property
    def _known(self) -> Mapping[str, Set[str]]:
        """By type: the sessions that declared or recorded it."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for kind in self.recording.kinds:
            found[kind.name].add(kind.session)
        for event in self.events:
            found[event.event_type].add(event.session)
        return found

    @cached_property
    def _declared_decisions(self) -> frozenset[str]:
        return frozenset(kind.name for kind in self.recording.kinds if kind.decision)

    @cached_property
    def _first_tickets(self) -> Mapping[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        for event in self.events:
            place = event.session, event.ring
            found[place] = min(event.ticket, found.get(place, event.ticket))
        return found

    @cached_property
    def _seen(self) -> Counter[tuple[str, int, str]]:
        if self.recording.held is not None:
            return Counter(self.recording.held)
        return Counter((event.session, event.ring, event.event_type) for event in self.events)


class Names:
    """A set of ids that finds those beginning or ending with a text, in O(log n + found)."""

    def __init__(self, names: Iterable[str]) -> None:
        self.all = tuple(names)
        self._forward = sorted(self.all)
        self._backward = sorted(name[::-1] for name in self.all)

    def matching(self, text: str) -> Iterator[str]:
        """The ids that begin or end with the text, each once."""
        for name in _beginning(self._forward, text):
            yield name
        for name in _beginning(self._backward, text[::-1]):
            if not name[::-1].startswith(text):
                yield name[::-1]

    def near(self, text: str, reach: int) -> list[str]:
        """The ids that sort nearest to the text, read from either end."""
        found: dict[str, None] = {}
        for names, key, turn in (
            (self._forward, text, 1),
            (self._backward, text[::-1], -1),
        ):
            at = bisect_left(names, key)
            found.update((name[::turn], None) for name in names[max(0, at - reach) : at + reach])
        return list(found)


class _LazyColumns(dict[str, Mapping[str, Sequence[int]]]):
    """Positions by value for each column that is asked for."""

    _READ: Mapping[str, Callable[[TraceEvent], str]] = {
        "request_id": lambda event: event.request_id,
        "event_type": lambda event: event.event_type,
        "component": lambda event: event.component,
        "model_id": lambda event: event.model_id,
    }

    def __init__(self, events: Sequence[TraceEvent]) -> None:
        super().__init__()
        self._events = events

    def __missing__(self, column: str) -> Mapping[str, Sequence[int]]:
        read = self._READ[column]
        found: defaultdict[str, list[int]] = defaultdict(list)
        for position, event in enumerate(self._events):
            found[read(event)].append(position)
        self[column] = dict(found)
        return self[column]


def as_index(source: Recording | Index) -> Index:
    """The index itself, or a new one over a recording."""
    return source if isinstance(source, Index) else Index(source)


def _beginning(names: Sequence[str], prefix: str) -> Iterator[str]:
    for at in range(bisect_left(names, prefix), len(names)):
        if not names[at].startswith(prefix):
            return
        yield names[at]
