"""The files of links beside segments: found, checked, and made again from a segment's rows."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from whence.store.disk import Disk, read_plain_file
from whence.store.hidden import Hidden
from whence.store.lineage_rows import LINEAGE_COLUMNS, LineageRows, of_lineage
from whence.store.links import links_name, segment_of_links
from whence.store.manifest import Segment
from whence.store.place import LINKS
from whence.store.segment import is_segment_name

__all__ = ["link_files", "links_of_file", "mend_links", "what_is_wrong_with_links", "write_links"]

_NOTHING_HIDDEN = Hidden()


def link_files(root: Path) -> Iterator[str]:
    """The paths, within the store, of all files called like the links of a segment. OSError."""
    for path in sorted((root / LINKS).glob("day=*/L*.links")):
        name = path.relative_to(root).as_posix()
        if is_segment_name(segment_of_links(name)):
            yield name


def write_links(
    disk: Disk, root: Path, segment: str, content: bytes, mode: int, folder_mode: int
) -> None:
    """Puts the links of the segment of that name in their place, durably. Raises OSError."""
    path = root / links_name(segment)
    disk.make_folder(root / LINKS, folder_mode)
    disk.make_folder(path.parent, folder_mode)
    beside = path.with_name(f".{path.name}.new")
    disk.write(beside, content, mode)
    disk.replace(beside, path)
    disk.sync_folder(path.parent)


def what_is_wrong_with_links(root: Path, segment: Segment, *, whole: bool) -> str:
    """Why a segment's file of links is not the one that was written; "" if it is, or has none.

    `whole` compares its checksum. Raises OSError where that cannot be told now.
    """
    if segment.links is None or not segment.has_links:
        return ""
    path = root / links_name(segment.name)
    try:
        size = os.lstat(path).st_size
        if size != segment.links.bytes:
            return f"has {size} bytes instead of {segment.links.bytes}"
        if whole and f"{zlib.crc32(read_plain_file(path)):08x}" != segment.links.crc32:
            return "fails its checksum"
    except FileNotFoundError:
        return "is missing"
    return ""


def mend_links(disk: Disk, root: Path, segment: Segment, mode: int, folder_mode: int) -> bool:
    """Makes a segment's file of links again from its rows; whether it is as it was.

    Raises OSError, pa.ArrowException where the rows cannot be read.
    """
    made = links_of_file(root / segment.name).encoded()
    if made is None or made.entry != segment.links:
        return False
    write_links(disk, root, segment.name, made.content, mode, folder_mode)
    return True


def links_of_file(path: Path, hidden: Hidden = _NOTHING_HIDDEN) -> LineageRows:
    """What the rows of a segment's file tell, but for hidden ones. Reads the columns it needs.

    Raises OSError, pa.ArrowException for a damaged file.
    """
    found = LineageRows()
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        names = [n for n in (*LINEAGE_COLUMNS, *hidden.columns) if n in file.schema_arrow.names]
        for number in range(file.num_row_groups):
            types = file.read_row_group(number, columns=["event_type"]).column("event_type")
            if of_lineage(types) is not None:
                rows = file.read_row_group(number, columns=list(dict.fromkeys(names)))
                found.add(hidden.left_of(rows))
    return found
