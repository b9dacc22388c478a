"""The log of gate changes: whole records are told, damaged ones are left out."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from whence import _native
from whence.model.errors import NotASession
from whence.model.recording import GateChange
from whence.ring import layout
from whence.ring.gates import gate_parts, read_gate_changes, threshold_of

NAMES = {1: "first", 2: "second"}


def record(time_ns: int, kind: int, before: int, after: int, spoil: int = 0) -> bytes:
    """One record of the log."""
    bare = layout.GATE_RECORD.pack(time_ns, kind, 0, before, after)
    crc = zlib.crc32(bare[:12] + bare[16:]) ^ spoil
    return layout.GATE_RECORD.pack(time_ns, kind, crc, before, after)


def changes(folder: Path, data: bytes) -> list[tuple[int, str, bool]]:
    """What is told of a log with these bytes."""
    (folder / "gates").write_bytes(data)
    found = read_gate_changes(folder, "s", NAMES)
    assert all(isinstance(change, GateChange) and change.session == "s" for change in found)
    return [(change.monotonic_ns, change.kind, change.on) for change in found]


def test_every_change_of_on_and_off_is_told(tmp_path: Path) -> None:
    """In the order of the log, each kind by its name; one unknown by its number. P3"""
    data = record(5, 1, 3, 2) + record(6, 2, 0, 1) + record(7, 9, 1, 0)
    assert changes(tmp_path, data) == [
        (5, "first", False),
        (6, "second", True),
        (7, "unknown-kind-9", False),
    ]


def test_a_change_tells_rate_and_minimum(tmp_path: Path) -> None:
    """R1.35 A new sampling rate leaves a kind on; one that is exempt has none of both."""
    half = _native.gate_word(0.5, 0.25)
    words = [half, half | layout.GATE_EXEMPT, 0x7FC0_0000_0000_0001, 2**64 - 1, 0]
    befores = [1, *words]
    data = b"".join(record(5, 1, *pair) for pair in zip(befores, words, strict=False))
    (tmp_path / "gates").write_bytes(data)
    found = read_gate_changes(tmp_path, "s", NAMES)
    assert [(change.on, change.rate, change.minimum) for change in found] == [
        (True, 0.5, 0.25),
        (True, 1.0, None),
        (True, 1.0, None),  # a NaN
        (True, 1.0, None),
        (False, 1.0, None),
    ]


def test_a_threshold_is_what_the_native_gate_holds() -> None:
    """R1.35 Rates are turned into thresholds in two languages, and equally."""
    for rate in (1.0, 0.99, 0.5, 0.1, 1 / 3, 0.01, 2**-30):
        word = _native.gate_word(rate, None)
        assert word >> layout.GATE_THRESHOLD_SHIFT == threshold_of(rate)
        assert _native.gate_parts(word)[:2] == gate_parts(word)[:2] == (True, pytest.approx(rate))


def test_a_damaged_record_is_left_out_and_the_next_is_read(tmp_path: Path) -> None:
    """Records have one length, so one that fails its checksum hides no other. P14"""
    data = record(5, 1, 1, 0, spoil=1) + record(6, 1, 0, 1)
    assert changes(tmp_path, data) == [(6, "first", True)]


@pytest.mark.parametrize("cut", range(1, 32))
def test_a_record_that_was_never_finished_is_left_out(tmp_path: Path, cut: int) -> None:
    """A process may end in the middle of writing one. P5"""
    data = record(5, 1, 1, 0) + record(6, 1, 0, 1)[:-cut]
    assert changes(tmp_path, data) == [(5, "first", False)]


def test_a_session_without_a_log_has_no_changes(tmp_path: Path) -> None:
    """No file, an empty one: nothing was switched. P3"""
    assert read_gate_changes(tmp_path, "s", NAMES) == ()
    assert changes(tmp_path, b"") == []


def test_a_log_that_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    """It is opened as carefully as every other file. P15"""
    os.mkfifo(tmp_path / "gates")
    with pytest.raises(NotASession):
        read_gate_changes(tmp_path, "s", NAMES)
