"""Walks links from a lineage id up to all it was made from, or down to all it went into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

__all__ = ["DEEPEST", "MOST_IDS", "Edges", "Lineage", "LineageLink", "Way", "walk"]

Way = Literal["up", "down"]

MOST_IDS = 100_000
DEEPEST = 1_000


class LineageLink(NamedTuple):
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


class Edges(Protocol):
    """Knows links: of rows, of files, or of windows."""

    def step(self, ids: Sequence[int], way: Way) -> Iterable[tuple[int, int]]:
        """The links, as child and parent, that lead from these ids up or down; in any order."""


def walk(
    edges: Sequence[Edges],
    lineage_id: int,
    direction: Way = "up",
    *,
    most_depth: int = DEEPEST,
    most_ids: int = MOST_IDS,
) -> Lineage:
    """Breadth first from one id: up to its ancestors, or down to its descendants.

    Raises ValueError for limits below 1 or an id of 0, and what the edges raise. Past `most_ids`
    the least ids of the last level are taken.
    """
    if most_depth < 1 or most_ids < 1 or lineage_id == 0:
        raise ValueError("limits are at least 1, and a lineage id is not 0")
    seen = {lineage_id}
    frontier = [lineage_id]
    levels: list[tuple[int, ...]] = [(lineage_id,)]
    links: list[LineageLink] = []
    cut: Literal["", "depth", "size"] = ""
    far = 1 if direction == "up" else 0
    while frontier and not cut:
        found = sorted({link for each in edges for link in each.step(frontier, direction)})
        if found and len(levels) > most_depth:
            cut = "depth"
            break
        fresh = sorted({link[far] for link in found} - seen)
        if len(seen) - 1 + len(fresh) > most_ids:
            cut = "size"
            fresh = fresh[: most_ids - (len(seen) - 1)]
            kept = seen.union(fresh)
            found = [link for link in found if link[far] in kept]
        depth = len(levels)
        links += (LineageLink(child, parent, depth) for child, parent in found)
        if fresh:
            levels.append(tuple(fresh))
            seen.update(fresh)
        frontier = fresh
    return Lineage(lineage_id, tuple(levels), tuple(links), _cycles(links, direction), cut)


def _cycles(links: Sequence[LineageLink], direction: str) -> tuple[LineageLink, ...]:
    """The links that close a circle: found by a walk in depth, without recursion.

    Where every parent is less than its child, as with ids that grow with time, there is none.
    """
    if all(link.parent < link.child for link in links):
        return ()
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
