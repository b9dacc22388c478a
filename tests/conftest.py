"""Every test process records into a folder of its own, never into the user's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:  # whence itself is imported only once WHENCE_DIR is set
    from tests.apps import AppRun
    from tests.own_events import OwnEvents

pytest_plugins = ["tests.peers.clickhouse_fixtures"]

_MEMORY = Path("/dev/shm")
_folder: Path | None = None

# a loaded machine must not fail an example for being slow
settings.register_profile("whence", deadline=None)
settings.load_profile("whence")


def pytest_configure(config: pytest.Config) -> None:
    """Point WHENCE_DIR at a fresh folder before any test imports whence."""
    global _folder
    _folder = Path(
        tempfile.mkdtemp(prefix="whence-test-", dir=_MEMORY if _MEMORY.is_dir() else None)
    )
    os.environ["WHENCE_DIR"] = str(_folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the tests recorded."""
    if _folder is not None:
        shutil.rmtree(_folder, ignore_errors=True)


@pytest.fixture
def whence_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh WHENCE_DIR for what this test starts; this process's own session stays put."""
    folder = tmp_path / "whence"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("WHENCE_DIR", str(folder))
    return folder


@pytest.fixture
def run_app(tmp_path: Path) -> Callable[..., AppRun]:
    """run_app(source, env=..., fails=...) runs a program that records into a folder of its own."""
    from tests.apps import run_program

    return partial(run_program, folder=tmp_path)


@pytest.fixture
def recorded() -> OwnEvents:
    """recorded() gives the events that this process has recorded since the test began."""
    from tests.own_events import OwnEvents

    return OwnEvents()
