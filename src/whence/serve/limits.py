"""What a client may cost: every bound of the HTTP face, with its default."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds; sizes in bytes, lengths of time in seconds.

    `body` is what a request may send, `inflated` what a compressed one may become, `inflation` how
    many times its size. `header_s` and `body_s` are from the first byte to the last of each,
    `request_s` from there to the answer's end, streams excepted, `stall_s` how long a client may
    read nothing of its answer. `requests` and `body_room` are those of all clients at once;
    beyond, they are told to come again. `questions` are asked of the store side by side, as many as
    `waiting` wait for their turn, and each may take `question_s` and `question_rows`;
    what answers them is closed when there were none for `rest_s`.
    """

    body: int = 4 << 20
    inflated: int = 16 << 20
    inflation: int = 200
    headers: int = 32 << 10
    header_s: float = 10.0
    body_s: float = 30.0
    request_s: float = 60.0
    stall_s: float = 30.0
    keep_alive_s: float = 15.0
    connections: int = 512
    connections_each: int = 128
    requests: int = 128
    requests_each: int = 64
    body_room: int = 64 << 20
    questions: int = 2
    waiting: int = 64
    question_s: float = 30.0
    question_rows: int = 200_000
    rest_s: float = 30.0
    streams: int = 32
    stream_events: int = 1_000
