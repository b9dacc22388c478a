"""Drained batches become tables of a store, with a tally of what they hold of each ring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa

from whence.collect.follower import Place
from whence.collect.sink import Drained
from whence.model.recording import SessionInfo
from whence.store.manifest import RingTally
from whence.store.tables import offset_of

__all__ = ["Converted", "convert"]

_UNSIGNED = 2**64 - 1


class Converted(NamedTuple):
    """A batch's table and tallies, with the sessions that it has rows of."""

    table: pa.Table
    tallies: Mapping[Place, RingTally]
    drained: Drained


def convert(drained: Drained) -> Converted:
    """The batch as a table, in order of wall time. Most of it runs without the GIL."""
    sessions = drained.sessions
    times = drained.batch.time_range(0)
    newest_ns = times[1] if times else 0
    clocks = {name: _offset(info, newest_ns) for name, info in sessions.items()}
    table = pa.table(drained.batch.arrow(clocks))
    uuids = {info.key: (info.uuid, clocks[info.name]) for info in sessions.values()}
    grouped = table.group_by(["session", "ring"]).aggregate(
        [("ts_ns", "count"), ("ts_ns", "min"), ("ts_ns", "max")]
    )
    tallies: dict[Place, RingTally] = {}
    for row in grouped.to_pylist():
        uuid, offset_ns = uuids[row["session"] & _UNSIGNED]
        first_ns, last_ns = row["ts_ns_min"] - offset_ns, row["ts_ns_max"] - offset_ns
        tallies[uuid, row["ring"]] = RingTally(row["ts_ns_count"], first_ns, last_ns)
    return Converted(table, tallies, drained)


def _offset(info: SessionInfo, newest_ns: int) -> int:
    """Wall minus monotonic time: that of a session that has ended is the last one it took.

    The batch's newest event may be of another boot, whose clock began elsewhere.
    """
    if not info.live and info.anchors:
        newest_ns = info.anchors[-1].monotonic_ns
    return offset_of(info, newest_ns)
