"""The collector's loop: drain a source, offer the events to every sink, keep their positions."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from whence.collect.collectors import others_may_need
from whence.collect.delivering import Delivering, Offer
from whence.collect.follower import Ended, Place, Positions, Source, Step
from whence.collect.positions import StateFile
from whence.collect.sink import Drained
from whence.collect.wanted import Wanted
from whence.model.errors import WhenceError
from whence.ring import reap
from whence.ring.session_file import read_session_file

__all__ = ["Pipeline", "common_start"]

LEAST_STEP = 1_000
MOST_STEP = 200_000
PAUSE_S = 0.05


def common_start(deliveries: Sequence[Delivering]) -> Positions:
    """Where to begin reading so that no sink misses an event: the least of their positions."""
    known = [delivery.acknowledged().positions for delivery in deliveries]
    uuids = {uuid for positions in known for uuid in positions}
    start: dict[str, dict[int, int]] = {}
    for uuid in uuids:
        rings = {ring for positions in known for ring in positions.get(uuid, {})}
        start[uuid] = {
            ring: min(positions.get(uuid, {}).get(ring, 0) for positions in known) for ring in rings
        }
    return start


class Pipeline:
    """Moves events from one source to many sinks; no sink ever waits for another. One thread.

    With `state` the positions are saved as sinks acknowledge them. With `reaps`, a dead session
    all of whose events every sink has delivered is removed.
    """

    def __init__(
        self,
        source: Source,
        deliveries: Sequence[Delivering],
        *,
        wanted: Wanted | None = None,
        state: StateFile | None = None,
        reaps: bool = False,
        most_events: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deliveries = deliveries
        self.reaped: list[str] = []
        self.trouble = ""  # why the state could not be saved, or a session not be removed
        self._source = source
        self._wanted = wanted or Wanted()
        self._state = state
        self._reaps = reaps
        self._most_events = most_events or _step_size(deliveries)
        self._clock = clock
        self._over: list[Ended] = []
        self._offered: list[dict[Place, int]] = [
            {
                (uuid, ring): ticket
                for uuid, rings in delivery.acknowledged().positions.items()
                for ring, ticket in rings.items()
            }
            for delivery in deliveries
        ]

    def pressure(self) -> float:
        """The largest share of a ring that is unread."""
        return self._source.pressure()

    def start(self) -> None:
        """Lets every sink work in a thread of its own."""
        for delivery in self.deliveries:
            delivery.start()

    def step(self) -> bool:
        """Drains once and hands the events over; whether there is more to drain at once.

        While a sink that works is behind with half its queue, what dead sessions hold waits for
        it. A sink that does not work holds up nothing.
        """
        behind = [each for each in self.deliveries if each.is_behind()]
        step = self._source.step(self._most_events, spare_dead=bool(behind))
        if step.more and behind and not step.spans:
            behind[0].wait_settled(PAUSE_S)
        ended = self._source.take_ended()
        if self._reaps:
            self._over += ended
        if step.spans:
            drained = replace(step.drained, batch=self._wanted.of(step.drained.batch))
            names = {info.uuid: info.name for info in step.drained.sessions.values()}
            for delivery, offered in zip(self.deliveries, self._offered, strict=True):
                offer = _offer(step, drained, offered, self._wanted, names)
                if offer.lost:
                    offer = _with_found(offer, step, offered, names, delivery)
                offered |= offer.ends
                delivery.offer(offer)
        return step.more

    def run(self, wait: Callable[[], bool], stop: Callable[[], bool]) -> None:
        """Steps until `wait`, called when there is nothing left to drain, or `stop` says to end."""
        self.save()
        while True:
            while self.step():
                self.save()
                if stop():
                    return
            self.save()
            if wait():
                return

    def finish(self, timeout_s: float, *, give_up: bool = False) -> None:
        """A last drain; then the sinks deliver what is queued, all together for `timeout_s`."""
        end = self._clock() + timeout_s
        while self.step() and self._clock() < end:
            pass
        for delivery in self.deliveries:
            delivery.begin_finish(end - self._clock())
        if self._reaps:
            for _ in range(2):  # what is delivered, and then what a removal leaves to be done
                for delivery in self.deliveries:
                    delivery.wait_settled(end - self._clock())
                self.save()
        for delivery in self.deliveries:
            delivery.finish(max(0.0, end - self._clock()), give_up=give_up)
        self.save()

    def save(self) -> None:
        """Saves the positions if they moved, then removes the sessions that need no keeping."""
        for uuid in self._source.take_removed():
            self._forget(uuid)
        if self._state is not None:
            sinks = {each.name: each.acknowledged() for each in self.deliveries}
            try:
                self._state.save(sinks, self._status())
            except OSError as error:
                self.trouble = f"cannot save {self._state.path}: {error}"
                return
            self.trouble = ""
        if self._reaps:
            self._over = [ended for ended in self._over if not self._reaped(ended)]

    def _reaped(self, ended: Ended) -> bool:
        """Whether this ended session needs no more thought; removes it if all was delivered."""
        uuid = ended.info.uuid
        if not ended.whole:
            return True
        if not all(delivery.has_delivered(uuid, ended.ends) for delivery in self.deliveries):
            return False
        path = Path(ended.info.path)
        own = self._state.path if self._state is not None else None
        if others_may_need(path.parent, own, uuid, ended.ends):
            return False
        try:
            info = read_session_file(path)
            if info.uuid == uuid:
                sinks = ", ".join(delivery.name for delivery in self.deliveries)
                reap.remove_session(info, f"collected to {sinks}")
        except (WhenceError, OSError, ValueError) as error:
            self.trouble = f"cannot remove {ended.info.path}: {error}"
            return True
        self.reaped.append(ended.info.name)
        self._forget(uuid)
        return True

    def _forget(self, uuid: str) -> None:
        for delivery in self.deliveries:
            delivery.forget(uuid)

    def _status(self) -> Mapping[str, Any]:
        return {"pid": os.getpid(), "updated_wall_ns": time.time_ns()}


def _step_size(deliveries: Sequence[Delivering]) -> int:
    """A step is acknowledged as a whole: some payloads' worth, so that little is sent again."""
    least = min((delivery.most_events for delivery in deliveries), default=MOST_STEP)
    return max(LEAST_STEP, min(10 * least, MOST_STEP))


