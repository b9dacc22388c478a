"""Walks links from a lineage id up to all it was made from, or down to all it went into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from whence.store.links import Ids, LinkPair, LinkSegment

__all__ = ["Lineage", "LineageLink", "walk"]

MOST_IDS = 100_000
DEEPEST = 1_000


@dataclass(frozen=True, slots=True)
class LineageLink:
    """One link, seen from the id asked for: `depth` links lie between it and the farther end."""

    child: int
    parent: int
    depth: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """What is linked to one id in one direction.

    `levels` are the ids by their least distance: levels[0] is the id alone. `links` are all the
    links that were walked. `cycles` are those of them that lead back to an id nearer to the root
    of the walk on their own path, which no honest recording has. `cut` says what ended the walk
    early: "depth", "size", or "" where there was no more.
    """

    root: int
    levels: tuple[tuple[int, ...], ...]
    links: tuple[LineageLink, ...]
    cycles: tuple[LineageLink, ...] = ()
    cut: Literal["", "depth", "size"] = ""

    @property
    def ids(self) -> tuple[int, ...]:
        """All ids that were reached, the nearest first; the root is not among them."""
        return tuple(each for level in self.levels[1:] for each in level)


def walk(
    segments: Sequence[LinkSegment],
    lineage_id: int,
    direction: Literal["up", "down"] = "up",
    *,
    most_depth: int = DEEPEST,
    most_ids: int = MOST_IDS,
) -> Lineage:
    """Breadth first from one id: up to its ancestors, or down to its descendants.

    Ids are signed, as they are stored. Costs a binary search for each id and segment; raises
    ValueError for limits below 1 or an id of 0.
    """
    if most_depth < 1 or most_ids < 1 or lineage_id == 0:
        raise ValueError("limits are at least 1, and a lineage id is not 0")
    seen = np.array([lineage_id], dtype=np.int64)
    frontier = seen
    levels = [(lineage_id,)]
    links: list[LineageLink] = []
    cut: Literal["", "depth", "size"] = ""
    while len(frontier):
        found = _step(segments, frontier, direction)
        if len(found.children) and len(levels) > most_depth:
            cut = "depth"
            break
        far = found.parents if direction == "up" else found.children
        fresh = np.setdiff1d(far, seen)
        if len(seen) - 1 + len(fresh) > most_ids:
            cut = "size"
            fresh = fresh[: most_ids - (len(seen) - 1)]
            kept = np.isin(far, np.union1d(seen, fresh))
            found = LinkPair(found.children[kept], found.parents[kept])
        depth = len(levels)
        pairs = zip(found.children.tolist(), found.parents.tolist(), strict=True)
        links += (LineageLink(child, parent, depth) for child, parent in pairs)
        if len(fresh):
            levels.append(tuple(fresh.tolist()))
            seen = np.union1d(seen, fresh)
        if cut:
            break
        frontier = fresh
    return Lineage(lineage_id, tuple(levels), tuple(links), _cycles(links, direction), cut)


def _step(segments: Sequence[LinkSegment], frontier: Ids, direction: str) -> LinkPair:
    """The links that lead on from the frontier, each once, in order."""
    if direction == "up":
        parts = [segment.parents_of(frontier) for segment in segments]
    else:
        parts = [segment.children_of(frontier) for segment in segments]
    parts = [part for part in parts if len(part.children)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return LinkPair(np.empty(0, np.int64), np.empty(0, np.int64))
    both = np.unique(
        np.stack([np.concatenate(column) for column in zip(*parts, strict=True)]), axis=1
    )
    return LinkPair(both[0], both[1])


def _cycles(links: Sequence[LineageLink], direction: str) -> tuple[LineageLink, ...]:
    """The links that close a circle: found by a walk in depth, without recursion."""
    onward: dict[int, list[LineageLink]] = {}
    for link in links:
        near = link.child if direction == "up" else link.parent
        onward.setdefault(near, []).append(link)
    done: set[int] = set()
    cycles = []
    for start in onward:
        if start in done:
            continue
        path: dict[int, int] = {start: 0}  # ids on the way from `start`, and which link is next
        stack = [start]
        while stack:
            here = stack[-1]
            ways, at = onward.get(here, ()), path[here]
            if at == len(ways):
                done.add(here)
                del path[stack.pop()]
                continue
            path[here] = at + 1
            link = ways[at]
            far = link.parent if direction == "up" else link.child
            if far in path:
                cycles.append(link)
            elif far not in done:
                path[far] = 0
                stack.append(far)
    return tuple(cycles)
