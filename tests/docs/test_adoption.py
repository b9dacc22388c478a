"""The page of steps into production: in order, with commands and pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import click

from whence.cli.main import cli

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "adoption.md").read_text(encoding="utf-8")


def test_the_way_into_production_has_an_order() -> None:
    """R1.58 Recording, asking with JSON, integrating, delivering, sampling: five numbered steps."""
    steps = re.findall(r"^(\d)\. \*\*(.+?)\.\*\*", PAGE, re.MULTILINE)
    assert [number for number, _ in steps] == list("12345")
    said = re.split(r"^\d\. ", PAGE, flags=re.MULTILINE)[1:]
    for step, word in zip(
        said, ["kind", "json", "integrations", "Loki", "production"], strict=True
    ):
        assert word in step


def test_its_commands_exist() -> None:
    """R1.58 Every command that the page names is one."""
    named = set(re.findall(r"`whence ([a-z]+)", PAGE))
    assert len(named) >= 6
    assert named <= set(cli.list_commands(click.Context(cli)))