def _with_found(
    offer: Offer,
    step: Step,
    offered: Mapping[Place, int],
    names: Mapping[str, str],
    delivery: Delivering,
) -> Offer:
    """The offer with what a run that was killed had written, and rings have no more, as read."""
    held = delivery.held()
    missing = {
        (names[uuid], ring, ticket)
        for (uuid, ring), (before, after) in step.spans.items()
        for ticket in held.get((names[uuid], ring), ())
        if max(before, offered.get((uuid, ring), 0)) <= ticket < after
    }
    if missing:
        missing -= {(row[17], row[18], row[19]) for row in step.drained.batch.rows()}
    found = min(len(missing), offer.lost)
    return offer._replace(read=offer.read + found, lost=offer.lost - found, found=found)


def _offer(
    step: Step,
    wanted_part: Drained,
    offered: Mapping[Place, int],
    wanted: Wanted,
    names: Mapping[str, str],
) -> Offer:
    """What one sink gets of a step: all of it, or what it has not been offered by a former run."""
    ends = {place: after for place, (_, after) in step.spans.items()}
    tickets = sum(after - before for before, after in step.spans.values())
    if all(offered.get(place, 0) <= before for place, (before, _) in step.spans.items()):
        read = len(step.drained)
        return Offer(wanted_part, read, tickets - read, ends)
    first = {place: offered.get(place, 0) for place in step.spans}
    batch = step.drained.batch.select(
        from_tickets={(names[uuid], ring): ticket for (uuid, ring), ticket in first.items()}
    )
    tickets = sum(
        max(0, after - max(before, first[place])) for place, (before, after) in step.spans.items()
    )
    ends = {place: max(after, first[place]) for place, after in ends.items()}
    drained = replace(step.drained, batch=wanted.of(batch))
    return Offer(drained, len(batch), tickets - len(batch), ends)
