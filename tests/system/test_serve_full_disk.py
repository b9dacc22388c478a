"""A server whose disk is full refuses what it cannot keep, answers on, and recovers by itself."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'whence[serve]'")

from tests.mounted import disk_of
from tests.system.serving import ServeProcess, otlp_request
from whence.store.doctor import examine

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB in memory."""
    with disk_of("8m", tmp_path / "disk") as place:
        yield place


def test_a_server_on_a_full_disk_answers_on_and_recovers(small_disk: Path, tmp_path: Path) -> None:
    """Writes get a 5xx and when to come again, never a yes; questions are answered, also by one
    that starts there; once there is room all goes on, and what was refused may be sent. R4.6 R5.25
    """
    base = tmp_path / "whence"
    base.mkdir(mode=0o700)
    store, ballast = small_disk / "traces", small_disk / "ballast"
    server = ServeProcess(store, base, "", "--keep-bytes", "4M")
    try:
        assert server.ask("POST", "/v1/traces", otlp_request("span-0"), "")[0] == 200
        _, gone, _ = server.ask("POST", "/traces", {"name": "gone"})
        _, kept, _ = server.ask("POST", "/traces", {"name": "kept"})
        fill(ballast)
        for number in (1, 2, 3):
            request = otlp_request(f"span-{number}")
            status, value, headers = server.ask("POST", "/v1/traces", request, "")
            assert status == 503, value
            assert int(headers["retry-after"]) > 0
        codes = []
        for _ in range(3):
            status, value, headers = server.ask("POST", "/traces", {"name": "refused"})
            assert status == 503, value
            assert int(headers["retry-after"]) > 0
            codes.append(value["code"])
        assert set(codes[1:]) == {"disk_full"}, "nothing more is taken once that is known"
        assert names(server) == ["gone", "kept", "step"]
        assert server.ask("GET", "/healthz")[0] == 503
        assert server.ask("DELETE", f"/traces/{gone['trace_id']}")[0] == 200
        assert set(names(server)) - {"refused"} == {"kept", "step"}
        server.kill()
        fill(small_disk / "more")  # deleting has made room: there was a reserve for that
        server = ServeProcess(store, base, server.token, "--keep-bytes", "4M")
        assert set(names(server)) - {"refused"} == {"kept", "step"}
        (small_disk / "more").unlink()
        ballast.unlink()
        until(lambda: server.ask("POST", "/v1/traces", otlp_request("span-1"), "")[0] == 200)
        until(lambda: server.ask("POST", "/traces", {"name": "after"})[0] == 201)
        event = {"event_type": "said", "message": "there is room"}
        path = f"/traces/{kept['trace_id']}"
        assert server.ask("POST", f"{path}/events", event)[0] == 201
        assert server.ask("GET", path)[1]["events"] == 1
        found = names(server)
        assert found.count("step") == 2
        assert found.count("after") == found.count("kept") == 1
        assert found.count("refused") <= codes.count("not_stored")
        assert "gone" not in found
    finally:
        server.kill()
    assert examine(store).is_sound


def names(server: ServeProcess) -> list[str]:
    """Of the traces that the server tells of."""
    status, found, _ = server.ask("GET", "/traces?limit=100")
    assert status == 200
    return sorted(each["name"] for each in found["items"])


def fill(ballast: Path) -> None:
    """Takes all room there is, to the last block."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(os.urandom(1 << 16)):
            pass


def until(holds: Callable[[], Any]) -> None:
    """Waits for something that comes by itself."""
    end_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.05)
