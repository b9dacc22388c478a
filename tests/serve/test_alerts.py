"""Alerts over HTTP: the rules, how they stand, a test message, and who may do which."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'whence[serve]'")

from tests.serve.serving import Answer, Client, served
from tests.watch.alerts.test_alerts import Hook, hook, settings_of
from tests.watch.growing import Program
from tests.watch.traced import trace
from whence.query.engines.folder import FolderEngine
from whence.store.folder import FolderStore
from whence.watch.alerts.alerts import Alerts

RULE = 'name = "errors"\ncondition = "error_rate > 5% -> webhook"'


@contextlib.contextmanager
def served_with(folder: Path) -> Iterator[tuple[Client, Hook]]:
    """A server with one rule, that writes as far as alerts do."""
    with FolderStore(folder, write=True) as store:
        program = Program(store)
        program.commit([*trace(program, 1)])
    with hook() as web:
        alerts = Alerts(folder, settings_of(web.at, RULE), lambda: FolderEngine(folder))
        with (
            contextlib.closing(alerts),
            served(folder, alerts=alerts, read_only=lambda: "") as client,
        ):
            yield client, web


def put_rules(client: Client, value: object, **more: str) -> Answer:
    """PUT of JSON."""
    body, headers = json.dumps(value).encode(), {"Content-Type": "application/json"}
    return client.ask("PUT", "/alerts/rules", body, headers, **more)


def test_rules_are_shown_replaced_and_tried(tmp_path: Path) -> None:
    """What a rule may name is what the file declares. R4.51 R4.63"""
    with served_with(tmp_path / "traces") as (client, web):
        [rule] = client.get("/alerts/rules").json["alerts"]
        assert (rule["name"], rule["actions"]) == ("errors", ["webhook"])
        [alert] = client.get("/alerts").json["alerts"]
        assert (alert["phase"], alert["holds"], alert["message"]) == ("inactive", None, None)
        put = {"alerts": [{**rule, "name": "slow", "condition": "avg_duration > 5000ms"}]}
        body = put_rules(client, put)
        assert body.status == 200
        assert client.get("/alerts").json["alerts"][0]["name"] == "slow"
        assert client.post("/alerts/slow/test", {}).json == {"sent": {"webhook": ""}}
        assert [each["status"] for each in web.alerts] == ["test"]
        assert client.post("/alerts/errors/test", {}).status == 404


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "a", "condition": "eror_rate > 5%"},
        {"name": "a", "condition": "error_rate > 5% -> http://169.254.169.254/"},
        {"name": "a", "condition": "error_rate > 5%", "actions": ["pager"]},
        {"name": "a", "condition": "error_rate > 5%", "url": "http://169.254.169.254/"},
        {"name": "a\r\nX: y", "condition": "error_rate > 5%"},
    ],
)
def test_no_rule_says_where_messages_go(tmp_path: Path, rule: dict[str, object]) -> None:
    """An address is in the file alone, and a bad rule changes nothing. R4.51 R4.63"""
    with served_with(tmp_path / "traces") as (client, web):
        answer = put_rules(client, {"alerts": [rule]})
        assert (answer.status, answer.json["code"]) == (400, "bad_rule")
        assert client.get("/alerts").json["alerts"][0]["name"] == "errors"
        assert web.bodies == []


def test_only_admins_change_and_try(tmp_path: Path) -> None:
    """Readers see; without --alerts there are none. R4.63"""
    with served_with(tmp_path / "traces") as (client, web):
        reader, _ = client.parts.tokens.add(("read",))
        assert client.get("/alerts", token=reader).status == 200
        assert client.post("/alerts/errors/test", {}, token=reader).status == 403
        assert put_rules(client, {"alerts": []}, token=reader).status == 403
        assert web.bodies == []
    with served(tmp_path / "traces") as client:
        answer = client.get("/alerts")
        assert (answer.status, answer.json["code"]) == (404, "no_alerts")
