"""whence serve: one process that keeps a store and answers for it over HTTP."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import click

from whence.cli.collect import ended_by_signals
from whence.cli.lean import make_lean
from whence.cli.render.page import line, print_lines
from whence.cli.render.safe import safe
from whence.cli.sizes import limit
from whence.cli.verb import Verb
from whence.model.errors import WhenceError

__all__ = ["serve"]

PORT = 8765


@click.command(cls=Verb)
@click.argument("store", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="The port; 0 for any that is free.",
)
@click.option("--tls-cert", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A certificate, and its chain, for HTTPS.")  # fmt: skip
@click.option("--tls-key", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="The certificate's key.")  # fmt: skip
@click.option("--read-only", is_flag=True, help="Never write: another process may own the store.")
@click.option(
    "--otlp/--no-otlp",
    default=False,
    show_default=True,
    help="Take OpenTelemetry in from every program on this machine, without a token. With one it "
    "is taken in at --port in any case.",
)
@click.option(
    "--otlp-grpc-port",
    type=click.IntRange(0, 65535),
    default=4317,
    show_default=True,
    help="With --otlp, the port for gRPC.",
)
@click.option(
    "--otlp-http-port",
    type=click.IntRange(0, 65535),
    default=4318,
    show_default=True,
    help="With --otlp, the port for HTTP.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A further name that this server is called by; several may be given.",
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Pages of this origin may ask: https://dash.example. By default none may.",
)
@click.option(
    "--contracts",
    type=click.Path(exists=True, dir_okay=False),
    envvar="WHENCE_CONTRACTS",
    show_envvar=True,
    help="A contracts.toml to hold chains to, before the built-in contracts.",
)
@click.option(
    "--alerts",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An alerts.toml to look after: rules over what is stored, and who is told.",
)
@click.option(
    "--keep-days",
    type=click.FloatRange(0),
    metavar="DAYS",
    help="What the store keeps: whole days that are older go. 0 for without end.",
)
@click.option(
    "--keep-bytes",
    callback=limit,
    metavar="SIZE",
    help="How large the store grows: 50G, 500M; beyond, its oldest days go. 0 for without end.",
)
def serve(
    store: Path,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    read_only: bool,
    otlp: bool,
    otlp_grpc_port: int,
    otlp_http_port: int,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
    contracts: str | None,
    alerts: Path | None,
    keep_days: float | None,
    keep_bytes: int | None,
) -> None:
    """Keep the store in a folder and answer questions about it over HTTP.

    Collects, as `whence.start(store=...)` does, all programs that named this store, and answers
    under /api/v1 until Ctrl-C or SIGTERM. The first start makes a token, which is printed this once
    and kept only as a hash; `whence token` adds and revokes others. Every request needs one.

    It listens on this machine alone unless --host says otherwise; then give it a certificate, too.
    Where another process owns the store, start it with --read-only.
    """
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    if read_only and otlp:
        raise click.UsageError("--otlp writes to the store: not --read-only")
    if read_only and (keep_days, keep_bytes) != (None, None):
        raise click.UsageError("--keep-days and --keep-bytes change the store: not --read-only")
    if read_only and alerts is not None:
        raise click.UsageError("--alerts keeps what fires in the store: not --read-only")
    make_lean()
    try:
        from whence.cli.serving import Serving
        from whence.watch.alerts.settings import load_alerts
    except ImportError as error:
        raise WhenceError(
            f"nothing can be served here ({error}): pip install 'whence[serve]'"
        ) from None
    settings = None if alerts is None else load_alerts(alerts)
    stop = threading.Event()
    with ended_by_signals(stop):
        tls = _tls(tls_cert, tls_key)
        with Serving(
            store,
            host=host,
            port=port,
            tls=tls,
            read_only=read_only,
            hosts=hosts,
            origins=origins,
            contracts=contracts,
            limits=(keep_days, keep_bytes),
            otlp_ports=(otlp_grpc_port, otlp_http_port) if otlp else None,
            alerts=settings,
        ) as serving:
            _tell(f"{store} is served at {serving.url}/api/v1{serving.aside}")
            if serving.otlp:
                _tell(f"OpenTelemetry is taken in at {serving.otlp}")
            if serving.first_token:
                _tell(f"token, shown this once: {serving.first_token}")
            stop.wait()
            _tell("ending")


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None or key is None:
        return None
    from whence.serve.run import tls_context

    try:
        return tls_context(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise WhenceError(
            f"{certificate} and {key} are no certificate and its key: {error}"
        ) from None


def _tell(text: str) -> None:
    print_lines([line(safe(f"whence: {text}"))], err=True)
