"""What every engine must answer alike, asked of one after the other over the same events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from whence.model.query import TraceQuery
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import ORDERS, Aggregate, GroupRow, PageKey
from whence.query.plain import plain_event

__all__ = [
    "check_figures",
    "check_ids",
    "check_pages",
    "check_recordings",
    "check_rows",
    "check_selections",
]

Engines = Mapping[str, Engine]
_FIGURES = ("count", "rate", "avg", "min", "max", "last", "p50", "p95", "p99", "error_rate")


def check_selections(engines: Engines, queries: Sequence[TraceQuery], limit: int = 1_000) -> None:
    """The same events, of the same wall times, in each order."""
    for query in queries:
        for order in ORDERS:
            first, *others = (
                (name, engine.select(query, order=order, limit=limit))
                for name, engine in engines.items()
            )
            for name, page in others:
                assert _plain(page.events) == _plain(first[1].events), (name, order, query)
                assert page.wall_ns == first[1].wall_ns, (name, order, query)


def check_pages(engines: Engines, size: int) -> None:
    """Page after page each event comes once, and a key of one engine is one of any other."""
    for order in ORDERS:
        names = list(engines)
        whole = engines[names[0]].select(TraceQuery(), order=order, limit=100_000).events
        seen: list[Any] = []
        key = None
        turn = 0
        while True:
            page = engines[names[turn % len(names)]].select(
                TraceQuery(), order=order, limit=size, after=key
            )
            seen += page.events
            turn += 1
            if page.next is None:
                break
            key = PageKey.parse(str(page.next))
        assert _plain(seen) == _plain(whole), order


def check_figures(engines: Engines, question: Aggregate, query: TraceQuery) -> int:
    """The same groups in the same order with the same figures; how many groups there were."""
    return check_rows({name: engine.aggregate(question, query) for name, engine in engines.items()})


def check_rows(answers: Mapping[str, Sequence[GroupRow]]) -> int:
    """The same for answers that are there."""
    first, *others = answers.items()
    for name, rows in others:
        assert [_counts(row) for row in rows] == [_counts(row) for row in first[1]], name
        for row, wanted in zip(rows, first[1], strict=True):
            for figure in _FIGURES:
                value, other = getattr(row, figure), getattr(wanted, figure)
                assert (value is None) == (other is None), (name, figure, row)
                close = value is None or math.isclose(value, other, rel_tol=1e-12)
                assert close, (name, figure, row, wanted)
    return len(first[1])


def check_ids(engines: Engines, texts: Sequence[str]) -> None:
    """The same things are meant by an id or a part of one."""
    for text in texts:
        first, *others = ((name, engine.find(text, 30)) for name, engine in engines.items())
        for name, found in others:
            assert found == first[1], (name, text)


def check_recordings(engines: Engines, queries: Sequence[TraceQuery]) -> None:
    """The same events with the same kinds, sessions, ledgers and gates; the same to explain."""
    for query in queries:
        first, *others = (
            (name, engine.recording(query), engine.newest_wrong(query))
            for name, engine in engines.items()
        )
        for name, recording, wrong in others:
            assert _plain(recording.events) == _plain(first[1].events), (name, query)
            for part in ("kinds", "rings", "gate_changes"):
                found, wanted = getattr(recording, part), getattr(first[1], part)
                assert sorted(map(repr, found)) == sorted(map(repr, wanted)), (name, part)
            names = [{info.name for info in each.sessions} for each in (recording, first[1])]
            assert names[0] == names[1], name
            assert (wrong and plain_event(wrong)) == (first[2] and plain_event(first[2])), name


def _plain(events: Sequence[Any]) -> list[dict[str, Any]]:
    """In a form in which NaN equals itself."""
    return [plain_event(event) for event in events]


def _counts(row: GroupRow) -> tuple[Any, ...]:
    return row.keys, row.bucket_ns, row.rows, row.weighted, row.approx
