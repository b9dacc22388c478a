"""The control page of another process: its gates and rules, read and changed while it runs."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from whence import _native
from whence.model.errors import CorruptFile, SessionEnded, UnsupportedFormat
from whence.model.recording import SessionInfo
from whence.ring import layout
from whence.ring.folders import open_session_file

__all__ = ["Control", "is_rule_name"]

_CLAIMED = 0xFFFF_FFFF
_MOST_LOG_BYTES = 32 << 20  # as much as readers read


class Control:
    """The open control page of a live session. One thread at a time; close it.

    Changes are single atomic stores of a word, so any number of processes may make them while the
    producer runs; it obeys from its next call on. Any word is a valid gate.

    Raises SessionEnded for a session whose process has ended, NotASession for a file of another
    user, a link or what is no plain file, CorruptFile and UnsupportedFormat for a page that is not
    the session's own, and OSError.
    """

    def __init__(self, session: SessionInfo) -> None:
        if not session.live:
            raise SessionEnded(f"{session.name} has ended: its gates cannot be changed any more")
        folder = Path(session.path)
        self._log = -1
        self._page = open_session_file(folder, "control", os.O_RDWR)
        try:
            self._has_rules = self._check(session)
            self._log = open_session_file(folder, "gates", os.O_WRONLY | os.O_APPEND)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files; again is no error."""
        for handle in (self._page, self._log):
            if handle >= 0:
                os.close(handle)
        self._page = self._log = -1

    def gate(self, kind: int) -> int:
        """The gate word of a kind, by its id."""
        return int.from_bytes(self._read(_gate_offset(kind), 8), "little")

    def change(self, kind: int, word: int) -> int:
        """Stores a gate word and notes it in the log of changes; the word before."""
        before = _native.swap_word(self._page, _gate_offset(kind), word)
        if before != word:
            self._note(kind, before, word)
        return before

    def rules(self) -> dict[str, int]:
        """The gates that kinds of a name get when they are declared later, "*" for the others."""
        found: dict[str, int] = {}
        for at in self._rule_offsets():
            entry = self._read(at, layout.RULE_BYTES)
            if name := _rule_name(entry):
                found.setdefault(name, int.from_bytes(entry[8:16], "little"))
        return found

    def set_rule(self, name: str, word: int) -> bool:
        """Adds or changes a rule. False where there is no room for one more.

        Raises ValueError for what cannot be a rule's name.
        """
        return self.set_rules({name: word})

    def set_rules(self, words: Mapping[str, int], dispensable: Container[str] = ()) -> bool:
        """Adds or changes all of these rules, or none: False where there is no room for them.

        Those that are `dispensable` are left out where there is no room. Raises ValueError, having
        changed nothing, for what cannot be a rule's name and is not dispensable.
        """
        named = {name: word for name, word in words.items() if is_rule_name(name)}
        for name in words.keys() - named.keys():
            if name not in dispensable:
                _check_name(name)
        new = sorted(named.keys() - self.rules().keys(), key=lambda name: name in dispensable)
        claimed = self._claim(len(new))
        if any(name not in dispensable for name in new[len(claimed) :]):
            for at in claimed:
                _native.replace_word(self._page, at, _CLAIMED, 0)
            return False
        for name, at in zip(new, claimed, strict=False):
            self._write_rule(at, name.encode(), named[name])
        for name in named.keys() - set(new[len(claimed) :]):  # finds who came before us, too
            self._change_rule(name, named[name])
        return True

    def has_room(self, names: Iterable[str]) -> bool:
        """Whether set_rules() would find room for rules of these names now.

        Raises ValueError for what cannot be a rule's name.
        """
        new = set(names) - self.rules().keys()
        for name in new:
            _check_name(name)
        free = sum(self._read(at, 8) == bytes(8) for at in self._rule_offsets())
        return len(new) <= free

    def _claim(self, count: int) -> list[int]:
        """At most that many free entries, which nobody else can have or read meanwhile."""
        claimed: list[int] = []
        for at in self._rule_offsets():
            if len(claimed) == count:
                break
            if _native.replace_word(self._page, at, 0, _CLAIMED):
                claimed.append(at)
        return claimed

    def _write_rule(self, at: int, name: bytes, word: int) -> None:
        os.pwrite(self._page, word.to_bytes(8, "little"), at + 8)
        os.pwrite(self._page, name.ljust(layout.RULE_NAME_BYTES, b"\0"), at + 16)
        _native.swap_word(self._page, at, len(name) | zlib.crc32(name) << 32)

    def _change_rule(self, name: str, word: int) -> None:
        for at in self._rule_offsets():
            if _rule_name(self._read(at, layout.RULE_BYTES)) == name:
                _native.swap_word(self._page, at + 8, word)
                return

    def _rule_offsets(self) -> range:
        end = layout.CONTROL_BYTES if self._has_rules else layout.RULES_OFFSET
        return range(layout.RULES_OFFSET, end, layout.RULE_BYTES)

    def _read(self, at: int, count: int) -> bytes:
        data = os.pread(self._page, count, at)
        if len(data) < count:
            raise CorruptFile("control file: truncated while it was read")
        return data

    def _check(self, session: SessionInfo) -> bool:
        """Whether the page has room for rules; raises if it is none of this session."""
        where = Path(session.path) / "control"
        size = os.fstat(self._page).st_size
        if size < layout.CONTROL_BYTES_OF_MINOR_0:
            raise CorruptFile(f"{where}: the control page is cut short ({size} bytes)")
        data = self._read(0, layout.SMALL_HEADER.size)
        magic, endian, major, minor, file_bytes, uuid = layout.SMALL_HEADER.unpack(data)
        if magic != layout.CONTROL_MAGIC:
            raise CorruptFile(f"{where}: not a control page")
        if endian != layout.ENDIAN_MARK:
            raise UnsupportedFormat(f"{where}: of a machine of the other byte order")
        if major != layout.FORMAT_MAJOR:
            raise UnsupportedFormat(
                f"{where}: format {major}; this whence changes format {layout.FORMAT_MAJOR}"
            )
        if str(UUID(bytes=uuid)) != session.uuid:
            raise CorruptFile(f"{where}: belongs to session {UUID(bytes=uuid)}")
        if file_bytes > size:
            raise CorruptFile(f"{where}: the control page is cut short ({size} bytes)")
        return bool(minor >= 1 and file_bytes >= layout.CONTROL_BYTES)

    def _note(self, kind: int, before: int, after: int) -> None:
        if os.fstat(self._log).st_size >= _MOST_LOG_BYTES:
            return
        moment = time.monotonic_ns()
        bare = layout.GATE_RECORD.pack(moment, kind, 0, before, after)
        crc = zlib.crc32(bare[:12] + bare[16:])
        os.write(self._log, layout.GATE_RECORD.pack(moment, kind, crc, before, after))


def is_rule_name(name: str) -> bool:
    """Whether a rule can have that name: 1 to 112 bytes of UTF-8."""
    try:
        return 1 <= len(name.encode()) <= layout.RULE_NAME_BYTES
    except UnicodeEncodeError:
        return False


def _check_name(name: str) -> None:
    if not is_rule_name(name):
        raise ValueError(f"a rule's name has 1 to {layout.RULE_NAME_BYTES} bytes, not {name!r}")


def _gate_offset(kind: int) -> int:
    if not 0 < kind < layout.MAX_KINDS:
        raise ValueError(f"kinds have ids from 1 to {layout.MAX_KINDS - 1}, not {kind}")
    return layout.GATES_OFFSET + kind * 8


def _rule_name(entry: bytes) -> str:
    """The name of a rule, "" where there is none or it is damaged."""
    length, crc = int.from_bytes(entry[:4], "little"), int.from_bytes(entry[4:8], "little")
    name = entry[16 : 16 + length]
    if not 1 <= length <= layout.RULE_NAME_BYTES or zlib.crc32(name) != crc:
        return ""
    return name.decode(errors="replace")
