"""Assigns node ids to the processes of a host: leases in one file, kept apart by a cooldown.

An id belongs to a process until that detaches or ends, as this host can see, and until its lease
has run out or was given back and a cooldown has passed since: only then can another have it.
Processes that cannot see each other, as in containers, need the keepalive. Each grant leaves a row.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from whence.lineage.attach import AttachCode, AttachRequest, AttachResponse
from whence.lineage.processes import Process, lives, this_process
from whence.model.errors import CorruptFile, NodeIdRefused

__all__ = ["NodeIdAllocator", "NodeLease", "NodeRow"]

_VERSION = 1
MOST_ROWS = 10_000


class NodeLease(NamedTuple):
    """A node id that was granted, and until when without a keepalive."""

    node_id: int
    lease_id: int
    expires_ns: int


@dataclass(slots=True)
class NodeRow:
    """Who had a node id, and when (wall time, ns). `ended_ns` 0: it did not detach."""

    node_id: int
    client_id: int
    lease_id: int
    process_id: int
    start_time: str
    granted_ns: int
    expires_ns: int
    ended_ns: int = 0

    @property
    def process(self) -> Process:
        """The process it was granted to."""
        return Process(self.process_id, self.start_time)


class NodeIdAllocator:
    """Node ids from 1 to `most`, for the processes that share `path`. Any of them may make one.

    Every call reads and writes the file under a lock, and forces it to disk: for starts and
    keepalives, not for hot paths. `clock` is the wall's (ns since 1970). Raises CorruptFile where
    the file is none of ours.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        most: int = 1023,
        reserved: Collection[int] = (),
        lease_ns: int = 30_000_000_000,
        cooldown_ns: int = 300_000_000_000,
        clock: Callable[[], int] = time.time_ns,
        alive: Callable[[Process], bool] = lives,
    ) -> None:
        self.path = Path(path)
        self._most = most
        self._reserved = frozenset(reserved)
        self._lease_ns = lease_ns
        self._cooldown_ns = cooldown_ns
        self._clock = clock
        self._alive = alive

    def attach(
        self,
        client_id: int,
        desired_node_id: int | None = None,
        process: Process | None = None,
    ) -> NodeLease:
        """A node id for a client; the same again for the same client in the same process.

        Raises NodeIdRefused where the id that is desired is not free or not the client's, where
        the client lives in another process, and where no id is free.
        """
        process = process or this_process()
        with self._rows() as rows:
            now = self._clock()
            newest = {row.node_id: row for row in rows}  # later rows take the place of earlier
            mine = [row for row in newest.values() if row.client_id == client_id]
            own = next((row for row in mine if row.process == process), None)
            if own is not None:
                if desired_node_id not in (None, own.node_id):
                    raise _rejected(f"client {client_id} has node id {own.node_id} already")
                return self._grant(rows, own.node_id, client_id, process, now)
            if any(self._is_held(row) for row in mine):
                raise _rejected(f"client {client_id} is another process: give this one its own id")
            taken = {id for id, row in newest.items() if self._is_kept(row, now)} | self._reserved
            node_id = self._choose(desired_node_id, taken, rows)
            return self._grant(rows, node_id, client_id, process, now)

    def keepalive(self, lease_id: int) -> bool:
        """Prolongs a lease. False: the node id is another's by now, and must not be minted with."""
        with self._rows() as rows:
            row = self._current(rows, lease_id)
            if row is None or row.ended_ns:
                return False
            row.expires_ns = self._clock() + self._lease_ns
            return True

    def detach(self, lease_id: int) -> None:
        """Gives the lease back; the cooldown begins. Nothing happens to a lease that is no more."""
        with self._rows() as rows:
            row = self._current(rows, lease_id)
            if row is not None and not row.ended_ns:
                row.ended_ns = self._clock()

    def answer(self, request: AttachRequest) -> AttachResponse:
        """The same as attach(), for a driver that gets requests: refusals are answers, too.

        What the answer says of streams and memory is the driver's to fill in.
        """
        try:
            lease = self.attach(request.client_id, request.desired_node_id)
        except NodeIdRefused as refused:
            return AttachResponse(request.correlation_id, refused.code)
        return AttachResponse(
            request.correlation_id,
            AttachCode.OK,
            lease.lease_id,
            lease.expires_ns,
            request.stream_id,
            node_id=lease.node_id,
        )

    def provenance(self) -> list[NodeRow]:
        """Who had which node id, from the first grant on; the newest 10,000 grants are kept."""
        with self._rows() as rows:
            return list(rows)

    def _choose(self, desired: int | None, taken: Collection[int], rows: list[NodeRow]) -> int:
        if desired is not None:
            if not 1 <= desired <= self._most:
                raise NodeIdRefused(
                    f"node ids go from 1 to {self._most}: {desired} is none",
                    AttachCode.INVALID_PARAMS,
                )
            if desired in taken:
                raise _rejected(f"node id {desired} is taken, reserved or cooling down")
            return desired
        last = rows[-1].node_id if rows else 0
        for step in range(self._most):
            node_id = (last + step) % self._most + 1  # onwards: what was given up rests longest
            if node_id not in taken:
                return node_id
        raise _rejected(f"none of the {self._most} node ids is free")

    def _grant(
        self, rows: list[NodeRow], node_id: int, client_id: int, process: Process, now: int
    ) -> NodeLease:
        lease_id = max((row.lease_id for row in rows), default=0) + 1
        expires_ns = now + self._lease_ns
        rows.append(NodeRow(node_id, client_id, lease_id, *process, now, expires_ns))
        return NodeLease(node_id, lease_id, expires_ns)

    def _is_held(self, row: NodeRow) -> bool:
        """Whether its process may still mint with it, whatever became of the lease."""
        return not row.ended_ns and self._alive(row.process)

    def _is_kept(self, row: NodeRow, now: int) -> bool:
        """Whether nobody else may have it yet: it is held, or it cools down."""
        ended_ns = row.ended_ns or row.expires_ns
        return now < ended_ns + self._cooldown_ns or self._is_held(row)

    def _current(self, rows: list[NodeRow], lease_id: int) -> NodeRow | None:
        found = next((row for row in reversed(rows) if row.lease_id == lease_id), None)
        if found is None:
            return None
        newest = next(row for row in reversed(rows) if row.node_id == found.node_id)
        return found if newest.process == found.process else None

    @contextmanager
    def _rows(self) -> Iterator[list[NodeRow]]:
        """The rows of the file, oldest first, written back where they were changed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = _read(self.path)
            before = [asdict(row) for row in rows]
            yield rows
            newest = {row.node_id: row.lease_id for row in rows}  # who has it: never forgotten
            spare = len(rows) - MOST_ROWS
            after = [
                asdict(row)
                for place, row in enumerate(rows)
                if place >= spare or newest[row.node_id] == row.lease_id
            ]
            if after != before:
                _write(self.path, after)
        finally:
            os.close(lock)


def _rejected(message: str) -> NodeIdRefused:
    return NodeIdRefused(message, AttachCode.REJECTED)


def _read(path: Path) -> list[NodeRow]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    try:
        known = json.loads(text)
        if known["format"] != "whence-nodes" or known["version"] != _VERSION:
            raise ValueError("another format or version")
        return [NodeRow(**row) for row in known["rows"]]
    except (ValueError, TypeError, KeyError) as wrong:
        raise CorruptFile(
            f"{path} holds no node ids: {wrong}; move it away to begin anew"
        ) from None


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w") as file:
        json.dump({"format": "whence-nodes", "version": _VERSION, "rows": rows}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
