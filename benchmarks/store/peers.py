"""The same events in other stores, asked the same: a DuckDB table, SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from benchmarks.store.questions import DAY_NS, HOUR_NS, KIND, MODEL, PAGE

__all__ = ["DuckTable", "Missing", "Postgres", "Sqlite"]

COLUMNS = (
    "ts_ns", "session", "ring", "ticket", "event_type", "component", "model_id", "request_id",
    "trace_hi", "trace_lo", "lineage_id", "severity", "status", "duration_ns", "decision",
    "rationale",
)  # fmt: skip
MAPS = ("attr_int", "attr_num", "attr_str")


class Missing(Exception):
    """A peer that this machine does not have."""


class DuckTable:
    """A table in a DuckDB database, made of the same files."""

    name = "a DuckDB table"

    def __init__(self, base: Path, files: Sequence[Path]) -> None:
        self._connection = duckdb.connect(str(base / "peer.duckdb"), config={"memory_limit": "1GB"})
        listed = [str(path) for path in files]
        self._connection.execute("CREATE TABLE events AS SELECT * FROM read_parquet(?)", [listed])
        self._connection.execute("CHECKPOINT")

    def _ask(self, text: str, *values: object) -> int:
        return len(self._connection.execute(text, list(values)).fetchall())

    def chain(self, request: str) -> int:
        return self._ask("SELECT * FROM events WHERE request_id = ? ORDER BY ts_ns", request)

    def page(self, since_ns: int) -> int:
        text = (
            "SELECT * FROM events WHERE ts_ns >= ? AND ts_ns < ? AND event_type = ?"
            f" AND model_id = ? ORDER BY ts_ns LIMIT {PAGE}"
        )
        return self._ask(text, since_ns, since_ns + HOUR_NS, KIND, MODEL)

    def groups(self, since_ns: int, days: int) -> int:
        text = (
            f"SELECT ts_ns // {HOUR_NS}, event_type, status, count(*), quantile_cont(CASE WHEN"
            " duration_ns <> 0 THEN duration_ns END, [0.5, 0.95, 0.99]) FROM events"
            " WHERE ts_ns >= ? AND ts_ns < ? GROUP BY ALL"
        )
        return self._ask(text, since_ns, since_ns + days * DAY_NS)

    def close(self) -> None:
        self._connection.close()


class Sqlite:
    """A table with an index on the request and one on the time; attributes are JSON."""

    name = "SQLite"

    def __init__(self, base: Path, files: Sequence[Path]) -> None:
        self._connection = sqlite3.connect(base / "peer.sqlite")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(f"CREATE TABLE events ({', '.join(COLUMNS)}, attributes)")
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        for table in _tables(files):
            columns = [table.column(name).to_pylist() for name in (*COLUMNS, "attributes")]
            rows = zip(*columns, strict=True)
            self._connection.executemany(f"INSERT INTO events VALUES ({marks})", rows)
            self._connection.commit()
        for column in ("request_id", "ts_ns"):
            self._connection.execute(f"CREATE INDEX by_{column} ON events ({column})")
        self._connection.commit()

    def _rows(self, text: str, *values: object) -> list[tuple[object, ...]]:
        return self._connection.execute(text, values).fetchall()

    def chain(self, request: str) -> int:
        text = "SELECT * FROM events WHERE request_id = ? ORDER BY ts_ns"
        return len(self._rows(text, request))

    def page(self, since_ns: int) -> int:
        text = (
            "SELECT * FROM events WHERE ts_ns >= ? AND ts_ns < ? AND event_type = ?"
            f" AND model_id = ? ORDER BY ts_ns LIMIT {PAGE}"
        )
        return len(self._rows(text, since_ns, since_ns + HOUR_NS, KIND, MODEL))

    def groups(self, since_ns: int, days: int) -> int:
        """It has no percentiles: rows come sorted, and are counted out here."""
        text = (
            f"SELECT ts_ns / {HOUR_NS}, event_type, status, duration_ns FROM events"
            " WHERE ts_ns >= ? AND ts_ns < ? ORDER BY 1, 2, 3, 4"
        )
        found = self._rows(text, since_ns, since_ns + days * DAY_NS)
        shares = [
            [values[int(share * (len(values) - 1))] for share in (0.5, 0.95, 0.99)]
            for values in ([row[3] for row in rows] for _, rows in groupby(found, _first_three))
        ]
        return len(shares)

    def close(self) -> None:
        self._connection.close()


class Postgres:
    """A server of its own on a socket; an index on the request, one on the time."""

    name = "PostgreSQL"

    def __init__(self, base: Path, files: Sequence[Path]) -> None:
        if shutil.which("initdb") is None or shutil.which("psql") is None:
            raise Missing("no initdb and psql here")
        self._folder = base / "postgres"
        self._as = _other_user()
        self._folder.mkdir()
        if self._as:
            for name in (base, self._folder):
                name.chmod(0o755)
            shutil.chown(self._folder, "postgres", "postgres")
        data = self._folder / "data"
        self._run("initdb", "-A", "trust", "-D", str(data))
        options = f"-k {self._folder} -c listen_addresses= -c shared_buffers=512MB"
        self._control = ["pg_ctl", "-w", "-D", str(data)]
        self._run(*self._control, "-o", options, "-l", str(self._folder / "log"), "start")
        types = ", ".join(f"{name} {_postgres_type(name)}" for name in COLUMNS)
        self._sql(f"CREATE TABLE events ({types}, attributes text)")
        copy = "COPY events FROM STDIN WITH (FORMAT csv, NULL '')"
        command = [*self._as, *self._psql("-c", copy)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, cwd="/") as loader:
            assert loader.stdin is not None
            for table in _tables(files):
                pacsv.write_csv(table, loader.stdin, pacsv.WriteOptions(include_header=False))
            loader.stdin.close()
        for column in ("request_id", "ts_ns"):
            self._sql(f"CREATE INDEX ON events ({column})")
        self._sql("VACUUM ANALYZE events")

    def _psql(self, *words: str) -> list[str]:
        return ["psql", "-X", "-q", "-A", "-t", "-h", str(self._folder), "-d", "postgres", *words]

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            [*self._as, *command], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, cwd="/",
        )  # fmt: skip
        return done.stdout

    def _sql(self, text: str) -> str:
        return self._run(*self._psql("-c", text))

    def milliseconds(self, texts: Iterable[str]) -> list[float]:
        """What each statement took, as psql measures it: without the start of a process."""
        words = ["-c", "\\timing on"]
        for text in texts:
            words += ["-c", text]
        return [
            float(ms)
            for ms in re.findall(r"^Time: ([\d.]+) ms", self._run(*self._psql(*words)), re.M)
        ]

    @staticmethod
    def chain(request: str) -> str:
        return f"SELECT * FROM events WHERE request_id = '{request}' ORDER BY ts_ns"

    @staticmethod
    def page(since_ns: int) -> str:
        return (
            f"SELECT * FROM events WHERE ts_ns >= {since_ns} AND ts_ns < {since_ns + HOUR_NS}"
            f" AND event_type = '{KIND}' AND model_id = '{MODEL}' ORDER BY ts_ns LIMIT {PAGE}"
        )

    @staticmethod
    def groups(since_ns: int, days: int) -> str:
        return (
            f"SELECT ts_ns / {HOUR_NS}, event_type, status, count(*), percentile_cont("
            "ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY NULLIF(duration_ns, 0)) FROM events"
            f" WHERE ts_ns >= {since_ns} AND ts_ns < {since_ns + days * DAY_NS} GROUP BY 1, 2, 3"
        )

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run(*self._control, "-m", "fast", "stop")


def _tables(files: Sequence[Path]) -> Iterator[pa.Table]:
    """The columns that say something, names and attributes as text."""
    for file in files:
        table = pq.read_table(file, columns=[*COLUMNS, *MAPS], partitioning=None)
        parts = [table.column(name).to_pylist() for name in MAPS]
        texts = [json.dumps(dict(chain(*maps))) for maps in zip(*parts, strict=True)]
        columns = [
            column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
            for column in (table.column(name) for name in COLUMNS)
        ]
        yield pa.Table.from_arrays([*columns, pa.array(texts)], [*COLUMNS, "attributes"])


def _first_three(row: tuple[object, ...]) -> tuple[object, ...]:
    return row[:3]


def _other_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        raise Missing("it refuses to run as root, and there is no user postgres") from None
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


def _postgres_type(name: str) -> str:
    texts = ("event_type", "component", "model_id", "request_id", "status", "rationale")
    return "text" if name in texts else "boolean" if name == "decision" else "bigint"
