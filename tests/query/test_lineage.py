"""Walking links: every ancestor and descendant is found once, within limits, cycles and all."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.query.lineage import Lineage, walk
from whence.store.links import LinkPair, LinkSegment, MappedLinks, write_link_segment

Links = list[tuple[int, int]]


def segments(folder: Path, *parts: Links) -> list[MappedLinks]:
    made = []
    for number, links in enumerate(parts):
        table = np.array(links, dtype=np.int64).reshape(-1, 2)
        path = folder / f"{number}.links"
        write_link_segment(path, LinkPair(table[:, 0], table[:, 1]))
        made.append(LinkSegment(path))
    return [MappedLinks(made)]


def distances(links: Links, root: int, up: bool) -> dict[int, int]:
    """By brute force: how far each id is that can be reached."""
    found = {root: 0}
    for _ in range(len(links)):
        for child, parent in links:
            near, far = (child, parent) if up else (parent, child)
            if near in found:
                found[far] = min(found.get(far, len(links) + 1), found[near] + 1)
    return found


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=30),
    st.integers(0, 30),
    st.sampled_from(["up", "down"]),
)
@settings(deadline=None, max_examples=150)
def test_a_walk_finds_what_brute_force_finds(
    tmp_path_factory: pytest.TempPathFactory, links: Links, cut: int, way: Literal["up", "down"]
) -> None:
    """Levels are the least distances, links all those between reached ids, over any split. R5.15"""
    folder = tmp_path_factory.mktemp("links")
    found = walk(segments(folder, links[:cut], links[cut:]), 5, way)
    expected = distances(links, 5, way == "up")
    assert {each: n for n, level in enumerate(found.levels) for each in level} == expected
    reached = {link for link in links if link[0 if way == "up" else 1] in expected}
    assert {(link.child, link.parent) for link in found.links} == reached
    assert len(found.links) == len(reached)
    assert bool(found.cycles) == has_circle(reached)
    assert found.cut == ""


def has_circle(links: set[tuple[int, int]]) -> bool:
    left = set(links)
    while True:
        children = {child for child, _ in left}
        kept = {(child, parent) for child, parent in left if parent in children}
        if kept == left:
            return bool(left)
        left = kept


def line(found: Lineage) -> list[tuple[int, int, int]]:
    return [(link.child, link.parent, link.depth) for link in found.links]


def test_links_name_their_depth(tmp_path: Path) -> None:
    """A join of two pages, one of which was cut from a third, is told level by level. R5.15"""
    found = walk(segments(tmp_path, [(9, 7), (9, 8), (8, 3)]), 9)
    assert found.levels == ((9,), (7, 8), (3,))
    assert line(found) == [(9, 7, 1), (9, 8, 1), (8, 3, 2)]
    assert found.ids == (7, 8, 3)


def test_a_walk_ends_at_its_depth(tmp_path: Path) -> None:
    """Of a line of links no more levels are given than were asked for, and the answer says so."""
    parts = segments(tmp_path, [(n, n - 1) for n in range(2, 50)])
    found = walk(parts, 49, most_depth=3)
    assert (found.ids, found.cut) == ((48, 47, 46), "depth")
    assert walk(parts, 4, most_depth=3).cut == ""


def test_a_walk_ends_at_its_size(tmp_path: Path) -> None:
    """Of a wide join no more ids are given than were asked for, and the answer says so."""
    parts = segments(tmp_path, [(1_000, n) for n in range(1, 500)])
    found = walk(parts, 1_000, most_ids=10)
    assert (len(found.ids), len(found.links), found.cut) == (10, 10, "size")


def test_a_cycle_is_reported_and_walked_once(tmp_path: Path) -> None:
    """Links that run in a circle end the walk, and the one that closes it is named. R5.15"""
    found = walk(segments(tmp_path, [(3, 2), (2, 1), (1, 3)]), 3)
    assert found.ids == (2, 1)
    assert [(link.child, link.parent) for link in found.cycles] == [(1, 3)]


def test_an_unknown_id_stands_alone(tmp_path: Path) -> None:
    """An id that nothing is linked to has an answer: itself."""
    found = walk(segments(tmp_path, [(2, 1)]), 77)
    assert (found.levels, found.links, found.cut) == (((77,),), (), "")


@pytest.mark.parametrize("wrong", [{"most_depth": 0}, {"most_ids": 0}, {"lineage_id": 0}])
def test_senseless_limits_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    """Limits below one and the id that means none raise ValueError."""
    with pytest.raises(ValueError, match="at least 1"):
        walk(segments(tmp_path, [(2, 1)]), **{"lineage_id": 2, **wrong})  # type: ignore[arg-type]
