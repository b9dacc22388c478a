"""Fixtures of the system tests: a folder in memory for each test's programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.host import memory_folder


@pytest.fixture
def base(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where the programs of one test record."""
    with memory_folder() as folder:
        yield folder
