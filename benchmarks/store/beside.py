"""T34: four processes ask while another one writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benchmarks.store.rows import Load, event_tables
from whence.model.query import TraceQuery
from whence.query.engines.folder import FolderEngine
from whence.store.columns import SCHEMA
from whence.store.folder import FolderStore

__all__ = ["Beside", "asked_beside_writes"]

READERS = 4
RATE = 200_000


@dataclass(frozen=True)
class Beside:
    """What came of it. A store that once had fewer rows than before counts as an error."""

    written_per_s: float
    questions: int
    errors: int
    first_error: str


def asked_beside_writes(path: Path, seconds: int = 10) -> Beside:
    """Appends 200,000 events a second, made before, and asks in other processes all the while."""
    tables = list(event_tables(Load(RATE * 4), SCHEMA, RATE))
    with FolderStore(path, write=True) as store:
        store.append(tables[0])
        paths = os.pathsep.join(each for each in sys.path if each)
        command = [sys.executable, "-m", "benchmarks.store.beside", str(path), str(seconds)]
        readers = [
            subprocess.Popen(
                command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths}, text=True
            )
            for _ in range(READERS)
        ]
        began, written = time.monotonic(), 0
        for number, table in enumerate(cycle(tables)):
            if number == seconds:
                break
            store.append(table)
            written += len(table)
            time.sleep(max(0.0, began + number + 1 - time.monotonic()))
        took = time.monotonic() - began
        told = [json.loads(each.communicate()[0]) for each in readers]
    errors = [error for each in told for error in each["errors"]]
    asked = sum(each["asked"] for each in told)
    return Beside(written / took, asked, len(errors), errors[0] if errors else "")


def main() -> None:
    path, seconds = Path(sys.argv[1]), float(sys.argv[2])
    errors: list[str] = []
    asked = rows = 0
    until = time.monotonic() + seconds
    with FolderEngine(path) as engine:
        request = engine.select(TraceQuery(), limit=1).events[0].request_id
        while time.monotonic() < until:
            try:
                counted = engine.sql("SELECT count(*) FROM events").column(0)[0].as_py()
                if counted < rows:
                    errors.append(f"{counted} rows after {rows}")
                rows = counted
                if not engine.recording(TraceQuery(request_id=request)).events:
                    errors.append("a request is gone")
                engine.select(TraceQuery(event_type="free"), order="newest", limit=100)
                asked += 3
            except Exception as error:
                errors.append(repr(error))
    print(json.dumps({"asked": asked, "errors": errors}))


if __name__ == "__main__":
    main()
