"""What lineage costs: T13, an id beside an empty builtin call; sets and joins for the record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import whence
from benchmarks.emit import EMPTY
from benchmarks.figure import Measure
from benchmarks.ratio import Call, compare
from whence import _native
from whence.lineage import (
    BatchedPublication,
    SessionPublication,
    decode_tracelink_set,
    encode_tracelink_set,
)

__all__ = ["lines", "measures"]

# The usual 12 bits allow 4,096 ids a millisecond; a tight loop would time the wait for the next.
WIDE = _native.SnowflakeGenerator(0, node_bits=0, seq_bits=22)
PAIR = (10**18, 10**18 + 1)
MANY = tuple(range(10**18, 10**18 + 64))


class _Nowhere:
    """A publication that takes all and keeps nothing."""

    def offer(self, buffer: bytes, /) -> bool:
        return True


def measures() -> Iterator[Measure]:
    """T13. R2.6"""
    mint = Call("mint()", {"mint": WIDE.next})
    yield Measure("T13", "Snowflake id / empty call", lambda: compare(mint, EMPTY))


def lines() -> Iterator[tuple[str, str, str]]:
    """Nanoseconds, and how many empty builtin calls they are: each beside one in the same run."""
    buffer = bytearray(4096)
    place = {"stream_id": 3, "epoch": 1, "seq": 9}
    rings = SessionPublication()
    for count, parents in ((2, PAIR), (64, MANY)):
        length = encode_tracelink_set(buffer, 3, 1, 9, 42, parents)
        message = bytes(buffer[:length])
        for what, statement, names in (
            ("encoded", "f(b, 3, 1, 9, 42, p)", {"f": encode_tracelink_set, "b": buffer}),
            ("decoded", "f(m)", {"f": decode_tracelink_set, "m": message}),
            ("recorded", "f(3, 1, 9, 42, p)", {"f": rings.link}),
        ):
            yield _line(f"a set of {count} parents, {what}", statement, {**names, "p": parents})
    for what, line in (
        ("minted alone", whence.Lineage(generator=WIDE, recorded=False)),
        ("recorded", whence.Lineage(generator=WIDE)),
        ("published", whence.Lineage(generator=WIDE, publication=_Nowhere(), recorded=False)),
        (
            "published in batches",
            whence.Lineage(
                generator=WIDE, publication=BatchedPublication(_Nowhere()), recorded=False
            ),
        ),
    ):
        yield _line(f"a join of 2, {what}", "f(p, **k)", {"f": line.join, "p": PAIR, "k": place})


def _line(what: str, statement: str, names: dict[str, Any]) -> tuple[str, str, str]:
    ratio = compare(Call(statement, names), EMPTY, operations=20_000)
    return what, "empty call", f"{ratio.subject_ns:,.0f} ns, {ratio.median:.0f} times"
