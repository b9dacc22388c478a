"""Puts segments into ClickHouse so that every event is there once, whatever failed before."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from whence.model.errors import ClusterError, ClusterUnavailable
from whence.store.clickhouse.ddl import COLUMNS
from whence.store.clickhouse.http import Client

__all__ = ["Arrival", "Inserts", "SessionDocument"]

# Up to so many rows the server makes one block of an insert, whatever it had read at once: what a
# token stands for is then the same at every attempt.
BLOCK_ROWS = 1_048_449
# The same event has another wall time when it is read again by another anchor of its session.
MARGIN_NS = 10_000_000_000
LEAST_TIMEOUT_S = 60.0
LEAST_BYTES_PER_S = 2 << 20

_NAMES = ", ".join(COLUMNS)
_STRUCTURE = ", ".join(f"{name} {kind.partition(' CODEC')[0]}" for name, kind in COLUMNS.items())
_IDENTITY = "(session, ring, ticket, ifNull(event_id, ''))"
_NEAR = "ts_ns BETWEEN {first:Int64} AND {last:Int64}"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A segment on its way: which it is, and which times its rows have."""

    segment: str
    rows: int
    min_ts: int
    max_ts: int

    def is_near(self, other: Arrival) -> bool:
        """Whether both may have rows of about the same time."""
        earliest, latest = other.min_ts - MARGIN_NS, other.max_ts + MARGIN_NS
        return self.min_ts <= latest and earliest <= self.max_ts


@dataclass(frozen=True, slots=True)
class SessionDocument:
    """What a session told of itself, as JSON, and of when that is."""

    uuid: str
    key: int
    name: str
    document: str
    version: int


class Inserts:
    """Inserts segments, each as often as it takes. One thread at a time.

    An event is known by session, ring and ticket, a segment by its id, which every row of it
    carries. What the cluster has of a segment's time is asked before it is sent: nothing of it is
    remembered here, so any process may go on where another one was killed. An insert of which
    nobody knows whether it arrived is sent again under its token, which a shard takes once.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._doubtful: dict[str, int] = {}  # segments whose inserts failed, and how often

    def put(
        self,
        arrival: Arrival,
        content: bytes | memoryview,
        siblings: Iterable[Arrival] = (),
        timeout_s: float | None = None,
    ) -> int:
        """Sends a segment's Parquet as it is; how many of its events were missing.

        `siblings` are segments that surely have no event in common with it; rows of others that
        are near in time may be the same events under another name, and are compared. When this
        returns, every event is there. Each of its requests takes `timeout_s` at most. Raises
        ClusterUnavailable when trying again may help, ClusterError otherwise.
        """
        near = sorted({each.segment for each in siblings if each.is_near(arrival)})
        limit_s = timeout_s or LEAST_TIMEOUT_S + len(content) / LEAST_BYTES_PER_S
        before = self._held(arrival, near, limit_s)
        if before.own == arrival.rows:
            self._doubtful.pop(arrival.segment, None)
            return 0
        try:
            if before.own == 0 and before.strange == 0:
                self._insert(arrival, content, arrival.segment, limit_s)
            else:
                self._insert(arrival, content, self._token(arrival), limit_s, missing=True)
            missing = arrival.rows
            if before.strange:
                missing = self._held(arrival, near, limit_s).own - before.own
            elif before.own or arrival.segment in self._doubtful:
                self._verify(arrival, near, limit_s)
                missing -= before.own
        except ClusterUnavailable:
            self._doubtful[arrival.segment] = self._doubtful.get(arrival.segment, 0) + 1
            raise
        self._doubtful.pop(arrival.segment, None)
        return missing

    def put_sessions(self, documents: Sequence[SessionDocument]) -> None:
        """Keeps what sessions tell of themselves; of each the newest is the one that counts."""
        if not documents:
            return
        lines = "\n".join(json.dumps(asdict(each)) for each in documents)
        self._client.insert(
            f"INSERT INTO {self._client.place.sessions} (uuid, key, name, document, version) "
            "FORMAT JSONEachRow",
            lines.encode(),
            settings={"distributed_foreground_insert": 1},
        )

    def _held(self, arrival: Arrival, siblings: Sequence[str], timeout_s: float) -> _Held:
        [[own, strange]] = self._client.rows(
            "SELECT toInt32(countIf(segment = {segment:String})), "
            "toInt32(least(countIf(segment != {segment:String} "
            "AND NOT has({siblings:Array(String)}, segment)), 1)) "
            f"FROM {self._client.place.events} WHERE {_NEAR}",
            {"segment": arrival.segment, "siblings": siblings, **_near(arrival)},
            timeout_s=timeout_s,
        )
        return _Held(own, strange)

    def _token(self, arrival: Arrival) -> str:
        """The segment's own where it stands for all its rows; else one that is used but once."""
        if arrival.rows <= BLOCK_ROWS and self._doubtful.get(arrival.segment, 0) < 2:
            return arrival.segment
        return f"{arrival.segment}-{secrets.token_hex(8)}"

    def _insert(
        self,
        arrival: Arrival,
        content: bytes | memoryview,
        token: str,
        timeout_s: float,
        *,
        missing: bool = False,
    ) -> None:
        place = self._client.place
        only = f"WHERE {_IDENTITY} NOT IN (SELECT {_IDENTITY} FROM {place.events} WHERE {_NEAR})"
        settings: dict[str, int | str] = {
            "insert_deduplication_token": token,
            "distributed_foreground_insert": 1,
            "input_format_parquet_preserve_order": 1,
            "min_insert_block_size_rows": BLOCK_ROWS,
            "min_insert_block_size_bytes": 0,
            "max_partitions_per_insert_block": 0,  # a wrong clock may date events to many days
        }
        if arrival.rows > BLOCK_ROWS:
            settings["max_threads"] = 1  # blocks must be the same ones at every attempt
        self._client.insert(
            f"INSERT INTO {place.events} ({_NAMES}, segment) "
            f"SELECT *, {{segment:String}} FROM input('{_STRUCTURE}') "
            f"{only if missing else ''} FORMAT Parquet",
            content,
            {"segment": arrival.segment, **_near(arrival)},
            settings,
            timeout_s=timeout_s,
        )

    def _verify(self, arrival: Arrival, siblings: Sequence[str], timeout_s: float) -> None:
        """After doubt: counts what is there. A shard may have noted a token and died with it."""
        own = self._held(arrival, siblings, timeout_s).own
        if own < arrival.rows:
            raise ClusterUnavailable(
                f"{own} of {arrival.rows} rows of segment {arrival.segment} are there"
            )
        if own > arrival.rows:
            raise ClusterError(
                f"segment {arrival.segment} has {own} rows there instead of {arrival.rows}"
            )


@dataclass(frozen=True, slots=True)
class _Held:
    own: int  # rows of this segment
    strange: int  # 1 if there are rows of segments that nobody knows, which may be the same events


def _near(arrival: Arrival) -> dict[str, int]:
    return {
        "first": max(arrival.min_ts - MARGIN_NS, -(2**63)),
        "last": min(arrival.max_ts + MARGIN_NS, 2**63 - 1),
    }
