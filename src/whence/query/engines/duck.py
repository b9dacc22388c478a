"""DuckDB in memory over a store's files: one locked connection that only reads these."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from whence.model.errors import BadQuestion, BudgetExceeded, CorruptFile
from whence.query.engines.only_asks import check_only_asks
from whence.query.sql.statement import Value, is_storable
from whence.store.columns import SCHEMA
from whence.store.hidden import Hidden

__all__ = ["Duck", "files_source", "quoted"]

T = TypeVar("T")

MEMORY = "1GB"
MOST_SPILLED = "10GB"  # by a question that does not fit its memory
MOST_ANSWER_BYTES = 512 << 20
_ROWS_AT_ONCE = 2_048
_AGAIN_S = 0.05  # an interruption of a statement that only begins is forgotten
_GLOB = re.compile(r"[*?\[]")


class Duck:
    """A connection that may read the files under one folder, and nothing else.

    `base` is where it finds the folder: by another name if its own has letters that file patterns
    are made of. `no_events` is an empty table with the columns of a store.

    It never writes but what does not fit its memory, into a folder of its own that close() takes
    away. No extension is loaded, no variable of the program seen. One thread asks at a time; any
    thread may cancel(). A KeyboardInterrupt ends a question at once.
    """

    def __init__(self, folder: Path, *, memory: str = MEMORY, threads: int | None = None) -> None:
        self._spill = Path(tempfile.mkdtemp(prefix="whence-query-"))
        self.base = folder.absolute()
        if _GLOB.search(str(self.base)):
            self.base = self._spill / "store"
            self.base.symlink_to(folder.absolute())
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory,
            "threads": threads or os.cpu_count() or 1,
        }
        self._hidden = Hidden()
        self._connection = duckdb.connect(":memory:", config=settings)
        self._worker = ThreadPoolExecutor(1, "whence-query")
        self._set("temp_directory", quoted(str(self._spill)))
        self._set("max_temp_directory_size", quoted(MOST_SPILLED))
        self._set("allowed_directories", f"[{quoted(f'{self.base}/')}]")
        for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
            self._set(name, "false")
        self._set("python_enable_replacements", "false")
        self._set("parquet_metadata_cache", "true")
        self._connection.from_arrow(SCHEMA.empty_table()).create("no_events")
        self._set("enable_external_access", "false")
        self._set("lock_configuration", "true")

    def table(
        self,
        text: str,
        values: Mapping[str, Value] | None = None,
        *,
        time_s: float | None = None,
        most_rows: int | None = None,
    ) -> pa.Table:
        """The answer to one statement; of more than `most_rows` rows it has some more than these.

        Raises BudgetExceeded after that time, and BadQuestion.
        """

        def answer() -> pa.Table:
            relation = self._connection.sql(text, params=dict(values or {}))
            if relation is None:
                raise BadQuestion("that is no question")
            if most_rows is None:
                whole: pa.Table = relation.to_arrow_table()
                return whole
            # DuckDB 1.4 has the older name, 2.0 both
            read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
            with read(_ROWS_AT_ONCE) as reader:
                return _some(reader, most_rows)

        with self._in_time(time_s):
            return self._interruptibly(answer)

    def rows(
        self,
        text: str,
        values: Mapping[str, Value] | None = None,
        *,
        time_s: float | None = None,
    ) -> list[tuple[Any, ...]]:
        """The same as plain values."""
        with self._in_time(time_s):
            return self._interruptibly(
                lambda: self._connection.execute(text, dict(values or {})).fetchall()
            )

    def view(self, name: str, source: str) -> None:
        """Gives the rows of a source a name."""
        text = f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM {source}"
        with self._in_time(None):
            self._connection.execute(text)

    def hide(self, hidden: Hidden) -> None:
        """From now on visible() leaves these rows out."""
        if hidden == self._hidden:
            return
        traces = sorted(hidden.traces)
        requests = pa.table({"id": pa.array(sorted(hidden.requests), pa.string())})
        places = pa.table(
            {
                "high": pa.array([high for high, _ in traces], pa.int64()),
                "low": pa.array([low for _, low in traces], pa.int64()),
            }
        )
        for name, table in (("hidden_requests", requests), ("hidden_traces", places)):
            self._connection.execute(f"DROP TABLE IF EXISTS {name}")
            self._connection.from_arrow(table).create(name)
        self._hidden = hidden

    def visible(self, source: str) -> str:
        """The rows of a source that are not hidden."""
        parts = [source]
        if self._hidden.requests:
            parts += [
                f"ANTI JOIN hidden_requests AS {column} ON source.{column} = {column}.id"
                for column in ("request_id", "decision_chain_id")
            ]
        if self._hidden.traces:
            parts.append(
                "ANTI JOIN hidden_traces AS traces"
                " ON source.trace_hi = traces.high AND source.trace_lo = traces.low"
            )
        if len(parts) == 1:
            return source
        parts[0] += " AS source"
        return f"(SELECT source.* FROM {' '.join(parts)})"

    def check_question(self, text: str) -> None:
        """Raises BadQuestion unless the text is one SELECT that only asks.

        An EXPLAIN is none: it could run what it explains, and files under the folder be written.
        """
        if not is_storable(text):
            raise BadQuestion("half a surrogate pair is no text")
        with self._in_time(None):
            asked = "SELECT json_serialize_sql($text)"
            [[tree]] = self._connection.execute(asked, {"text": text}).fetchall()
            statements = self._connection.extract_statements(text)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise BadQuestion("only one SELECT is answered: nothing here is written or changed")
        try:
            check_only_asks(json.loads(tree))
        except RecursionError:
            raise BadQuestion("the statement is nested too deeply") from None

    def cancel(self) -> None:
        """Ends what is being asked now."""
        self._connection.interrupt()

    def close(self) -> None:
        """Ends the connection and takes its files away. May come twice."""
        self._worker.shutdown(wait=False)
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def _set(self, name: str, value: str) -> None:
        self._connection.execute(f"SET {name} = {value}")

    def _interruptibly(self, answer: Callable[[], T]) -> T:
        """The answer from another thread: while DuckDB works in the main one no signal is seen."""
        if threading.current_thread() is not threading.main_thread():
            return answer()
        asked = self._worker.submit(answer)
        try:
            return asked.result()
        except BaseException:  # its own, or what a signal raised here
            while not asked.done():
                self._connection.interrupt()
                wait([asked], _AGAIN_S)
            raise

    @contextlib.contextmanager
    def _in_time(self, time_s: float | None) -> Iterator[None]:
        over = threading.Event()

        def end() -> None:
            over.set()
            self._connection.interrupt()

        timer = threading.Timer(time_s, end) if time_s is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            yield
        except duckdb.InterruptException:
            if over.is_set():
                raise BudgetExceeded(
                    f"no answer within {time_s:g} s: narrow the question, or allow more time"
                ) from None
            raise BudgetExceeded("the question was cancelled") from None
        except duckdb.OutOfMemoryException as error:
            raise BudgetExceeded(f"the question needs more memory: {_first_line(error)}") from None
        except duckdb.IOException as error:
            if "No files found" in str(error) or "No such file" in str(error):
                raise FileNotFoundError(_first_line(error)) from None
            raise CorruptFile(_first_line(error)) from None
        except duckdb.Error as error:
            raise BadQuestion(_first_line(error)) from None
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()  # else it may hold the connection while the interpreter ends


def _some(reader: pa.RecordBatchReader, most_rows: int) -> pa.Table:
    """What is read, only as far as it is wanted: the rest may be large."""
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in _batches(reader):
        batches.append(batch)
        rows, size = rows + len(batch), size + batch.nbytes
        if rows > most_rows:
            break
        if size > MOST_ANSWER_BYTES:
            raise BudgetExceeded(
                f"the answer is longer than {MOST_ANSWER_BYTES >> 20} MiB: narrow the question"
            )
    return pa.Table.from_batches(batches, reader.schema)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches; what DuckDB raises on the way comes through Arrow as another error's text."""
    while True:
        try:
            yield reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            text = str(error)
            kind = next((to for of, to in _ERRORS.items() if of in text), duckdb.Error)
            raise kind(text) from None


_ERRORS: dict[str, type[duckdb.Error]] = {
    "INTERRUPT": duckdb.InterruptException,
    "Out of Memory": duckdb.OutOfMemoryException,
    "IO Error": duckdb.IOException,
}


def files_source(paths: Sequence[Path]) -> str:
    """What stands behind FROM to read exactly these files, all of the same columns."""
    listed = ", ".join(quoted(str(path)) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning=false)"


def quoted(text: str) -> str:
    """A text as SQL writes it; only for what no user wrote."""
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
