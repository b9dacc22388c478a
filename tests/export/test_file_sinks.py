"""Files as sinks: valid at every moment, mended after a crash, compressed, rotated, never links."""

from __future__ import annotations

import gzip
import json
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.collect.made_sink import drained
from whence.collect.sink import Drained, Sink, Unavailable
from whence.export.sinks import open_sink
from whence.model.errors import ExportError, UnknownSink

NAMES = ["o.ndjson", "o.ndjson.gz", "o.ndjson.zst", "o.json", "o.json.gz", "o.json.zst"]
LINES = NAMES[:3]
DOCUMENTS = NAMES[3:]


def deliver(sink: Sink, part: Drained) -> None:
    """Encodes and delivers, as the pipeline does."""
    for payload in sink.encode(part):
        reply = sink.deliver(payload, 5.0)
        assert (reply.delivered, reply.refused) == (len(part), 0)


def content(path: Path) -> bytes:
    """What the file holds, unpacked."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        zstandard = pytest.importorskip("zstandard")
        out = b""
        while data:
            unpacker = zstandard.ZstdDecompressor().decompressobj()
            out += unpacker.decompress(data)
            data = unpacker.unused_data
        return out
    return data


def events(path: Path) -> list[dict[str, Any]]:
    """The events in a file; a document must be whole."""
    if ".ndjson" in path.name:
        return [json.loads(line) for line in content(path).splitlines()]
    found: list[dict[str, Any]] = json.loads(content(path))["events"]
    return found


def tickets(path: Path) -> list[int]:
    """The numbers of the events in a file."""
    return [int(event["ticket"]) for event in events(path)]


@pytest.mark.parametrize("name", NAMES)
def test_deliveries_follow_each_other_over_restarts(tmp_path: Path, name: str) -> None:
    """After every delivery the file is whole and private. R1.41 R1.47"""
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / name
    for start in (0, 30, 60):
        sink = open_sink(str(path))
        for first in (start, start + 10, start + 20):
            deliver(sink, drained(first, first + 10))
            assert tickets(path) == list(range(first + 10))
        sink.close()
        sink.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_has_the_schema_that_is_promised(tmp_path: Path, name: str) -> None:
    """Root: events, exported_at; it is valid before the first event, too. R1.41"""
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / name
    sink = open_sink(f"file://{path}")
    empty = json.loads(content(path))
    assert empty["events"] == []
    deliver(sink, drained(0, 3))
    sink.close()
    document = json.loads(content(path))
    assert list(document)[:2] == ["events", "exported_at"]
    assert document["exported_at"].endswith("Z")
    assert document["exported_at_ns"] > empty["exported_at_ns"] - 1
    assert len(document["events"]) == 3


@pytest.mark.parametrize("name", LINES)
def test_what_a_crash_tore_is_mended(tmp_path: Path, name: str) -> None:
    """Cut anywhere in the last delivery, the file keeps those before it and goes on. R1.41"""
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / name
    sink = open_sink(str(path))
    deliver(sink, drained(0, 5))
    safe = path.stat().st_size
    deliver(sink, drained(5, 7))
    sink.close()
    whole = path.read_bytes()
    cuts = range(safe, len(whole)) if "." in name[-4:] else range(safe, len(whole), 7)
    for cut in [*cuts][:: max(1, len(cuts) // 40)]:
        path.write_bytes(whole[:cut])
        sink = open_sink(str(path))
        deliver(sink, drained(7, 8))
        sink.close()
        found = tickets(path)
        assert found[:5] == [0, 1, 2, 3, 4]
        assert found[-1] == 7
        assert found in ([0, 1, 2, 3, 4, 7], [0, 1, 2, 3, 4, 5, 7], [0, 1, 2, 3, 4, 5, 6, 7])


@pytest.mark.parametrize("name", LINES)
def test_what_was_written_but_not_acknowledged_is_not_written_twice(
    tmp_path: Path, name: str
) -> None:
    """After a restart the file's own lines tell what is there. R1.39 R1.41"""
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / name
    sink: Any = open_sink(str(path))
    deliver(sink, drained(0, 5))
    token = sink.token()
    deliver(sink, drained(5, 20))
    sink.close()
    again: Any = open_sink(str(path))
    again.resume(token)
    deliver(again, drained(5, 25))
    assert tickets(path) == list(range(25))
    again.resume("nonsense")
    again.resume("1:99999999999")
    again.close()


@pytest.mark.parametrize("name", LINES)
def test_a_second_restart_knows_what_the_first_had_not_come_to(tmp_path: Path, name: str) -> None:
    """What was written long before it is read again is recognised then, too. R1.39 R1.41"""
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    first: Any = open_sink(str(tmp_path / name))
    token = first.token()
    deliver(first, drained(0, 20))
    first.close()
    second: Any = open_sink(str(tmp_path / name))
    second.resume(token)
    deliver(second, drained(0, 5))
    token = second.token()
    second.close()
    third: Any = open_sink(str(tmp_path / name))
    third.resume(token)
    deliver(third, drained(5, 25))
    assert third.token() != token
    third.close()
    assert tickets(tmp_path / name) == list(range(25))


