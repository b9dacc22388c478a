"""Which names this server answers to, and which pages of browsers may ask it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import Scope

from whence.serve.problem import Problem

__all__ = ["Origins"]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
    (b"access-control-max-age", b"600"),
)


class Origins:
    """Hosts that are ours and origins that are let in; by default the loopback's, and no other.

    Without a check of the host, a page of a stranger could reach a server on this machine by a name
    of its own that it lets mean 127.0.0.1. Literal addresses other than the loopback's count where
    the server listens on all of them.
    """

    def __init__(
        self, bound: str = "127.0.0.1", hosts: Iterable[str] = (), origins: Iterable[str] = ()
    ) -> None:
        self._hosts = {*_LOOPBACK, bound.lower(), *(host.lower() for host in hosts)}
        self._any_address = bound in ("0.0.0.0", "::", "")
        self._origins = {origin.rstrip("/").lower() for origin in origins}

    def check(self, scope: Scope) -> None:
        """Problem for a host that is not ours, or an origin that is not let in."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._is_ours(_name_of(host)):
            raise Problem(
                421, "wrong_host", "this server is not called so",
                "use the name it was started with, or add one: whence serve --allow-host NAME",
            )  # fmt: skip
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and not self._is_let_in(origin, scope["scheme"], host):
            raise Problem(
                403, "wrong_origin", "pages of this origin may not ask",
                "let it in: whence serve --allow-origin ORIGIN",
            )  # fmt: skip

    def is_preflight(self, scope: Scope) -> bool:
        """Whether a browser asks what a page may do, before it does it."""
        names = {name for name, _ in scope["headers"]}
        return (
            scope["method"] == "OPTIONS"
            and b"origin" in names
            and b"access-control-request-method" in names
        )

    def headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """What an answer tells a browser of an origin that was let in by name."""
        origin = dict(scope["headers"]).get(b"origin", b"")
        if origin.decode("latin-1").lower() not in self._origins:
            return []
        found = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        return [*found, *_PREFLIGHT] if self.is_preflight(scope) else found

    def _is_ours(self, name: str) -> bool:
        if name in self._hosts:
            return True
        if not self._any_address:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _is_let_in(self, origin: str, scheme: str, host: str) -> bool:
        return origin.lower() in self._origins or origin.lower() == f"{scheme}://{host}".lower()


def _name_of(host: str) -> str:
    """The name without its port; "" for what is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
