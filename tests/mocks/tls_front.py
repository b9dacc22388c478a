"""A TLS front for a plain server on loopback, as people put one before theirs."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["tls_front"]


@contextlib.contextmanager
def tls_front(port: int, folder: Path) -> Iterator[tuple[int, Path]]:
    """Its port, and the file of the authority that its certificate is checked by."""
    trustme = pytest.importorskip("trustme", reason="trustme is not installed")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=_serve, args=(listener, context, port))]
        threads[0].start()
        try:
            yield listener.getsockname()[1], ca
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            threads[0].join()


def _serve(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with contextlib.ExitStack() as kept:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):  # a client that does not trust us says goodbye
                inner = kept.enter_context(context.wrap_socket(raw, server_side=True))
                outer = kept.enter_context(socket.create_connection(("127.0.0.1", port)))
                for ends in ((inner, outer), (outer, inner)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
