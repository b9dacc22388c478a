"""What `whence serve` consists of while it runs: the store's keeper, the app, and its address."""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pyarrow as pa

from whence.background_store import BackgroundStore, keep
from whence.cli.lean import give_back
from whence.collect.live import LiveSessions
from whence.collect.sink_ledger import SinkLedger
from whence.export.openmetrics import Family
from whence.export.own_metrics import OwnMetrics
from whence.model.errors import StoreOwned, WhenceError
from whence.model.store_settings import StoreSettings
from whence.query.contracts.declared import known_contracts, load_contracts
from whence.query.engines.engine import Engine
from whence.receive.otlp.asgi import OtlpApp
from whence.receive.otlp.intake import OtlpIntake
from whence.receive.otlp.receiver import OtlpReceiver
from whence.ring.folders import base_folders, session_folders
from whence.serve.app import make_app
from whence.serve.asking import Asking
from whence.serve.auth import FILE, SCOPES, Tokens
from whence.serve.connections import Crowd
from whence.serve.limits import Limits
from whence.serve.origins import Origins
from whence.serve.parts import Parts
from whence.serve.run import HttpServer
from whence.serve.streams import Streams
from whence.serve.taken_in import intake_families, otlp_families
from whence.serve.writing import Writing
from whence.store.folder import FolderStore
from whence.store.intake import Intake, Receipt
from whence.store.owner import owner_of
from whence.store.place import check_place
from whence.store.sessions import StoredSession
from whence.traces.service import TraceService
from whence.watch.alerts.alerts import Alerts
from whence.watch.alerts.settings import AlertSettings
from whence.watch.metrics.own import ServerMetrics

__all__ = ["Serving"]

MEMORY = "512MB"  # of each of the engines
OWNED_S = 10.0  # until it is known who owns the store


