"""SystemMetrics: real figures of this machine, and None with a reason where there are none."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from whence.watch.metrics.system import NetworkIO, SystemMetrics


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection over the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
        with one, other:
            yield one, other


def test_figures_of_the_machine_are_real(
    tmp_path: Path, connected: tuple[socket.socket, socket.socket]
) -> None:
    """They agree with what the operating system says by itself. R4.40"""
    metrics = SystemMetrics(tmp_path)
    first, second = metrics.read(), metrics.read()
    assert first.cpu_usage is None
    assert first.missing == {"cpu_usage": "known from the second reading on"}
    assert second.missing == {}
    assert second.cpu_usage is not None
    assert 0 <= second.cpu_usage <= 100
    disk = os.statvfs(tmp_path)
    assert second.disk_free_bytes == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.05)
    assert second.memory_usage is not None
    assert 0 < second.memory_usage < 100
    lines = Path("/proc/meminfo").read_text().splitlines()
    total = 1024 * int(next(line for line in lines if line.startswith("MemTotal")).split()[1])
    assert second.memory_bytes is not None
    assert second.memory_bytes / total * 100 == pytest.approx(second.memory_usage, abs=1)
    assert second.network_io is not None
    assert second.network_io.bytes_sent >= first.network_io.bytes_sent  # type: ignore[union-attr]
    assert second.active_connections is not None
    assert second.active_connections >= 2


def test_rates_are_those_since_the_reading_before() -> None:
    """By the clock that is given; the loopback is left out, and a reset tells nothing. R4.40"""
    counters = iter([(1_000, 50), (3_000, 150), (10, 10)])

    def net_io_counters(pernic: bool) -> dict[str, Any]:
        sent, received = next(counters)
        return {
            "lo": SimpleNamespace(bytes_sent=10**9, bytes_recv=10**9),
            "eth0": SimpleNamespace(bytes_sent=sent, bytes_recv=received),
        }

    fake = SimpleNamespace(net_io_counters=net_io_counters)
    moments = iter([10.0, 14.0, 15.0])
    metrics = SystemMetrics(psutil=fake, clock=lambda: next(moments))
    assert metrics.read().network_io == NetworkIO(1_000, 50)
    assert metrics.read().network_io == NetworkIO(3_000, 150, 500.0, 25.0)
    assert metrics.read().network_io == NetworkIO(10, 10)


def test_what_may_not_be_read_is_none_and_said() -> None:
    """A missing permission takes one figure away, and no other. R4.40"""

    def refuses(kind: str) -> list[Any]:
        raise psutil.AccessDenied(1)

    fake = SimpleNamespace(
        cpu_percent=lambda interval: 12.5,
        virtual_memory=psutil.virtual_memory,
        disk_usage=psutil.disk_usage,
        net_io_counters=psutil.net_io_counters,
        net_connections=refuses,
        CONN_ESTABLISHED=psutil.CONN_ESTABLISHED,
    )
    metrics = SystemMetrics("/nowhere-at-all", psutil=fake)
    metrics.read()
    found = metrics.read()
    assert found.cpu_usage == 12.5
    assert found.active_connections is None
    assert found.disk_usage is None
    assert set(found.missing) == {"active_connections", "disk_usage", "disk_free_bytes"}
    assert "AccessDenied" in found.missing["active_connections"]
    names = {each.name for each in found.readings()}
    assert "cpu_usage" in names
    assert not names & {"active_connections", "disk_usage", "disk_free_bytes"}


def test_without_psutil_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure is None, and the reason says what to install."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    found = SystemMetrics().read()
    assert (found.cpu_usage, found.memory_usage, found.network_io) == (None, None, None)
    assert all("pip install" in why for why in found.missing.values())
    assert found.readings() == []
