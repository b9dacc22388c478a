"""The page about alerts: its alerts.toml is understood, its tables are whole, its Python runs."""

from __future__ import annotations

import re
from pathlib import Path

from whence.watch.alerts.grammar import ALIASES, METRICS
from whence.watch.alerts.rules import NO_DATA
from whence.watch.alerts.settings import parse_alerts

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()


def block(language: str) -> list[str]:
    """The blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_file_on_the_page_is_understood() -> None:
    """As printed, without anything in the environment. R4.51 R4.52 R4.53"""
    settings = parse_alerts(block("toml")[0], environment={})
    assert [rule.severity for rule in settings.rules] == ["critical", "high", "warning"]
    assert settings.rules[0].actions == ("email", "hook")


def test_every_metric_is_in_the_table() -> None:
    """With its other names, and what no data may mean. R4.53"""
    for name in (*METRICS, *ALIASES, *NO_DATA):
        assert f"`{name}`" in PAGE
