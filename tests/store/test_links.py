"""Links at rest: what is written is found from both ends, and a damaged file is told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.model.errors import CorruptFile, UnsupportedFormat
from whence.store.links import Ids, LinkPair, LinkSegment, merged, write_link_segment

LINEAGE_ID = st.integers(-(2**63), 2**63 - 1).filter(bool)
LINKS = st.lists(st.tuples(LINEAGE_ID | st.integers(1, 9), LINEAGE_ID | st.integers(1, 9)))


def columns(links: list[tuple[int, int]]) -> LinkPair:
    table = np.array(links, dtype=np.int64).reshape(-1, 2)
    return LinkPair(table[:, 0], table[:, 1])


def rows(links: LinkPair) -> list[tuple[int, int]]:
    return list(zip(links.children.tolist(), links.parents.tolist(), strict=True))


def ids(*numbers: int) -> Ids:
    return np.array(sorted(numbers), dtype=np.int64)


@given(LINKS, st.lists(LINEAGE_ID | st.integers(1, 9), max_size=5, unique=True))
@settings(deadline=None, max_examples=60)
def test_links_are_found_from_both_ends(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[int, int]], asked: list[int]
) -> None:
    """A segment answers as a search through the plain list of its links does. R5.15"""
    path = tmp_path_factory.mktemp("links") / "a.links"
    assert write_link_segment(path, columns(links)) == len(set(links))
    segment = LinkSegment(path)
    segment.check()
    assert rows(segment.links()) == sorted(set(links))
    up = rows(segment.parents_of(ids(*asked)))
    assert sorted(up) == sorted(link for link in set(links) if link[0] in asked)
    down = rows(segment.children_of(ids(*asked)))
    assert sorted(down) == sorted(link for link in set(links) if link[1] in asked)


def test_merged_segments_hold_each_link_once(tmp_path: Path) -> None:
    """What two segments share stands once in the one that takes their place."""
    for name, links in (("a", [(3, 1), (3, 2)]), ("b", [(3, 2), (4, 3)])):
        write_link_segment(tmp_path / name, columns(links))
    both = merged([LinkSegment(tmp_path / "a"), LinkSegment(tmp_path / "b")])
    write_link_segment(tmp_path / "c", both)
    assert rows(LinkSegment(tmp_path / "c").links()) == [(3, 1), (3, 2), (4, 3)]


def test_an_id_of_zero_is_refused(tmp_path: Path) -> None:
    """Zero means that there is no lineage, so it cannot be linked."""
    with pytest.raises(ValueError, match="0 is none"):
        write_link_segment(tmp_path / "a", columns([(0, 1)]))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    """Segments never change once they are written."""
    write_link_segment(tmp_path / "a", columns([(2, 1)]))
    with pytest.raises(FileExistsError):
        write_link_segment(tmp_path / "a", columns([(3, 1)]))
    assert rows(LinkSegment(tmp_path / "a").links()) == [(2, 1)]


@pytest.mark.parametrize("kept", [0, 7, 31, 32, 100])
def test_a_file_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    """Whatever is left of a file, no link is read from it."""
    path = tmp_path / "a"
    write_link_segment(path, columns([(n, n - 1) for n in range(2, 20)]))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CorruptFile):
        LinkSegment(path)


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    """A byte that is not as it was written is found, wherever in the file it stands."""
    path = tmp_path / "a"
    write_link_segment(path, columns([(2, 1), (3, 1), (3, 2)]))
    whole = path.read_bytes()
    for at in range(len(whole) - 4 * 8 * 3):
        if at in range(28, 32):
            continue  # of the header's last word nothing depends
        spoilt = bytearray(whole)
        spoilt[at] ^= 0x40
        path.write_bytes(spoilt)
        with pytest.raises((CorruptFile, UnsupportedFormat)):
            LinkSegment(path).check()
    for at in range(32, len(whole)):
        spoilt = bytearray(whole)
        spoilt[at] ^= 0x01
        path.write_bytes(spoilt)
        with pytest.raises(CorruptFile):
            LinkSegment(path).check()
