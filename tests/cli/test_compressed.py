"""Compressed exports: written by option or suffix, read again like any other."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from shlex import split as words

import pytest
from click.testing import Result

from tests.query.build import inference_chain, recording
from whence.export.codec import codec_of
from whence.export.json_export import MEMBER_BYTES, write_recording
from whence.model.errors import CorruptFile
from whence.model.recording import Recording
from whence.receive.json_export import parse_json_export, read_json_export

Run = Callable[..., Result]

EXPORT = "trace export --format json --output events.json"
EXPORT_RECENT = "trace export --format json --time-range 1h --output recent.json"
STREAM = "trace stream --format json"

ways = pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("out.json.gz", []),
        ("out.json.zst", []),
        ("out", ["--compress", "gzip"]),
        ("out", ["--compress", "zstd"]),
        ("out.gz", ["--compress", "zstd"]),
    ],
)


@ways
def test_a_compressed_export_is_read_like_another(
    run: Run,
    export: Callable[[Recording], Path],
    tmp_path: Path,
    name: str,
    arguments: list[str],
) -> None:
    """R1.47 By --compress, else by the file's suffix; --from finds out by itself."""
    pytest.importorskip("zstandard")
    path, target = export(recording(inference_chain())), tmp_path / name
    assert run("export", "--from", path, "-o", target, *arguments).exit_code == 0
    assert target.read_bytes()[:1] != b"{"
    assert read_json_export(target) == read_json_export(path)
    told = [run("chain", "req-1", "--from", source).output for source in (target, path)]
    assert told[0] == told[1] != ""


def test_standard_output_is_compressed_when_asked_for(
    run: Run, export: Callable[[Recording], Path]
) -> None:
    """R1.47 R1.49 A pipe has no suffix; the option says it."""
    path = export(recording(inference_chain()))
    packed = run("export", "--from", path, "--compress", "gzip").stdout_bytes
    document = json.loads(gzip.decompress(packed))
    assert len(document["events"]) == 4
    read_back = run("stats", "--from", "-", "--json", input=packed)
    assert json.loads(read_back.stdout)["closes"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_an_export_of_many_members_that_is_cut_short_is_refused(
    tmp_path: Path, suffix: str
) -> None:
    """R1.47 R5.24 Whatever is missing at the end, the file is called damaged, never half read."""
    pytest.importorskip("zstandard")
    events = [e for n in range(3_000) for e in inference_chain(f"req-{n}", n, first_ticket=4 * n)]
    whole = recording(events)
    path = tmp_path / f"out.json{suffix}"
    write_recording(path, whole, 7, codec=codec_of(path.name)[0])
    content = path.read_bytes()
    assert parse_json_export(content).events == whole.events
    plain = write_recording(tmp_path / "plain.json", whole, 7)
    assert plain > MEMBER_BYTES  # more than one member
    for cut in (1, 4, len(content) // 2, len(content) - 8):
        with pytest.raises(CorruptFile):
            parse_json_export(content[:-cut])
    with pytest.raises(CorruptFile):
        parse_json_export(content[:40] + bytes(40) + content[80:])


def test_exports_say_when_they_were_made_as_others_do(tmp_path: Path) -> None:
    """R1.41 exported_at stands beside our whole number, and says the same to the nanosecond."""
    path = tmp_path / "out.json"
    write_recording(path, recording(inference_chain()), 1_795_173_702_123_456_789)
    document = json.loads(path.read_bytes())
    assert document["exported_at"] == "2026-11-20T11:21:42.123456789Z"
    moment = datetime.fromisoformat(document["exported_at"][:26] + "+00:00")
    assert int(moment.timestamp()) == document["exported_at_ns"] // 10**9


def test_the_printed_examples_work_as_they_stand(
    run: Run, room: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1.49 R1.50 R1.51 R1.53 The commands that the documentation prints, word for word."""
    monkeypatch.chdir(tmp_path)
    room(recording(inference_chain()))
    assert run(*words(EXPORT)).exit_code == 0
    assert run(*words(EXPORT_RECENT)).exit_code == 0
    for name in ("events.json", "recent.json"):
        assert len(json.loads((tmp_path / name).read_bytes())["events"]) == 4
    lines = run(*words(STREAM), "--once").stdout.splitlines()
    assert len(lines) == 4
    assert run("trace", "stats").exit_code == 0


def test_lines_of_events_are_read_as_they_were_streamed(
    run: Run, export: Callable[[Recording], Path], tmp_path: Path
) -> None:
    """R1.45 R1.51 What `stream` printed or `collect` appended answers questions, too."""
    path = export(recording(inference_chain()))
    lines = run("stream", "--from", path, "--once", "--json").stdout.encode()
    events = read_json_export(path).events
    assert parse_json_export(lines).events == events
    first = lines.splitlines(keepends=True)[0]
    assert parse_json_export(first).events == events[:1]
    walled = first.replace(b'"session"', b'"wall_ns": 1795173702000000000, "session"', 1)
    read = parse_json_export(walled)
    assert read.wall_ns(read.events[0]) == 1_795_173_702_000_000_000
    assert read.sessions[0].state == "filtered"
    with pytest.raises(CorruptFile, match=r"line 2 is not JSON"):
        parse_json_export(first + b"{torn")
    with pytest.raises(CorruptFile, match=r"line 1: 'other' is no field"):
        parse_json_export(first.replace(b'"component"', b'"other": 1, "component"', 1) + first)
    target = tmp_path / "lines.ndjson"
    target.write_bytes(lines)
    assert run("why", "--from", target).output.startswith("req-1")
