"""Hostile files: random bytes and samples that were changed never do more than be refused."""

from __future__ import annotations

import functools
import gzip
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.receive.files import test_chrome, test_others, test_protocol
from tests.receive.files.stored import AGENT_RUNS
from whence.model.errors import CorruptFile, UnsupportedFormat
from whence.receive.files.into import read_parts
from whence.receive.files.recognise import FORMATS
from whence.receive.files.report import FileReport
from whence.receive.files.source import ImportLimits, ReadOptions

ROUNDS = int(os.environ.get("WHENCE_FUZZ_ROUNDS", "400"))
LIMITS = ImportLimits(file_bytes=200_000, line_bytes=20_000, document_bytes=150_000)
WORDS = [b"\0", b"\xff", b"{", b"]", b'"', b"1e999", b"null", b"-1", b'"ts":', b"\\ud800", b"\n"]


@functools.cache
def samples() -> tuple[bytes, ...]:
    """A file of each format."""
    runs = [path.read_bytes() for path in sorted(AGENT_RUNS.glob("*.ndjson"))]
    mplp = json.dumps(test_protocol.trace()).encode()
    chrome = json.dumps({"traceEvents": test_chrome.PARTS, "baseTimeNanoseconds": 5}).encode()
    otlp = json.dumps(test_others.request({**test_others.SPAN, "attributes": []})).encode()
    own = b'{"event_id":"e","event_type":"t","component":"c","timestamp_ns":1}\n'
    return (*runs, mplp, chrome, otlp + b"\n" + otlp, own, gzip.compress(runs[0]))


def changed(content: bytes, by: random.Random) -> bytes:
    """The content with a few bytes, words or stretches of it changed."""
    made = bytearray(content)
    for _ in range(by.randint(1, 6)):
        at = by.randrange(len(made) + 1)
        deed = by.randrange(5)
        if deed == 0:
            made[at : at + 1] = bytes([by.randrange(256)])
        elif deed == 1:
            made[at:at] = by.choice(WORDS)
        elif deed == 2:
            del made[at : at + by.randrange(1, 40)]
        elif deed == 3:
            start = by.randrange(len(made) + 1)
            made[at:at] = made[start : start + by.randrange(1, 200)]
        else:
            made[at:at] = by.choice(b"[{").to_bytes() * by.choice([1, 100, 3_000])
    return bytes(made)


def outcome(content: bytes, path: Path, format_name: str) -> str:
    """Reads a file as the import does; what became of it. Anything else than a refusal fails."""
    path.write_bytes(content)
    report = FileReport(str(path))
    try:
        rows = sum(
            len(table)
            for parts in read_parts(str(path), ReadOptions(limits=LIMITS), format_name, report)
            for table, _ in parts
        )
    except (UnsupportedFormat, CorruptFile):
        return "refused"
    assert rows == report.events
    json.dumps(report.plain())
    list(report.lines_of_text())
    return "some rejected" if report.rejections else "taken"


def test_samples_that_were_changed_are_taken_or_refused(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """R4.69 F19: each change of each sample is taken, rejected in part or refused by name.

    WHENCE_FUZZ_ROUNDS says how many there are; how many were, and how they ended, is reported.
    """
    by = random.Random(7)
    ended: Counter[str] = Counter()
    for number in range(ROUNDS):
        content = changed(by.choice(samples()), by)
        name = "auto" if number % 3 else by.choice(FORMATS)
        ended[outcome(content, tmp_path / "f", name)] += 1
    print(f"{ROUNDS} changed samples: {dict(ended)}")
    record_property("executions", ROUNDS)
    assert ended.total() == ROUNDS
    assert len(ended) == 3


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=400))
def test_random_bytes_are_refused_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    """R4.69 F19: whatever format they are said to be of."""
    path = tmp_path_factory.getbasetemp() / "random"
    assert outcome(content, path, name) in ("refused", "some rejected", "taken")
