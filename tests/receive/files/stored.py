"""A store that files are imported into, and what it holds then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.query.engines.folder import FolderEngine
from whence.receive.files.into import import_files
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions
from whence.store.delivery import StoreDelivery
from whence.store.folder import FolderStore
from whence.store.intake import IntakeLimits

__all__ = ["AGENT_RUNS", "brought", "opened", "stored_events", "written"]

AGENT_RUNS = Path(__file__).parents[2] / "data" / "agent-runs"


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[StoreDelivery]:
    """The store, which takes things in."""
    delivery = StoreDelivery(FolderStore(folder, write=True), intake=IntakeLimits(pause_s=0.0))
    delivery.start()
    try:
        yield delivery
    finally:
        delivery.finish(10.0)


def brought(
    folder: Path,
    *paths: Path,
    options: ReadOptions | None = None,
    format_name: str = "auto",
) -> list[FileReport]:
    """Imports files, and says what became of them."""
    with opened(folder) as delivery:
        return import_files([str(each) for each in paths], delivery.intake, options, format_name)


def stored_events(folder: Path) -> Sequence[TraceEvent]:
    """All that a store holds, in its order."""
    with contextlib.closing(FolderEngine(folder)) as engine:
        return engine.select(TraceQuery(), limit=100_000).events


def written(path: Path, *lines: str) -> Path:
    """A file of lines."""
    path.write_text("".join(f"{each}\n" for each in lines))
    return path
