"""whence collect: delivers the events of many processes to files and services, and counts them."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import click

from whence.cli.render.collected import collected_lines, collected_plain
from whence.cli.render.page import line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.sizes import limit, size
from whence.cli.verb import INCOMPLETE, Verb, json_option
from whence.collect.delivering import Delivering
from whence.collect.delivery import Delivery
from whence.collect.follower import Follower
from whence.collect.glances import Glances
from whence.collect.live import Collected, LiveSessions
from whence.collect.pipeline import Pipeline, common_start
from whence.collect.positions import StateFile, state_path
from whence.collect.sessions import find_sessions, list_sessions
from whence.collect.sink import Sink
from whence.collect.sink_ledger import SinkLedger
from whence.collect.wanted import Wanted
from whence.export.deliveries import is_store, open_targets, resume
from whence.export.metrics_server import MetricsServer, parse_address
from whence.export.own_metrics import DrainTimes, OwnMetrics, TimedSource
from whence.model.errors import ContractError, ExportError, WhenceError
from whence.model.severity import Severity
from whence.model.store_settings import StoreSettings, checked_promoted
from whence.query.contracts.contract import parse_length
from whence.ring.folders import base_folders, session_folders
from whence.ring.session_file import read_description, read_session_file

__all__ = ["collect", "ended_by_signals"]

DEFAULT_INTERVAL_S = 1.0
LEAST_INTERVAL_S = 0.01


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else parse_length(value).nanos / 1e9
    except ContractError as error:
        raise click.BadParameter(str(error)) from None


def _promoted(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    try:
        return checked_promoted(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _address(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    try:
        return None if value is None else parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _header(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> Any:
    for pair in value:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r}: NAME=VALUE is wanted")
    return dict(pair.split("=", 1) for pair in value)


@click.command(cls=Verb)
@click.option(
    "--to",
    "urls",
    multiple=True,
    required=True,
    metavar="URL",
    help="Where to deliver, as often as needed: ./traces, a folder store that can be asked while "
    "it grows; ./out.ndjson or ./out.json, compressed with .gz or .zst behind it; or the URL of a "
    "service.",
)
@click.option(
    "--from",
    "source",
    metavar="SOURCE",
    help="What to collect: a pid, the name of a session or its beginning, a session's folder or "
    "a folder of sessions. By default every session there is and will be.",
)
@click.option("--once", is_flag=True, help="Deliver what is there now and end.")
@click.option(
    "--interval",
    "interval_s",
    callback=_seconds,
    metavar="LENGTH",
    help="How often to deliver: 200ms, 1s, 1min; rings that fill up are drained before. By default "
    "what the programs' configuration says, "
    "else 1s.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    help="At most so many events in one delivery. By default as the programs' configuration "
    "says, else as each sink likes it.",
)
@click.option(
    "--type",
    "event_types",
    multiple=True,
    metavar="TYPE",
    help="Only events of this type; several may be given.",
)
@click.option(
    "--component",
    "components",
    multiple=True,
    metavar="NAME",
    help="Only events of this component; several may be given.",
)
@click.option("--model", help="Only events of this model.")
@click.option("--request", metavar="ID", help="Only events of this request.")
@click.option(
    "--severity",
    type=click.Choice([member.name for member in Severity], case_sensitive=False),
    help="Only events of at least this severity.",
)
@click.option(
    "--state",
    "own_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file that keeps how far each sink has come. By default one beside the sessions, "
    "another for other sinks.",
)
@click.option("--keep", is_flag=True, help="Never remove a dead session, however delivered.")
@click.option(
    "--rotate",
    "rotate_bytes",
    callback=size,
    metavar="SIZE",
    help="Begin a new file at this size: 64M, 1G.",
)
@click.option(
    "--keep-days",
    type=click.FloatRange(0),
    metavar="DAYS",
    help="What a store keeps: whole days that are older go. 0 for without end.",
)
@click.option(
    "--keep-bytes",
    callback=limit,
    metavar="SIZE",
    help="How large a store grows: 50G, 500M; beyond, its oldest days go. 0 for without end.",
)
@click.option(
    "--promote",
    multiple=True,
    callback=_promoted,
    metavar="NAME",
    help="Give an attribute a column of its own in stores. May be repeated.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    callback=_header,
    metavar="NAME=VALUE",
    help="A header for services, such as Authorization.",
)
@click.option(
    "--grace",
    default="10s",
    show_default=True,
    callback=_seconds,
    metavar="LENGTH",
    help="How long to go on delivering at the end.",
)
@click.option(
    "--metrics",
    "metrics_address",
    callback=_address,
    metavar="HOST:PORT",
    help="Serve our own figures at /metrics, for Prometheus: 127.0.0.1:9464.",
)
@json_option
@click.pass_context
def collect(
    context: click.Context,
    urls: tuple[str, ...],
    source: str | None,
    once: bool,
    interval_s: float | None,
    batch: int | None,
    event_types: tuple[str, ...],
    components: tuple[str, ...],
    model: str | None,
    request: str | None,
    severity: str | None,
    own_path: Path | None,
    keep: bool,
    rotate_bytes: int | None,
    keep_days: float | None,
    keep_bytes: int | None,
    promote: tuple[str, ...],
    headers: dict[str, str],
    grace: float,
    metrics_address: tuple[str, int] | None,
    as_json: bool,
) -> None:
    """Deliver the events of all processes to files and services.

    Follows every session here, those that begin later included, until Ctrl-C or SIGTERM; nothing
    in the processes waits for it. Every event is accounted for, for each --to by itself: read =
    delivered + filtered + refused + expired + queued; lost ones were overwritten before they
    could be read. A place that does not answer is tried again, and holds up no other. How far
    each has come is kept in a file, so that a collector that was killed goes on where it was.

    A dead process's session is removed once all its events were delivered everywhere, unless
    --keep or a filter was given. Exits with 0 if everything was delivered,
    with 3 if something was refused, expired, left in a queue or could not be read.
    """
    least = Severity.Debug if severity is None else Severity.from_name(severity)
    wanted = Wanted(event_types, components, model, request, least)
    find = _finder(source)
    options: dict[str, Any] = {"rotate_bytes": rotate_bytes, "headers": headers}
    options |= {"keep_days": keep_days, "keep_bytes": keep_bytes, "promote": promote}
    settings = StoreSettings(keep_days, keep_bytes, promote)
    if settings != StoreSettings() and not any(map(is_store, urls)):
        raise click.UsageError(
            "--keep-days, --keep-bytes and --promote go with a store: --to ./traces"
        )
    try:
        most = batch or _configured(find, "export_batch_size")
        targets = open_targets(urls, options, most, "whence collect")
    except ImportError as error:
        raise ExportError(str(error)) from None
    with contextlib.ExitStack() as kept:
        for target in targets:
            kept.callback(target.close)
            if not isinstance(target, Sink):  # a store tells what it found damaged
                for found in target.trouble:
                    _tell(f"{target.name}: {found}")
        state = _own_state(own_path or _usual_state(source, [each.name for each in targets]))
        kept.callback(state.close)
        if state.trouble:
            _tell(state.trouble)
        deliveries = resume(targets, state.sinks, filtered=not wanted.is_everything)
        _forget_removed(deliveries, find)
        follower = Follower(find, common_start(deliveries))
        reaps = not keep and wanted.is_everything
        drains = DrainTimes()
        timed = TimedSource(follower, drains)
        pipeline = Pipeline(timed, deliveries, wanted=wanted, state=state, reaps=reaps)
        if metrics_address is not None:
            kept.enter_context(_served(metrics_address, find, deliveries, drains))
        glances = Glances(pipeline.pressure)
        pause = _Pause(lambda: interval_s or _interval(find), deliveries, glances, once)
        with ended_by_signals(pause.stop):
            pipeline.start()
            pipeline.run(pause, pause.stop.is_set)
        pipeline.finish(grace)
    if as_json:
        print_json(collected_plain(deliveries, pipeline.reaped, follower.damage))
    else:
        print_lines(collected_lines(deliveries, pipeline.reaped, follower.damage))
    ledgers = [delivery.ledger() for delivery in deliveries]
    left = any(each.refused or each.expired or each.queued for each in ledgers)
    context.exit(INCOMPLETE if left or follower.damage else 0)


def _served(
    address: tuple[str, int],
    find: Callable[[], Iterable[Path]],
    deliveries: Sequence[Delivering],
    drains: DrainTimes,
) -> MetricsServer:
    """A server of our own figures while events are collected."""

    def collected(folders: Iterable[Path]) -> Collected:
        lost = max((each.ledger().lost for each in deliveries), default=0)
        return Collected(common_start(deliveries), lost)

    def ledgers() -> dict[str, SinkLedger]:
        return {each.name: each.ledger() for each in deliveries}

    own = OwnMetrics(LiveSessions(find, collected=collected), ledgers, drains)
    server = MetricsServer(own.families, *address)
    host, port = server.address
    _tell(f"serving http://{host}:{port}/metrics")
    return server


class _Pause:
    """Between two drains: waits for the interval, or for the end; tells of sinks in trouble."""

    def __init__(
        self,
        interval_s: Callable[[], float],
        deliveries: Sequence[Delivering],
        glances: Glances,
        once: bool,
    ) -> None:
        self.stop = threading.Event()
        self._interval_s = interval_s
        self._deliveries = deliveries
        self._glances = glances
        self._once = once
        self._told: dict[str, str] = {}

    def __call__(self) -> bool:
        for delivery in self._deliveries:
            name, trouble = delivery.name, delivery.trouble
            if trouble != self._told.get(name, ""):
                self._told[name] = trouble
                _tell(f"{name}: {trouble}; trying again" if trouble else f"{name}: delivers again")
        return self._once or self._glances.wait(self._interval_s(), self.stop.wait)


@contextlib.contextmanager
def ended_by_signals(stop: threading.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM ends collecting in order, the next one at once."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        for name, former in before.items():
            signal.signal(name, former)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _finder(source: str | None) -> Callable[[], Iterable[Path]]:
    if source is None:
        return lambda: [path for base in base_folders() for path in session_folders(base)]
    path = Path(source)
    if path.is_dir() and not (path / "session").exists():
        return lambda: session_folders(path.absolute())
    found = find_sessions(source)
    return lambda: found


def _own_state(path: Path) -> StateFile:
    try:
        return StateFile(path)
    except OSError as error:
        raise ExportError(f"cannot keep positions in {path}: {error.strerror}") from error


def _usual_state(source: str | None, names: Sequence[str]) -> Path:
    base = base_folders()[0]
    if source is not None and Path(source).is_dir():
        path = Path(source).absolute()
        base = path.parent if (path / "session").exists() else path
    return state_path(base, names)


def _forget_removed(deliveries: Sequence[Delivering], find: Callable[[], Iterable[Path]]) -> None:
    present = {info.uuid for info in list_sessions()}
    for folder in find():
        with contextlib.suppress(WhenceError, OSError, ValueError):
            present.add(read_session_file(folder).uuid)
    for delivery in deliveries:
        if not isinstance(delivery, Delivery):
            continue  # a store may know sessions of other machines and folders, too
        for uuid in delivery.acknowledged().positions.keys() - present:
            delivery.forget(uuid)


def _interval(find: Callable[[], Iterable[Path]]) -> float:
    configured_ms = _configured(find, "export_interval_ms")
    return (
        DEFAULT_INTERVAL_S if configured_ms is None else max(LEAST_INTERVAL_S, configured_ms / 1e3)
    )


def _configured(find: Callable[[], Iterable[Path]], name: str) -> int | None:
    """What the newest session says that was configured for exports."""
    for path in find():
        value = read_description(path).get(name)
        return value if isinstance(value, int) and value > 0 else None
    return None


def _tell(text: str) -> None:
    print_lines([line(safe(f"whence: {text}"))], err=True)
