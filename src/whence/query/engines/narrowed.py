"""Where the rows of a request, chain or trace lie: found by the indexes in a store's files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from whence.model.query import TraceQuery
from whence.model.span import is_trace_id
from whence.query.sql.statement import is_storable
from whence.store.id_index import text_hash, times_of, trace_hash
from whence.store.manifest import Segment

__all__ = ["holding", "named", "narrowed"]

MOST_HASHES = 500  # looked up in every file
_LATEST = 2**63 - 1


def narrowed(
    root: Path, files: Sequence[Segment], query: TraceQuery
) -> tuple[list[Segment], TraceQuery]:
    """The files that may hold matching events, and the same question of less time.

    Costs some 10 us a file if the question names an id, and nothing otherwise. Raises OSError.
    """
    hashes = list(_hashes(query))
    if query.trace_ids is not None and len(query.trace_ids) > 1:
        files = holding(root, files, query.trace_ids)
    if not hashes:
        return list(files), query
    kept, times = [], []
    for each in files:
        found: tuple[int, int] | None = each.min_ts, each.max_ts
        if each.ids is not None:
            with contextlib.suppress(ValueError):  # it is damaged, and reading it will tell
                found = times_of(f"{root}/{each.name}", each.ids, hashes)
        if found is not None:
            kept.append(each)
            times.append(found)
    if not kept:
        return [], query
    since, until = min(low for low, _ in times), max(high for _, high in times) + 1
    if query.from_wall_ns is not None:
        since = max(since, query.from_wall_ns)
    if query.until_wall_ns is not None:
        until = min(until, query.until_wall_ns)
    bounded = None if until > _LATEST else until
    return kept, replace(query, from_wall_ns=since, until_wall_ns=bounded)


def holding(root: Path, files: Sequence[Segment], traces: Sequence[str]) -> list[Segment]:
    """The files that may hold events of these traces: some 10 us a file and trace. OSError."""
    hashes = [trace_hash(each) for each in dict.fromkeys(traces)]
    return list(files) if len(hashes) > MOST_HASHES else [e for e in files if _has(root, e, hashes)]


def named(kind: str, text: str) -> TraceQuery:
    """A question for which the same files count as for that request, chain or trace."""
    if kind == "request":
        return TraceQuery(request_id=text)
    if kind == "chain":
        return TraceQuery(decision_chain_id=text)
    return TraceQuery(trace_id=text.lower()) if is_trace_id(text.lower()) else TraceQuery()


def _has(root: Path, file: Segment, hashes: Sequence[int]) -> bool:
    if file.ids is None:
        return True
    try:
        return any(times_of(f"{root}/{file.name}", file.ids, [each]) for each in hashes)
    except ValueError:  # it is damaged, and reading it will tell
        return True


def _hashes(query: TraceQuery) -> Iterator[int]:
    for text in (query.request_id, query.decision_chain_id):
        if text and is_storable(text):
            yield text_hash(text)
    if query.trace_ids is not None and len(query.trace_ids) == 1:
        yield trace_hash(query.trace_ids[0])
