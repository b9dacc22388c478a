"""Connections within bounds: how many each address has, and how long each may take to send."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any, ClassVar, Literal, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from whence.serve.limits import Limits

__all__ = ["Connection", "Crowd", "connection_class"]

_LINGER_S = 2.0  # for what is written last to reach whoever reads it
_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\n"
    b"connection: close\r\n\r\n"
)

Phase = Literal["headers", "body", ""]


class Crowd:
    """Who is connected. Where there is no room, who has sent no whole request for longest goes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._each: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self.count = 0
        self.refused = 0  # connections that there was no room for
        self.late = 0  # those that took too long

    def admit(self, connection: Connection, address: str) -> bool:
        """Whether there is room; perhaps another one has to go for it."""
        own = self._each[address]
        if len(own) >= self._limits.connections_each and not self._make_room(own):
            self.refused += 1
            return False
        if self.count >= self._limits.connections:
            largest = max(self._each.values(), key=len)
            if not self._make_room(largest):
                self.refused += 1
                return False
        own[connection] = None
        self.count += 1
        return True

    def leave(self, connection: Connection, address: str) -> None:
        """A connection is gone; may come twice."""
        own = self._each.get(address)
        if own is not None and connection in own:
            del own[connection]
            self.count -= 1
        if not own:
            self._each.pop(address, None)

    def _make_room(self, connections: dict[Connection, None]) -> bool:
        for each in connections:
            if each.is_waited_for:
                each.drop()
                self.refused += 1
                return True
        return False


class Connection(H11Protocol):
    """Uvicorn's, with a time for headers and one for the body, and an end for who does not read."""

    limits: ClassVar[Limits]
    crowd: ClassVar[Crowd]
    _phase: Phase = ""
    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admits it, and begins to wait for its first request."""
        super().connection_made(transport)
        if not self.crowd.admit(self, self._address):
            transport.write(_FULL)
            self._close()
            return
        self._enter("headers")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets it."""
        self.crowd.leave(self, self._address)
        self._enter("")
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came; the time that it may take in all has begun with the first of it."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        state = self.conn.their_state
        self._enter("headers" if state is h11.IDLE else "body" if state is h11.SEND_BODY else "")

    def on_response_complete(self) -> None:
        """Waits for the next request; uvicorn closes what stays idle."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self._enter("")

    def pause_writing(self) -> None:
        """The client does not read: for so long only."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.limits.stall_s, self.drop)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    @property
    def is_waited_for(self) -> bool:
        """Whether the next thing has to come from the client: a request, or the rest of one."""
        if self.transport.is_closing():
            return False
        busy = self.cycle is not None and not self.cycle.response_complete
        return not busy or self._phase == "body"

    def drop(self) -> None:
        """Ends it at once."""
        self.crowd.leave(self, self._address)
        self.transport.abort()

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _enter(self, phase: Phase) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if phase:
            seconds = self.limits.header_s if phase == "headers" else self.limits.body_s
            self._timer = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        self.crowd.late += 1
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_LATE)
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self._close()

    def _close(self) -> None:
        self.crowd.leave(self, self._address)
        self.transport.close()
        self.loop.call_later(_LINGER_S, self.transport.abort)


def connection_class(limits: Limits, crowd: Crowd) -> type[asyncio.Protocol]:
    """The protocol for a server with these limits."""
    return cast(
        "type[asyncio.Protocol]",
        type("LimitedConnection", (Connection,), {"limits": limits, "crowd": crowd}),
    )
