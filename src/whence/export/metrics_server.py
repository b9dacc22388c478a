"""Serves our own figures to scrapers over HTTP, on the loopback unless told otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from whence.export.openmetrics import Family, content_type_for, render

__all__ = ["MetricsServer", "parse_address"]

TIMEOUT_S = 10.0


class MetricsServer:
    """Answers GET /metrics with what `families` gives at that moment; a context manager.

    `families` is called by one thread at a time. OSError where the address cannot be had.
    """

    def __init__(
        self, families: Callable[[], list[Family]], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            timeout = TIMEOUT_S
            server_version = "whence"
            sys_version = ""

            def do_GET(self) -> None:
                """Answers a scrape."""
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(404, "only /metrics is here")
                    return
                kind = content_type_for(self.headers.get("Accept", ""))
                try:
                    with lock:
                        body = render(families(), kind).encode()
                except Exception as error:
                    self.send_error(500, type(error).__name__)
                    return
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Says nothing: scrapes come every few seconds."""

        self._server = _Server((host, port), Handler)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def __enter__(self) -> MetricsServer:
        threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="whence-metrics", daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that went away is no news."""


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT, or :PORT and PORT for the loopback; ValueError for anything else."""
    host, colon, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address: HOST:PORT is wanted")
    host = host.removeprefix("[").removesuffix("]")
    return host if colon and host else "127.0.0.1", int(port)
