"""The log of gate changes: when a kind was switched on or off, or sampled at another rate."""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from whence.model.recording import MOST_INT64, GateChange
from whence.ring import layout
from whence.ring.folders import open_session_file

__all__ = ["gate_parts", "read_gate_changes", "threshold_of"]

MOST_BYTES = 32 << 20  # a million changes; what a damaged file may make us read


def read_gate_changes(
    folder: Path, session: str, kind_names: Mapping[int, str]
) -> tuple[GateChange, ...]:
    """The changes of gates in `folder`, in the order of the log; damaged records are left out."""
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
        if zlib.crc32(body) != crc or before == after:
            continue
        name = kind_names.get(kind, f"unknown-kind-{kind}")
        changes.append(GateChange(session, min(monotonic_ns, MOST_INT64), name, *gate_parts(after)))
    return tuple(changes)


def gate_parts(word: int) -> tuple[bool, float, float | None]:
    """What a gate word says: whether the kind is on, at which rate, above which minimum.

    Any 64 bits are a gate. One that is exempt has no rate and no minimum, and what is not a number
    is no minimum.
    """
    on, exempt = bool(word & layout.GATE_ON), bool(word & layout.GATE_EXEMPT)
    bits = word >> layout.GATE_MINIMUM_SHIFT
    minimum: float = struct.unpack("<f", struct.pack("<I", bits))[0]
    if exempt or not bits or math.isnan(minimum):
        return on, 1.0 if exempt else _rate(word), None
    return on, _rate(word), minimum + 0.0


def threshold_of(rate: float) -> int:
    """The sampling value, of 30 bits, from which on a request is kept at that rate."""
    return layout.SAMPLE_STEPS - round(rate * layout.SAMPLE_STEPS)


def _rate(word: int) -> float:
    threshold = word >> layout.GATE_THRESHOLD_SHIFT & layout.SAMPLE_STEPS - 1
    return (layout.SAMPLE_STEPS - threshold) / layout.SAMPLE_STEPS
