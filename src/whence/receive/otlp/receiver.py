"""OtlpReceiver: listens where OpenTelemetry programs send to, until it is stopped."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from whence.receive.otlp.intake import OtlpCounts, OtlpIntake
from whence.receive.otlp.requests import OtlpLimits
from whence.store.intake import Intake

__all__ = ["GRPC_PORT", "HTTP_PORT", "OtlpReceiver"]

GRPC_PORT, HTTP_PORT = 4317, 4318
_START_S = 10.0


class OtlpReceiver:
    """Takes OTLP in by gRPC and by HTTP, and hands it to a store's intake.

    A port of None leaves that protocol out, and 0 takes a free one; `grpc_port` and `http_port`
    say which, once it has started. It listens on this machine alone unless `host` says otherwise,
    and lets everybody send who reaches it: put what checks in front of it. Needs
    `pip install 'whence[serve]'`.
    """

    def __init__(
        self,
        intake: Intake,
        limits: OtlpLimits | None = None,
        *,
        host: str = "127.0.0.1",
        grpc_port: int | None = GRPC_PORT,
        http_port: int | None = HTTP_PORT,
        grpc_credentials: Any = None,
    ) -> None:
        self.intake = OtlpIntake(intake, limits)
        self.grpc_port = grpc_port
        self.http_port = http_port
        self._host = host
        self._credentials = grpc_credentials
        self._grpc: Any = None
        self._http: Any = None
        self._thread: threading.Thread | None = None

    @property
    def counts(self) -> OtlpCounts:
        """What came so far, by both ways."""
        return self.intake.counts

    def start(self) -> None:
        """Listens, in threads of its own. Raises OSError for a port that is taken."""
        try:
            if self.grpc_port is not None:
                self._start_grpc(self.grpc_port)
            if self.http_port is not None:
                self._start_http(self.http_port)
        except BaseException:
            self.stop(0.0)
            raise

    def stop(self, grace_s: float = 5.0) -> None:
        """Listens no more; what is under way has so long to end. May come twice."""
        if self._grpc is not None:
            self._grpc.stop(grace_s)
            self._grpc = None
        if self._http is not None and self._thread is not None:
            self._http.should_exit = True
            self._thread.join(grace_s + 1.0)
            self._http = self._thread = None

    def _start_grpc(self, port: int) -> None:
        from whence.receive.otlp.grpc_server import GrpcServer

        address = f"[{self._host}]" if ":" in self._host else self._host
        try:
            self._grpc = GrpcServer(self.intake, f"{address}:{port}", credentials=self._credentials)
        except RuntimeError as error:  # gRPC's word for it
            raise OSError(f"cannot listen on {address}:{port}: {error}") from None
        self._grpc.start()
        self.grpc_port = self._grpc.port

    def _start_http(self, port: int) -> None:
        import uvicorn

        from whence.receive.otlp.asgi import OtlpApp

        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = _listening(family, self._host, port)
        self.http_port = listening.getsockname()[1]
        config = uvicorn.Config(
            OtlpApp(self.intake),
            log_config=None,
            access_log=False,
            limit_concurrency=1_000,
            timeout_keep_alive=30,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        self._http = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._serve, args=(listening,), name="whence-otlp-http", daemon=True
        )
        self._thread.start()

    def _serve(self, listening: socket.socket) -> None:
        with contextlib.closing(listening):
            self._http.run(sockets=[listening])


def _listening(family: int, host: str, port: int) -> socket.socket:
    """As socket.create_server() makes one, but of a protocol that is named.

    Only then asyncio sends small answers at once (TCP_NODELAY).
    """
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind((host, port))
        found.listen()
    except BaseException:
        found.close()
        raise
    return found
