"""Earliest deadline first: which waiting request runs next, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from whence.demo.jobs import ModelProfile, Request
from whence.model.event import Option

__all__ = ["Choice", "Hold", "choose", "hold_of", "left_ns", "used_bytes"]

_MOST_OPTIONS = 4  # what is told of one decision; more than a reader compares at a glance


@dataclass(frozen=True, slots=True)
class Hold:
    """What keeps a request from running although a worker is free: its model's budget."""

    what: str  # "limit": as many at once as allowed; "memory": what they use leaves too little
    blocker: Request  # the running request of that model that ends first


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision: who runs, what was considered, who is held back, and who is too late already."""

    selected: Request | None
    options: tuple[Option, ...]
    held: tuple[tuple[Request, Hold], ...]
    expired: tuple[Request, ...]


def choose(
    waiting: Sequence[Request],
    running: Sequence[Request],
    profiles: Mapping[str, ModelProfile],
    now_ns: int,
) -> Choice:
    """Choose for one free worker; equal deadlines go by id. Cost: waiting x running."""
    expired = tuple(request for request in waiting if request.deadline_ns < now_ns)
    in_order = sorted(
        (request for request in waiting if request.deadline_ns >= now_ns),
        key=lambda request: (request.deadline_ns, request.id),
    )
    selected: Request | None = None
    held: list[tuple[Request, Hold]] = []
    for request in in_order:
        hold = hold_of(request, running, profiles, now_ns)
        if hold is None:
            selected = request
            break
        held.append((request, hold))
    options = () if selected is None else _options(selected, in_order, dict(held), profiles, now_ns)
    return Choice(selected, options, tuple(held), expired)


def hold_of(
    request: Request,
    running: Iterable[Request],
    profiles: Mapping[str, ModelProfile],
    now_ns: int,
) -> Hold | None:
    """What in its model's budget keeps the request from running now; None: nothing."""
    same = [other for other in running if other.model == request.model]
    if not same:
        return None
    budget = profiles[request.model].budget
    first = min(same, key=lambda other: left_ns(other, profiles, now_ns))
    if len(same) >= budget.stream_limit:
        return Hold("limit", first)
    if used_bytes(same) + request.need_bytes > budget.memory_limit_bytes:
        return Hold("memory", first)
    return None


def left_ns(request: Request, profiles: Mapping[str, ModelProfile], now_ns: int) -> int:
    """What a running request has left of its estimate; negative once it is over."""
    return request.started_ns + profiles[request.model].wcet_ns - now_ns


def used_bytes(requests: Iterable[Request]) -> int:
    """The memory that these requests hold together."""
    return sum(request.need_bytes for request in requests)


def _options(
    selected: Request,
    in_order: Sequence[Request],
    held: Mapping[Request, Hold],
    profiles: Mapping[str, ModelProfile],
    now_ns: int,
) -> tuple[Option, ...]:
    others = [request for request in in_order if request is not selected]
    return tuple(
        Option(
            name=f"{request.model} {request.id}",
            scores={"slack_ms": (request.deadline_ns - now_ns) / 1e6},
            chosen=request is selected,
            reason="" if request is selected else _why_not(request, held.get(request), profiles),
        )
        for request in (selected, *others[: _MOST_OPTIONS - 1])
    )


def _why_not(request: Request, hold: Hold | None, profiles: Mapping[str, ModelProfile]) -> str:
    budget = profiles[request.model].budget
    if hold is None:
        return "later deadline"
    if hold.what == "limit":
        return f"runs {budget.stream_limit} of {budget.stream_limit} at once"
    return f"over memory budget ({budget.memory_limit_bytes / 2**20:.1f} MB)"