def test_a_last_line_of_somebody_else_is_kept(tmp_path: Path) -> None:
    """A whole JSON line without its line break is no torn one."""
    path = tmp_path / "o.ndjson"
    path.write_bytes(b'{"mine": 1}')
    sink = open_sink(str(path))
    deliver(sink, drained(0, 1))
    sink.close()
    assert [next(iter(event)) for event in events(path)] == ["mine", "event_id"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_ended_at_its_size_and_another_begun(tmp_path: Path, name: str) -> None:
    """Rotated files are numbered; all of them together hold every event once."""
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    sink = open_sink(str(tmp_path / name), {"rotate_bytes": 1500})
    for n in range(0, 60, 3):
        deliver(sink, drained(n, n + 3))
    sink.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) > 2
    assert files[0].name.startswith("o-000001.")
    found = [ticket for path in [*files[:-1], files[-1]] for ticket in tickets(path)]
    assert sorted(found) == list(range(60))


@pytest.mark.parametrize("name", ["o.ndjson", "o.json"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    """It is not made: a slip of the pen would be a folder."""
    with pytest.raises(ExportError, match=r"there is no folder .*absent; make it first"):
        open_sink(str(tmp_path / "absent" / name))


@pytest.mark.parametrize("name", ["o.ndjson", "o.json"])
def test_links_devices_and_files_with_two_names_are_refused(tmp_path: Path, name: str) -> None:
    """Nobody can make a collector write elsewhere."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / name
    path.symlink_to(victim)
    with pytest.raises(ExportError, match="symbolic link"):
        open_sink(str(path))
    path.unlink()
    os.link(victim, path)
    with pytest.raises(ExportError, match="second name"):
        open_sink(str(path))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ExportError, match="not a plain file"):
        open_sink(str(path))
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["o.ndjson", "o.json"])
def test_one_collector_at_a_time_writes_a_file(tmp_path: Path, name: str) -> None:
    """The second is told so; after the first has gone it may."""
    first = open_sink(str(tmp_path / name))
    with pytest.raises(ExportError, match="another collector"):
        open_sink(str(tmp_path / name))
    deliver(first, drained(0, 1))
    with pytest.raises(ExportError, match="another collector"):
        open_sink(str(tmp_path / name))
    first.close()
    open_sink(str(tmp_path / name)).close()


@pytest.mark.parametrize("name", LINES)
def test_what_does_not_fit_any_more_goes_into_the_next_file_whole(
    tmp_path: Path, name: str
) -> None:
    """Though it is written in pieces, the first of which did fit. R1.41"""
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    sink = open_sink(str(tmp_path / name), {"rotate_bytes": 120_000 if name == "o.ndjson" else 400})
    deliver(sink, drained(0, 10))
    deliver(sink, drained(10, 1000))
    sink.close()
    (full,) = [path for path in tmp_path.iterdir() if path.name != name]
    assert tickets(full) == list(range(10))
    assert tickets(tmp_path / name) == list(range(10, 1000))


@pytest.mark.parametrize("name", ["o.ndjson", "o.ndjson.gz", "o.json"])
def test_a_full_disk_is_unavailable_and_leaves_the_file_as_it_was(
    tmp_path: Path, name: str
) -> None:
    """Half a write is undone; with room again the same payload is delivered. R1.41"""
    path = tmp_path / name
    sink = open_sink(str(path))
    deliver(sink, drained(0, 4))
    before = tickets(path)
    (payload,) = sink.encode(drained(4, 6))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, limits[1]))
    try:
        with pytest.raises(Unavailable, match="File too large"):
            sink.deliver(payload, 5.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert tickets(path) == before
    sink.deliver(payload, 5.0)
    sink.close()
    assert tickets(path) == list(range(6))
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["o.ndjson", "o.json"])
@pytest.mark.parametrize("how", [Path.unlink, lambda path: path.rename(path.with_suffix(".old"))])
def test_a_file_that_is_moved_away_is_begun_anew(
    tmp_path: Path, name: str, how: Callable[[Path], Any]
) -> None:
    """As those who rotate logs do it."""
    path = tmp_path / name
    sink = open_sink(str(path))
    deliver(sink, drained(0, 4))
    how(path)
    deliver(sink, drained(4, 6))
    assert tickets(path) == [4, 5]
    sink.close()


@pytest.mark.parametrize(
    "there", [b"[1, 2]", b'{"events":[]}', b"no JSON", b'{"events":[\n],"exported_at":1}']
)
def test_a_document_of_somebody_else_is_not_overwritten(tmp_path: Path, there: bytes) -> None:
    """It is left as it is, and its name refused."""
    path = tmp_path / "o.json"
    path.write_bytes(there)
    with pytest.raises(ExportError, match="no collector's document"):
        open_sink(str(path))
    assert path.read_bytes() == there
    path.unlink()
    open_sink(str(path)).close()


@pytest.mark.parametrize("url", ["out.txt", "out", "out.jsonl", "file://elsewhere/out.ndjson"])
def test_another_name_is_refused_with_the_names_there_are(url: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(UnknownSink, match=r"\.ndjson"):
        open_sink(url)
