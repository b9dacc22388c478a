"""The options that pick events by type, component, model, request, severity and time."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import click

from whence.cli.render.page import clock_text, line, print_lines
from whence.cli.render.safe import safe
from whence.model.errors import ContractError
from whence.model.event import TraceEvent
from whence.model.names import spellings
from whence.model.query import TraceQuery
from whence.model.recording import KindInfo, Recording
from whence.model.severity import Severity
from whence.model.time import Duration
from whence.query.contracts.contract import parse_length
from whence.query.index import Index, as_index
from whence.query.select import select
from whence.query.words import duration_text, listed

__all__ = ["Picked", "filter_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Picked:
    """Which events were asked for."""

    query: TraceQuery
    last: Duration | None = None

    @property
    def everything(self) -> bool:
        """Whether no filter was given."""
        return self.query == TraceQuery() and self.last is None

    def of(self, source: Recording | Index) -> tuple[TraceEvent, ...]:
        """The recording's events that were asked for; the last of them by its newest moment."""
        index = as_index(source)
        passes = self.among(index)
        return tuple(event for event in select(index, self.query) if passes(event))

    def among(self, index: Index) -> Callable[[TraceEvent], bool]:
        """Whether an event of this recording was asked for."""
        matches, wall_ns = self.query.matches, index.recording.wall_ns
        if self.last is None or index.newest_ns is None:
            return lambda event: matches(event, wall_ns(event))
        since_ns = index.newest_ns - self.last.nanos
        return lambda event: index.time_ns(event) >= since_ns and matches(event, wall_ns(event))

    def warn(self, kinds: Iterable[KindInfo], events: Iterable[TraceEvent] = ()) -> None:
        """Say on standard error that the type asked for is none of these kinds, if they are known.

        It may be a misspelling; it may also be declared later, so it is no error.
        """
        known = {kind.name for kind in kinds}
        wanted_types = self.query.event_types or ()
        unknown = {name for name in wanted_types if known.isdisjoint(spellings(name))}
        if not known or not unknown:
            return
        for wanted in sorted(unknown - {event.event_type for event in events}):
            near = difflib.get_close_matches(wanted, sorted(known), 3)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            text = f"whence: no kind is called {wanted!r}{hint}"
            print_lines([line(safe(text))], err=True)

    @property
    def words(self) -> str:
        """What was asked for, in words; empty if everything was."""
        query = self.query
        named = (
            ("type", listed(query.event_types or (), "or") or None),
            ("component", listed(query.components or (), "or") or None),
            ("model", query.model_id),
            ("request", query.request_id),
            ("severity", query.min_severity.name if query.min_severity is not None else None),
            ("decision chain", query.decision_chain_id),
            ("trace", listed(query.trace_ids or (), "or") or None),
            ("lineage", None if query.lineage_id is None else str(query.lineage_id)),
            ("status", query.status),
            ("errors", None if query.has_errors is None else str(query.has_errors).lower()),
            ("text", query.text),
            ("where", query.where),
            ("last", duration_text(self.last.nanos) if self.last else None),
            ("since", clock_text(query.from_wall_ns, always_dated=True) or None),
            ("until", clock_text(query.until_wall_ns, always_dated=True) or None),
        )
        return ", ".join(f"{name} {value}" for name, value in named if value is not None)


def filter_options(function: F) -> F:
    """Adds the filters, which reach the command as one `picked`."""

    @functools.wraps(function)
    def with_picked(
        *args: Any,
        event_types: tuple[str, ...],
        components: tuple[str, ...],
        model: str | None,
        request: str | None,
        severity: str | None,
        last: Duration | None,
        **more: Any,
    ) -> Any:
        least = None if severity is None else Severity.from_name(severity)
        query = TraceQuery(
            None, None, event_types or None, model, components or None, least, request
        )
        return function(*args, picked=Picked(query, last), **more)

    decorated: Any = with_picked
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast(F, decorated)


def _length(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> Duration | None:
    try:
        return None if value is None else parse_length(value)
    except ContractError as error:
        raise click.BadParameter(str(error)) from None


_OPTIONS = (
    click.option(
        "--type",
        "event_types",
        multiple=True,
        metavar="TYPE",
        help="Only events of this type; several may be given.",
    ),
    click.option(
        "--component",
        "components",
        multiple=True,
        metavar="NAME",
        help="Only events of this component; several may be given.",
    ),
    click.option("--model", help="Only events of this model."),
    click.option("--request", metavar="ID", help="Only events of this request."),
    click.option(
        "--severity",
        type=click.Choice([member.name for member in Severity], case_sensitive=False),
        help="Only events of at least this severity.",
    ),
    click.option(
        "--last",
        "--time-range",
        "last",
        callback=_length,
        metavar="LENGTH",
        help="Only the newest events: 500ms, 90s, 1h, 7d before the newest of all.",
    ),
)
