"""Figures of groups of values: counts, rates, averages, percentiles, the same in every engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import NamedTuple

from whence.query.engines.shapes import Aggregate, GroupRow

__all__ = ["SHARES", "Member", "group_rows", "ordered_rows", "percentile", "seconds_asked"]

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Member(NamedTuple):
    """One event as figures see it; `value` is None where there is nothing to measure.

    `place` is what members are in order by, if not by time alone.
    """

    keys: tuple[str, ...]
    wall_ns: int
    weight: float
    value: float | None
    error: bool
    place: tuple[int, ...] = ()


def group_rows(
    question: Aggregate,
    members: Iterable[Member],
    from_wall_ns: int | None = None,
    until_wall_ns: int | None = None,
) -> list[GroupRow]:
    """The figures of each group of members, in the order of `ordered_rows`."""
    groups: defaultdict[tuple[int | None, tuple[str, ...]], list[Member]] = defaultdict(list)
    oldest, newest = None, None
    for member in members:
        at = member.wall_ns
        bucket = None if question.bucket_ns is None else at // question.bucket_ns
        groups[bucket, member.keys].append(member)
        oldest = at if oldest is None else min(oldest, at)
        newest = at if newest is None else max(newest, at)
    extent = None if oldest is None or newest is None else newest - oldest
    seconds = seconds_asked(question, from_wall_ns, until_wall_ns, extent)
    return ordered_rows(
        _row(question, bucket, keys, found, seconds) for (bucket, keys), found in groups.items()
    )


def seconds_asked(
    question: Aggregate,
    from_wall_ns: int | None,
    until_wall_ns: int | None,
    extent_ns: int | None,
) -> float | None:
    """The time that a rate is of: a bucket's, the interval's that was asked for, or the data's."""
    length_ns = question.bucket_ns
    if length_ns is None and from_wall_ns is not None and until_wall_ns is not None:
        length_ns = until_wall_ns - from_wall_ns
    length_ns = extent_ns if length_ns is None else length_ns
    return length_ns / 1e9 if length_ns and length_ns > 0 else None


def ordered_rows(rows: Iterable[GroupRow]) -> list[GroupRow]:
    """By bucket, then the largest first, then by name."""
    return sorted(rows, key=lambda row: (row.bucket_ns or 0, -row.count, row.keys))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Between the two values nearest to that share of the way, linearly; ValueError for none."""
    if not ordered:
        raise ValueError("nothing has no percentiles")
    at = share * (len(ordered) - 1)  # in floats, as engines do it
    below = int(at)
    rest = at - below
    low = float(ordered[below])
    return low if not rest else low + (float(ordered[below + 1]) - low) * rest


def _row(
    question: Aggregate,
    bucket: int | None,
    keys: tuple[str, ...],
    members: Sequence[Member],
    seconds: float | None,
) -> GroupRow:
    asked = question.measures
    count = sum(member.weight for member in members)
    measured = [(m.value, m.weight) for m in members if m.value is not None and isfinite(m.value)]
    ordered = sorted(value for value, _ in measured)
    total = sum(weight for _, weight in measured)
    shares = {name: percentile(ordered, SHARES[name]) for name in question.percentiles if ordered}
    return GroupRow(
        keys=keys,
        bucket_ns=None if bucket is None else bucket * (question.bucket_ns or 0),
        rows=len(members),
        count=count,
        rate=count / seconds if seconds and "rate" in asked else None,
        avg=sum(v * w for v, w in measured) / total if measured and "avg" in asked else None,
        sum=float(sum(v * w for v, w in measured)) if measured and "sum" in asked else None,
        min=float(ordered[0]) if ordered and "min" in asked else None,
        max=float(ordered[-1]) if ordered and "max" in asked else None,
        last=_last(members) if ordered and "last" in asked else None,
        p50=shares.get("p50"),
        p95=shares.get("p95"),
        p99=shares.get("p99"),
        error_rate=(
            sum(m.weight for m in members if m.error) / count if "error_rate" in asked else None
        ),
        weighted=any(member.weight != 1 for member in members),
    )


def _last(members: Sequence[Member]) -> float:
    """The value of the newest member that has one."""
    known = [(m.place or (m.wall_ns,), m.value) for m in members if m.value is not None]
    return float(max((place, value) for place, value in known if isfinite(value))[1])
