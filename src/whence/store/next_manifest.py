"""What a manifest becomes by one more append, if that is a new one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from whence.collect.sink_ledger import SinkLedger
from whence.store.manifest import Manifest, RingTally

__all__ = ["next_manifest"]

T = TypeVar("T")


def next_manifest(
    old: Manifest,
    rows: int,
    positions: Mapping[str, Mapping[int, int]],
    ledger: SinkLedger | None,
    rings: Mapping[str, Mapping[int, RingTally]],
    undelivered_in: Collection[str] | None,
    filtered: bool,
    forget: Collection[str],
) -> Manifest | None:
    """The next generation, but for its files; None if these rows are there already.

    Raises ValueError for positions of which one would go back while others go on.
    """
    moves = [
        (position, old.positions.get(uuid, {}).get(ring, -1))
        for uuid, by_ring in positions.items()
        for ring, position in by_ring.items()
    ]
    if moves and rows and all(position <= known for position, known in moves):
        return None
    if any(position < known for position, known in moves):
        raise ValueError("some of these events are there already: a position would go back")
    spoiled = old.undelivered_in if undelivered_in is None else sorted(undelivered_in)
    new = replace(
        old,
        generation=old.generation + 1,
        positions=_merged(old.positions, positions),
        rings=_merged(old.rings, rings),
        ledger=ledger or old.ledger,
        undelivered_in=tuple(spoiled),
        filtered=old.filtered or filtered,
    )
    return new.without(frozenset(forget))


def _merged(
    old: Mapping[str, Mapping[int, T]], new: Mapping[str, Mapping[int, T]]
) -> Mapping[str, Mapping[int, T]]:
    return {**old, **{uuid: {**old.get(uuid, {}), **rings} for uuid, rings in new.items()}}
