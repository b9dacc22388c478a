"""The part of a large source that is needed to explain one chain, by a few small questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from whence.model.errors import AmbiguousId, IdNotFound
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.chain import find_chain
from whence.query.engines.declared_order import in_declared_order
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import Budget
from whence.query.words import can_be_typed

__all__ = ["MOST_ROWS", "around", "around_newest_wrong"]

MOST_MEANINGS = 1_000
MOST_ROWS = 200_000  # of one request, chain or trace
MOST_TRACES = 10
MOST_NAMED = 5
MOST_FRAMES, MOST_STEPS, MOST_LINKED = 3, 3, 50
MOST_CAUSES = 1_000  # ids of a chain whose effects are looked for
_SHOWN = 10


def around(
    engine: Engine, text: str, *, related: bool = False, most_rows: int = MOST_ROWS
) -> tuple[Recording, str]:
    """What explains the chain that an id, or its beginning or end, names; and the whole id.

    The recording holds the chain with all of its request, what its traces hold where spans of
    theirs are missing in it, and the requests that it names; with `related` all of its traces and
    what has its lineage ids, or names one of its ids as the cause. Raises IdNotFound with the
    nearest ids, AmbiguousId, and BudgetExceeded for a request of more than `most_rows` events.
    """
    gathering = _Gathering(engine, most_rows)
    for name in dict.fromkeys((text, text.strip().lstrip("…"))):
        if found := engine.find(name, MOST_MEANINGS):
            if len(found) > 1:
                names = tuple(each.name for each in found[:_SHOWN])
                count = f"{len(found)}{'' if len(found) < MOST_MEANINGS else ' or more'}"
                what = f"{text!r} names {count} {found[0].kind}s: give more of the id"
                raise AmbiguousId(what, names, len(found))
            kind, name = found[0]
            if kind == "event":
                seeds = gathering.event(name)
            elif kind == "request":
                seeds = gathering.load(TraceQuery(request_id=name))
            elif kind == "chain":
                seeds = gathering.load(TraceQuery(decision_chain_id=name))
            else:
                seeds = gathering.load(TraceQuery(trace_id=name))
            return gathering.complete(seeds, related=related), name
        for at, letter in enumerate(name):
            if letter == "/":
                query = TraceQuery(request_id=name[:at], decision_chain_id=name[at + 1 :])
                if seeds := gathering.load(query):
                    return gathering.complete(seeds, related=related), name
    nothing = Recording(
        sessions=tuple(engine.sessions()),
        rings=tuple(engine.ledger()),
        dropped_before_ns=getattr(engine, "dropped_before_ns", None),
    )
    try:
        find_chain(nothing, text)
    except IdNotFound as error:
        raise IdNotFound(str(error), engine.nearest(text)) from None
    return nothing, text


def around_newest_wrong(
    engine: Engine, query: TraceQuery, *, most_rows: int = MOST_ROWS
) -> tuple[Recording, TraceEvent]:
    """What explains the newest decision that went wrong, and its event; else as newest_wrong().

    Raises IdNotFound where nothing matches.
    """
    event = engine.newest_wrong(query)
    if event is None:
        nothing = "nothing is stored here" if query == TraceQuery() else "no event here is"
        raise IdNotFound(f"{nothing}{'' if query == TraceQuery() else ' what was asked for'}")
    gathering = _Gathering(engine, most_rows)
    return gathering.complete([event]), event


@dataclass
class _Gathering:
    engine: Engine
    most_rows: int
    parts: list[Recording] = field(default_factory=list)
    asked: set[TraceQuery] = field(default_factory=set)

    def load(self, query: TraceQuery) -> tuple[TraceEvent, ...]:
        """The matching events; none if they were asked for before."""
        if query in self.asked:
            return ()
        self.asked.add(query)
        self.parts.append(self.engine.recording(query, Budget(rows=self.most_rows)))
        return self.parts[-1].events

    def event(self, name: str) -> tuple[TraceEvent, ...]:
        """The event of that id."""
        event = self.engine.event(name)
        return () if event is None else (event,)

    def complete(self, seeds: Iterable[TraceEvent], *, related: bool = False) -> Recording:
        """What was gathered, with the whole chains of these events and what they lead to."""
        chain = list(seeds)
        found = chain
        for _ in range(2):  # a chain may lead to requests, these to chains
            asked = [query for event in found for query in _names(event)]
            found = [event for query in asked for event in self.load(query)]
            chain += found
        self.near_lineage(chain)
        for trace in list(dict.fromkeys(_traces(chain, related)))[:MOST_TRACES]:
            self.load(TraceQuery(trace_id=trace))
        if related:
            for lineage in list(dict.fromkeys(e.lineage_id for e in chain if e.lineage_id)):
                self.load(TraceQuery(where=f"lineage_id = {lineage}"))
            self.parts.append(self.engine.effects(_ids(chain)))
        for text in list(dict.fromkeys(_texts(chain)))[:MOST_NAMED]:
            self.load(TraceQuery(request_id=text))
        return self._merged()

    def near_lineage(self, chain: Sequence[TraceEvent]) -> None:
        """The events of the frames that those of the chain came from and went into."""
        ids: dict[int, None] = {}
        for own in list(dict.fromkeys(e.lineage_id for e in chain if e.lineage_id))[:MOST_FRAMES]:
            up = self.engine.lineage(own, "up", most_depth=MOST_STEPS, most_ids=MOST_LINKED)
            down = self.engine.lineage(own, "down", most_depth=1, most_ids=MOST_LINKED)
            if up.links or down.links:
                ids.update(dict.fromkeys((own, *up.ids, *down.ids)))
        if not ids:
            return
        found = self.engine.with_lineage(list(ids))
        names = {event.session for event in found.events}
        self.parts.append(
            replace(
                found,
                sessions=tuple(info for info in found.sessions if info.name in names),
                rings=tuple(ring for ring in found.rings if ring.session in names),
                gate_changes=tuple(each for each in found.gate_changes if each.session in names),
            )
        )

    def _merged(self) -> Recording:
        events = {(e.order_key, e.event_id): e for part in self.parts for e in part.events}
        sessions = {info.name: info for part in self.parts for info in part.sessions}
        known: dict[str, Recording] = {}
        for part in self.parts:
            for info in part.sessions:
                known.setdefault(info.name, part)
        held = {key: n for part in self.parts for key, n in (part.held or {}).items()}
        every = (k for n, part in known.items() for k in part.kinds if k.session in ("", n))
        kinds = tuple(dict.fromkeys(every))
        return Recording(
            events=in_declared_order(events.values(), kinds),
            kinds=kinds,
            sessions=tuple(sessions.values()),
            rings=tuple(r for n, part in known.items() for r in part.rings if r.session == n),
            gate_changes=tuple(
                g for n, part in known.items() for g in part.gate_changes if g.session == n
            ),
            damage=self.parts[0].damage if self.parts else (),
            dropped_before_ns=self.parts[0].dropped_before_ns if self.parts else None,
            cut_before_ns=self.parts[0].cut_before_ns if self.parts else None,
            cut_ids=self.parts[0].cut_ids if self.parts else frozenset(),
            held=held,
        )


def _names(event: TraceEvent) -> Iterator[TraceQuery]:
    """Questions for all that shares the event's chain; the event itself if it stands alone."""
    if event.request_id:
        yield TraceQuery(request_id=event.request_id)
    if event.decision_chain_id != event.request_id:
        yield TraceQuery(decision_chain_id=event.decision_chain_id)
    elif not event.request_id and event.trace_id:
        yield TraceQuery(trace_id=event.trace_id)
    elif not event.request_id:
        at = event.timestamp
        yield TraceQuery(at, at, event.event_type, session=event.session)


def _traces(events: Sequence[TraceEvent], related: bool) -> Iterator[str]:
    """The traces in which spans are that are not among these events, or, if asked for, all."""
    ended = {event.span_id for event in events if event.span}
    for event in events:
        around = event.parent_span_id if event.span else event.span_id
        if event.trace_id and (related or (around and around not in ended)):
            yield event.trace_id


def _ids(events: Sequence[TraceEvent]) -> list[str]:
    """What others may name as their cause."""
    names = [name for event in events for name in (event.request_id, event.decision_chain_id)]
    ids = dict.fromkeys([*names, *(event.event_id for event in events)])
    return [name for name in ids if name][:MOST_CAUSES]


def _texts(events: Iterable[TraceEvent]) -> Iterator[str]:
    """What may be the ids of other requests."""
    own = {name for event in events for name in (event.request_id, event.decision_chain_id)}
    for event in events:
        texts = [value for value in event.attributes.values() if isinstance(value, str)]
        for text in (event.caused_by, *texts):
            if can_be_typed(text) and text not in own and " " not in text:
                yield text
