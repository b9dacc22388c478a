"""whence select: pages of events, or figures of groups of them, by filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

import click
from rich.text import Text

from whence.cli.allowed import Allowed, allowed_options
from whence.cli.asked import asking
from whence.cli.filters import Picked
from whence.cli.render.page import clock_text, line, print_json, print_lines, table
from whence.cli.render.safe import safe
from whence.cli.sources import Choice, source_options
from whence.cli.verb import Verb, json_option
from whence.cli.wider_filters import wider_filter_options
from whence.model.errors import ContractError
from whence.model.query import TraceQuery
from whence.query.contracts.contract import parse_length
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import (
    GROUPS,
    MEASURES,
    ORDERS,
    USUAL,
    Aggregate,
    Budget,
    GroupRow,
    Order,
    Page,
    PageKey,
)
from whence.query.plain import plain_event
from whence.query.words import count_text, duration_text, event_sentence

__all__ = ["select"]

RECENT = 1_000  # events of which the attributes are known, for hints
_TITLES = {"rate": "a second", "error_rate": "errors"}
_ADVICE = "--last, --since, --type and other filters narrow it; --timeout, --most-rows allow more"


def _bucket(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_length(value).nanos
    except ContractError as error:
        raise click.BadParameter(str(error)) from None


def _key(context: click.Context, parameter: click.Parameter, value: str | None) -> PageKey | None:
    try:
        return None if value is None else PageKey.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _measures(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    names = tuple(each.strip() for each in (value or "").split(",") if each.strip())
    if unknown := [name for name in names if name not in MEASURES]:
        near = get_close_matches(unknown[0], MEASURES, 1) or MEASURES
        raise click.BadParameter(f"{unknown[0]!r} is not measured; {', '.join(near)}")
    return tuple(dict.fromkeys(names)) or USUAL


@click.command(cls=Verb)
@source_options
@wider_filter_options
@click.option(
    "--group-by",
    "group_by",
    metavar="NAMES",
    help="Figures of groups instead of events: type, component, model, request, severity, status, "
    "session, or the name of an attribute; several with commas.",
)
@click.option("--bucket", "bucket_ns", callback=_bucket, metavar="LENGTH", help="And by time: 1h.")
@click.option(
    "--of",
    default="duration_ns",
    show_default=True,
    metavar="NAME",
    help="What groups are measured in: an attribute that is a number.",
)
@click.option(
    "--measure",
    "measures",
    callback=_measures,
    metavar="NAMES",
    help=f"Which figures, with commas: {', '.join(MEASURES)}.",
)
@click.option(
    "--order",
    type=click.Choice(ORDERS),
    default="newest",
    show_default=True,
    help="Which events come first.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    metavar="ROWS",
    help="How many events a page has.",
)
@click.option(
    "--after", callback=_key, metavar="KEY", help="Go on behind the page that named this key."
)
@allowed_options("More groups than that are an error.", 1_000_000)
@json_option
def select(
    choice: Choice,
    picked: Picked,
    group_by: str | None,
    bucket_ns: int | None,
    of: str,
    measures: tuple[str, ...],
    order: Order,
    limit: int,
    after: PageKey | None,
    allowed: Allowed,
    as_json: bool,
) -> None:
    """Print the events that pass all filters, a page at a time, or figures of groups of them.

    Works on running processes, export files and stores alike. Under a page stands the key with
    which --after goes on; events that come meanwhile neither shift nor repeat what follows.

    With --group-by or --bucket, each group has its count, its rate a second, the average and the
    percentiles of how long its events lasted (or of what --of names), and the share of errors, or
    what --measure names.
    Where some events were sampled out, a count is of all that they stand for, and "rows" says how
    many are there; percentiles are those of the rows. Beyond 20 million rows percentiles are read
    from a histogram and marked ~: they are off by 1.1 % at most.

    A condition of --where compares fields by "and": attributes, or model_id, rationale, severity,
    duration_ns and the like, with = != < <= > >= to true, false, a text in quotes, one word, or a
    number with a unit such as 40ms, 512 MB or 5%.
    """
    grouped = group_by is not None or bucket_ns is not None
    if grouped and after is not None:
        raise click.UsageError("--after goes with events, not with groups")
    if not of:
        raise click.UsageError("--of needs the name of what is measured")
    if after is not None and after.order != order:
        raise click.UsageError(f"the key is of pages with --order {after.order}")
    budget = Budget(allowed.rows if grouped else None, None, None)
    with allowed.spent(_ADVICE), asking(choice, picked) as (engine, query):
        _tell_dropped(getattr(engine, "dropped_before_ns", None), query)
        if grouped:
            names = tuple(name.strip() for name in (group_by or "").split(",") if name.strip())
            question = Aggregate(names, bucket_ns, measures, of)
            rows = engine.aggregate(question, query, budget)
            _tell_unknown(engine, question, rows)
        else:
            page = engine.select(query, order=order, limit=limit, after=after, budget=budget)
    if grouped:
        print_json({"groups": _plain_rows(question, rows)}) if as_json else print_lines(
            _group_lines(question, rows)
        )
    elif as_json:
        print_json(
            {
                "events": [
                    plain_event(event) | ({} if wall_ns is None else {"wall_ns": wall_ns})
                    for event, wall_ns in zip(page.events, page.wall_ns, strict=True)
                ],
                "next": str(page.next) if page.next else None,
            }
        )
    else:
        print_lines(_event_lines(page))


def _tell_dropped(before_ns: int | None, query: TraceQuery) -> None:
    """Where a question reaches back further than the store does."""
    since_ns = query.from_wall_ns
    if before_ns is not None and since_ns is not None and since_ns < before_ns:
        until = clock_text(before_ns)
        words = f"whence: events up to {until} are older than the retention and were dropped"
        print_lines([line(words)], err=True)


def _tell_unknown(engine: Engine, question: Aggregate, rows: Sequence[GroupRow]) -> None:
    """Where no event has what is grouped by: it may be a misspelling."""
    for at, name in enumerate(question.group_by):
        if not rows or name in GROUPS or any(row.keys[at] for row in rows):
            continue
        recent = engine.select(TraceQuery(), order="newest", limit=RECENT).events
        known = {field for event in recent for field in event.attributes} | set(GROUPS)
        near = get_close_matches(name, sorted(known), 3)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        print_lines([line(safe(f"whence: no event has {name!r}{hint}"))], err=True)


def _event_lines(page: Page) -> Iterator[Text]:
    if not page.events:
        yield line("No event is what was asked for.")
        return
    rows = [
        (
            clock_text(wall_ns) or f"{event.timestamp.value_ns} ns",
            event.event_type,
            event.component,
            event.request_id,
            duration_text(event.duration.nanos) if event.duration.nanos else "",
            event_sentence(event),
        )
        for event, wall_ns in zip(page.events, page.wall_ns, strict=True)
    ]
    header = ("time", "event type", "component", "request", "lasted", "")
    yield from table(header, rows, left=(1, 2, 3, 5))  # times are never cut
    if page.next:
        yield line((f"More: --after {page.next}", "dim"))


def _group_lines(question: Aggregate, rows: Sequence[GroupRow]) -> Iterator[Text]:
    if not rows:
        yield line("No event is what was asked for.")
        return
    weighted = any(row.weighted for row in rows)
    labels = (*(["from"] if question.bucket_ns else []), *question.group_by)
    names = [_TITLES.get(name, name) for name in _shown(question)]
    header = (*labels, *names[:1], *(["rows"] if weighted else []), *names[1:])
    cells = [(*_labels(question, row), *_figures(question, row, weighted)) for row in rows]
    first = 1 if question.bucket_ns else 0  # times are never cut
    yield from table(header, cells, left=range(first, len(labels)))
    if weighted:
        text = "Counts are of all events that the rows stand for: some were sampled out."
        yield line((text, "dim"))
    if any(row.approx for row in rows):
        yield line(("~ read from a histogram, off by 1.1 % at most", "dim"))


def _labels(question: Aggregate, row: GroupRow) -> list[str]:
    begun = [clock_text(row.bucket_ns, always_dated=True)] if question.bucket_ns else []
    return [*begun, *(safe(key) if key else "-" for key in row.keys)]


def _figures(question: Aggregate, row: GroupRow, weighted: bool) -> Iterator[str]:
    yield count_text(round(row.count))
    if weighted:
        yield count_text(row.rows)
    for name in _shown(question)[1:]:
        value = getattr(row, name)
        if name == "error_rate":
            yield "" if value is None else f"{value:.2%}"
        elif name == "rate":
            yield _number(value)
        else:
            is_near = row.approx and value is not None and name in question.percentiles
            yield ("~" if is_near else "") + _measured(question, value)


def _shown(question: Aggregate) -> list[str]:
    """The figures in their columns, the count first."""
    return ["count", *(name for name in question.measures if name != "count")]


def _measured(question: Aggregate, value: float | None) -> str:
    if value is not None and (question.of == "duration_ns" or question.of.endswith("_ns")):
        return duration_text(round(value))
    return _number(value)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _plain_rows(question: Aggregate, rows: Sequence[GroupRow]) -> list[dict[str, object]]:
    return [
        {
            "group": dict(zip(question.group_by, row.keys, strict=True)),
            "bucket_ns": row.bucket_ns,
            "rows": row.rows,
            "count": row.count,
            "weighted": row.weighted,
            **{name: getattr(row, name) for name in question.measures if name != "count"},
            "approx": row.approx,
        }
        for row in rows
    ]
