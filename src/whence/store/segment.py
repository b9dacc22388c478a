"""A segment: one immutable Parquet file, how it is encoded, named, noted and checked."""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from whence.model.errors import CorruptFile
from whence.store.disk import read_plain_file
from whence.store.id_index import BLOCK_ROWS, IdIndex, IdPlace
from whence.store.lineage_rows import LineageRows
from whence.store.links import LinksFile
from whence.store.manifest import (
    Promoted,
    Segment,
    parsed_columns,
    parsed_links,
    plain_columns,
)
from whence.store.promoted import blanks_of, with_own_columns

__all__ = [
    "Encoded",
    "Note",
    "OwnColumns",
    "days_of",
    "encode_segment",
    "footer_note",
    "in_order",
    "is_segment_name",
    "new_ulid",
    "parquet_writer",
    "read_note",
    "segment_name",
    "what_is_wrong",
]

ROW_GROUP = 49_152
ORDER = ("ts_ns", "session", "ring", "ticket")
DAY_NS = 86_400_000_000_000
MOST_DAYS = 32
FEW_ROWS = 256
_BLOOMS = ("request_id", "lineage_id")
_PLAIN_INTEGERS = frozenset({"lineage_id"})  # random numbers: nothing to gain by differences
_IN_DICTIONARIES = ("session", "ring", "offset_ns", "attr_str_", "attr_num_")
_NOTE = b"whence"
_NAME = re.compile(
    r"events/day=-?\d{4,6}-\d\d-\d\d/L(\d)-(-?\d+)-(-?\d+)-([0-9A-HJKMNP-TV-Z]{26})\.parquet"
)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OwnColumns(TypedDict):
    """What a segment says of its columns: see Segment."""

    promoted: Promoted
    blank: frozenset[str]


