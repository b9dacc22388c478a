"""Where a ClickHouse database is and who asks it: what a clickhouse:// URL says."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

__all__ = ["SCHEMES", "Place", "read_place", "without_password"]

SCHEMES = ("clickhouse", "clickhouses")
DEFAULT_DATABASE = "whence"

_ASKED = ("cluster", "ca", "retention_days")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_PORTS = {False: 8123, True: 8443}


@dataclass(frozen=True, slots=True)
class Place:
    """A database on one node or on the shards of a cluster. The password is in no repr().

    `hosts` are tried in turn. With a `cluster`, a name of the servers' remote_servers, events are
    spread over its shards; without one the first host that answers holds them all.
    """

    hosts: tuple[tuple[str, int], ...]
    database: str = DEFAULT_DATABASE
    cluster: str = ""
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    context: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    retention_days: int | None = None

    @property
    def name(self) -> str:
        """As people see it: without the password, and the same at every start."""
        hosts = ",".join(f"{_in_url(host)}:{port}" for host, port in self.hosts)
        tail = f"?cluster={self.cluster}" if self.cluster else ""
        return f"{SCHEMES[self.secure]}://{self.user}@{hosts}/{self.database}{tail}"

    @property
    def events(self) -> str:
        """The table that is written to and asked."""
        return self._table("events")

    @property
    def sessions(self) -> str:
        """The table of what sessions told of themselves."""
        return self._table("sessions")

    @property
    def hidden(self) -> str:
        """The table of what was forgotten."""
        return self._table("hidden")

    def _table(self, name: str) -> str:
        return f"`{self.database}`.`{name}{'' if self.cluster else '_local'}`"


def read_place(
    url: str, options: Mapping[str, Any] = {}, environ: Mapping[str, str] | None = None
) -> Place:
    """What clickhouse://user@host:8123,host2/database?cluster=NAME means; clickhouses:// is TLS.

    User and password are taken from the URL, quoted as URLs quote, else from CLICKHOUSE_USER and
    CLICKHOUSE_PASSWORD. `ca=FILE` names the authority that a private certificate is checked by,
    `tls` among the options is an SSL context, `retention_days` how long events are kept there.
    Raises ValueError, which never holds the password, and OSError where a file cannot be read.
    """
    environ = os.environ if environ is None else environ
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() not in SCHEMES:
        raise ValueError("a ClickHouse URL looks so: clickhouse://user@host:8123/database")
    secure = scheme.lower() == "clickhouses"
    rest, _, query = rest.partition("?")
    netloc, _, path = rest.partition("/")
    credentials, at, hosts = netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    places = tuple(_host(text, secure) for text in hosts.split(","))
    asked = dict(parse_qsl(query, keep_blank_values=True))
    for name in asked:
        if name not in _ASKED:
            raise ValueError(f"{name}: no option of ClickHouse; there are {', '.join(_ASKED)}")
    database = unquote(path.strip("/")) or DEFAULT_DATABASE
    cluster = asked.get("cluster", "")
    for what, name in (("database", database), ("cluster", cluster or "c")):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a {what}: letters, digits and _ are")
    return Place(
        places,
        database,
        cluster,
        unquote(user) if at else environ.get("CLICKHOUSE_USER", "default"),
        unquote(password) or environ.get("CLICKHOUSE_PASSWORD", ""),
        secure,
        _context(secure, asked.get("ca", ""), options.get("tls")),
        _days(asked.get("retention_days")),
    )


def without_password(url: str) -> str:
    """The URL as people may see it, whatever is wrong with it."""
    scheme, found, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{found}{credentials.partition(':')[0]}{at}{place}"


def _host(text: str, secure: bool) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?", text)
    port = int(match[3] or _PORTS[secure]) if match else 0
    if not match or not 0 < port < 65536:
        raise ValueError(
            "host or port cannot be understood; in passwords / ? # @ are %2F %3F %23 %40"
        )
    return match[1] or match[2], port


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _context(secure: bool, ca: str, given: ssl.SSLContext | None) -> ssl.SSLContext | None:
    if not secure:
        if ca:
            raise ValueError("ca= is for clickhouses://, which speaks TLS")
        return None
    return given or ssl.create_default_context(cafile=ca or None)


def _days(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not int(text[:9]) > 0:
        raise ValueError(f"retention_days={text!r} is no number of days")
    return int(text[:9])
