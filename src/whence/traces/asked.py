"""What is asked of traces, in the words of trace services: filters, times, pages, aggregations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from whence.model.severity import Severity
from whence.query.contracts.contract import parse_length
from whence.query.engines.traces import TRACE_SORTS, TraceFilter, TraceKey, TraceSort
from whence.query.trace_figures import GROUPS, METRICS, Aggregation
from whence.traces.values import wall_ns_of

__all__ = ["Asked", "aggregation_of", "asked_of", "filter_of", "interval_of", "page_of"]

MOST_A_PAGE = 1_000
# As trace services call them, and what that is here. Those of one value also take several.
_LISTS = {
    "trace_id": "trace_ids",
    "context_id": "context_ids",
    "execution_id": "execution_ids",
    "trace_type": "trace_types",
    "type": "trace_types",
    "status": "statuses",
    **{
        name: name
        for name in ("trace_ids", "context_ids", "execution_ids", "trace_types", "statuses")
    },
}
_PLAIN = ("has_errors", "event_type", "component", "model_id", "request_id", "tag", "text")
_TIMES = ("time_range", "started_after", "started_before")
_PAGE = ("page", "limit", "cursor", "sort")
_KNOWN = (*_LISTS, *_PLAIN, *_TIMES, "q", "level")


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: which traces, which page of them, and what figures of all that match."""

    filter: TraceFilter
    sort: TraceSort = "newest"
    limit: int = 100
    page: int | None = 1
    after: TraceKey | None = None
    aggregation: Aggregation | None = None


def asked_of(
    given: Mapping[str, Any] | None,
    aggregation: Mapping[str, Any] | None,
    pagination: Mapping[str, Any] | None,
    flat: Mapping[str, Any],
    now_ns: int,
) -> Asked:
    """The question of one object {filter, aggregation, pagination}, of these three, or flat.

    Raises TypeError and ValueError, which name what is not understood.
    """
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"a filter is a mapping, not {type(given).__name__}")
    if given and given.keys() <= {"filter", "aggregation", "pagination", "sort"}:
        if aggregation is not None or pagination is not None:
            raise TypeError("give one object, or filter, aggregation and pagination apart")
        whole = given
        given, aggregation = whole.get("filter"), whole.get("aggregation")
        pagination = {**_sort_in(whole), **(whole.get("pagination") or {})}
    wanted = dict(given or {})
    pages = dict(pagination or {})
    for name, value in flat.items():
        target = pages if name in _PAGE else wanted
        if name in target:
            raise TypeError(f"{name} is given twice")
        target[name] = value
    sort, limit, page, after = page_of(pages)
    made = None if aggregation is None else aggregation_of(aggregation)
    return Asked(filter_of(wanted, now_ns), sort, limit, page, after, made)


def filter_of(wanted: Mapping[str, Any], now_ns: int) -> TraceFilter:
    """The filter that these names and values mean; None is left out."""
    found: dict[str, Any] = {}
    for name, value in wanted.items():
        if name not in _KNOWN:
            raise ValueError(f"{name!r} is no filter; {', '.join(_KNOWN)} are")
        if value is None:
            continue
        if name in _LISTS:
            _put(found, _LISTS[name], (value,) if isinstance(value, str) else tuple(value))
        elif name == "q":
            _put(found, "text", value)
        elif name == "level":
            _put(found, "min_severity", Severity.from_level(str(value)))
        elif name == "time_range":
            start_ns, end_ns = interval_of(value, now_ns)
            _put(found, "started_after_ns", start_ns)
            _put(found, "started_before_ns", end_ns)
        elif name in _TIMES:
            _put(found, f"{name}_ns", wall_ns_of(value))
        else:
            _put(found, name, value)
    return TraceFilter(**{name: value for name, value in found.items() if value is not None})


def interval_of(time_range: object, now_ns: int) -> tuple[int | None, int | None]:
    """From when on, and before when: of {start, end}, a pair, or a length such as "24h" up to now.

    Either end may be None.
    """
    if time_range is None:
        return None, None
    if isinstance(time_range, str):
        return now_ns - parse_length(time_range).nanos, None
    if isinstance(time_range, Mapping):
        if unknown := sorted(map(str, time_range.keys() - {"start", "end"})):
            raise ValueError(f"a time range has start and end, not {unknown[0]!r}")
        ends = time_range.get("start"), time_range.get("end")
    elif isinstance(time_range, Sequence) and len(time_range) == 2:
        ends = time_range[0], time_range[1]
    else:
        raise TypeError("a time range is {start, end}, a pair of times, or a length such as 24h")
    start_ns, end_ns = (None if each is None else wall_ns_of(each) for each in ends)
    if start_ns is not None and end_ns is not None and end_ns < start_ns:
        raise ValueError("the time range ends before it starts")
    return start_ns, end_ns


def page_of(
    pagination: Mapping[str, Any],
) -> tuple[TraceSort, int, int | None, TraceKey | None]:
    """Sort, limit, page and key of a page's description."""
    if unknown := sorted(map(str, pagination.keys() - set(_PAGE))):
        raise ValueError(f"{unknown[0]!r} says nothing of a page; {', '.join(_PAGE)} do")
    cursor = pagination.get("cursor")
    after = None if cursor is None else TraceKey.parse(str(cursor))
    sort = pagination.get("sort") or (after.sort if after else "newest")
    if sort not in TRACE_SORTS:
        raise ValueError(f"traces are not sorted by {sort!r}; {', '.join(TRACE_SORTS)} are")
    limit = _whole("limit", pagination.get("limit", 100))
    if limit > MOST_A_PAGE:
        raise ValueError(f"limit is at most {MOST_A_PAGE}, not {limit}")
    page = pagination.get("page")
    if page is None:
        return cast("TraceSort", sort), limit, None if after else 1, after
    return cast("TraceSort", sort), limit, _whole("page", page), after


def aggregation_of(asked: Mapping[str, Any]) -> Aggregation:
    """The aggregation of {group_by, metrics, time_bucket}."""
    if not isinstance(asked, Mapping):
        raise TypeError(f"an aggregation is a mapping, not {type(asked).__name__}")
    if unknown := sorted(map(str, asked.keys() - {"group_by", "metrics", "time_bucket"})):
        raise ValueError(f"an aggregation has group_by, metrics, time_bucket, not {unknown[0]!r}")
    bucket = asked.get("time_bucket")
    return Aggregation(
        _names("group_by", asked.get("group_by") or (), GROUPS),
        _names("metrics", asked.get("metrics") or ("count",), METRICS),
        None if bucket is None else parse_length(str(bucket)).nanos,
    )


def _put(found: dict[str, Any], name: str, value: object) -> None:
    if found.get(name) is not None:
        raise ValueError(f"{name} is asked for twice")
    found[name] = value


def _names(what: str, given: object, known: Sequence[str]) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(cast("Sequence[str]", given))
    for each in names:
        if each not in known:
            raise ValueError(f"{what}: {each!r} is none of {', '.join(known)}")
    return names


def _sort_in(whole: Mapping[str, Any]) -> dict[str, Any]:
    return {"sort": whole["sort"]} if whole.get("sort") else {}


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value}")
    return value
