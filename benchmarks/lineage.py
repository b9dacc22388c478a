"""What lineage costs: T13, an id beside an empty builtin call."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.emit import EMPTY
from benchmarks.figure import Measure
from benchmarks.ratio import Call, compare
from whence import _native

__all__ = ["measures"]

# The usual 12 bits allow 4,096 ids a millisecond; a tight loop would time the wait for the next.
WIDE = _native.SnowflakeGenerator(0, node_bits=0, seq_bits=22)


def measures() -> Iterator[Measure]:
    """T13. R2.6"""
    mint = Call("mint()", {"mint": WIDE.next})
    yield Measure("T13", "Snowflake id / empty call", lambda: compare(mint, EMPTY))
