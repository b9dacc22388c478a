"""What a sink is: it encodes drained events into payloads and delivers each of them once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from whence.model.recording import KindInfo, SessionInfo

if TYPE_CHECKING:
    from whence._native import Batch

__all__ = ["Drained", "Payload", "Refused", "Reply", "Sink", "TooLarge", "Unavailable"]


class Payload(NamedTuple):
    """What one request carries. `signal` tells payloads of one batch apart ("logs", "spans")."""

    body: bytes
    events: int
    signal: str = ""


class Reply(NamedTuple):
    """What became of a payload's events; `message` is what the other side said of those refused."""

    delivered: int
    refused: int = 0
    message: str = ""


class Unavailable(Exception):
    """The payload could not be delivered now: try again, after `retry_after_s` if that is known."""

    def __init__(self, reason: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Refused(Exception):
    """The other side will never take this payload: its events are counted as refused."""


class TooLarge(Refused):
    """The payload is larger than the other side takes: it is halved and encoded anew."""


@dataclass(frozen=True)
class Drained:
    """Events on their way to a sink: one native batch of many sessions.

    `sessions` and `kinds` are keyed by the session's name, as rows hold it. Sinks share the batch:
    they read it, in any thread, and change nothing.
    """

    batch: Batch
    sessions: Mapping[str, SessionInfo] = field(default_factory=dict)
    kinds_of: Callable[[], Mapping[str, tuple[KindInfo, ...]]] = dict

    def __len__(self) -> int:
        return len(self.batch)

    @cached_property
    def kinds(self) -> Mapping[str, tuple[KindInfo, ...]]:
        """The kinds that each session has declared by now; made when first asked for."""
        return self.kinds_of()


@runtime_checkable
class Sink(Protocol):
    """One format and one transport. Queues, retries, filters and counts are the pipeline's.

    One thread at a time calls a sink, always the same one but for close(). Subclass it for the
    defaults of `most_events` and `most_bytes`.

    A sink that can be asked what it has offers three calls more: token(), after each batch, says
    how far that is; resume(token) is called with the last one that was saved, and held() then
    gives the tickets, by session name and ring, that came after it.
    """

    name: str
    """As shown to people: without secrets, and the same at every start."""
    most_events: int = 5_000
    """How many events the pipeline hands to one encode()."""
    most_bytes: int = 4 << 20
    """The largest body sent: a larger one is halved and encoded anew. 0: no limit."""

    def encode(self, drained: Drained) -> Iterable[Payload]:
        """The payloads of these events: at most one for each signal.

        Pure: no I/O, and the same bytes for the same events. Every event is counted in at most
        one payload; those in none are counted as filtered. Each body is whole by itself: the
        pipeline sends, repeats and halves payloads as it needs.
        """
        ...

    def deliver(self, payload: Payload, timeout_s: float) -> Reply:
        """One attempt, of at most `timeout_s`; returns once the other side has the events safe.

        Raises Unavailable where trying again may help (any OSError counts as that), TooLarge to
        have the payload halved, Refused where nothing will help. Never retries by itself.
        """
        ...

    def close(self) -> None:
        """Gives up connections and files. After the last deliver(); may come twice."""
        ...
