"""An OTLP request in protobuf becomes tables of a store, one for each resource that it tells of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa

from whence import _native
from whence.export.conventions import MODELS, RESOURCE, native_table
from whence.store.outside import outside_session
from whence.store.sessions import StoredSession

__all__ = ["SIGNALS", "OtlpLimits", "Received", "RequestReader"]

SIGNALS = ("traces", "logs", "metrics")
KIND = "otlp"
MOST_RESOURCE_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class OtlpLimits:
    """What a request and a record may hold. What is beyond it is refused or cut, and counted."""

    body_bytes: int = 16 << 20
    """Of a request, as sent and after inflating."""
    rows: int = 262_144
    """Of a request; spans and records beyond it are rejected by a partial success."""
    attributes: int = 256
    """Of a record."""
    key_bytes: int = 1_000
    value_bytes: int = 256 << 10
    """Texts are cut there; lists and maps that are longer as JSON are left out."""
    depth: int = 16
    """Of lists and maps; what lies deeper is null."""
    parts: int = 1_024
    """Events and links of a span, each."""


class Received(NamedTuple):
    """A request's rows by session; of its `records` (not their inner events) some were rejected.

    `cut` counts attributes, texts, links and inner events that the limits took; `timeless` says
    that some record had no time, and got that of its arrival.
    """

    parts: list[tuple[pa.Table, StoredSession]]
    records: int
    rejected: int
    cut: int
    reason: str
    timeless: bool


class RequestReader:
    """Reads requests. Threads may share it; most of the work is done without the GIL."""

    def __init__(
        self, limits: OtlpLimits | None = None, *, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.limits = limits or OtlpLimits()
        self._wall_ns = wall_ns
        self._reader = _native.OtlpReader(
            native_table(),
            MODELS,
            rows=self.limits.rows,
            attributes=self.limits.attributes,
            key_bytes=self.limits.key_bytes,
            value_bytes=self.limits.value_bytes,
            depth=self.limits.depth,
            parts=self.limits.parts,
        )

    def read(self, signal: str, body: bytes) -> Received:
        """The rows of an export request. Raises ValueError for bytes that are no such message."""
        columns, resources, records, rejected, cut, reason, timeless = self._reader.read(
            signal, body, self._wall_ns()
        )
        table = pa.table(columns)
        parts = []
        first = 0
        for resource, rows in resources:
            parts.append((table.slice(first, rows), _session(_within(resource))))
            first += rows
        return Received(parts, records, rejected, cut, reason, timeless)


def _within(resource: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """A resource's attributes in order; of one that is too large the first ones."""
    kept = []
    left = MOST_RESOURCE_BYTES
    for name, value in sorted(resource.items()):
        left -= len(name) + len(value)
        if left < 0:
            break
        kept.append((name, value))
    return tuple(kept)


@lru_cache(maxsize=1_024)
def _session(resource: tuple[tuple[str, str], ...]) -> StoredSession:
    told = dict(resource)
    return outside_session(KIND, told, told.get(RESOURCE["service"], ""))