class Encoded(NamedTuple):
    """A segment's entry, the bytes of its file, and those of its links, if it has any."""

    segment: Segment
    content: memoryview
    links: bytes | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What a segment says of itself, read from its own footer, and what its commit said."""

    segment: Segment
    commit: dict[str, Any]


def in_order(table: pa.Table) -> pa.Table:
    """The rows sorted by time, then session, ring and ticket; the table itself if they are.

    Raises KeyError for a table that lacks one of these.
    """
    table.select(ORDER)
    return table if _is_in_order(table) else table.sort_by([(name, "ascending") for name in ORDER])


def days_of(table: pa.Table) -> Iterator[pa.Table]:
    """The rows of each UTC day of a table in order; beyond 32 days the rest is one part."""
    times = table.column("ts_ns")
    first, rows = 0, len(table)
    for part in range(MOST_DAYS):
        if first >= rows:
            return
        end_ns = (times[first].as_py() // DAY_NS + 1) * DAY_NS
        last = part == MOST_DAYS - 1 or times[rows - 1].as_py() < end_ns
        end = rows if last else _first_from(times, end_ns, first, rows)
        yield table.slice(first, end - first)
        first = end


def encode_segment(
    table: pa.Table,
    level: int,
    commit: dict[str, Any],
    *,
    indexed: bool = True,
    promote: Sequence[str] = (),
) -> Encoded:
    """Rows in order become a file. Costs about 0.8 us a row; raises pa.ArrowInvalid.

    `indexed` files tell where in them each request, chain and trace is: for readers in place.
    Attributes to `promote` get columns of their own.
    """
    times = table.column("ts_ns")
    first_ns, last_ns = times[0].as_py(), times[len(table) - 1].as_py()
    ulid = new_ulid()
    table, promoted = with_own_columns(table.replace_schema_metadata(None), promote)
    own: OwnColumns = {"promoted": promoted, "blank": blanks_of(table)}
    content = io.BytesIO()
    sink = pa.PythonFile(content, mode="w")  # its position is what the footer tells of
    with parquet_writer(sink, table.schema, len(table)) as writer:
        writer.write_table(table, ROW_GROUP)
        ids = None
        if indexed:
            index = IdIndex()
            index.add(table)
            ids = index.write(sink)
        lineage = LineageRows()
        lineage.add(table)
        links = lineage.encoded()
        entry = links.entry if links else None
        data = sink.tell(), zlib.crc32(content.getbuffer())
        note = footer_note(ulid, level, commit, table.schema, *data, ids, entry, **own)
        writer.add_key_value_metadata(note)
    made = content.getbuffer()
    segment = Segment(
        name=segment_name(level, first_ns, last_ns, ulid),
        rows=len(table),
        min_ts=first_ns,
        max_ts=last_ns,
        bytes=len(made),
        level=level,
        segment=ulid,
        crc32=f"{zlib.crc32(made):08x}",
        ids=ids,
        links=entry,
        **own,
    )
    return Encoded(segment, made, links.content if links and segment.has_links else None)


def footer_note(
    ulid: str,
    level: int,
    commit: dict[str, Any],
    schema: pa.Schema,
    data_bytes: int,
    data_crc32: int,
    ids: IdPlace | None = None,
    links: LinksFile | None = None,
    *,
    promoted: Promoted = (),
    blank: frozenset[str] = frozenset(),
) -> dict[bytes, bytes]:
    """What a segment tells in its footer of itself and of the commit that made it count.

    `data_crc32` is the checksum of the bytes before the footer, `schema` without metadata.
    """
    note = {"segment": ulid, "level": level, "commit": commit}
    note |= {"data_bytes": data_bytes, "data_crc32": data_crc32}
    note |= {"columns_crc32": _columns_crc32(schema)} | ({"ids": ids} if ids else {})
    note |= plain_columns(promoted, blank)
    note |= {"links": links._asdict()} if links else {}
    text = json.dumps(note).encode()
    return {_NOTE: b"%08x%s" % (zlib.crc32(text), text)}


def parquet_writer(
    sink: BinaryIO | pa.NativeFile, schema: pa.Schema, rows: int
) -> pq.ParquetWriter:
    """Writes a segment row group by row group; of about so many rows in all."""
    return pq.ParquetWriter(sink, schema, **_options(schema, rows))


def segment_name(level: int, first_ns: int, last_ns: int, ulid: str) -> str:
    """The path within the store: the day is that of the first event."""
    day = (_EPOCH + timedelta(days=first_ns // DAY_NS)).strftime("%Y-%m-%d").rjust(10, "0")
    return f"events/day={day}/L{level}-{first_ns}-{last_ns}-{ulid}.parquet"


def is_segment_name(name: str) -> bool:
    """Whether a path within the store is one that we give to segments."""
    return _NAME.fullmatch(name) is not None


def new_ulid() -> str:
    """26 characters that sort by the time they were made."""
    number = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def read_note(root: Path, name: str) -> Note:
    """What a segment says of itself, after all its pages were checked. Raises CorruptFile, OSError.

    Reads the whole file: for stores whose manifest is lost.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise CorruptFile(f"{name} is no segment's name")
    content = read_plain_file(root / name)
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        rows = sum(len(file.read_row_group(i)) for i in range(file.num_row_groups))
        text = file.metadata.metadata[_NOTE]
        checksum, note = int(text[:8], 16), text[8:]
        value = json.loads(note)
        if zlib.crc32(note) != checksum or value["segment"] != match[4]:
            raise ValueError("its note fails the checksum")
        if zlib.crc32(memoryview(content)[: value["data_bytes"]]) != value["data_crc32"]:
            raise ValueError("its pages fail the checksum")
        if _columns_crc32(file.schema_arrow) != value["columns_crc32"]:
            raise ValueError("the names of its columns fail the checksum")
        ids = IdPlace(*value["ids"]) if "ids" in value else None
        links = parsed_links(value["links"]) if "links" in value else None
        commit = dict(value["commit"])
        columns = parsed_columns(value)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptFile(f"{name}: {error}") from None
    segment = Segment(
        name=name,
        rows=rows,
        min_ts=int(match[2]),
        max_ts=int(match[3]),
        bytes=len(content),
        level=int(match[1]),
        segment=match[4],
        crc32=f"{zlib.crc32(content):08x}",
        ids=ids,
        links=links,
        **columns,
    )
    return Note(segment, commit)


