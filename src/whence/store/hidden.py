"""Requests and traces that were forgotten: hidden at once, and dropped when files are rewritten."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from whence.store.disk import Disk, read_plain_file
from whence.store.place import FORGET
from whence.store.segment import new_ulid

__all__ = [
    "Hidden",
    "asked_to_forget",
    "hidden_by",
    "overdue_number",
    "put_forgotten",
    "with_tombstones",
]

SOON_NS = 3_600_000_000_000
_TRACE = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\.json")
_DAMAGE = (ValueError, KeyError, TypeError, RecursionError)
_COLUMNS = ("request_id", "decision_chain_id", "trace_hi", "trace_lo")


@dataclass(frozen=True, slots=True)
class Hidden:
    """What must not be seen. `number` is that of the newest tombstone, 0 for none."""

    number: int = 0
    requests: frozenset[str] = frozenset()
    traces: frozenset[tuple[int, int]] = frozenset()

    def __bool__(self) -> bool:
        """Whether anything is hidden."""
        return bool(self.requests or self.traces)

    def rows_of(self, table: pa.Table) -> pa.Array | None:
        """Which rows of a table are hidden; None for none."""
        if not self or not len(table):
            return None
        import pyarrow.compute as pc  # costs 50 ms, and few stores hide anything

        names = set(table.schema.names)
        requests = pa.array(sorted(self.requests), pa.string())
        found = pa.chunked_array([pa.repeat(False, len(table))])
        for name in ("request_id", "decision_chain_id"):
            if name in names and self.requests:
                texts = table.column(name)
                if pa.types.is_dictionary(texts.type):
                    texts = texts.cast(pa.string())
                found = pc.or_(found, pc.is_in(texts, value_set=requests))
        if {"trace_hi", "trace_lo"} <= names:
            for high, low in self.traces:
                same = pc.and_(
                    pc.equal(table.column("trace_hi"), high),
                    pc.equal(table.column("trace_lo"), low),
                )
                found = pc.or_(found, same)
        return found if pc.any(found).as_py() else None

    def left_of(self, table: pa.Table) -> pa.Table:
        """The rows that may be seen."""
        found = self.rows_of(table)
        if found is None:
            return table
        import pyarrow.compute as pc

        return table.filter(pc.invert(found))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns by which rows are hidden."""
        return _COLUMNS


def hidden_by(tombstones: Iterable[Mapping[str, Any]]) -> Hidden:
    """What these tombstones hide. Ones of a kind that is not known here hide nothing."""
    requests, traces, number = set(), set(), 0
    for each in tombstones:
        number = max(number, int(each.get("number", 0)))
        if "request" in each:
            if _is_text(request := str(each["request"])):
                requests.add(request)
        elif _TRACE.fullmatch(str(each.get("trace", ""))):
            trace = int(each["trace"], 16)
            traces.add((_signed(trace >> 64), _signed(trace & 2**64 - 1)))
    return Hidden(number, frozenset(requests), frozenset(traces))


def overdue_number(tombstones: Iterable[Mapping[str, Any]], now_ns: int) -> int:
    """The number of the newest tombstone whose bytes are to go before all else; 0 for none.

    One that a wall clock dates to the future is as good as late.
    """
    late = (
        int(each.get("number", 0))
        for each in tombstones
        if not 0 <= now_ns - int(each.get("wall_ns", 0)) < SOON_NS
    )
    return max(late, default=0)


def with_tombstones(
    known: tuple[Mapping[str, Any], ...], asked: Iterable[Mapping[str, Any]]
) -> tuple[Mapping[str, Any], ...]:
    """The tombstones and, numbered on, those asked for that are not among them."""
    found = list(known)
    have = {(each.get("request"), each.get("trace")) for each in known}
    number = max((int(each.get("number", 0)) for each in known), default=0)
    for each in asked:
        name = each.get("request"), each.get("trace")
        if name not in have:
            have.add(name)
            number += 1
            found.append({**each, "number": number})
    return tuple(found)


def put_forgotten(disk: Disk, root: Path, ids: Iterable[str], *, trace: bool, mode: int) -> None:
    """Asks the store's owner, whoever that is, to forget; every reader does from now on. OSError.

    Raises ValueError for a trace that is not 32 hexadecimal digits, or an empty id.
    """
    asked = []
    for name in ids:
        if not name or not _is_text(name) or (trace and not _TRACE.fullmatch(name)):
            raise ValueError(f"{name!r} names no {'trace' if trace else 'request'}")
        asked.append({"trace" if trace else "request": name, "wall_ns": time.time_ns()})
    folder = root / FORGET
    disk.make_folder(folder, mode | (mode & 0o444) >> 2)
    path = folder / f"{new_ulid()}.json"
    beside = folder / f".{path.name}.new"
    disk.write(beside, json.dumps(asked).encode() + b"\n", mode)
    disk.replace(beside, path)
    disk.sync_folder(folder)


def asked_to_forget(root: Path) -> dict[str, list[dict[str, Any]]]:
    """What was asked for and is in no manifest yet, by the names of the files that say so.

    Damaged ones are left out, and stay for somebody to look at. Ask before reading the manifest:
    the owner deletes a file once the manifest has what it says.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        names = sorted(os.listdir(root / FORGET))
    except (FileNotFoundError, NotADirectoryError):
        return found
    for name in names:
        if _FILE.fullmatch(name):
            with contextlib.suppress(FileNotFoundError, *_DAMAGE):
                found[name] = _asked(read_plain_file(root / FORGET / name))
    return found


def _is_text(name: str) -> bool:
    """Half a surrogate pair is none, and in no store."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _asked(content: bytes) -> list[dict[str, Any]]:
    return [
        {key: each[key] for key in ("request", "trace", "wall_ns") if key in each}
        for each in json.loads(content)
    ]


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number