class Serving:
    """A server over the store in a folder, from entering it to leaving it.

    `first_token` is the token that was made because there was none, else "". Raises StoreOwned
    where another process writes to the store and this one is to; OSError for an address that
    cannot be had.
    """

    def __init__(
        self,
        store: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        read_only: bool = False,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        contracts: str | None = None,
        limits: tuple[float | None, int | None] = (None, None),
        otlp_ports: tuple[int, int] | None = None,
        bounds: Limits | None = None,
        alerts: AlertSettings | None = None,
    ) -> None:
        self.first_token = ""
        self._path = Path(os.path.realpath(store))
        self._read_only = read_only
        self._keep_limits = limits
        self._otlp_ports = otlp_ports
        self._receiver: OtlpReceiver | None = None
        self._otlp_ways: list[OtlpIntake] = []
        self._bounds = bounds or Limits()
        self._at = (host, port, tls)
        self._origins = Origins(host, hosts, origins)
        self._contracts = known_contracts(load_contracts(contracts) if contracts else ())
        self._alert_settings = alerts
        self._open = ExitStack()
        self._keeper: BackgroundStore | None = None
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        assert self._server is not None, "inside the with statement only"
        return self._server.url

    @property
    def otlp(self) -> str:
        """Where OpenTelemetry is taken in from everybody on this machine; "" if nowhere."""
        if self._receiver is None:
            return ""
        return (
            f"127.0.0.1:{self._receiver.grpc_port} (gRPC) and "
            f"http://127.0.0.1:{self._receiver.http_port}"
        )

    @property
    def aside(self) -> str:
        """What else is to be said of that."""
        return ", read-only" if self._read_only else ""

    def __enter__(self) -> Serving:
        try:
            self._begin()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def _begin(self) -> None:
        self._keeper = self._kept()
        asking = Asking(self._engine, self._bounds, give_back)
        self._open.callback(asking.close)
        crowd = Crowd(self._bounds)
        streams = Streams(self._path, self._bounds.streams, self._bounds.stream_events)
        self._open.callback(streams.close)
        parts = Parts(
            asking=asking,
            tokens=self._tokens(),
            limits=self._bounds,
            origins=self._origins,
            crowd=crowd,
            streams=streams,
            writing=self._writing(),
            otlp=self._otlp(),
            alerts=self._alerts(),
            contracts=self._contracts,
            read_only=self._why_not,
            trouble=self._trouble,
            families=self._families(),
        )
        host, port, tls = self._at
        self._server = HttpServer(make_app(parts), self._bounds, crowd, host, port, tls)
        self._open.callback(self._server.stop)
        self._open.callback(streams.end)  # first of all: they would hold the server up
        self._server.start()

    def _kept(self) -> BackgroundStore | None:
        """What collects into the store; None if this server only reads."""
        if self._read_only:
            FolderStore(self._path)  # NotAStore now rather than at the first question
            return None
        check_place(self._path)
        if self._path.exists() and (owner := owner_of(self._path)) is not None:
            raise StoreOwned(
                f"{self._path} belongs to {owner}, which writes to it: stop it, or serve beside it "
                "with --read-only"
            )
        keeper = keep(str(self._path), "whence serve", StoreSettings(*self._keep_limits))
        self._open.callback(keeper.stop)
        end_s = time.monotonic() + OWNED_S
        while not keeper.owns:
            if keeper.owner:
                raise StoreOwned(f"{keeper.owner}; or serve beside it with --read-only")
            if time.monotonic() > end_s:
                raise WhenceError(
                    f"{self._path} cannot be written: {keeper.trouble or 'no answer'}"
                )
            time.sleep(0.02)
        return keeper

    def _writing(self) -> Writing | None:
        """What writes traces; None if this server only reads."""
        if self._keeper is None:
            return None
        service = TraceService(self._path)
        self._open.callback(service.close)
        keeper = self._keeper
        writing = Writing(service, full=lambda: keeper.trouble if keeper.is_full else "")
        self._open.callback(writing.close)
        return writing

    def _otlp(self) -> OtlpApp | None:
        """What takes OpenTelemetry in by our own port, for who has a token; and by its own ports
        for everybody on this machine, if that was asked for."""
        if self._keeper is None:
            return None
        intake = cast("Intake", _Current(self._keeper))
        taken = OtlpIntake(intake)
        self._otlp_ways.append(taken)
        app = OtlpApp(taken)
        self._open.callback(app.close)
        if self._otlp_ports is not None:
            grpc_port, http_port = self._otlp_ports
            self._receiver = OtlpReceiver(intake, grpc_port=grpc_port, http_port=http_port)
            self._receiver.start()
            self._otlp_ways.append(self._receiver.intake)
            self._open.callback(self._receiver.stop)
        return app

    def _alerts(self) -> Alerts | None:
        """What looks after the alerts, if there are any."""
        if self._alert_settings is None:
            return None
        alerts = Alerts(self._path, self._alert_settings, self._engine, contracts=self._contracts)
        self._open.callback(alerts.close)
        return alerts.start()

    def _engine(self) -> Engine:
        from whence.query.engines.folder import FolderEngine  # 25 MB, which a quiet server spares

        return FolderEngine(self._path, memory=MEMORY, threads=1)

    def _tokens(self) -> Tokens:
        """The tokens beside the store; the first one is made for whoever started this."""
        tokens = Tokens(self._path / FILE)
        if tokens.all():
            return tokens
        try:
            self.first_token, _ = tokens.add(SCOPES, name="first")
        except OSError:
            if not self._read_only:
                raise
            tokens = Tokens()  # of a place that cannot be written: good while this runs
            self.first_token, _ = tokens.add(("read",), name="while it runs")
        return tokens

    def _why_not(self) -> str:
        if self._keeper is None:
            return "this server only reads"
        if self._keeper.owns:
            return ""
        return self._keeper.owner or "the store cannot be written at the moment"

    def _trouble(self) -> str:
        return self._keeper.trouble if self._keeper is not None else ""

    def _families(self) -> Callable[[], Sequence[Family]]:
        keeper, name = self._keeper, f"store:{self._path}"

        def ledgers() -> Mapping[str, SinkLedger]:
            return {} if keeper is None else {name: keeper.ledger()}

        def find() -> list[Path]:
            return [path for base in base_folders() for path in session_folders(base)]

        live = OwnMetrics(LiveSessions(find), ledgers)
        of_store = ServerMetrics(self._path, live=live)

        def families() -> list[Family]:
            found = of_store.families()
            if keeper is not None:
                found += otlp_families([each.counts for each in self._otlp_ways])
                with contextlib.suppress(StoreOwned):
                    found += intake_families(keeper.intake())
            return found

        return families


class _Current:
    """The intake of whatever writes to the store now: that is another one after it was reopened."""

    def __init__(self, keeper: BackgroundStore) -> None:
        self._keeper = keeper

    def put(self, rows: pa.Table, session: StoredSession) -> Receipt:
        """As Intake.put()."""
        return self._keeper.intake().put(rows, session)

    def put_all(self, parts: Sequence[tuple[pa.Table, StoredSession]]) -> Receipt:
        """As Intake.put_all()."""
        return self._keeper.intake().put_all(parts)
