"""The log of gate changes: when a kind was switched on or off."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from whence.model.recording import MOST_INT64, GateChange
from whence.ring import layout
from whence.ring.folders import open_session_file

__all__ = ["read_gate_changes"]

MOST_BYTES = 32 << 20  # a million changes; what a damaged file may make us read


def read_gate_changes(
    folder: Path, session: str, kind_names: Mapping[int, str]
) -> tuple[GateChange, ...]:
    """The changes of on and off in `folder`, oldest first; damaged records are left out."""
    try:
        handle = open_session_file(folder, "gates")
    except FileNotFoundError:
        return ()
    try:
        data = os.pread(handle, MOST_BYTES, 0)
    finally:
        os.close(handle)
    changes = []
    for at in range(0, len(data) - layout.GATE_RECORD.size + 1, layout.GATE_RECORD.size):
        monotonic_ns, kind, crc, before, after = layout.GATE_RECORD.unpack_from(data, at)
        body = data[at : at + 12] + data[at + 16 : at + 32]
        if zlib.crc32(body) != crc or not (before ^ after) & layout.GATE_ON:
            continue
        name = kind_names.get(kind, f"unknown-kind-{kind}")
        changes.append(
            GateChange(session, min(monotonic_ns, MOST_INT64), name, bool(after & layout.GATE_ON))
        )
    return tuple(changes)
