"""The name of a service as a sink: what tells it from others, and none of its secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import unquote, urlencode

__all__ = ["sink_name"]

# How events get there, not where to: another of these goes on where the last one was.
_TRANSPORT = ("protocol", "format", "compression", "timeout", "ca", "cert", "key")
_TENANT = "x-scope-orgid"


def sink_name(
    place: str, asked: Mapping[str, str], headers: Mapping[str, str], user: str | None = None
) -> str:
    """The place with the part of the URL's query that decides what arrives where.

    A user, who may be a key, and a tenant that only a header names are there as a short hash.
    Passwords and other headers are in no way.
    """
    shown = sorted((key, value) for key, value in asked.items() if key not in _TRANSPORT)
    name = f"{place}?{urlencode(shown)}" if shown else place
    tenants = [value for key, value in headers.items() if key.lower() == _TENANT]
    hidden = [unquote(user or ""), *(each for each in tenants if each != asked.get("tenant"))]
    if not any(hidden):
        return name
    told = "\0".join(hidden).encode(errors="surrogateescape")
    return f"{name}#{hashlib.sha256(told).hexdigest()[:8]}"
