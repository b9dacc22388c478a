"""SystemMetrics: processor, memory, disk, network and connections of this machine, as they are."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from whence.watch.metrics.instruments import Reading

__all__ = ["NetworkIO", "SystemMetrics", "SystemReading"]


@dataclass(frozen=True, slots=True)
class NetworkIO:
    """Bytes over all interfaces but the loopback, since the machine began.

    The rates are those since the reading before, None at the first one and after a reset.
    """

    bytes_sent: int
    bytes_received: int
    sent_per_second: float | None = None
    received_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemReading:
    """The machine at one moment; None for what could not be read, and why in `missing`.

    Usages are of 100: `cpu_usage` of all processors together since the reading before,
    `disk_usage` of the file system that the store is on. `active_connections` are established TCP
    connections of the machine.
    """

    cpu_usage: float | None = None
    memory_usage: float | None = None
    memory_bytes: int | None = None
    disk_usage: float | None = None
    disk_free_bytes: int | None = None
    network_io: NetworkIO | None = None
    active_connections: int | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def readings(self) -> list[Reading]:
        """The same as series; what is missing is left out."""
        net = self.network_io
        found: list[tuple[str, str, float | None]] = [
            ("cpu_usage", "%", self.cpu_usage),
            ("memory_usage", "%", self.memory_usage),
            ("memory_used_bytes", "bytes", self.memory_bytes),
            ("disk_usage", "%", self.disk_usage),
            ("disk_free_bytes", "bytes", self.disk_free_bytes),
            ("network_sent_bytes", "bytes", net.bytes_sent if net else None),
            ("network_received_bytes", "bytes", net.bytes_received if net else None),
            ("active_connections", "connections", self.active_connections),
        ]
        if net is not None:
            found.append(("network_sent_bytes_per_second", "bytes/s", net.sent_per_second))
            found.append(("network_received_bytes_per_second", "bytes/s", net.received_per_second))
        return [
            Reading(name, "gauge", unit, (), float(value))
            for name, unit, value in found
            if value is not None
        ]


class SystemMetrics:
    """Reads this machine's figures through psutil. One thread at a time.

    `path` is a folder on the disk of interest. What may not be read, on a machine that guards it,
    or cannot, without psutil, is None and said.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = ".",
        *,
        psutil: ModuleType | Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = os.fspath(path)
        self._clock = clock
        self._psutil = psutil
        self._trouble = ""
        if psutil is None:
            try:
                self._psutil = importlib.import_module("psutil")
            except ImportError:
                self._trouble = "psutil is not installed: pip install 'whence[serve]'"
        self._cpu_read = False
        self._network: tuple[float, int, int] | None = None

    def read(self) -> SystemReading:
        """The figures of now. Costs some milliseconds where there are many connections."""
        missing: dict[str, str] = {}
        found: dict[str, Any] = {}
        for names, read in (
            (("cpu_usage",), self._cpu),
            (("memory_usage", "memory_bytes"), self._memory),
            (("disk_usage", "disk_free_bytes"), self._disk),
            (("network_io",), self._network_io),
            (("active_connections",), self._connections),
        ):
            if self._psutil is None:
                missing |= dict.fromkeys(names, self._trouble)
                continue
            try:
                found |= dict(zip(names, read(), strict=True))
            except Exception as error:  # of the operating system, or of what psutil has not here
                missing |= dict.fromkeys(names, f"{type(error).__name__}: {error}".rstrip(": "))
        if self._psutil is not None and found.get("cpu_usage") is None:
            missing.setdefault("cpu_usage", "known from the second reading on")
        return SystemReading(**found, missing=missing)

    def _cpu(self) -> tuple[float | None]:
        share = float(self._psutil.cpu_percent(interval=None))
        first, self._cpu_read = not self._cpu_read, True
        return (None if first else share,)  # the first one is of no time

    def _memory(self) -> tuple[float, int]:
        found = self._psutil.virtual_memory()
        return float(found.percent), int(found.total - found.available)

    def _disk(self) -> tuple[float, int]:
        found = self._psutil.disk_usage(self._path)
        return float(found.percent), int(found.free)

    def _network_io(self) -> tuple[NetworkIO]:
        by_name = self._psutil.net_io_counters(pernic=True) or {}
        outside = [each for name, each in by_name.items() if name not in ("lo", "lo0")]
        sent = sum(int(each.bytes_sent) for each in outside)
        received = sum(int(each.bytes_recv) for each in outside)
        before, now_s = self._network, self._clock()
        self._network = (now_s, sent, received)
        if before is None or now_s <= before[0] or sent < before[1] or received < before[2]:
            return (NetworkIO(sent, received),)
        seconds = now_s - before[0]
        rates = (sent - before[1]) / seconds, (received - before[2]) / seconds
        return (NetworkIO(sent, received, *rates),)

    def _connections(self) -> tuple[int]:
        found = self._psutil.net_connections(kind="tcp")
        return (sum(each.status == self._psutil.CONN_ESTABLISHED for each in found),)
