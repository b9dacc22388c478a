"""Files as sinks: JSON or NDJSON by the name's suffix, compressed if the name says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from whence.collect.sink import Sink
from whence.export.codec import codec_of
from whence.export.json_sink import JsonSink
from whence.export.ndjson_sink import NdjsonSink
from whence.model.errors import UnknownSink

__all__ = ["open_file_sink"]


def open_file_sink(url: str, options: Mapping[str, Any]) -> Sink:
    """The sink for a path or file:// URL. `rotate_bytes` ends a file and begins the next.

    Raises UnknownSink for another suffix, ExportError or OSError where the file cannot be had.
    """
    path = Path(_path_of(url))
    codec, plain_name = codec_of(path.name)
    rotate_bytes = int(options.get("rotate_bytes") or 0)
    if plain_name.endswith(".ndjson"):
        return NdjsonSink(path, codec, rotate_bytes)
    if plain_name.endswith(".json"):
        return JsonSink(path, codec, rotate_bytes)
    raise UnknownSink(
        f"{url}: a file to collect into is called .ndjson or .json, and may end in .gz or .zst"
    )


def _path_of(url: str) -> str:
    if not url.lower().startswith("file:"):
        return url
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UnknownSink(f"{url}: file:// names a file of this machine: file:///folder/out.ndjson")
    return unquote(parts.path)
