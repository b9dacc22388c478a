"""What a pipeline needs of whatever delivers: a sink with its queue, or a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from whence.collect.follower import Place
from whence.collect.positions import Acknowledged
from whence.collect.sink import Drained
from whence.collect.sink_ledger import SinkLedger

__all__ = ["Delivering", "Offer"]


class Offer(NamedTuple):
    """One step's events for a sink: what it is to deliver, and what that accounts for.

    `read` counts the events read, those filtered out included, and `lost` those overwritten
    before; `ends` are the tickets after the step. `found`, a part of `read`, were overwritten,
    but the sink has them from a run that was killed before it could say so.
    """

    drained: Drained
    read: int
    lost: int
    ends: Mapping[Place, int]
    found: int = 0


class Delivering(Protocol):
    """Takes events over, settles them in order, and accounts for each.

    `offer`, `ledger`, `acknowledged` and what else only asks may be called by any thread.
    """

    trouble: str
    """Why the last attempt failed; empty after one that did not."""

    @property
    def name(self) -> str:
        """As shown to people: without secrets, and the same at every start."""
        ...

    @property
    def most_events(self) -> int:
        """How many events one payload holds."""
        ...

    def offer(self, offer: Offer) -> None:
        """Takes the events of a step over. Never waits: a full queue gives up its oldest ones."""
        ...

    def ledger(self) -> SinkLedger:
        """What became of all events so far, those of earlier runs included."""
        ...

    def acknowledged(self) -> Acknowledged:
        """How far everything is settled, in order."""
        ...

    def has_delivered(self, uuid: str, ends: Mapping[int, int]) -> bool:
        """Whether every event of a session that ends there was delivered."""
        ...

    def is_behind(self) -> bool:
        """Whether half the queue is full although deliveries succeed."""
        ...

    def wait_settled(self, timeout_s: float) -> bool:
        """Waits until everything offered was settled; whether it was."""
        ...

    def forget(self, uuid: str) -> None:
        """Drops the positions of a session that was removed."""
        ...

    def held(self) -> Mapping[tuple[str, int], Sequence[int]]:
        """The tickets that are there beyond the positions, by session name and ring."""
        ...

    def start(self) -> None:
        """Delivers in a thread of its own from now on."""
        ...

    def begin_finish(self, timeout_s: float) -> None:
        """From now on there are `timeout_s` left to deliver what is queued."""
        ...

    def finish(self, timeout_s: float, *, give_up: bool = False) -> None:
        """Delivers what is queued, for at most `timeout_s`, and closes what it delivers to."""
        ...

    def leave_behind(self) -> None:
        """In a forked child: gives up the parent's files, whose locks the child would keep."""
        ...
