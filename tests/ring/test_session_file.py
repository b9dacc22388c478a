"""What a session file says is read exactly; what is damaged or foreign is refused by name."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ring.session_bytes import UUID_BYTES, session_bytes, write_session
from whence.model.errors import CorruptFile, NotASession, UnsupportedFormat
from whence.model.recording import Anchor
from whence.ring import layout
from whence.ring.session_file import parse_session, read_session_file


def test_every_field_of_the_header_is_told() -> None:
    """Identity, process, service, run, boot, time and anchors. P7 P10"""
    info = parse_session(session_bytes(), Path("/somewhere/20260101T000000-1-a"), live=True)
    assert (info.name, info.path) == ("20260101T000000-1-a", "/somewhere/20260101T000000-1-a")
    assert info.uuid == str(uuid.UUID(bytes=UUID_BYTES))
    assert (info.key, info.pid, info.service) == (0x0A0B0C0D0E0F, 4711, "by hand")
    assert (info.run, info.boot_id) == ("000000000000beef", str(uuid.UUID(bytes=UUID_BYTES[::-1])))
    assert info.started_wall_ns == 1_700_000_000_000_000_000
    assert info.anchors == (Anchor(1_000, 1_700_000_000_000_001_000),)
    assert (info.live, info.state) == (True, "recording")
    assert parse_session(session_bytes(), None, live=False).state == "dead"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"magic": b"WHNCRING"}, CorruptFile, "not a session file"),
        ({"endian": layout.ENDIAN_MARK_SWAPPED}, UnsupportedFormat, "other byte order"),
        ({"endian": 0}, UnsupportedFormat, "other byte order"),
        ({"major": 2}, UnsupportedFormat, "format 2; this whence reads format 1"),
        ({"major": 0}, UnsupportedFormat, "format 0"),
        ({"ready": 0}, CorruptFile, "never completed"),
        ({"text_length": 3841}, CorruptFile, "never completed"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    change: dict[str, Any], error: type[Exception], words: str
) -> None:
    """Another format, byte order or magic, and what was never finished. P7"""
    with pytest.raises(error, match=words):
        parse_session(session_bytes(**change), None, live=False)


def test_a_newer_minor_version_is_read() -> None:
    """What a newer minor version adds is ignored. P7"""
    assert parse_session(session_bytes(minor=9), None, live=False).pid == 4711


@given(
    st.integers(0, layout.SESSION_CRC_OFFSET + 3)
    | st.integers(layout.SESSION_TEXT_OFFSET, layout.SESSION_TEXT_OFFSET + 10),
    st.integers(1, 255),
)
def test_no_byte_of_the_header_changes_unnoticed(at: int, change: int) -> None:
    """Any changed byte of header, checksum or description is found. P7"""
    data = bytearray(session_bytes())
    data[at] ^= change
    with pytest.raises((CorruptFile, UnsupportedFormat)):
        parse_session(bytes(data), None, live=False)


@pytest.mark.parametrize("length", [0, 1, 255, 4095, layout.SESSION_BYTES - 1])
def test_a_file_cut_short_is_told(length: int) -> None:
    """However much of it is missing. P7 P12"""
    with pytest.raises(CorruptFile, match=f"cut short \\({length} bytes\\)"):
        parse_session(session_bytes()[:length], None, live=False)


@given(st.binary(max_size=layout.SESSION_BYTES + 10))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but the named errors comes of any content. P14"""
    with pytest.raises((CorruptFile, UnsupportedFormat)):
        parse_session(data, None, live=False)


@pytest.mark.parametrize("said", [[], 5, "text", {"service": None}, {"service": [1]}, {}])
def test_an_odd_description_is_no_trouble(said: object) -> None:
    """What the recording process says of itself is shown as text, or not at all. P14"""
    info = parse_session(session_bytes(said=said), None, live=False)
    wanted = str(said.get("service", "")) if isinstance(said, dict) else ""
    assert info.service == wanted


def test_anchors_are_in_order_of_time() -> None:
    """The newest may overwrite older ones in place; empty places are left out. P19"""
    anchors = ((100, 5), (900, 45), (0, 0), (300, 15), (200, 10))
    info = parse_session(session_bytes(anchors=anchors), None, live=False)
    assert [anchor.monotonic_ns for anchor in info.anchors] == [100, 200, 300, 900]


def test_a_count_of_anchors_that_lies_is_no_trouble() -> None:
    """More anchors than the page holds are not read beyond it. P14"""
    data = bytearray(session_bytes())
    struct.pack_into("<Q", data, layout.ANCHORS_OFFSET, 2**63)
    assert len(parse_session(bytes(data), None, live=False).anchors) == 1


def test_a_folder_without_a_session_is_none(tmp_path: Path) -> None:
    """An empty folder, a file and a place that is not there are NotASession. P15"""
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file", tmp_path / "nowhere"):
        with pytest.raises(NotASession, match="holds no session"):
            read_session_file(place)


def test_a_session_lives_as_long_as_its_lock(tmp_path: Path) -> None:
    """The lock of another process says that it records; when it ends, the session is dead. P10"""
    folder = write_session(tmp_path, "s")
    assert not read_session_file(folder).live
    lock = (
        "import fcntl, os, struct, sys;"
        "fd = os.open(sys.argv[1], os.O_RDWR);"
        "fcntl.fcntl(fd, fcntl.F_OFD_SETLK,"
        " struct.pack('hhqqi', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0));"
        "print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", lock, str(folder / "session")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "locked\n"
        info = read_session_file(folder)
        assert (info.live, info.state) == (True, "recording")
        owner.communicate()
    assert read_session_file(folder).state == "dead"


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """Not the bytes, nor the number of open files. P1"""
    folder = write_session(tmp_path, "s")
    before = (folder / "session").read_bytes(), os.listdir("/proc/self/fd")
    read_session_file(folder)
    assert ((folder / "session").read_bytes(), os.listdir("/proc/self/fd")) == before
