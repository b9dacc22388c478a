"""Tables of made-up events, as a collector hands them to a store."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from whence.model.recording import SessionInfo
from whence.store.folder import Snapshot
from whence.store.sessions import StoredSession

SECOND = 1_000_000_000
NOON = 1_700_000_000 * SECOND - 1_700_000_000 * SECOND % (86_400 * SECOND) + 43_200 * SECOND
UUID = "0199a3c2-7b1e-7c44-9a11-3f5d1c2b4e60"


def rows(tickets: Sequence[int], first_ns: int = NOON, session: int = 7, ring: int = 0) -> pa.Table:
    """Events of one ring, a millisecond apart by their tickets."""
    count = len(tickets)
    name = pa.dictionary(pa.int32(), pa.string())
    return pa.table(
        {
            "ts_ns": pa.array([first_ns + ticket * 1_000_000 for ticket in tickets], pa.int64()),
            "offset_ns": pa.array([NOON] * count, pa.int64()),
            "session": pa.array([session] * count, pa.int64()),
            "ring": pa.array([ring] * count, pa.int32()),
            "ticket": pa.array(tickets, pa.int64()),
            "event_type": pa.array(["tick"] * count, pa.string()).cast(name),
            "request_id": pa.array([f"req-{ticket // 8}" for ticket in tickets], pa.string()),
            "attr_int": pa.array(
                [[("n", ticket)] for ticket in tickets], pa.map_(pa.string(), pa.int64())
            ),
        }
    )


def tickets_in(snapshot: Snapshot) -> list[int]:
    """The tickets of all rows that a reader sees, in order."""
    found: list[int] = []
    for path in snapshot.files:
        found += pq.ParquetFile(path).read(columns=["ticket"]).column(0).to_pylist()
    return sorted(found)


def told(uuid: str = UUID, key: int = 7) -> StoredSession:
    """A session as a collector tells of it."""
    return StoredSession(info=SessionInfo(name=f"s-{key}", uuid=uuid, key=key, pid=1))
