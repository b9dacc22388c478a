"""A segment's index finds every block of rows that holds a request, chain or trace."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.rows import rows
from whence.model.query import TraceQuery
from whence.query.engines.narrowed import narrowed
from whence.store import id_index
from whence.store.compaction import merge_steps, next_merge
from whence.store.folder import FolderStore
from whence.store.id_index import BLOCK_ROWS, IdIndex, IdPlace, text_hash, times_of, trace_hash
from whence.store.manifest import parsed_segment
from whence.store.recovery import find_manifest
from whence.store.segment import read_note

texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["", "r", "é" * 200, "é" * 200 + "x", "0" * 36]
)


def table_of(
    requests: list[str], chains: list[str | None], traces: list[int], first_ns: int = 0
) -> pa.Table:
    """Rows with these ids, one each 10 ns."""
    count = len(requests)
    columns: dict[str, pa.Array] = {
        "ts_ns": pa.array(range(first_ns, first_ns + 10 * count, 10), pa.int64()),
        "request_id": pa.array(requests, pa.string()),
        "decision_chain_id": pa.array(chains, pa.string()),
        "trace_hi": pa.array([signed(trace >> 64) for trace in traces], pa.int64()),
        "trace_lo": pa.array([signed(trace) for trace in traces], pa.int64()),
    }
    return pa.table(columns)


def signed(number: int) -> int:
    number &= 2**64 - 1
    return number - 2**64 if number >= 2**63 else number


def indexed(path: Path, *tables: pa.Table) -> IdPlace:
    """A file with nothing but the index of these tables, behind other bytes."""
    index = IdIndex()
    for table in tables:
        index.add(table)
    with pa.OSFile(str(path), "wb") as sink:
        sink.write(b"12345")
        place = index.write(sink)
        sink.write(b"more")
    assert place is not None
    return place


@given(
    ids=st.lists(
        st.tuples(texts, st.none() | texts, st.sampled_from([0, 1, 1 << 64, 2**128 - 1])),
        min_size=1,
        max_size=60,
    ),
    cut=st.integers(0, 60),
    size=st.sampled_from([1, 3, 7, 64]),
)
@settings(deadline=None)
def test_every_id_is_found_where_it_is(
    tmp_path_factory: pytest.TempPathFactory,
    ids: list[tuple[str, str | None, int]],
    cut: int,
    size: int,
) -> None:
    """In exactly its blocks, however the rows came; absent ones are not found. R5.11"""
    path = tmp_path_factory.mktemp("index") / "file"
    parts = [ids[:cut], ids[cut:]]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(id_index, "BLOCK_ROWS", size)
        tables, first = [], 0
        for part in parts:
            columns: list[tuple] = list(zip(*part, strict=True)) or [(), (), ()]
            tables.append(table_of(*map(list, columns), first_ns=first))
            first += 10 * len(part)
        place = indexed(path, *tables)
    blocks = defaultdict(set)
    for row, (request, chain, trace) in enumerate(ids):
        for hashed in [text_hash(text) for text in (request, chain) if text]:
            blocks[hashed].add(row // size)
        if trace:
            blocks[trace_hash(f"{trace:032x}")].add(row // size)
    for hashed, held in blocks.items():
        last = min((max(held) + 1) * size, len(ids)) - 1
        assert times_of(path, place, [hashed]) == (min(held) * size * 10, last * 10)
    for absent in ("not there", "another"):
        if text_hash(absent) not in blocks:
            assert times_of(path, place, [text_hash(absent)]) is None


def test_a_block_must_have_all_ids_asked_for(tmp_path: Path) -> None:
    """A request and a trace that never meet in one block meet in no row. R5.11"""
    count = 3 * BLOCK_ROWS
    requests = ["a" if row < BLOCK_ROWS else "b" for row in range(count)]
    traces = [7 if row >= 2 * BLOCK_ROWS else 8 for row in range(count)]
    place = indexed(tmp_path / "file", table_of(requests, [None] * count, traces))
    hashes = text_hash("a"), trace_hash(f"{7:032x}"), text_hash("b")
    assert times_of(tmp_path / "file", place, hashes[:2]) is None
    found = times_of(tmp_path / "file", place, hashes[1:])
    assert found == (2 * BLOCK_ROWS * 10, (count - 1) * 10)


def test_ids_that_are_spread_unevenly_are_found(tmp_path: Path) -> None:
    """The likely place of a hash is only where one looks first. R5.11"""
    count = 40_000
    requests = [f"{row}" for row in range(count)]
    kept = [text for text in requests if text_hash(text) < 1 << 28 or text_hash(text) % 64 == 0]
    place = indexed(tmp_path / "file", table_of(kept, [None] * len(kept), [0] * len(kept)))
    for row, text in enumerate(kept):
        found = times_of(tmp_path / "file", place, [text_hash(text)])
        assert found is not None
        assert found[0] <= row * 10 <= found[1]


def test_a_segment_has_its_index_and_is_parquet_all_the_same(tmp_path: Path) -> None:
    """The manifest and, without one, the footer tell of it; a file without one is read whole.

    R5.11
    """
    with FolderStore(tmp_path / "store", write=True) as store:
        store.append(rows(range(50)))
        store.append(rows(range(56, 70)))
        kept = store.manifest
    assert all(each.ids is not None for each in kept.files)
    read = pq.read_table(tmp_path / "store" / kept.files[0].name, partitioning=None)
    assert read.equals(rows(range(50)))
    text = "SELECT count(*) FROM read_parquet(?) WHERE request_id = ?"
    for number in range(7):  # by the filters that lie behind the index
        path = str(tmp_path / "store" / kept.files[0].name)
        assert duckdb.execute(text, [path, f"req-{number}"]).fetchall() == [
            (8 if number < 6 else 2,)
        ]
    for name in ("MANIFEST", "MANIFEST.previous"):
        (tmp_path / "store" / name).unlink()
    assert [each.ids for each in find_manifest(tmp_path / "store").manifest.files] == [
        each.ids for each in kept.files
    ]
    query = TraceQuery(request_id="req-7")
    files, asked = narrowed(tmp_path / "store", kept.files, query)
    assert files == [kept.files[1]]
    assert (asked.from_wall_ns, asked.until_wall_ns) == (files[0].min_ts, files[0].max_ts + 1)
    plain = [dataclasses.replace(each, ids=None) for each in kept.files]
    assert narrowed(tmp_path / "store", plain, query)[0] == plain
    assert narrowed(tmp_path / "store", kept.files, TraceQuery(request_id="?")) == (
        [],
        TraceQuery(request_id="?"),
    )


def test_an_entry_without_an_index_is_understood() -> None:
    """Stores of before have none. R5.11"""
    entry = {"name": "events/x", "rows": 1, "min_ts": 1, "max_ts": 1, "bytes": 1, "level": 0}
    assert parsed_segment(entry | {"segment": "s", "crc32": "0"}).ids is None


def test_a_file_that_is_cut_short_is_not_left_out(tmp_path: Path) -> None:
    """What its index cannot tell, reading it tells. R5.11"""
    with FolderStore(tmp_path, write=True) as store:
        store.append(rows(range(50)))
        (segment,) = store.manifest.files
    assert segment.ids is not None
    path = tmp_path / segment.name
    path.write_bytes(path.read_bytes()[: segment.ids.at + 20])
    query = TraceQuery(request_id="r")
    assert narrowed(tmp_path, [segment], query)[0] == [segment]


def test_a_merged_file_has_an_index_of_its_own(tmp_path: Path) -> None:
    """Of all rows of the files that went into it, and told in its footer, too. R5.11"""
    with FolderStore(tmp_path, write=True) as store:
        for first in range(0, 16 * 100, 100):
            store.append(rows(range(first, first + 100)))
        merge = next_merge(store.manifest)
        assert merge is not None
        for _ in merge_steps(store, merge):
            pass
        (segment,) = store.manifest.files
    assert segment.ids == read_note(tmp_path, segment.name).segment.ids
    assert segment.ids is not None
    assert segment.ids.entries == 1600 // 8
    for request in ("req-0", "req-99", "req-199"):
        query = TraceQuery(request_id=request)
        assert narrowed(tmp_path, [segment], query)[0] == [segment]
    assert narrowed(tmp_path, [segment], TraceQuery(request_id="req-200"))[0] == []
