"""The routes of alerts: the rules, how each stands, and a message to try whether it arrives."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from whence.model.errors import AlertError
from whence.serve.json import Json
from whence.serve.parts import Parts
from whence.serve.problem import Problem
from whence.serve.routing import Routes
from whence.watch.alerts.alerts import Alerts, AlertStatus
from whence.watch.alerts.message import plain_message
from whence.watch.alerts.rules import plain_rule
from whence.watch.alerts.settings import rules_from

__all__ = ["AlertShape", "AlertsShape", "AskedRules", "RulesShape", "TestShape", "add_alerts"]

_MOST_ASKED = 1_000


class AskedRules(BaseModel):
    """The rules to have from now on, each as in alerts.toml."""

    model_config = ConfigDict(title="AskedAlertRules", extra="forbid")

    alerts: list[dict[str, Any]] = Field(max_length=_MOST_ASKED)


class RulesShape(BaseModel):
    """The rules as they are."""

    model_config = ConfigDict(title="AlertRules")

    alerts: list[dict[str, Any]]


class AlertShape(BaseModel):
    """A rule, and how it stands."""

    model_config = ConfigDict(title="Alert")

    name: str
    severity: str
    condition: str
    phase: str = Field(description="inactive, pending or firing.")
    holds: bool | None = Field(description="null where the figures do not say.")
    values: dict[str, str] = Field(description="The figures when they were last looked at.")
    fired: int = Field(description="How often it did.")
    message: dict[str, Any] | None = Field(description="What was told of it, while it fires.")


class AlertsShape(BaseModel):
    """All alerts, and what became of their messages by action."""

    model_config = ConfigDict(title="Alerts")

    alerts: list[AlertShape]
    deliveries: dict[str, dict[str, int]]
    troubles: dict[str, str]


class TestShape(BaseModel):
    """What went wrong, by action; "" for nothing."""

    model_config = ConfigDict(title="AlertTest")

    sent: dict[str, str]


def add_alerts(routes: Routes, parts: Parts) -> None:
    """The routes of alerts."""

    def need() -> Alerts:
        if parts.alerts is None:
            advice = "start the server with --alerts alerts.toml"
            raise Problem(404, "no_alerts", "this server looks after no alerts", advice)
        return parts.alerts

    async def get_alerts() -> Json:
        """Each rule and how it stands, and what became of the messages."""
        found = need()
        statuses = await asyncio.to_thread(found.status)
        counts = {
            name: {field: getattr(each, field) for field in each.__dataclass_fields__}
            for name, each in found.counts.items()
        }
        troubles = dict(found.delivery_troubles)
        if found.trouble:
            troubles[""] = found.trouble
        alerts = [_plain(each) for each in statuses]
        return Json({"alerts": alerts, "deliveries": counts, "troubles": troubles})

    async def get_alert_rules() -> Json:
        """The rules."""
        return Json({"alerts": [plain_rule(rule) for rule in need().settings.rules]})

    async def put_alert_rules(asked: AskedRules) -> Json:
        """Puts other rules in the place of those there are, until the server is started again.

        They name actions that alerts.toml declares: whom to tell, and where, is said there alone.
        """
        alerts = need()
        try:
            rules = rules_from(asked.alerts)
            await asyncio.to_thread(alerts.set_rules, rules)
        except AlertError as error:
            advice = "the page on alerts says what a rule is"
            raise Problem(400, "bad_rule", str(error), advice) from None
        return Json({"alerts": [plain_rule(rule) for rule in rules]})

    async def test_alert(
        name: Annotated[str, Path(max_length=100, description="The name of a rule.")],
    ) -> Json:
        """Sends a message that says it is a test to each action of a rule, once."""
        alerts = need()
        try:
            return Json({"sent": await asyncio.to_thread(alerts.test, name)})
        except LookupError as error:
            advice = "GET /api/v1/alerts/rules lists the rules"
            raise Problem(404, "no_such_alert", str(error.args[0]), advice) from None

    none = {404: "This server looks after no alerts, or none of that name."}
    large = {413: "The body is too large.", 415: "The body's encoding or type is another."}
    usual: dict[str, Any] = {"tag": "alerts", "problems": none}
    admin: dict[str, Any] = {"tag": "alerts", "scope": "admin", "writes": True}
    routes.add("GET", "/alerts", get_alerts, shape=AlertsShape, **usual)
    routes.add("GET", "/alerts/rules", get_alert_rules, shape=RulesShape, **usual)
    path = "/alerts/rules"
    routes.add("PUT", path, put_alert_rules, shape=RulesShape, problems=none | large, **admin)
    path = "/alerts/{name}/test"
    routes.add("POST", path, test_alert, shape=TestShape, problems=none, **admin)


def _plain(status: AlertStatus) -> dict[str, Any]:
    return {
        "name": status.rule.name,
        "severity": status.rule.severity,
        "condition": status.rule.condition,
        "phase": status.state.phase,
        "holds": status.holds,
        "values": dict(status.values),
        "fired": status.state.number,
        "message": None if status.message is None else plain_message(status.message),
    }
