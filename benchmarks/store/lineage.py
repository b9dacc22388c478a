"""T33: how long the ancestors of a frame take, 20 steps up through five million links."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from benchmarks.store.questions import Latency, taken
from benchmarks.store.rows import Load, links
from whence.query.lineage import walk
from whence.store.links import LinkPair, LinkSegment, MappedLinks, write_link_segment

__all__ = ["walks"]

LINKS = 5_000_000
SEGMENTS = 8
DEPTH = 20


def walks(folder: Path, count: int = LINKS, times: int = 300) -> tuple[Latency, float]:
    """The latency, and how many ids a walk finds on average."""
    children, parents = links(Load(8), count)
    segments = []
    for number, part in enumerate(np.array_split(np.arange(count), SEGMENTS)):
        path = folder / f"links-{number}"
        write_link_segment(path, LinkPair(children[part], parents[part]))
        segments.append(LinkSegment(path))
    chance = random.Random(4)
    roots = [int(children[chance.randrange(count)]) for _ in range(times + 3)]
    found = []

    def ask(number: int) -> int:
        found.append(len(walk([MappedLinks(segments)], roots[number], "up", most_depth=DEPTH).ids))
        return found[-1]

    return taken(ask, times), sum(found) / len(found)
