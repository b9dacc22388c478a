"""ClusterStore: appends tables of events to ClickHouse, each of them there once."""

from __future__ import annotations

import time

import pyarrow as pa

from whence.collect.sink_ledger import SinkLedger
from whence.store.clickhouse import ddl
from whence.store.clickhouse.http import Client
from whence.store.clickhouse.inserts import Arrival, Inserts, SessionDocument
from whence.store.segment import encode_segment, in_order
from whence.store.sessions import StoredSession, session_document
from whence.store.store import Positions

__all__ = ["ClusterStore"]


class ClusterStore:
    """A Store over the tables of a database, which are made if there are none. One thread.

    Events are told apart by session, ring, ticket and id, so an append that is repeated adds what
    was missing of it. It keeps no positions and no ledger, and while it appends, readers may see
    some of the rows. Raises as whence.store.clickhouse.inserts does.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inserts = Inserts(client)
        ddl.create(client)

    @property
    def name(self) -> str:
        """The place, without its password."""
        return self._client.place.name

    def append(
        self, table: pa.Table, positions: Positions | None = None, ledger: SinkLedger | None = None
    ) -> int:
        """Adds rows; how many of them were missing."""
        if not len(table):
            return 0
        made = encode_segment(in_order(table), 0, {})
        segment = made.segment
        arrival = Arrival(segment.segment, segment.rows, segment.min_ts, segment.max_ts)
        return self._inserts.put(arrival, made.content)

    def put_session(self, session: StoredSession) -> None:
        """Keeps what is known of a session."""
        now_ns = time.time_ns()
        text, info = session_document(session, now_ns), session.info
        self._inserts.put_sessions([SessionDocument(info.uuid, info.key, info.name, text, now_ns)])

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()
