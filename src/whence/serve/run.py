"""Runs the app: one address, TLS if there is a certificate, and an end in order."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from whence.serve.connections import Crowd, connection_class
from whence.serve.limits import Limits

__all__ = ["HttpServer", "tls_context"]

GRACE_S = 5


class HttpServer:
    """A server in a thread of its own, from start() to stop(); a context manager.

    The address is bound at once: OSError where it cannot be had.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        crowd: Crowd,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._socket = _bound(host, port)
        self._is_tls = tls is not None
        config = uvicorn.Config(
            app,
            http=connection_class(limits, crowd),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,  # paths may hold ids, and nobody asked for them to be kept
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(limits.keep_alive_s),
            timeout_graceful_shutdown=GRACE_S,
            h11_max_incomplete_event_size=limits.headers,
            backlog=limits.connections,
        )
        config.load()
        config.ssl = tls
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="whence-serve", daemon=True)
        self._ready = threading.Event()
        self._error: BaseException | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """The beginning of its URLs."""
        host, port = self.address
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._is_tls else 'http'}://{shown}:{port}"

    def start(self) -> None:
        """Begins to answer; returns once it does."""
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Answers what has come, takes nothing new, and ends. May come twice."""
        self._server.end()
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> HttpServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._server.begin(self._ready)
        await self._server.serve(sockets=[self._socket])


class _Server(uvicorn.Server):
    """Uvicorn's, woken to end rather than looking ten times a second; signals are not its own."""

    def begin(self, ready: threading.Event) -> None:
        """In its loop, before it serves."""
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._ready = ready

    def end(self) -> None:
        """Any thread may."""
        loop = getattr(self, "_loop", None)
        self.should_exit = True
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._ended.set)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Without taking the process's signals over."""
        await self._serve(sockets)

    async def main_loop(self) -> None:
        """Until end()."""
        self._ready.set()
        while not self.should_exit:
            await self.on_tick(0)  # the date of answers
            try:
                await asyncio.wait_for(self._ended.wait(), 1.0)
            except TimeoutError:
                continue


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and newer; OSError and ssl.SSLError for files that do not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is named
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError:
        found.close()
        raise
    return found
