"""whence config: shows and changes what running processes record, without touching them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.text import Text

from whence import _native
from whence.cli.render.ledger import gate_text
from whence.cli.render.page import line, print_json, print_lines, table
from whence.cli.render.safe import clip, safe
from whence.cli.verb import Verb, json_option
from whence.collect.gates import ANY, SessionGates, change_gates, check_change, read_gates
from whence.collect.sessions import find_sessions, list_sessions
from whence.emit.config import PRESETS, TracingConfig
from whence.model.errors import AmbiguousId, SessionNotFound
from whence.model.recording import SessionInfo
from whence.ring.session_file import read_session_file

__all__ = ["config"]


@click.command(cls=Verb)
@click.option("--enable", multiple=True, metavar="TYPE", help="Switch on; '*' for all other types.")
@click.option("--disable", multiple=True, metavar="TYPE", help="Switch off; may be repeated, too.")
@click.option(
    "--sample-rate",
    type=float,
    metavar="X",
    help="The share of requests that the types enabled here keep, above 0 and up to 1.",
)
@click.option(
    "--min-strength", type=float, metavar="X", help="The least strength that these types keep."
)
@click.option("--preset", type=click.Choice(PRESETS), help="For the four cognitive types.")
@click.option("--pid", type=int, help="The process to change.")
@click.option("--session", metavar="NAME", help="The session to change, or the start of its name.")
@click.option("--all", "every", is_flag=True, help="Every process that runs.")
@json_option
def config(
    enable: tuple[str, ...],
    disable: tuple[str, ...],
    sample_rate: float | None,
    min_strength: float | None,
    preset: str | None,
    pid: int | None,
    session: str | None,
    every: bool,
    as_json: bool,
) -> None:
    """Show what a running process records, or change it.

    Changes are effective at once, for kinds that are declared now and for those of that name that
    are declared later. Sampling keeps or leaves out whole requests. Decisions are recorded all, or
    switched off. Every change is kept in the session's gates log. By default the only live session
    is meant; where there are several they are listed, and the exit code is 2.
    """
    words = _words(enable, disable, sample_rate, min_strength, preset)
    paths = [Path(info.path) for info in _meant(pid, session, every)]
    try:
        for path in paths if words else ():
            check_change(path, words)  # all, before one is changed
        found = [change_gates(path, words) if words else read_gates(path) for path in paths]
    except ValueError as error:
        if type(error) is not ValueError:
            raise  # one of ours, with a name and an exit code of its own
        raise click.UsageError(safe(str(error))) from None
    if as_json:
        print_json({"sessions": [_plain(gates) for gates in found]})
        return
    for gates in found:
        print_lines(_lines(gates))


def _words(
    enable: Sequence[str],
    disable: Sequence[str],
    sample_rate: float | None,
    min_strength: float | None,
    preset: str | None,
) -> dict[str, int]:
    if not enable and (sample_rate is not None or min_strength is not None):
        raise click.UsageError("--sample-rate and --min-strength apply to the types of --enable")
    if both := sorted(set(enable) & set(disable)):
        raise click.UsageError(f"{both[0]} cannot be both enabled and disabled")
    words = TracingConfig.preset(preset).gates() if preset else {}
    try:
        word = _native.gate_word(1.0 if sample_rate is None else sample_rate, min_strength)
    except ValueError as error:
        said = str(error).replace("disable()", "--disable").replace("sample_rate", "--sample-rate")
        raise click.UsageError(said.replace("min_strength", "--min-strength")) from None
    return words | dict.fromkeys(enable, word) | dict.fromkeys(disable, 0)


def _meant(pid: int | None, session: str | None, every: bool) -> list[SessionInfo]:
    if sum((pid is not None, session is not None, every)) > 1:
        raise click.UsageError("give one of --pid, --session and --all")
    if pid is not None or session is not None:
        spec = str(pid) if pid is not None else session
        return [read_session_file(path) for path in find_sessions(spec)]
    live = [info for info in list_sessions() if info.live]
    if not live:
        raise SessionNotFound("no process records here now; whence ls shows those that have ended")
    if len(live) > 1 and not every:
        said = tuple(f"{info.name}  {info.service}" for info in live)
        message = f"{len(live)} sessions are live: give --pid, --session or --all"
        raise AmbiguousId(message, said, len(said))
    return live


def _plain(gates: SessionGates) -> dict[str, object]:
    return {
        "session": gates.session.name,
        "pid": gates.session.pid,
        "service": gates.session.service,
        "kinds": gates.kinds,
        "rules": gates.rules,
    }


def _lines(gates: SessionGates) -> Iterator[Text]:
    info = gates.session
    yield line((f"{clip(info.service or info.name, 60)}, pid {info.pid}, {info.state}", "bold"))
    rows = [
        (
            kind.event_type,
            kind.component,
            gate_text(kind.on, kind.sample_rate, kind.min_strength),
            "decision" if kind.decision else "",
        )
        for kind in gates.kinds
    ]
    declared = {kind.event_type for kind in gates.kinds}
    for rule in gates.rules:
        if rule.event_type not in declared:
            name = "any other type" if rule.event_type == ANY else rule.event_type
            said = gate_text(rule.on, rule.sample_rate, rule.min_strength)
            rows.append((name, "", said, "once it is declared"))
    if rows:  # a type may be declared several times, with other fields: one row where all are alike
        rows = list(dict.fromkeys(rows))
        yield from table(("event type", "component", "recorded", ""), rows, left=(0, 1, 2, 3))
    else:
        yield line(safe("It has declared no kind of event yet."))
