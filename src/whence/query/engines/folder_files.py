"""A folder store's files, one generation at a time, asked in DuckDB."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from typing import Any, Self, TypeVar

import pyarrow as pa

from whence.query.engines.duck import Duck
from whence.query.engines.generation import Generation, check_files
from whence.query.engines.shapes import Budget
from whence.query.engines.sources import Source, source_of
from whence.query.sql.statement import Statement
from whence.store.folder import FolderStore
from whence.store.manifest import Segment
from whence.store.promoted import filled

__all__ = ["FolderFiles"]

T = TypeVar("T")


class FolderFiles:
    """What questions to a folder store are made of. Close it after use."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        memory: str = "1GB",
        threads: int | None = None,
    ) -> None:
        self._store = FolderStore(path)
        self._duck = Duck(self._store.path, memory=memory, threads=threads)

    def cancel(self) -> None:
        """Ends what is being asked now, with BudgetExceeded. Any thread may."""
        self._duck.cancel()

    def close(self) -> None:
        """Ends the connection. May come twice."""
        self._duck.close()

    def __enter__(self) -> Self:
        """The engine itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes."""
        self.close()

    def _snapshot(self) -> Generation:
        snapshot = self._store.snapshot()
        self._duck.hide(snapshot.hidden)
        return Generation(snapshot)

    def _at_once(self, ask: Callable[[Generation], T]) -> T:
        """The answer from one generation; a file that was replaced meanwhile is another one's."""
        try:
            return ask(self._snapshot())
        except FileNotFoundError:
            return ask(self._snapshot())

    def _source(
        self,
        files: Sequence[Segment],
        budget: Budget,
        asked: Collection[str] | None = frozenset(),
    ) -> Source:
        """The rows of files; of the attributes asked for, columns are used where there are some."""
        budget.check(size=sum(each.bytes for each in files))
        check_files(self._store.path, files)
        return source_of(self._duck.base, files, asked, self._duck.visible)

    def _ask(self, statement: Statement, text: str, budget: Budget) -> pa.Table:
        """Rows, with all columns that there are."""
        values = {name: value for name, (_, value) in statement.values_in(text).items()}
        return filled(self._duck.table(text, values, time_s=budget.time_s))

    def _rows(self, statement: Statement, text: str, budget: Budget) -> list[tuple[Any, ...]]:
        values = {name: value for name, (_, value) in statement.values_in(text).items()}
        return self._duck.rows(text, values, time_s=budget.time_s)
