"""Which sink a URL means: `open_sink` looks its scheme up in one table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from whence.collect.sink import Sink
from whence.model.errors import UnknownSink, WhenceError

__all__ = ["open_sink", "scheme_of"]

# Scheme: the module and function that make the sink, called as `function(url, options)`, and how
# such a URL looks. A path without a scheme is a file. Modules are imported when they are asked for.
_SINKS: dict[str, tuple[str, str]] = {
    "clickhouse": (
        "whence.export.clickhouse:open_clickhouse_sink",
        "clickhouse://host:8123[,host2]/database[?cluster=NAME]",
    ),
    "clickhouses": ("whence.export.clickhouse:open_clickhouse_sink", "clickhouses://host/database"),
    "file": ("whence.export.file_sinks:open_file_sink", "./out.ndjson or ./out.json[.gz|.zst]"),
    "loki": ("whence.export.loki:open_loki_sink", "loki://host:3100[?tenant=..&format=json]"),
    "lokis": ("whence.export.loki:open_loki_sink", "lokis://host"),
    "otlp": (
        "whence.export.otlp_grpc:open_otlp_grpc_sink",
        "otlp://host:4317 or otlp: for the environment's endpoint",
    ),
    "otlps": ("whence.export.otlp_grpc:open_otlp_grpc_sink", "otlps://host:4317"),
    "otlp+http": ("whence.export.otlp_http:open_otlp_http_sink", "otlp+http://host:4318"),
    "otlp+https": ("whence.export.otlp_http:open_otlp_http_sink", "otlp+https://host:4318"),
    "otlp-file": ("whence.export.otlp_file:open_otlp_file_sink", "otlp-file:out.jsonl[.gz]"),
}

_FILES = ("file", "otlp-file")
_OF_MANY_HOSTS = ("clickhouse", "clickhouses")


def open_sink(url: str, options: Mapping[str, Any] | None = None) -> Sink:
    """The sink that delivers to `url`; no connection is made before the first delivery.

    `options` are settings that each sink takes what it knows from: `rotate_bytes` and `headers`,
    for example. Raises UnknownSink, a ValueError, for a URL that no sink answers to or that is
    wrong, without its secrets; OSError for a file that cannot be had, ImportError where an extra
    is not installed.
    """
    scheme = scheme_of(url)
    if scheme not in _SINKS:
        known = ", ".join(shape for _, shape in _SINKS.values())
        raise UnknownSink(f"{scheme}: no sink of that name; there are {known}")
    module, _, function = _SINKS[scheme][0].partition(":")
    make: Callable[[str, Mapping[str, Any]], Sink]
    make = getattr(importlib.import_module(module), function)
    try:
        if scheme not in (*_FILES, *_OF_MANY_HOSTS):
            _check_place(url)
        return make(url, options or {})
    except UnknownSink:
        raise
    except ValueError as error:
        if isinstance(error, WhenceError):
            raise
        raise UnknownSink(f"{scheme}: {error}") from None


def _check_place(url: str) -> None:
    """Python's own words would repeat what may be a part of a password."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        message = "host or port cannot be understood; in passwords / ? # @ are %2F %3F %23 %40"
        raise ValueError(message) from None


def scheme_of(url: str) -> str:
    """What comes before `://`, or before the colon of `otlp-file:`; "file" for a plain path."""
    head, found, _ = url.partition("://")
    if found:
        return head.lower()
    head, found, _ = url.partition(":")
    return head.lower() if found and head.lower() in _SINKS else "file"
