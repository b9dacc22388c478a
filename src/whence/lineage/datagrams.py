"""Carries lineage messages as datagrams, over UDP or a Unix socket: one message in each."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from whence.lineage.codec import TraceLinkSet
from whence.lineage.poller import TraceLinkPoller
from whence.lineage.wire import LONGEST_GROUP

__all__ = ["Address", "DatagramPublication", "DatagramSubscription"]

Address = tuple[str, int] | str | Path  # host and port, or the path of a Unix socket

_ANSWERS = {
    errno.ECONNREFUSED: -1,
    errno.ENOENT: -1,
    errno.EAGAIN: -2,
    errno.ENOBUFS: -2,
    errno.EBADF: -4,
}
_LONGEST = 40 + 8 * LONGEST_GROUP  # bytes of the largest set


class DatagramPublication:
    """Sends to an address, and never waits. Any thread may offer.

    Nobody needs to listen there yet. Of what is sent nobody hears whether it arrived; UDP takes
    8,183 parents at most in a message. Raises OSError where the host is not known.
    """

    def __init__(self, address: Address) -> None:
        self._socket, self._to = _socket(address)

    def offer(self, buffer: bytes, /) -> bool | int:
        """Sends one message; True, or why not, as Aeron's publications say it: -1 nobody listens,
        -2 there was no room for it, -4 this is closed; False: it is too long, or something else."""
        try:
            self._socket.sendto(buffer, self._to)
        except OSError as error:
            return _ANSWERS.get(error.errno or 0, False)
        return True

    def close(self) -> None:
        """Ends it; what is offered afterwards is not taken."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class DatagramSubscription:
    """Receives at an address and hands the sets among the messages to `handler`, others to
    `on_other`, whose they are only while it is called.

    For one thread at a time. Port 0 is any that is free; `address` tells which. A Unix socket is
    for this user alone, and takes the place of one that nobody listens at any more. Raises OSError
    where the address is taken.
    """

    def __init__(
        self,
        address: Address,
        handler: Callable[[TraceLinkSet], object],
        on_other: Callable[[memoryview], object] | None = None,
    ) -> None:
        self.poller = TraceLinkPoller(handler, on_other)
        self._socket, at = _socket(address)
        self._path = at if isinstance(at, str) else None
        try:
            if self._path is not None:
                _remove_abandoned(self._path)
            self._socket.bind(at)
            if self._path is not None:
                os.chmod(self._path, 0o600)
        except OSError:
            self._socket.close()
            raise
        self._buffer = bytearray(_LONGEST)
        self._view = memoryview(self._buffer)

    @property
    def address(self) -> Address:
        """Where it receives, as DatagramPublication takes it."""
        bound = self._socket.getsockname()
        return bound if isinstance(bound, str) else (bound[0], bound[1])

    def fileno(self) -> int:
        """For select and event loops: readable when poll() has something to do."""
        return self._socket.fileno()

    def poll(self, most: int = 1_000) -> int:
        """Takes what has arrived, `most` messages at most, without waiting; how many there were."""
        for count in range(most):
            try:
                length = self._socket.recv_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                return count
            self.poller.take(self._view[:length])
        return most

    def close(self) -> None:
        """Ends it, and removes the Unix socket."""
        if self._socket.fileno() < 0:
            return
        self._socket.close()
        if self._path is not None:
            Path(self._path).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _socket(address: Address) -> tuple[socket.socket, Any]:
    """A socket that never waits, and the address as it takes it."""
    if isinstance(address, str | Path):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        to: Any = os.fspath(address)
    else:
        known = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)
        made = socket.socket(known[0][0], socket.SOCK_DGRAM)
        to = known[0][4]
    made.setblocking(False)
    return made, to


def _remove_abandoned(path: str) -> None:
    """Removes a socket that nobody is bound to; a living one, or another file, stays."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        try:
            other.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
