"""The shapes of questions about whole traces: what is asked for, a trace in one row, and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from whence.model.ids import ModelID
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.model.span import is_trace_id
from whence.query.engines.shapes import Aggregate

__all__ = [
    "LEVELS",
    "TRACE_GROUPS",
    "TRACE_MEASURED",
    "TRACE_SORTS",
    "TraceFilter",
    "TraceKey",
    "TraceRow",
    "TraceSort",
    "TracesPage",
    "check_groups",
    "check_page",
    "halves",
    "id_of",
]

TraceSort = Literal["newest", "oldest", "longest", "errors"]
TRACE_SORTS: tuple[TraceSort, ...] = get_args(TraceSort)
LEVELS = tuple(severity.level_name() for severity in Severity)
# What groups of traces may be made by, and the field of TraceRow that it means.
TRACE_GROUPS = {
    "type": "trace_type",
    "trace_type": "trace_type",
    "status": "status",
    "name": "name",
    "context": "context_id",
    "context_id": "context_id",
    "execution": "execution_id",
    "execution_id": "execution_id",
    "has_errors": "has_errors",
}
TRACE_MEASURED = ("duration_ns", "events", "errors", "warnings")
_LISTS = ("trace_ids", "context_ids", "execution_ids", "trace_types", "statuses")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFilter:
    """Filters on traces; those left at None are not applied, all others must hold together.

    Of several ids, types or statuses, given as a tuple or list, any will do. A trace lies between
    `started_after_ns` and `started_before_ns` if it started then or later, and before. It
    `has_errors` if one of its events is an error or it failed. `event_type`, `component`,
    `model_id`, `request_id` and `min_severity` ask for traces that have an event for which all of
    these hold. `tag` is one of its tags; `text` is looked for in its name, its description and the
    rationale of its events, upper and lower case told apart. Raises TypeError for a filter of
    another type, ValueError for an empty list or what is no trace id. Immutable and hashable.
    """

    trace_ids: Sequence[str] | None = None
    context_ids: Sequence[str] | None = None
    execution_ids: Sequence[str] | None = None
    trace_types: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    started_after_ns: int | None = None
    started_before_ns: int | None = None
    has_errors: bool | None = None
    event_type: str | Sequence[str] | None = None
    component: str | Sequence[str] | None = None
    model_id: str | ModelID | None = None
    request_id: str | None = None
    min_severity: Severity | None = None
    tag: str | None = None
    text: str | None = None
    event: TraceQuery | None = field(init=False, repr=False, compare=False)
    """What one of its events must be; None if any trace will do."""

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        for each in self.trace_ids or ():
            if not is_trace_id(each):
                raise ValueError(f"a trace id is 32 hexadecimal digits, not all 0, not {each!r}")
        for name in ("started_after_ns", "started_before_ns"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise TypeError(f"{name} must be int, not {type(value).__name__}")
        if not isinstance(self.has_errors, bool | None):
            raise TypeError(f"has_errors must be bool, not {type(self.has_errors).__name__}")
        for name in ("tag", "text"):
            if not isinstance(value := getattr(self, name), str | None):
                raise TypeError(f"{name} must be str, not {type(value).__name__}")
        event = TraceQuery(
            event_type=self.event_type,
            component=self.component,
            model_id=self.model_id,
            request_id=self.request_id,
            min_severity=self.min_severity,
        )
        for name in ("event_type", "component", "model_id"):  # hashable, as the query has them
            object.__setattr__(self, name, getattr(event, name))
        object.__setattr__(self, "event", None if event == TraceQuery() else event)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """What the events of one trace id say of it.

    Its name, type, ids, description and tags are those of the first `trace_started`; without one it
    is named by its root span, the rest is empty. `status` is one of active, completed, failed,
    cancelled and expired: what the first `trace_ended` says, or active while there is only a
    `trace_started`. Without either it is failed or completed as its root span is; without a root it
    is failed if a span of it is, else active. Of events outside of any span nothing tells whether
    more will come: it is failed if one of them is an error, else completed.

    `started_wall_ns` is when it was started, or its first event happened; `ended_wall_ns` when it
    was ended, or the last of its events and spans was over, None while it is active.
    `events`, `errors`, `warnings` and `by_level` (all of LEVELS) count the rows that are stored,
    those two that begin and end it left out. `weight` is how many traces it stands for where others
    were sampled out: the least weight of its events. `sessions` are the names of those it ran in.
    """

    trace_id: str
    name: str = ""
    trace_type: str = ""
    status: str = "completed"
    context_id: str = ""
    execution_id: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    started_wall_ns: int = 0
    ended_wall_ns: int | None = None
    duration_ns: int | None = None
    events: int = 0
    errors: int = 0
    warnings: int = 0
    by_level: Mapping[str, int] = field(default_factory=dict)
    sessions: tuple[str, ...] = ()
    weight: float = 1.0

    @property
    def has_errors(self) -> bool:
        """Whether one of its events is an error, or it failed."""
        return self.errors > 0 or self.status == "failed"


class TraceKey(NamedTuple):
    """Where a page ended: the order and the last trace's place in it. Written as one word."""

    sort: TraceSort
    value: int  # a duration or number of errors; 0 if the order is by time
    started_wall_ns: int
    high: int  # the halves of the trace id as 64 signed bits
    low: int

    def __str__(self) -> str:
        return ".".join([self.sort, *map(str, self[1:])])

    @staticmethod
    def of(row: TraceRow, sort: TraceSort) -> TraceKey:
        """The place of a trace."""
        value = {
            "longest": -1 if row.duration_ns is None else row.duration_ns,
            "errors": row.errors,
        }
        return TraceKey(sort, value.get(sort, 0), row.started_wall_ns, *halves(row.trace_id))

    @staticmethod
    def parse(text: str) -> TraceKey:
        """The key that was written so; ValueError for what is none."""
        sort, *numbers = text.split(".")
        if sort not in TRACE_SORTS or len(numbers) != 4:
            raise ValueError(f"{text!r} is no key of a page: give the one that the last page named")
        return TraceKey(sort, *map(int, numbers))


