"""The NDJSON sink: one event a line, appended; a line torn by a crash is mended at the start."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from whence.collect.sink import Drained, Payload, Reply, Sink
from whence.export.codec import Codec
from whence.export.growing_file import GrowingFile

__all__ = ["NdjsonSink", "clocks_of"]

PLACE = b',"session":'  # a line ends with session, ring and ticket: where the event was
MOST_LOOKED_FOR = 2_000_000  # lines after a restart that may have been written before it


def clocks_of(drained: Drained) -> dict[str, list[tuple[int, int]]]:
    """What Batch.json() makes wall times of."""
    return {
        name: [(anchor.monotonic_ns, anchor.wall_ns) for anchor in info.anchors]
        for name, info in drained.sessions.items()
    }


class _Lines(Payload):
    """A payload that is written as it is encoded: its body would be larger than its events."""

    drained: Drained

    @classmethod
    def of(cls, drained: Drained) -> _Lines:
        lines = cls(b"", len(drained))
        lines.drained = drained
        return lines

    def write(self, file: int, to: int, most_bytes: int) -> int | None:
        clocks = clocks_of(self.drained)
        return self.drained.batch.write_json(
            file, to=to, most_bytes=most_bytes, lines=True, clocks=clocks
        )


class NdjsonSink(Sink):
    """Appends events to a file, each a JSON object in a line of its own, with its wall time.

    A payload is on disk when it counts as delivered. What a killed collector had written but not
    acknowledged is found in the file, by where it was recorded, and not written twice.
    """

    most_events = 65_536
    most_bytes = 0

    def __init__(self, path: Path, codec: Codec | None, rotate_bytes: int = 0) -> None:
        self.name = f"file://{path.absolute()}"
        self._codec = codec
        self._file = GrowingFile(path, rotate_bytes)
        self._written: set[bytes] = set()  # the places of events that may come again
        self._seen: dict[bytes, int] = {}  # by ring: the last ticket that came
        self._looked_back: deque[tuple[bytes, int]] = deque()  # and where in the file
        self._looked_for = 0
        self._held: dict[tuple[str, int], list[int]] = {}
        self._mend()

    def encode(self, drained: Drained) -> Iterable[Payload]:
        """One payload of lines."""
        if self._codec is None and not self._written:
            yield _Lines.of(drained)
            return
        lines = b"".join(drained.batch.json(lines=True, clocks=clocks_of(drained)))
        if self._written:
            lines = self._without_written(lines, len(drained))
        yield Payload(self._packed(lines), len(drained))

    def deliver(self, payload: Payload, timeout_s: float) -> Reply:
        """Appends the lines and waits for the disk."""
        if isinstance(payload, _Lines):
            self._file.append(payload.write)
        elif payload.body:
            self._file.append(payload.body)
        return Reply(payload.events)

    def token(self) -> str:
        """How long the file was before the first line that may come again."""
        while self._looked_back and self._has_come(self._looked_back[0][0]):
            self._looked_back.popleft()
        if not self._looked_back:
            self._written = set()
        size = self._looked_back[0][1] if self._looked_back else self._file.size_bytes
        return f"{os.fstat(self._file.descriptor()).st_ino}:{size}"

    def resume(self, token: str) -> None:
        """Looks at what was written after `token`, before the first delivery."""
        inode, _, size = token.partition(":")
        same = inode == str(os.fstat(self._file.descriptor()).st_ino)
        if not same or not size.isdecimal() or int(size) > self._file.size_bytes:
            return
        begin = int(size)
        tail = self._file.read_from(begin)
        for at, lines in self._codec.each(tail) if self._codec else [(0, tail)]:
            for line in lines.splitlines(keepends=True):
                self._looked_back.append((_place(line), begin + at))
                at += 0 if self._codec else len(line)
        self._written = {place for place, _ in self._looked_back}
        for place in self._written:
            session, ring, ticket = _parts(place)
            self._held.setdefault((session, ring), []).append(ticket)

    def held(self) -> Mapping[tuple[str, int], Sequence[int]]:
        """The tickets, by session and ring, that a run that was killed wrote after `token`."""
        return self._held

    def leave_behind(self) -> None:
        """In a forked child: the file and its lock are the parent's."""
        self.close()

    def close(self) -> None:
        """Gives up the file."""
        self._file.close()

    def _packed(self, lines: bytes) -> bytes:
        return self._codec.member(lines) if self._codec and lines else lines

    def _without_written(self, lines: bytes, count: int) -> bytes:
        parts = lines.splitlines(keepends=True)
        places = [_place(line) for line in parts]
        for place in places:
            ring, ticket = _ring_and_ticket(place)
            self._seen[ring] = max(ticket, self._seen.get(ring, ticket))
        self._looked_for += count
        if self._looked_for > MOST_LOOKED_FOR:  # what did not come by now was overwritten
            self._looked_back.clear()
        pairs = zip(parts, places, strict=True)
        return b"".join(line for line, place in pairs if place not in self._written)

    def _has_come(self, place: bytes) -> bool:
        """Whether an event came, or a later one of its ring: those of a ring come in order."""
        ring, ticket = _ring_and_ticket(place)
        return self._seen.get(ring, -1) >= ticket

    def _mend(self) -> None:
        """Cuts off what a crash or a full disk left half written."""
        end = self._file.whole_end(self._codec)
        if end == self._file.size_bytes:
            return
        if self._codec is None and _is_json(self._file.read_from(end)):
            self._file.append(b"\n")  # somebody's last line, whole but for its end
        else:
            self._file.truncate(end)


def _place(line: bytes) -> bytes:
    return line[line.rfind(PLACE) :].rstrip()


def _parts(place: bytes) -> tuple[str, int, int]:
    """Session, ring and ticket; ring -1 where it is no place that we wrote."""
    try:
        parts = json.loads(b"{" + place[1:])
        return str(parts["session"]), int(parts["ring"]), int(parts["ticket"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", -1, 0


def _ring_and_ticket(place: bytes) -> tuple[bytes, int]:
    ring, _, ticket = place.rpartition(b'"')[0].rpartition(b'"')
    return ring, int(ticket) if ticket.isdigit() else 0


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
