"""Acknowledged positions: a state file with one owner, replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whence.collect.sink_ledger import SinkLedger
from whence.model.errors import CollectorRunning

__all__ = ["Acknowledged", "StateFile", "read_sinks", "read_state", "state_path"]

FORMAT = "whence-collector"
VERSION = 1
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """How far a sink has settled every event, in order, and the ledger of exactly those.

    `positions` are the next tickets by session (uuid) and ring. Of the sessions in `spoiled` some
    event was not delivered: they are not removed on the word of this sink. `token` is whatever
    the sink wants back after a restart.
    """

    positions: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    ledger: SinkLedger = field(default_factory=SinkLedger)
    spoiled: frozenset[str] = frozenset()
    token: str = ""


class StateFile:
    """A collector's state file, owned by this process until close().

    Raises CollectorRunning when another process owns it, OSError where it cannot be made. A file
    that cannot be understood is put aside and told of in `trouble`: collecting then begins with
    what the sessions still hold.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(path.with_name(path.name + ".lock"), path)
        self._written = b""
        try:
            self.sinks = self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> dict[str, Acknowledged]:
        try:
            return _parsed(_content(self.path))
        except FileNotFoundError:
            return {}
        except DAMAGE as error:
            aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
            os.replace(self.path, aside)
            self.trouble = f"{self.path} was damaged ({error}) and is now {aside.name}"
            return {}

    def save(self, sinks: Mapping[str, Acknowledged], status: Mapping[str, Any]) -> None:
        """Replaces the file, durably. Raises OSError; the file is then as it was before."""
        self.sinks = {**self.sinks, **sinks}
        body = {"sinks": {name: _plain(state) for name, state in self.sinks.items()}}
        content = json.dumps(body).encode()
        if content == self._written:
            return
        head = {"format": FORMAT, "version": VERSION, "pid": os.getpid(), **status}
        _replace(self.path, json.dumps({**head, **body}).encode())
        self._written = content

    def close(self) -> None:
        """Gives the file up to whoever collects next."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def state_path(base: Path, names: Sequence[str]) -> Path:
    """The state file, beside the sessions in `base`, of a collector to sinks of these names."""
    text = "\n".join(sorted(names))
    return base / f"collector-{hashlib.sha256(os.fsencode(text)).hexdigest()[:12]}.state"


def read_state(path: Path) -> dict[str, Any] | None:
    """A state file as it stands, with whose it is and of when; None if it is none."""
    try:
        value = json.loads(_content(path))
    except (OSError, *DAMAGE):
        return None
    return value if isinstance(value, dict) and value.get("format") == FORMAT else None


def read_sinks(path: Path) -> dict[str, Acknowledged]:
    """What a state file says of each sink, for those who only look; {} if it cannot be read."""
    try:
        return _parsed(_content(path))
    except (OSError, *DAMAGE):
        return {}


def _locked(path: Path, owner_of: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, 0o600)
    try:
        # of this open file, unlike flock() to be asked after without being taken
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
    except OSError:
        pid = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        os.close(handle)
        raise CollectorRunning(
            f"{owner_of} belongs to the collector of pid {pid or 'unknown'}, which is running; "
            "stop it, or give this one another --state"
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def _content(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        return file.read()


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)  # of a collector that was killed; the lock is ours
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(temporary, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _plain(state: Acknowledged) -> dict[str, Any]:
    return {
        "positions": {uuid: dict(rings) for uuid, rings in state.positions.items()},
        "ledger": state.ledger.plain(),
        "undelivered_in": sorted(state.spoiled),
        "token": state.token,
    }


def _parsed(content: bytes) -> dict[str, Acknowledged]:
    value = json.loads(content)
    if value["format"] != FORMAT or value["version"] != VERSION:
        raise ValueError(f"it is {value['format']!r} version {value['version']!r}")
    return {name: _acknowledged(state) for name, state in value["sinks"].items()}


def _acknowledged(state: Mapping[str, Any]) -> Acknowledged:
    positions = {
        uuid: {int(ring): _ticket(ticket) for ring, ticket in rings.items()}
        for uuid, rings in state["positions"].items()
    }
    return Acknowledged(
        positions,
        SinkLedger.from_plain(state["ledger"]),
        frozenset(map(str, state.get("undelivered_in", ()))),
        str(state.get("token", "")),
    )


def _ticket(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no ticket")
    return value
