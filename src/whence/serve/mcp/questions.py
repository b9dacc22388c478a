"""The questions as tools ask them: each is answered as its command answers with --json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from whence.model.errors import BudgetExceeded
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import KindCounts, Recording, RingLedger
from whence.query.chain import find_chain
from whence.query.compare import compare
from whence.query.contracts.contract import Contract
from whence.query.contracts.verify import verify
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import Budget, PageKey
from whence.query.engines.traces import TraceKey
from whence.query.index import Index
from whence.query.lineage_answer import found_lineage_id, lineage_answer
from whence.query.plain import plain, plain_event
from whence.query.reach import around, around_newest_wrong
from whence.query.why import Answer, why
from whence.serve.mcp.asked import (
    AskChain,
    AskCompare,
    AskLedger,
    AskLineage,
    AskSelect,
    AskTraces,
    AskVerify,
    AskWhy,
)
from whence.serve.mcp.fit import LEFT_OUT, Cut, size_of
from whence.serve.trace_shapes import plain_row

__all__ = ["Costs", "ask_chain", "ask_compare", "ask_ledger", "ask_lineage", "ask_select",
           "ask_traces", "ask_verify", "ask_why"]  # fmt: skip

_COUNTED = tuple(f.name for f in fields(KindCounts) if f.name not in ("kind", "component"))


@dataclass(frozen=True, slots=True)
class Costs:
    """What a question may cost, and the contracts that chains are held to."""

    contracts: Sequence[Contract]
    rows: int
    bytes: int

    @property
    def budget(self) -> Budget:
        """As engines take it."""
        return Budget(rows=self.rows)


def ask_why(engine: Engine, asked: AskWhy, costs: Costs) -> dict[str, Any]:
    """Why a request went as it did."""
    answer = _why(engine, asked.id, costs)
    found: dict[str, Any] = plain(answer)
    return _first_rows(found, "story", asked.rows)


def ask_chain(engine: Engine, asked: AskChain, costs: Costs) -> dict[str, Any]:
    """The events of a chain, in order."""
    recording, name = around(engine, asked.id, most_rows=costs.rows)
    found = find_chain(Index(recording), name)
    shown = found.events[: asked.rows]
    answer = {
        "request_id": found.request_id,
        "decision_chain_id": found.chain_id,
        "events": [_event(event, recording.wall_ns(event)) for event in shown],
    }
    return answer | _rest(events=(len(shown), len(found.events)))


def ask_select(engine: Engine, asked: AskSelect, costs: Costs) -> dict[str, Any]:
    """A page of events; it has as many as there is room for, and goes on behind these."""
    query = asked.query(_newest(engine, asked.last))
    after = None if asked.after is None else PageKey.parse(asked.after)

    def page(rows: int) -> tuple[list[dict[str, Any]], object]:
        found = engine.select(
            query, order=asked.order, limit=rows, after=after, budget=costs.budget
        )
        return [*map(_event, found.events, found.wall_ns)], found.next

    return _page("events", page, asked.rows, costs.bytes)


def ask_verify(engine: Engine, asked: AskVerify, costs: Costs) -> dict[str, Any]:
    """Which chains keep their contracts, and what the others lack."""
    query = asked.query(_newest(engine, asked.last))

    def among(index: Index) -> Callable[[TraceEvent], bool]:
        return lambda event: query.matches(event, index.recording.wall_ns(event))

    found = verify(
        _at_most(costs.rows, engine.whole_chains(query)),
        costs.contracts,
        strict=asked.strict,
        among=None if query == TraceQuery() else among,
        most_flaws=asked.rows,
    )
    answer: dict[str, Any] = plain(found)
    return answer


def ask_lineage(engine: Engine, asked: AskLineage, costs: Costs) -> dict[str, Any]:
    """What an id was made of, or what was made of it."""
    answer: dict[str, Any] = plain(
        lineage_answer(
            engine,
            found_lineage_id(engine, asked.id),
            asked.direction,
            most_depth=asked.depth,
            most_ids=asked.rows,
            source_words=None,
        )
    )
    return answer


def ask_ledger(engine: Engine, asked: AskLedger, costs: Costs) -> dict[str, Any]:
    """What was recorded, what can be read and what was lost."""
    rings = sorted(engine.ledger(), key=lambda ring: -ring.lost)
    sums = {
        name: sum(getattr(ring, name) for ring in rings)
        for name in ("recorded", "readable", "lost", "text_lost", "truncated")
    }
    sessions = sorted(engine.sessions(), key=lambda each: -each.started_wall_ns)
    shown = [
        {name: part for name, part in plain(ring).items() if name != "per_kind"}
        for ring in rings[: asked.rows]
    ]
    answer = {
        **sums,
        "closes": all(ring.closes for ring in rings),
        "sessions": plain(sessions[: asked.rows]),
        "rings": shown,
        "kinds": list(_by_kind(rings)),
    }
    return answer | _rest(rings=(len(shown), len(rings)), sessions=(asked.rows, len(sessions)))


def ask_traces(engine: Engine, asked: AskTraces, costs: Costs) -> dict[str, Any]:
    """A page of traces, a row each."""
    wanted = asked.filter(_newest(engine, asked.last))
    after = None if asked.after is None else TraceKey.parse(asked.after)
    total = 0

    def page(rows: int) -> tuple[list[dict[str, Any]], object]:
        nonlocal total
        found = engine.traces(wanted, sort=asked.sort, limit=rows, after=after, budget=costs.budget)
        total = found.total
        return [*map(plain_row, found.items)], found.next

    answer = _page("traces", page, asked.rows, costs.bytes)
    return answer | {"total": total}


def ask_compare(engine: Engine, asked: AskCompare, costs: Costs) -> dict[str, Any]:
    """Two chains side by side: what is the same, what differs, where the time went."""
    a, a_name = around(engine, asked.a, most_rows=costs.rows)
    b, b_name = around(engine, asked.b, most_rows=costs.rows)
    found: dict[str, Any] = plain(compare(a, a_name, b, b_name, costs.contracts))
    return _first_rows(found, "steps", asked.rows)


def _why(engine: Engine, text: str, costs: Costs) -> Answer:
    if text != "newest":
        recording, name = around(engine, text, most_rows=costs.rows)
        return why(recording, name, costs.contracts, source_words=None)
    recording, chosen = around_newest_wrong(engine, TraceQuery(), most_rows=costs.rows)
    key = chosen.order_key, chosen.event_id
    return why(
        recording,
        None,
        costs.contracts,
        source_words=None,
        among=lambda event: (event.order_key, event.event_id) == key,
    )


def _page(
    name: str, page: Callable[[int], tuple[list[dict[str, Any]], object]], rows: int, room: int
) -> dict[str, Any]:
    """A page that fits: what is too many is on the next one, whose cursor it names."""
    items, following = page(rows)
    fitting, used = 0, 200
    for item in items:
        used += size_of(item) + 1
        if used > room:
            break
        fitting += 1
    if fitting < len(items):
        items, following = page(max(1, fitting))
    return {name: items, "next": None if following is None else str(following)}


def _event(event: TraceEvent, wall_ns: int | None) -> dict[str, Any]:
    return plain_event(event) | ({} if wall_ns is None else {"wall_ns": wall_ns})


def _first_rows(answer: dict[str, Any], name: str, rows: int) -> dict[str, Any]:
    every = answer[name]
    return answer | {name: every[:rows]} | _rest(**{name: (rows, len(every))})


def _rest(**counts: tuple[int, int]) -> dict[str, Any]:
    """What rows were left out, of lists that show so many of so many."""
    cuts = [Cut(name, shown, of, "rows") for name, (shown, of) in counts.items() if shown < of]
    return {LEFT_OUT: [cut._asdict() for cut in cuts]} if cuts else {}


def _by_kind(rings: Iterable[RingLedger]) -> Iterator[dict[str, Any]]:
    sums: dict[tuple[str, str], Counter[str]] = {}
    for ring in rings:
        for kind in ring.per_kind:
            counts = sums.setdefault((kind.kind, kind.component), Counter())
            counts.update({name: getattr(kind, name) for name in _COUNTED})
    for (name, component), counts in sorted(sums.items()):
        yield {"event_type": name, "component": component, **counts}


def _newest(engine: Engine, last: str | None) -> int | None:
    return None if last is None else engine.newest_wall_ns()


def _at_most(rows: int, recordings: Iterable[Recording]) -> Iterator[Recording]:
    count = 0
    for recording in recordings:
        count += len(recording.events)
        if count > rows:
            raise BudgetExceeded(f"the chains have more than {rows} events")
        yield recording
