"""Guard: which addresses alerts may go to; it connects to the one that it has checked."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import SplitResult, urlsplit

from whence.collect.sink import Refused
from whence.model.errors import AlertError

__all__ = ["Guard", "Resolve", "checked_url"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]

# Public by their number, and yet of the machine's own provider: its metadata.
_METADATA = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24")))
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # IPv4 behind a translator (RFC 6052)


class Guard:
    """Opens connections to public addresses, and to those that are allowed. Any thread.

    `allow` names hosts, addresses or networks, each with `:port` where only that is allowed:
    "alerts.internal", "10.1.0.0/16", "127.0.0.1:9000", "[::1]:9000". Private, loopback, link-local,
    multicast and metadata addresses are refused otherwise, in whatever spelling. A name is resolved
    for each connection and all it resolves to is checked; what is connected to is an address that
    was checked, so that a name that means another one a moment later gains nothing.
    Raises AlertError for an entry that is none of these.
    """

    def __init__(self, allow: Iterable[str] = (), *, resolve: Resolve | None = None) -> None:
        self._hosts: set[tuple[str, int | None]] = set()
        self._networks: list[tuple[Network, int | None]] = []
        self._resolve = resolve or _resolved
        for entry in allow:
            self._take(entry)

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connection to one of the addresses of a host. Raises Refused, OSError."""
        failure: OSError | None = None
        for address in self.addresses(host, port):
            try:
                return socket.create_connection((address, port), timeout_s)
            except OSError as error:
                failure = error
        raise failure or OSError(f"{host} has no address")

    def addresses(self, host: str, port: int) -> list[str]:
        """What a host resolves to now, if all of it may be reached; else Refused. OSError."""
        found = self._resolve(host, port)
        if (_plain(host), None) not in self._hosts and (_plain(host), port) not in self._hosts:
            for each in found:
                self._check(host, each, port)
        return found

    def _check(self, host: str, text: str, port: int) -> None:
        try:
            address = _inner(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError:
            raise Refused(f"{host} resolves to {text!r}, which is no address") from None
        allowed = any(
            address in network and only in (None, port) for network, only in self._networks
        )
        if not allowed and not _is_public(address):
            raise Refused(
                f"{host} is {address}, which is no public address: where that is meant, "
                f'put "{host}:{port}" into allow'
            )

    def _take(self, entry: str) -> None:
        host, port = _split(entry)
        try:
            network = ipaddress.ip_network(host, strict=False)
        except ValueError:
            if not host or "/" in host or not host.isprintable() or " " in host:
                raise AlertError(f"allow: {entry!r} is no host, address or network") from None
            self._hosts.add((_plain(host), port))
        else:
            self._networks.append((network, port))


def checked_url(url: object, where: str) -> SplitResult:
    """The parts of an http or https URL; AlertError for another one."""
    if not isinstance(url, str) or not url.isprintable() or not url.isascii() or " " in url:
        raise AlertError(f"{where}: a URL is plain text, and this is none")
    try:
        parts = urlsplit(url)
        port_fits = parts.port != 0
    except ValueError as error:
        raise AlertError(f"{where}: the URL cannot be understood: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise AlertError(f"{where}: a URL is http://HOST or https://HOST, with a path if needed")
    return parts


def _is_public(address: Address) -> bool:
    if address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return address.is_global and not any(address in network for network in _METADATA)


def _inner(address: Address) -> Address:
    """The IPv4 address within one of IPv6, where that is what will be reached."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED or (int(address) < 2**32 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _split(entry: str) -> tuple[str, int | None]:
    if not isinstance(entry, str):
        raise AlertError("allow: hosts are texts")
    bare = entry
    if entry.startswith("["):
        bare, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        bare, _, port = entry.partition(":")
    else:
        port = ""
    if port and not (port.isdecimal() and 0 < int(port) < 65_536):
        raise AlertError(f"allow: {entry!r} has no port of a server")
    return bare, int(port) if port else None


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _resolved(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))
