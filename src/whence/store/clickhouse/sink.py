"""The sink that collects straight into ClickHouse: each payload is a segment made in memory."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from whence.collect.session_reader import SessionReader
from whence.collect.sink import Drained, Payload, Refused, Reply, Sink, Unavailable
from whence.model.errors import (
    ClusterDenied,
    ClusterError,
    ClusterUnavailable,
    UnsupportedFormat,
    WhenceError,
)
from whence.model.recording import KindInfo, SessionInfo
from whence.store.batches import convert
from whence.store.clickhouse import ddl
from whence.store.clickhouse.http import UNKNOWN_TABLE, Client
from whence.store.clickhouse.inserts import Arrival, Inserts, SessionDocument
from whence.store.segment import encode_segment, in_order
from whence.store.sessions import StoredSession, session_document

__all__ = ["ClickHouseSink"]

REFRESH_S = 10.0
MOST_SENT = 1_000  # of a pipeline's own segments none has events of another


class _Segment(Payload):
    """A payload that knows its place in time and the sessions that its events are of."""

    arrival: Arrival
    sessions: Mapping[str, tuple[SessionInfo, tuple[KindInfo, ...]]]


class ClickHouseSink(Sink):
    """Delivers to the tables of whence.store.clickhouse.ddl, which it makes if there are none.

    What a killed collector had sent and not acknowledged is read again and comes in other
    segments: so the cluster is asked for the events themselves, and takes those it lacks.
    """

    most_events = 65_536
    most_bytes = 0

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = client.place.name
        self.filtered = False  # whether not every event is asked for
        self._client = client
        self._inserts = Inserts(client)
        self._clock = clock
        self._sent: deque[Arrival] = deque(maxlen=MOST_SENT)
        self._told: dict[str, tuple[float, int]] = {}  # by uuid: when, and how many kinds
        self._ready = False

    def encode(self, drained: Drained) -> Iterable[Payload]:
        """One segment. About 0.5 us an event."""
        table = in_order(convert(drained).table)
        made = encode_segment(table, 0, {}, indexed=False)
        segment = made.segment
        payload = _Segment(bytes(made.content), segment.rows)
        payload.arrival = Arrival(segment.segment, segment.rows, segment.min_ts, segment.max_ts)
        kinds = drained.kinds
        payload.sessions = {
            info.uuid: (info, kinds.get(info.name, ())) for info in drained.sessions.values()
        }
        yield payload

    def deliver(self, payload: Payload, timeout_s: float) -> Reply:
        """Inserts what is missing of the segment, then what its sessions have told since."""
        assert isinstance(payload, _Segment)
        try:
            if not self._ready:
                ddl.create(self._client)
                self._ready = True
            self._inserts.put(payload.arrival, payload.body, self._sent, timeout_s)
            self._sent.append(payload.arrival)
            self._tell(payload.sessions)
        except ClusterUnavailable as error:
            raise Unavailable(str(error), error.retry_after_s) from None
        except ClusterDenied as error:
            raise Unavailable(str(error)) from None  # somebody may let us in meanwhile
        except ClusterError as error:
            if error.code == UNKNOWN_TABLE:
                self._ready = False
                raise Unavailable(str(error)) from None
            raise Refused(str(error)) from None
        except UnsupportedFormat as error:
            raise Refused(str(error)) from None
        return Reply(payload.events)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _tell(self, sessions: Mapping[str, tuple[SessionInfo, tuple[KindInfo, ...]]]) -> None:
        now_s, now_ns = self._clock(), time.time_ns()
        documents = []
        for uuid, (info, kinds) in sessions.items():
            told_s, known = self._told.get(uuid, (None, 0))
            if told_s is None or known != len(kinds) or now_s - told_s >= REFRESH_S:
                text = session_document(_stored(info, kinds, self.filtered), now_ns)
                documents.append(SessionDocument(uuid, info.key, info.name, text, now_ns))
        self._inserts.put_sessions(documents)
        for document in documents:
            self._told[document.uuid] = (now_s, len(sessions[document.uuid][1]))


def _stored(info: SessionInfo, kinds: tuple[KindInfo, ...], filtered: bool) -> StoredSession:
    """Without ring ledgers: whoever asks counts what the cluster has of each ring.

    Nobody will tell of its end, so it does not say that the process lives.
    """
    if info.path:
        with contextlib.suppress(WhenceError, OSError):
            reader = SessionReader(Path(info.path))
            if reader.info.uuid == info.uuid:
                return StoredSession(
                    info=replace(reader.info, live=False),
                    kinds=reader.kinds or kinds,
                    gate_changes=reader.gate_changes(),
                    filtered=filtered,
                )
    return StoredSession(info=replace(info, live=False), kinds=kinds, filtered=filtered)
