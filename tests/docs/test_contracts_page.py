"""The page about contracts: its examples are contracts, and the built-in one is as printed."""

from __future__ import annotations

import re
from pathlib import Path

from whence.model.condition import parse_condition
from whence.query.contracts.declared import BUILT_IN, parse_contracts

PAGE = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text()


def test_the_contracts_on_the_page_can_be_read() -> None:
    """R5.12 The example is understood, and the others are those that are built in."""
    example, *built_in = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (retrieval,) = parse_contracts(example)
    assert (retrieval.name, len(retrieval.ends), len(retrieval.require)) == ("retrieval", 2, 2)
    assert len(retrieval.guards) == 1
    assert parse_contracts("".join(built_in)) == BUILT_IN


def test_the_conditions_on_the_page_can_be_read() -> None:
    """R5.12 Each line of the block of conditions is one."""
    block = re.search(r"^## Conditions.*?```\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert block is not None
    assert all(parse_condition(line).clauses for line in block[1].splitlines())