@dataclass(frozen=True, slots=True)
class TracesPage:
    """Some traces in the order asked for, of `total` that match.

    `page` is the number of a page that was asked for by number, from 1; `next` is the key of the
    page behind this one, if there is one.
    """

    items: tuple[TraceRow, ...]
    total: int
    limit: int
    page: int | None = None
    next: TraceKey | None = None

    @property
    def pages(self) -> int:
        """How many pages of this length there are."""
        return -(-self.total // self.limit)


def check_page(sort: TraceSort, limit: int, page: int | None, after: TraceKey | None) -> None:
    """Raises ValueError for a page that cannot be."""
    if sort not in TRACE_SORTS:
        raise ValueError(f"traces are not sorted by {sort!r}; {', '.join(TRACE_SORTS)} are")
    if limit < 1:
        raise ValueError("a page has one trace at least")
    if page is not None and page < 1:
        raise ValueError("pages are counted from 1")
    if page is not None and after is not None:
        raise ValueError("a page is asked for by its number or by a key, not by both")
    if after is not None and after.sort != sort:
        raise ValueError(f"the key is of pages of the {after.sort} first, not the {sort}")


def check_groups(question: Aggregate) -> None:
    """Raises ValueError for groups that traces do not have, or what is not measured of them."""
    for name in question.group_by:
        if name not in TRACE_GROUPS:
            raise ValueError(
                f"traces have no {name!r}; {', '.join(TRACE_GROUPS)} are what they have"
            )
    if question.of not in TRACE_MEASURED:
        raise ValueError(f"of traces {', '.join(TRACE_MEASURED)} are measured, not {question.of!r}")


def halves(trace_id: str) -> tuple[int, int]:
    """Its halves as 64 signed bits, as columns hold them."""
    high, low = int(trace_id[:16], 16), int(trace_id[16:], 16)
    return high - (high >> 63 << 64), low - (low >> 63 << 64)


def id_of(high: int, low: int) -> str:
    """The id with these halves."""
    return f"{high & 2**64 - 1:016x}{low & 2**64 - 1:016x}"


def _texts(name: str, wanted: object) -> tuple[str, ...] | None:
    if wanted is None:
        return None
    if isinstance(wanted, str) or not isinstance(wanted, list | tuple):
        raise TypeError(f"{name} must be a tuple or list of str, not {type(wanted).__name__}")
    if not all(isinstance(each, str) for each in wanted):
        raise TypeError(f"{name} must be a tuple or list of str")
    if not wanted:
        raise ValueError(f"{name}: name at least one, or leave it out for all")
    return tuple(wanted)
