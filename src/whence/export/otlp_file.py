"""OTLP files: JSON requests, one a line, and one file for each signal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from whence.collect.sink import Drained, Payload, Reply, Sink
from whence.export.codec import Codec, codec_of
from whence.export.growing_file import GrowingFile
from whence.export.otlp import LOGS, MOST_ATTRIBUTES, SIGNALS, TRACES, otlp_requests

__all__ = ["MOST_LINE_BYTES", "OtlpFileSink", "open_otlp_file_sink", "signal_path"]

MOST_LINE_BYTES = 4 << 20  # other tools read whole lines


def open_otlp_file_sink(url: str, options: Mapping[str, Any]) -> Sink:
    """The sink of otlp-file:PATH: PATH's name with .logs and .traces before its last suffixes.

    `?signals=logs` or `traces` writes that signal alone, into PATH itself. With .gz or .zst in the
    end the file is compressed. `rotate_bytes` ends a file and begins the next.
    """
    path, _, query = url.partition(":")[2].removeprefix("//").partition("?")
    asked = dict(parse_qsl(query))
    signals = asked.pop("signals", "both")
    most_attributes = asked.pop("attributes", str(MOST_ATTRIBUTES))
    if asked or signals not in SIGNALS or not most_attributes.isdecimal() or not path:
        raise ValueError(f"{url}: otlp-file:PATH[?signals={'|'.join(SIGNALS)}&attributes=128]")
    rotate_bytes = int(options.get("rotate_bytes") or 0)
    return OtlpFileSink(Path(path), signals, int(most_attributes), rotate_bytes)


def signal_path(path: Path, signal: str, signals: str) -> Path:
    """out.jsonl is out.logs.jsonl for log records, unless one signal alone is written."""
    if signals != "both":
        return path
    stem, dot, suffixes = path.name.partition(".")
    return path.with_name(f"{stem}.{signal}{dot}{suffixes}")


class OtlpFileSink(Sink):
    """Appends requests to files; they are on disk when they count as delivered.

    A line that a crash left half written is cut off when the file is opened again. A request that
    was written and not acknowledged is written again: its records have the same ids.
    """

    most_events = 20_000
    most_bytes = MOST_LINE_BYTES

    def __init__(
        self, path: Path, signals: str, most_attributes: int, rotate_bytes: int = 0
    ) -> None:
        only = "" if signals == "both" else f"?signals={signals}"
        self.name = f"otlp-file:{path.absolute()}{only}"
        self._signals = signals
        self._most_attributes = most_attributes
        self._codec: Codec | None = codec_of(path.name)[0]
        wanted = (LOGS, TRACES) if signals != TRACES else (TRACES,)
        wanted = (LOGS,) if signals == LOGS else wanted
        self._files: dict[str, GrowingFile] = {}
        try:
            for signal in wanted:
                file = GrowingFile(signal_path(path, signal, signals), rotate_bytes)
                self._files[signal] = file
                end = file.whole_end(self._codec)
                if end < file.size_bytes:
                    file.truncate(end)
        except BaseException:
            self.close()
            raise

    def encode(self, drained: Drained) -> Iterable[Payload]:
        """One line of log records and one of spans, as far as there are any."""
        return [
            Payload(self._packed(body + b"\n"), events, signal)
            for signal, body, events in otlp_requests(
                drained.batch,
                drained.sessions,
                as_json=True,
                signals=self._signals,
                most_attributes=self._most_attributes,
            )
        ]

    def deliver(self, payload: Payload, timeout_s: float) -> Reply:
        """Appends the line and waits for the disk."""
        self._files[payload.signal].append(payload.body)
        return Reply(payload.events)

    def leave_behind(self) -> None:
        """In a forked child: the files and their locks are the parent's."""
        self.close()

    def close(self) -> None:
        """Gives up the files."""
        for file in self._files.values():
            file.close()

    def _packed(self, line: bytes) -> bytes:
        return self._codec.member(line) if self._codec else line
