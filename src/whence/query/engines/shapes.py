"""The shapes of questions and answers that every engine shares: pages, groups and budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from whence.model.errors import BudgetExceeded
from whence.model.event import TraceEvent

__all__ = [
    "GROUPS",
    "HISTOGRAM_PARTS",
    "MEASURES",
    "MOST_EXACT_ROWS",
    "ORDERS",
    "UNLIMITED",
    "USUAL",
    "Aggregate",
    "Budget",
    "Found",
    "GroupRow",
    "Order",
    "Page",
    "PageKey",
    "check_key",
]

Order = Literal["oldest", "newest", "longest"]
ORDERS: tuple[Order, ...] = get_args(Order)
USUAL = ("count", "rate", "avg", "p50", "p95", "p99", "error_rate")
MEASURES = (*USUAL[:3], "sum", "min", "max", "last", *USUAL[3:])
# What groups may be made by, as it is asked for, and the column that it means. Any other name is
# that of an attribute.
GROUPS = {
    "type": "event_type",
    "event_type": "event_type",
    "component": "component",
    "model": "model_id",
    "model_id": "model_id",
    "request": "request_id",
    "request_id": "request_id",
    "severity": "severity",
    "status": "status",
    "session": "session",
}
MOST_EXACT_ROWS = 20_000_000  # percentiles of more rows are read from a histogram
HISTOGRAM_PARTS = 32  # of each power of two


class PageKey(NamedTuple):
    """Where a page ended: the order and the last event's place in it. Written as one word."""

    order: Order
    duration_ns: int  # 0 unless the order is by it
    wall_ns: int
    session: int
    ring: int
    ticket: int

    def __str__(self) -> str:
        return ".".join([self.order, *map(str, self[1:])])

    @staticmethod
    def parse(text: str) -> PageKey:
        """The key that was written so; ValueError for what is none."""
        order, *numbers = text.split(".")
        if order not in ORDERS or len(numbers) != 5:
            raise ValueError(f"{text!r} is no key of a page: give the one that the last page named")
        return PageKey(order, *map(int, numbers))


def check_key(after: PageKey | None, order: Order) -> None:
    """Raises ValueError for a key of another order than that of the page asked for."""
    if after is not None and after.order != order:
        raise ValueError(f"the key is of pages of the {after.order} first, not the {order}")


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in the order asked for; `next` is the key of the page after it, if there is one.

    `wall_ns` holds the wall time of each event, None where it is not known.
    """

    events: tuple[TraceEvent, ...]
    wall_ns: tuple[int | None, ...]
    next: PageKey | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """What a question may cost; past it, BudgetExceeded is raised. None is no limit.

    `rows` bounds the events or groups of the answer, `bytes` the files that are looked into,
    `time_s` the time until the answer.
    """

    rows: int | None = 1_000_000
    bytes: int | None = None
    time_s: float | None = 300.0

    def check(self, *, rows: int = 0, size: int = 0) -> None:
        """Raises BudgetExceeded for an answer of more rows, or files of more bytes."""
        if self.rows is not None and rows > self.rows:
            raise BudgetExceeded(
                f"the answer has more than {self.rows} rows: narrow the question, or allow more"
            )
        if self.bytes is not None and size > self.bytes:
            raise BudgetExceeded(
                f"the question reads {size} bytes, more than {self.bytes}: narrow its time"
            )


UNLIMITED = Budget(None, None, None)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Figures of groups of events.

    `group_by` are names of GROUPS or of attributes, `bucket_ns` is the length of the pieces that
    wall time is cut into, whole multiples of it since 1970. `of` is what is measured:
    "duration_ns", of spans and of events that lasted, or an attribute, where it is a number or
    spells one. Raises ValueError for what makes no sense.
    """

    group_by: tuple[str, ...] = ()
    bucket_ns: int | None = None
    measures: tuple[str, ...] = USUAL
    of: str = "duration_ns"

    def __post_init__(self) -> None:
        if unknown := [name for name in self.measures if name not in MEASURES]:
            raise ValueError(f"{unknown[0]!r} is not measured; {', '.join(MEASURES)} are")
        if self.bucket_ns is not None and self.bucket_ns <= 0:
            raise ValueError("a bucket must be longer than nothing")
        if "" in (*self.group_by, self.of):
            raise ValueError("a group needs a name")

    @property
    def percentiles(self) -> tuple[str, ...]:
        """Those of the measures that are percentiles."""
        return tuple(name for name in self.measures if name.startswith("p"))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """One group's figures; those that were not asked for, or that have no value, are None.

    `keys` are the values of what was grouped by, as texts, "" for none; `bucket_ns` is the wall
    time at which the bucket begins. `rows` counts the events that are there, `count` those they
    stand for: the two differ, and the row is `weighted`, where some were sampled out. `rate` is
    `count` a second. `avg`, `sum` and `error_rate` are weighted; percentiles, `min`, `max` and
    `last`, the value of the newest row that has one, are those of the rows.
    `approx` marks percentiles that were read from a histogram: off by 1.1 % at most.
    """

    keys: tuple[str, ...]
    bucket_ns: int | None
    rows: int
    count: float
    rate: float | None = None
    avg: float | None = None
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    last: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    error_rate: float | None = None
    weighted: bool = False
    approx: bool = False


class Found(NamedTuple):
    """Something that an id, or the beginning or end of one, may mean."""

    kind: Literal["request", "chain", "trace", "event"]
    name: str
