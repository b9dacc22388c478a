"""Reads strangers' files in a process of its own, whose memory and time are limited."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, fields
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyarrow as pa

from whence.model.errors import CorruptFile, UnsupportedFormat
from whence.receive.files.into import Parts, read_parts
from whence.receive.files.report import FileReport, Flaw, Rejected
from whence.receive.files.source import ImportLimits, ReadOptions
from whence.receive.files.times import zone_of
from whence.store.sessions import parsed_session_document, session_document

__all__ = ["ReadApart", "main"]

_FRAME = struct.Struct(">cQ")
_PART, _REPORT, _ERROR = b"P", b"R", b"E"
_ERRORS: dict[str, type[Exception]] = {
    "CorruptFile": CorruptFile,
    "UnsupportedFormat": UnsupportedFormat,
}


class ReadApart:
    """Reads files as read_parts() does, in a process that dies alone if one is too much for it."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Itself: the process begins with the first file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the process."""
        self._end()

    def read_parts(
        self, path: str, options: ReadOptions, format_name: str, report: FileReport
    ) -> Iterator[Parts]:
        """The rows of a file. Raises as read_parts(), CorruptFile where the process died, too."""
        whole = False
        try:
            for kind, content in self._answers(path, format_name):
                if kind == _PART:
                    yield _parts(content)
                    continue
                whole = True
                said = json.loads(content)
                _fill(report, said["report"])
                if kind == _ERROR:
                    raise _ERRORS.get(said["error"], OSError)(said["message"])
        finally:
            if not whole:
                self._end()

    def _answers(self, path: str, format_name: str) -> Iterator[tuple[bytes, bytes]]:
        child = self._child = self._child or self._begun()
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(OSError):  # what it had to say is read below
            child.stdin.write(_request(path, format_name, self._options))
            child.stdin.flush()
        while True:
            head = child.stdout.read(_FRAME.size)
            content = b""
            if len(head) == _FRAME.size:
                kind, size = _FRAME.unpack(head)
                content = child.stdout.read(size)
                if len(content) == size:
                    yield kind, content
                    if kind != _PART:
                        return
                    continue
            limits = self._options.limits
            raise CorruptFile(
                f"{path} takes more than {limits.memory_bytes >> 20} MiB of memory or "
                f"{limits.cpu_s} s to read, or broke what reads it"
            )

    def _begun(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "whence.receive.files.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for stream in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        child.wait()


def main() -> None:
    """Answers each request that comes on standard input, until there are no more."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        options = _options(asked["options"])
        _limit(options.limits)
        report = FileReport(asked["path"])
        said: dict[str, Any] = {}
        try:
            for parts in read_parts(asked["path"], options, asked["format"], report):
                _write(out, _PART, _packed(parts))
        except (CorruptFile, UnsupportedFormat) as error:
            said = {"error": type(error).__name__, "message": str(error)}
        except OSError as error:
            said = {"error": "OSError", "message": str(error)}
        said["report"] = {each.name: getattr(report, each.name) for each in fields(report)}
        _write(out, _ERROR if "error" in said else _REPORT, json.dumps(said).encode())


def _limit(limits: ImportLimits) -> None:
    """What this process may take from now on; no core is written of what it held."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until_s = int(used.ru_utime + used.ru_stime) + limits.cpu_s + 1
    for name, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, until_s),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(name)
        if hard == resource.RLIM_INFINITY or most <= hard:
            resource.setrlimit(name, (most, hard))


def _request(path: str, format_name: str, options: ReadOptions) -> bytes:
    told = asdict(options) | {"zone": str(options.zone) if options.zone else ""}
    return json.dumps({"path": path, "format": format_name, "options": told}).encode() + b"\n"


def _options(told: dict[str, Any]) -> ReadOptions:
    zone = told["zone"].removeprefix("UTC") or ("UTC" if told["zone"] else "")
    changed = {"limits": ImportLimits(**told["limits"]), "zone": zone_of(zone) if zone else None}
    return ReadOptions(**(told | changed))


def _write(out: BinaryIO, kind: bytes, content: bytes) -> None:
    out.write(_FRAME.pack(kind, len(content)) + content)
    out.flush()


def _packed(parts: Parts) -> bytes:
    found = bytearray()
    for table, session in parts:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.unify_dictionaries())
        rows = sink.getvalue().to_pybytes()
        document = session_document(session, 0).encode()
        found += struct.pack(">QQ", len(document), len(rows)) + document + rows
    return bytes(found)


def _parts(content: bytes) -> Parts:
    found = []
    at, view = 0, memoryview(content)
    while at < len(content):
        of_session, of_rows = struct.unpack_from(">QQ", content, at)
        at += 16
        session = parsed_session_document(bytes(view[at : at + of_session]), "a session")
        at += of_session
        with pa.ipc.open_stream(pa.py_buffer(view[at : at + of_rows])) as reader:
            found.append((reader.read_all(), session))
        at += of_rows
    return found


def _fill(report: FileReport, said: dict[str, Any]) -> None:
    """Puts what the process found into the caller's report."""
    for name, value in said.items():
        if isinstance(getattr(report, name), Counter):
            value = Counter(value)
        elif name == "rejected":
            value = [Rejected(*each) for each in value]
        elif name == "flaws":
            value = [Flaw(*each) for each in value]
        elif name in ("stored", "duplicates"):
            continue
        setattr(report, name, value)


if __name__ == "__main__":
    main()
