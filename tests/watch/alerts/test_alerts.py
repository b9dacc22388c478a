"""Alerts from a stored event to those who are told: once when they fire, once when they end."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.query.build import WALL_NS
from tests.watch.growing import Program
from tests.watch.traced import MS, SECOND, trace
from whence.query.engines.folder import FolderEngine
from whence.store.folder import FolderStore
from whence.watch.alerts.alerts import Alerts
from whence.watch.alerts.settings import AlertSettings, parse_alerts


class Clock:
    """Both clocks, where a test sets them."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.ahead_ns = WALL_NS

    def monotonic(self) -> int:
        """What the monotonic one says."""
        return self.now_ns

    def wall(self) -> int:
        """What the wall clock says."""
        return self.now_ns + self.ahead_ns


class Hook:
    """A server on loopback that keeps what is posted to it, and answers as it is told."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                hook.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, headers = hook.answers.pop(0) if hook.answers else (200, {})
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *said: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.at = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """All alerts that a generic webhook was told."""
        return [each for body in self.bodies for each in json.loads(body)["alerts"]]

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def hook() -> Iterator[Hook]:
    """A webhook that ends with the test."""
    made = Hook()
    try:
        yield made
    finally:
        made.close()


def settings_of(at: str, *alerts: str) -> AlertSettings:
    """Alerts that go to a webhook there."""
    head = f'allow = ["{at}"]\n[action.webhook]\nurl = "http://{at}/hook"\n'
    return parse_alerts(head + "".join(f"[[alert]]\n{each}\n" for each in alerts))


def test_a_rule_is_told_once_when_it_fires_and_once_when_it_is_resolved(tmp_path: Path) -> None:
    """From a stored error to a webhook that was told, with the trace. R4.51 R4.52 R4.68"""
    clock = Clock()
    with FolderStore(tmp_path / "traces", write=True) as store, hook() as web:
        program = Program(store)
        program.commit([*trace(program, 1), *trace(program, 2, status="failed", errors=1)])
        settings = settings_of(
            web.at, 'name = "errors"\ncondition = "error_rate > 5% for 10s -> webhook"'
        )
        with (
            contextlib.closing(
                Alerts(
                    tmp_path / "traces",
                    settings,
                    lambda: FolderEngine(tmp_path / "traces"),
                    clock_ns=clock.monotonic,
                    wall_clock_ns=clock.wall,
                )
            ) as alerts,
            FolderEngine(tmp_path / "traces") as engine,
        ):
            phases = []
            for at_s in (1, 5, 12, 20, 400, 401):
                clock.now_ns = at_s * SECOND
                if at_s == 400:
                    program.commit([*trace(program, 3, 399 * SECOND, lasts_ns=MS)])
                alerts.look(engine)
                phases.append(alerts.status()[0].state.phase)
            assert alerts._deliveries["webhook"].wait_settled(10)
            assert phases == ["pending", "pending", "firing", "firing", "inactive", "inactive"]
            fired, resolved = web.alerts
    assert (fired["status"], resolved["status"]) == ("firing", "resolved")
    assert fired["id"] == resolved["id"]
    assert fired["values"] == {"error_rate": "50%"}
    assert resolved["values"] == {"error_rate": "0%"}
    assert fired["causes"][0]["id"] == f"{2:032x}"
    assert fired["causes"][0]["command"].startswith(f"whence why {2:032x} --from ")


def names(alerts: Sequence[dict[str, Any]]) -> list[str]:
    """What they are called."""
    return [each["name"] for each in alerts]
