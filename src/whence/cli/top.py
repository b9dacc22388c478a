"""whence top: what every process records right now, and what went wrong last."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.text import Text

from whence import _native
from whence.cli.interval import seconds_of
from whence.cli.render.activity import activity_lines, failure_cells
from whence.cli.render.answer import answer_lines
from whence.cli.render.page import print_json, print_lines
from whence.cli.sources import Choice, source_options
from whence.cli.verb import Verb, json_option
from whence.collect.gates import change_gates, read_gates
from whence.collect.live import LiveSessions
from whence.collect.sessions import default_run, list_sessions, read_recording
from whence.model.errors import SessionNotFound, UnsupportedFormat, WhenceError
from whence.model.event import TraceEvent
from whence.query.activity import Activity
from whence.query.contracts.declared import BUILT_IN
from whence.query.live_activity import LiveActivity
from whence.query.why import why

__all__ = ["Top", "top"]


@click.command(cls=Verb)
@source_options
@click.option(
    "--interval",
    "interval_s",
    default="1s",
    show_default=True,
    callback=seconds_of,
    metavar="LENGTH",
    help="How often to look; rates are those between two looks.",
)
@click.option("--once", is_flag=True, help="Look twice, print it, and end.")
@json_option
def top(choice: Choice, interval_s: float, once: bool, as_json: bool) -> None:
    """Show what processes are recording, what they lose, and what went wrong last.

    Follows the processes of the newest run that lives, those that join it included, or those
    chosen. A process that declared event types and records nothing is shown as silent. Lost events
    were overwritten by newer ones; with a collector at work, before it could read them.

    In the list of event types e and d switch the selected one on and off in all these processes,
    + and - change its sample rate; Enter on what went wrong says why. Without a terminal, or with
    --json, it is printed once.
    """
    model = Top(choice)
    if once or as_json or not sys.stdout.isatty():
        model.look()
        time.sleep(interval_s)
        found = model.look()
        if as_json:
            print_json({"activity": found, "failures": model.failures_plain()})
        else:
            print_lines(
                activity_lines(found, model.failure_rows()[:10], incomplete=model.incomplete)
            )
        return
    try:
        from whence.cli.top_view import TopView
    except ImportError as error:
        raise click.ClickException(
            f"the screen needs textual ({error}): pip install 'whence[cli]', or use --once"
        ) from None
    TopView(model, interval_s).run()


class Top:
    """What the screen shows and does, without the screen."""

    def __init__(self, choice: Choice, clock: Callable[[], int] = time.time_ns) -> None:
        self._choice = choice
        self._runs = _runs(choice)
        self._live = LiveActivity(LiveSessions(self._paths, clock))
        self.found = Activity(wall_ns=0)

    def look(self) -> Activity:
        """Looks now and keeps what was found."""
        self.found = self._live.look()
        return self.found

    @property
    def incomplete(self) -> bool:
        """Whether some events were not looked at for errors."""
        return self._live.failures.incomplete

    def failures(self) -> list[tuple[TraceEvent, str]]:
        """The newest events that went wrong, with the rationale of their decision."""
        return self._live.failures.newest

    def failure_rows(self) -> list[tuple[str, ...]]:
        """The same as cells."""
        return [self._failure_cells(event, text) for event, text in self.failures()]

    def failures_plain(self) -> list[dict[str, object]]:
        """The same for machines."""
        return [
            {"event": event, "rationale": text, "pid": self._pid(event.session)}
            for event, text in self.failures()
        ]

    def why(self, event: TraceEvent) -> list[Text]:
        """The answer to why of an event, as lines. Reads its whole session: up to a second."""
        path = next(each.path for each in self.found.processes if each.session == event.session)
        recording = read_recording([Path(path)])
        return list(answer_lines(why(recording, event.request_id or event.event_id, BUILT_IN)))

    def set_on(self, event_type: str, on: bool) -> str:
        """Switches a type on or off in every live process; what came of it, in words."""
        done = self._change(event_type, lambda rate, least: _word(rate, least) if on else 0)
        return f"{event_type} is {'on' if on else 'off'} in {done}"

    def set_rate(self, event_type: str, rate: float) -> str:
        """Gives a type another sample rate in every live process; ValueError for a decision."""
        done = self._change(event_type, lambda _, least: _word(rate, least))
        return f"{event_type} is sampled at {rate:.4g} in {done}"

    def _change(self, event_type: str, word: Callable[[float, float | None], int]) -> str:
        changed, refused = 0, ""
        for each in self.found.processes:
            path = Path(each.path)
            try:
                gates = [g for g in read_gates(path).kinds if g.event_type == event_type]
                if not gates:
                    continue
                change_gates(path, {event_type: word(gates[0].sample_rate, gates[0].min_strength)})
                changed += 1
            except (WhenceError, OSError) as error:
                refused = str(error)
        if refused and not changed:
            raise ValueError(refused)
        return f"{changed} process{'es' if changed != 1 else ''}"

    def _paths(self) -> Iterator[Path]:
        if self._runs is None:
            with contextlib.suppress(SessionNotFound):  # the last one was removed
                yield from self._choice.paths()
            return
        for info in list_sessions():
            if info.run in self._runs:
                yield Path(info.path)

    def _failure_cells(self, event: TraceEvent, rationale: str) -> tuple[str, ...]:
        wall_ns = self._live.wall_ns(event)
        return failure_cells(event, rationale, wall_ns, self._pid(event.session))

    def _pid(self, session: str) -> int:
        return next((each.pid for each in self.found.processes if each.session == session), 0)


def _word(rate: float, least: float | None) -> int:
    return _native.gate_word(rate, least)


def _runs(choice: Choice) -> frozenset[str] | None:
    """The runs to follow, where no session was named: those that join them are followed too."""
    if choice.spec is not None:
        paths = choice.paths()
        if any(path.is_file() for path in paths):
            raise UnsupportedFormat("top follows processes; whence stats reads a file")
        return None
    if choice.all_sessions:
        return None
    run = default_run(list_sessions())
    if run is None:
        choice.paths()  # says that there is nothing
        return frozenset()
    return frozenset({run})
