"""What a store hides is hidden in a cluster, too, and deleted on each of its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whence.model.errors import ClusterDenied
from whence.store.clickhouse.http import Client, quoted
from whence.store.clickhouse.place import Place
from whence.store.hidden import Hidden

__all__ = ["Forgetting", "visible"]

DELETE_S = 600.0
MOST_IDS = 500  # in one statement, which a server reads no more of than 256 KiB
MOST_BYTES = 100_000

_REQUESTS = "(SELECT request FROM {hidden} WHERE request != '')"
_TRACES = "(SELECT trace_hi, trace_lo FROM {hidden} WHERE request = '')"


def visible(place: Place) -> str:
    """What stands behind FROM: the events without those of the table `hidden`."""
    return (
        f"{place.events} PREWHERE request_id GLOBAL NOT IN {_REQUESTS}"
        f" AND ifNull(decision_chain_id, '') GLOBAL NOT IN {_REQUESTS}"
        f" AND (trace_hi, trace_lo) GLOBAL NOT IN {_TRACES}"
    ).replace("{hidden}", place.hidden)


class Forgetting:
    """Tells a cluster what to forget. One thread.

    Every question sees it once put() has hidden it, for which a user who may insert is enough.
    Deleting takes one who may `ALTER DELETE`, and a place that names every node: `left` is how
    many hidden rows are there still, and `trouble` why.
    """

    def __init__(self, client: Client) -> None:
        self.left = 0
        self.trouble = ""
        self._client = client
        self._done: tuple[frozenset[str], frozenset[tuple[int, int]]] = frozenset(), frozenset()

    def put(self, hidden: Hidden) -> bool:
        """Hides and deletes what is not known to be so; whether there was anything.

        Nothing is remembered between two runs: the cluster is asked. A deletion reads the ids of
        all rows there. Raises ClusterUnavailable where trying again may help, other ClusterErrors.
        """
        wanted = hidden.requests, hidden.traces
        if wanted == self._done:
            return False
        self._hide(hidden)
        self._delete(hidden)
        self._done = wanted
        return True

    def _hide(self, hidden: Hidden) -> None:
        asked = {(request, 0, 0) for request in hidden.requests}
        asked |= {("", high, low) for high, low in hidden.traces}
        place = self._client.place
        known = self._client.rows(f"SELECT request, trace_hi, trace_lo FROM {place.hidden}")
        asked -= {(request, high, low) for request, high, low in known}
        lines = [f"({quoted(request)}, {high}, {low})" for request, high, low in sorted(asked)]
        if lines:
            self._client.insert(
                f"INSERT INTO {place.hidden} (request, trace_hi, trace_lo) FORMAT Values",
                ", ".join(lines).encode(),
                settings={"distributed_foreground_insert": 1},
            )

    def _delete(self, hidden: Hidden) -> None:
        self.left, self.trouble = self._still_there(), ""
        if not self.left:
            return
        table = f"`{self._client.place.database}`.events_local"
        try:
            for host in range(len(self._client.place.hosts)):
                for condition in _conditions(hidden):
                    self._client.command(
                        f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 1",
                        host=host,
                        timeout_s=DELETE_S,
                    )
        except ClusterDenied as error:
            self.trouble = str(error)
        else:
            self.trouble = "the URL does not name every node"
        self.left = self._still_there()

    def _still_there(self) -> int:
        place = self._client.place
        requests = _REQUESTS.replace("{hidden}", place.hidden)
        traces = _TRACES.replace("{hidden}", place.hidden)
        [[rows]] = self._client.rows(
            f"SELECT count() FROM {place.events} WHERE request_id GLOBAL IN {requests}"
            f" OR ifNull(decision_chain_id, '') GLOBAL IN {requests}"
            f" OR (trace_hi, trace_lo) GLOBAL IN {traces}",
            timeout_s=DELETE_S,
        )
        return int(rows)


def _conditions(hidden: Hidden) -> Iterator[str]:
    for some in _pieces([quoted(request) for request in sorted(hidden.requests)]):
        yield f"request_id IN ({some}) OR decision_chain_id IN ({some})"
    for some in _pieces([f"({high}, {low})" for high, low in sorted(hidden.traces)]):
        yield f"(trace_hi, trace_lo) IN ({some})"


def _pieces(values: Sequence[str]) -> Iterator[str]:
    taken: list[str] = []
    size = 0
    for value in values:
        if taken and (len(taken) == MOST_IDS or size + len(value.encode()) > MOST_BYTES // 2):
            yield ", ".join(taken)
            taken, size = [], 0
        taken.append(value)
        size += len(value.encode())
    if taken:
        yield ", ".join(taken)
