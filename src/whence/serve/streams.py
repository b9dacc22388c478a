"""Tells clients of new events as they are stored: each at its own pace, none held up by another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from whence.model.query import TraceQuery
from whence.query.plain import plain_event
from whence.serve.json import as_json
from whence.serve.problem import Problem
from whence.watch.tail import Tail, Told

__all__ = ["HEARTBEAT_S", "Streams"]

T = TypeVar("T")

HEARTBEAT_S = 15.0
_LOOK_S = 0.25
_AGAIN_MS = 2_000  # after which a browser connects again
_THREADS = 4


class Streams:
    """The streams of one server; one event loop uses it.

    What a client has not read yet is read from the store when it does: nothing is kept for it but
    the piece on its way. So a slow client costs as much as a quick one, and misses nothing.
    """

    def __init__(
        self, store: Path, most: int, piece: int, *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._store = store
        self._most = most
        self._piece = piece
        self._heartbeat_s = heartbeat_s
        self._threads = ThreadPoolExecutor(_THREADS, "whence-stream")
        self._stop = threading.Event()
        self.now = 0
        self.told = 0

    async def open(
        self, query: TraceQuery, after: str, allowed: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """The pieces of a stream, for as long as it is allowed.

        Problem where there are too many streams, ValueError for what is no token.
        """
        if self.now >= self._most:
            headers = {"Retry-After": "5"}
            raise Problem(503, "busy", "too many streams are open", "try later", headers=headers)
        tail = await self._in_thread(
            lambda: Tail(self._store, query, after=after, piece_rows=self._piece)
        )
        return self._pieces(tail, allowed)

    def end(self) -> None:
        """Ends all streams; any thread may."""
        self._stop.set()

    def close(self) -> None:
        """Gives the threads back."""
        self._stop.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _pieces(self, tail: Tail, allowed: Callable[[], bool]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        self.now += 1
        try:
            yield f"retry: {_AGAIN_MS}\nid: {tail.token}\n\n".encode()
            said_s = loop.time()
            while not self._stop.is_set() and allowed():
                told = await self._in_thread(tail.poll)
                if told.events:
                    self.told += len(told.events)
                    yield _written(told)
                    said_s = loop.time()
                elif loop.time() - said_s >= self._heartbeat_s:
                    yield b": still here\n\n"
                    said_s = loop.time()
                if not told.more:
                    await asyncio.sleep(_LOOK_S)
        finally:
            self.now -= 1

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _written(told: Told) -> bytes:
    """The events as a browser's EventSource reads them.

    The token stands with the last of them: whoever was told some of a piece only is told it again.
    """
    parts = []
    for event, wall_ns in zip(told.events, told.wall_ns, strict=True):
        data = as_json({**plain_event(event), "wall_ns": wall_ns})
        parts.append(b"event: event\ndata: " + data + b"\n\n")
    parts[-1] = f"id: {told.token}\n".encode() + parts[-1]
    return b"".join(parts)
