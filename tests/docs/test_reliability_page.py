"""docs/reliability.md names only tests that there are, and the decoders that `make fuzz` tries."""

from __future__ import annotations

import pytest

from tools import reliability
from tools.fuzz import TARGETS, fuzz
from tools.reliability import PAGE, named

TEXT = PAGE.read_text()


def test_every_test_that_the_page_names_is_there() -> None:
    """Each link leads to a file with tests in it, and each fault has one. R5.1"""
    files = named(TEXT)
    assert [path.name for path in files if not path.exists()] == []
    assert [path.name for path in files if not reliability.tests_of(path)] == []
    faults = [line for line in TEXT.splitlines() if line.startswith("| ") and "](../" in line]
    rows = [line for line in TEXT.partition("## What was run")[0].splitlines() if line[:2] == "| "]
    assert len(faults) == sum(not row.startswith("| what happens") for row in rows)


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_refuses_what_is_damaged(name: str) -> None:
    """A short run of what `make fuzz` does for longer; the page names each decoder. R5.17"""
    executions, found = fuzz(TARGETS[name], 0.2, 1)
    assert found == []
    assert executions > 0
    assert name in TEXT
