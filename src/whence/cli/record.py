"""whence record: runs a command so that its Python processes record, in one run."""

from __future__ import annotations

import importlib
import os
import secrets
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from whence.cli.render.page import line, print_lines
from whence.cli.render.safe import safe
from whence.cli.verb import Verb
from whence.model.errors import WhenceError
from whence.model.recording import SessionInfo
from whence.query.words import events_text

__all__ = ["record"]

NOT_EXECUTABLE, NO_SUCH_COMMAND = 126, 127
OURS = {"log_record", "uncaught_exception"}
FROM_THE_KERNEL = 0x80  # si_code of a signal that a terminal sends, to all of its processes

_PASSED_ON = {
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
}


@click.command(
    cls=Verb, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("--service", metavar="NAME", help="What the processes are called; else by script.")
@click.option(
    "--logs",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Record log records; auto: where the program declares no kinds.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing at the end.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def record(
    context: click.Context, service: str | None, logs: str, quiet: bool, command: tuple[str, ...]
) -> None:
    """Run a command with the recorder prepared, as in `whence record -- python app.py`.

    What the program declares is recorded, in every Python process that it starts, as one run. A
    program that declares nothing is recorded all the same: its log records, as far as its loggers
    let them through, and the exceptions that nobody caught. The command gets signals, standard
    input and output as if it had been started alone, no shell is involved, and its exit status is
    ours (128 + n after signal n). At the end, standard error says what was recorded and how to
    look at it. Python must have whence installed; -I, -E and -S keep it from being prepared.
    """
    run = os.environ.get("WHENCE_RUN") or f"{secrets.randbits(63) | 1:016x}"
    try:
        status = _run(command, _environment(run, service, logs))
    except (FileNotFoundError, PermissionError) as error:
        print_lines([line(safe(f"whence: {command[0]}: {error.strerror}"))], err=True)
        context.exit(NO_SUCH_COMMAND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    if not quiet:
        print_lines([line(safe(text)) for text in _summary(run, command)], err=True)
    context.exit(status)


def _environment(run: str, service: str | None, logs: str) -> dict[str, str]:
    """Ours, with what the shim needs in front; TRACEPARENT and all else as they are."""
    shim = importlib.import_module("whence.integrations.autorecord").__path__[0]
    before = os.environ.get("PYTHONPATH")
    added = {
        "WHENCE_RECORD": "1",
        "WHENCE_RECORD_LOGS": logs,
        "WHENCE_RUN": run,
        "PYTHONPATH": os.pathsep.join([shim, before] if before else [shim]),
    }
    if service:
        added["WHENCE_SERVICE"] = service
    return {**os.environ, **added}


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Start the command, pass signals on, and wait; its exit status as a shell tells it."""
    awaited = _PASSED_ON | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # then no child's end is told of
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        child = os.posix_spawnp(
            command[0],
            list(command),
            environment,
            setsigmask=before,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores these two
        )
        return _wait(child, awaited)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(child: int, awaited: set[signal.Signals]) -> int:
    while True:
        # before waiting: a child may have ended while its SIGCHLD fell together with another's
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        came = signal.sigwaitinfo(awaited)
        if came.si_signo != signal.SIGCHLD and came.si_code != FROM_THE_KERNEL:
            os.kill(child, came.si_signo)


def _summary(run: str, command: Sequence[str]) -> list[str]:
    sessions = [info for info in _list_sessions() if _number(info.run) == _number(run)]
    counts: Counter[str] = Counter()
    for session in sessions:
        counts.update(_counts(session))
    if not counts:
        return [
            f"whence: {command[0]} recorded nothing: no Python process in which whence is "
            "installed declared a kind, logged, or failed."
        ]
    folders = ", ".join(sorted({str(Path(session.path).parent) for session in sessions}))
    processes = "1 process" if len(sessions) == 1 else f"{len(sessions)} processes"
    said = [f"whence: {events_text(counts.total())} of {processes} in {folders}"]
    if not counts.keys() - OURS:
        said.append(
            "whence: the program declared no kinds: these are its log records and uncaught "
            "exceptions"
        )
    return [*said, *(f"    {step}" for step in _next_steps(sessions))]


def _next_steps(sessions: Sequence[SessionInfo]) -> list[str]:
    """What to type now; the folder is named where the next shell might look elsewhere."""
    if _default_run() == sessions[0].run:
        return ["whence why", "whence stream", "whence export -o run.json"]
    path = shlex.quote(sessions[0].path)
    return [
        f"whence why --from {path}",
        f"whence stream --from {path}",
        f"whence export --from {path} -o run.json",
    ]


def _default_run() -> str | None:
    room = importlib.import_module("whence.collect.sessions")
    run: str | None = room.default_run(room.list_sessions())
    return run


def _list_sessions() -> list[SessionInfo]:
    found: list[SessionInfo] = importlib.import_module("whence.collect.sessions").list_sessions()
    return found


def _counts(session: SessionInfo) -> Counter[str]:
    from whence.collect.session_reader import SessionReader

    counts: Counter[str] = Counter()
    try:
        for ring in SessionReader(Path(session.path)).drain_with_ledgers()[1]:
            for kind in ring.per_kind:
                counts[kind.kind] += kind.recorded
    except (WhenceError, OSError) as error:
        print(f"whence: {session.name}: {error}", file=sys.stderr)
    return counts


def _number(run: str) -> int:
    try:
        return int(run, 16)
    except ValueError:
        return 0
