"""Alerts from a stored event to those who are told: once when they fire, once when they end."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.query.build import WALL_NS
from tests.watch.growing import Program
from tests.watch.traced import MS, SECOND, trace
from whence.model.errors import AlertError
from whence.query.engines.folder import FolderEngine
from whence.store.folder import FolderStore
from whence.watch.alerts.alerts import Alerts
from whence.watch.alerts.rules import AlertRule
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


def test_a_restart_fires_nothing_anew_and_delivers_what_was_left(tmp_path: Path) -> None:
    """A message nobody got is delivered by the next one; what fires goes on firing. R4.51 R4.68"""
    clock = Clock()
    with FolderStore(tmp_path / "traces", write=True) as store, hook() as web:
        program = Program(store)
        program.commit([*trace(program, 1, status="failed", errors=1)])
        settings = settings_of(web.at, 'name = "errors"\ncondition = "error_rate > 5% -> webhook"')
        web.answers = [(503, {"Retry-After": "1000"})]
        for now_s in (1, 2, 3):
            clock.now_ns = now_s * SECOND
            with (
                contextlib.closing(watched(tmp_path / "traces", settings, clock)) as alerts,
                FolderEngine(tmp_path / "traces") as engine,
            ):
                alerts.look(engine)
                assert alerts.status()[0].state.phase == "firing"
                if now_s == 1:
                    wait_for(lambda: alerts.counts["webhook"].retried == 1)
                else:
                    assert alerts._deliveries["webhook"].wait_settled(10)
        assert names(web.alerts) == ["errors", "errors"]  # refused once, and then taken once
        assert web.alerts[0] == web.alerts[1]


def test_rules_that_go_are_resolved_and_those_that_come_begin(tmp_path: Path) -> None:
    """While it runs; a rule that names no action leaves things as they are. R4.51"""
    clock = Clock()
    with FolderStore(tmp_path / "traces", write=True) as store, hook() as web:
        program = Program(store)
        program.commit([*trace(program, 1, status="failed", errors=1)])
        settings = settings_of(web.at, 'name = "old"\ncondition = "error_rate > 5% -> webhook"')
        with (
            contextlib.closing(watched(tmp_path / "traces", settings, clock)) as alerts,
            FolderEngine(tmp_path / "traces") as engine,
        ):
            alerts.look(engine)
            with pytest.raises(AlertError, match="no action 'x'"):
                alerts.set_rules([AlertRule(name="a", condition="error_rate > 5% -> x")])
            alerts.set_rules([AlertRule(name="new", condition="error_rate > 5% -> webhook")])
            alerts.look(engine)
            assert alerts._deliveries["webhook"].wait_settled(10)
            told = [(each["name"], each["status"]) for each in web.alerts]
            assert told == [("old", "firing"), ("old", "resolved"), ("new", "firing")]
            assert alerts.test("new") == {"webhook": ""}
            assert web.alerts[-1]["status"] == "test"
            with pytest.raises(LookupError):
                alerts.test("old")


def test_a_clock_that_is_set_loses_no_window(tmp_path: Path) -> None:
    """A year ahead or back between the event and the look: the rule still sees it. R4.51"""
    for jump_s in (31_536_000, -31_536_000):
        clock = Clock()
        folder = tmp_path / str(jump_s)
        with FolderStore(folder, write=True) as store, hook() as web:
            program = Program(store)
            settings = settings_of(web.at, 'name = "a"\ncondition = "error_rate > 5% -> webhook"')
            with (
                contextlib.closing(watched(folder, settings, clock)) as alerts,
                FolderEngine(folder) as engine,
            ):
                alerts.look(engine)
                program.commit([*trace(program, 1, SECOND, status="failed", errors=1)])
                clock.now_ns = 10 * SECOND
                clock.ahead_ns += jump_s * SECOND
                alerts.look(engine)
                assert alerts.status()[0].state.phase == "firing"
                clock.now_ns = 400 * SECOND
                alerts.look(engine)
                assert alerts.status()[0].state.phase == "firing"  # of no trace nothing is known
                assert alerts._deliveries["webhook"].wait_settled(10)
                assert len(web.alerts) == 1


def test_alerts_of_our_own_losses_fire(tmp_path: Path) -> None:
    """Events overwritten before they were stored are told of. R5.25"""
    clock = Clock()
    with FolderStore(tmp_path / "traces", write=True) as store, hook() as web:
        program = Program(store)
        program.record(1)
        settings = settings_of(web.at, 'name = "lost"\ncondition = "lost_events > 0 -> webhook"')
        with (
            contextlib.closing(watched(tmp_path / "traces", settings, clock)) as alerts,
            FolderEngine(tmp_path / "traces") as engine,
        ):
            alerts.look(engine)
            for _ in range(3):
                program.event(2)  # overwritten: its ticket is passed, and never stored
            program.record(3)
            clock.now_ns = SECOND
            alerts.look(engine)
            assert alerts._deliveries["webhook"].wait_settled(10)
    assert [each["values"] for each in web.alerts] == [{"lost_events": "3"}]


def watched(store: Path, settings: AlertSettings, clock: Clock) -> Alerts:
    """Alerts over a store, by clocks of the test."""
    return Alerts(
        store,
        settings,
        lambda: FolderEngine(store),
        clock_ns=clock.monotonic,
        wall_clock_ns=clock.wall,
    )


def wait_for(holds: Callable[[], bool]) -> None:
    """Until it does; fails after a long time."""
    end_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.005)
