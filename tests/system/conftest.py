"""Fixtures of the system tests: a folder in memory for each test, libraries to preload."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.host import memory_folder


@pytest.fixture
def base() -> Iterator[Path]:
    """Where the programs of one test record."""
    with memory_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """Builds a C file of this folder; gives the environment that preloads it."""
    built: dict[str, Path] = {}

    def build(name: str) -> dict[str, str]:
        if name not in built:
            library = tmp_path_factory.mktemp("preloaded") / f"{name}.so"
            source = Path(__file__).with_name(f"{name}.c")
            command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True)
            except FileNotFoundError:
                pytest.skip(f"no C compiler here to build {name}.c with")
            built[name] = library
        return {"LD_PRELOAD": str(built[name])}

    return build