def what_is_wrong(root: Path, segment: Segment, *, whole: bool) -> str:
    """Why a file is not the one that was written, "" if it is; `whole` compares its checksum.

    Raises OSError where that cannot be told now.
    """
    path = root / segment.name
    try:
        size = os.lstat(path).st_size
        if size != segment.bytes:
            return f"has {size} bytes instead of {segment.bytes}"
        if whole and f"{zlib.crc32(read_plain_file(path)):08x}" != segment.crc32:
            return "fails its checksum"
    except FileNotFoundError:
        return "is missing"
    return ""


def _columns_crc32(schema: pa.Schema) -> int:
    """Of names and types, which nothing else in a file checks."""
    return zlib.crc32("\n".join(f"{each.name} {_named(each.type)}" for each in schema).encode())


def _named(type: pa.DataType) -> str:
    """A type's name; what the parts of a map are called is not kept in files."""
    return f"{type.key_type}: {type.item_type}" if pa.types.is_map(type) else str(type)


def _is_in_order(table: pa.Table) -> bool:
    rows = len(table)
    if rows < 2:
        return True
    if rows <= FEW_ROWS:
        places = list(zip(*table.select(ORDER).to_pydict().values(), strict=True))
        return all(left < right for left, right in pairwise(places))
    import pyarrow.compute as pc  # costs 50 ms: a question of a few rows needs none of it

    times = table.column("ts_ns")
    before, after = times.slice(0, rows - 1), times.slice(1)
    if not pc.all(pc.less_equal(before, after)).as_py():
        return False
    ties = pc.indices_nonzero(pc.equal(before, after))
    if len(ties) == 0:
        return True
    keys = table.select(ORDER[1:])
    earlier, later = keys.take(ties).to_pydict(), keys.take(pc.add(ties, 1)).to_pydict()
    return all(
        left < right
        for left, right in zip(
            zip(*earlier.values(), strict=True), zip(*later.values(), strict=True), strict=True
        )
    )


def _first_from(times: pa.ChunkedArray, moment_ns: int, low: int, high: int) -> int:
    """The first place from `low` on whose time is not before that moment."""
    while low < high:
        middle = (low + high) // 2
        if times[middle].as_py() < moment_ns:
            low = middle + 1
        else:
            high = middle
    return low


def _options(schema: pa.Schema, rows: int) -> dict[str, Any]:
    """Differences for integers, dictionaries for names, a bloom filter for what one looks up."""
    dictionaries: list[str] = []
    encodings: dict[str, str] = {}
    for column in schema:
        if pa.types.is_map(column.type):
            dictionaries += [f"{column.name}.key_value.key"]
            if pa.types.is_integer(column.type.item_type):
                encodings[f"{column.name}.key_value.value"] = "DELTA_BINARY_PACKED"
            elif not pa.types.is_boolean(column.type.item_type):
                dictionaries += [f"{column.name}.key_value.value"]
        elif pa.types.is_dictionary(column.type) or column.name.startswith(_IN_DICTIONARIES):
            dictionaries.append(column.name)
        elif pa.types.is_integer(column.type) and column.name not in _PLAIN_INTEGERS:
            encodings[column.name] = "DELTA_BINARY_PACKED"
    different = max(64, min(rows, ROW_GROUP) // 2)
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": dictionaries,
        "column_encoding": encodings,
        "write_page_checksum": True,
        "max_rows_per_page": BLOCK_ROWS,  # so that a block is read without its neighbours
        "bloom_filter_options": {
            name: {"ndv": different, "fpp": 0.01} for name in _BLOOMS if name in schema.names
        },
    }
