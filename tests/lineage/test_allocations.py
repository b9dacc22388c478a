"""Ids, sets and joins leave no memory behind, whatever carries them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import pytest

import whence
from whence.lineage import (
    BatchedPublication,
    SessionPublication,
    SnowflakeGenerator,
    TraceLinkPoller,
    encode_tracelink_set,
)


class Nowhere:
    """A publication that takes all, and keeps nothing."""

    def offer(self, buffer: bytes, /) -> bool:
        return True


class Full:
    """One that takes nothing."""

    def offer(self, buffer: bytes, /) -> int:
        return -2


def a_line(**carriers: object) -> Callable[[], object]:
    line = whence.Lineage(generator=SnowflakeGenerator(0, 0, 22), **carriers)  # type: ignore[arg-type]
    return lambda: line.join((4, 5, 6), stream_id=1, epoch=1, seq=1)


def a_window() -> Callable[[], object]:
    line = whence.Lineage(generator=SnowflakeGenerator(0, 0, 22))
    return lambda: line.window(1, 1, 10, 19)


def a_frame() -> Callable[[], object]:
    line = whence.Lineage(generator=SnowflakeGenerator(0, 0, 22))
    return lambda: line.frame(4, stream_id=1, epoch=1, seq=1, stage="detector", status="ok")


def a_poller() -> Callable[[], object]:
    buffer = bytearray(64)
    encode_tracelink_set(buffer, 7, 9, 11, 42, (10, 20, 30))
    message = bytes(buffer)
    poller = TraceLinkPoller(SessionPublication().record)
    return lambda: poller.take(message)


@pytest.mark.parametrize(
    "made",
    [
        lambda: SnowflakeGenerator(0, 0, 22).next,
        lambda: a_line(recorded=False),
        lambda: a_line(),
        lambda: a_line(publication=Nowhere()),
        lambda: a_line(publication=Full(), recorded=False),
        lambda: a_line(publication=BatchedPublication(Nowhere()), recorded=False),
        a_window,
        a_frame,
        a_poller,
    ],
    ids=["mint", "join", "record", "publish", "drop", "batch", "window", "frame", "poll"],
)
def test_ten_thousand_leave_no_block_behind(made: Callable[[], Callable[[], object]]) -> None:
    """R2.1 R2.6 R2.30 TL-30: as many blocks are in use as before."""
    call = made()

    def turn(times: int) -> None:
        for _ in range(times):
            call()

    gc.collect()
    turn(200)  # fills the interpreter's free lists, which the collector has emptied
    before = sys.getallocatedblocks()
    turn(10_000)
    assert sys.getallocatedblocks() - before < 10
