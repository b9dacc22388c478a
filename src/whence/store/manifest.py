"""The MANIFEST of a folder store: which files count, how far everything was read, the ledger."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from whence.collect.positions import Acknowledged
from whence.collect.sink_ledger import SinkLedger
from whence.model.errors import CorruptFile, UnsupportedFormat
from whence.store.id_index import IdPlace
from whence.store.links import LinksFile

__all__ = [
    "FORMAT",
    "STEPS",
    "VERSION",
    "Manifest",
    "Promoted",
    "Quarantined",
    "Replaced",
    "RingTally",
    "Segment",
    "commit_note",
    "encoded",
    "parsed_columns",
    "parsed_links",
    "parsed_manifest",
    "parsed_positions",
    "parsed_rings",
    "parsed_segment",
    "plain_columns",
    "plain_positions",
]

FORMAT = "whence-store"
VERSION = 1
STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By each earlier version: what makes of its manifest one of the next version. There is none yet.

A reader takes the steps in memory; the next commit writes the version that is current."""
_END = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\n\Z')
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

Promoted = tuple[tuple[str, tuple[str, ...]], ...]
"""Attributes, and the kinds of values of which a file has a column for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One Parquet file; `name` is its path within the store, `segment` its ULID.

    `min_ts` and `max_ts` are the wall times of its first and last event. `level` is 0 for files
    as they were appended. `shipped` names the places that have a copy. `cleared` is the number of
    the last tombstone that it surely holds no row of. `ids` is where its index of ids
    lies, None for a file without one. `links` is what it has of lineage, None for nothing. Of an
    attribute that is `promoted` every value is in a column of its own, too; `blank` are columns
    that hold nothing but their default.
    """

    name: str
    rows: int
    min_ts: int
    max_ts: int
    bytes: int
    level: int
    segment: str
    crc32: str
    shipped: tuple[str, ...] = ()
    cleared: int = 0
    ids: IdPlace | None = None
    promoted: Promoted = ()
    blank: frozenset[str] = frozenset()
    links: LinksFile | None = None

    @property
    def all_bytes(self) -> int:
        """Of the file and of its links."""
        return self.bytes + (self.links.bytes if self.links and self.links.links else 0)

    @property
    def has_links(self) -> bool:
        """Whether a file of links lies beside it."""
        return self.links is not None and self.links.links > 0


class RingTally(NamedTuple):
    """What is stored of one ring: events, and the monotonic times of the first and the last."""

    stored: int
    oldest_ns: int
    newest_ns: int

    def plus(self, other: RingTally) -> RingTally:
        """Of both parts."""
        return RingTally(
            self.stored + other.stored,
            min(self.oldest_ns, other.oldest_ns),
            max(self.newest_ns, other.newest_ns),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A segment that failed its check: its file is in quarantine/, its rows are missing."""

    name: str
    rows: int
    min_ts: int
    max_ts: int
    why: str
    wall_ns: int

    @classmethod
    def of(cls, segment: Segment, why: str, wall_ns: int) -> Quarantined:
        """That segment, found damaged then."""
        return cls(
            name=segment.name,
            rows=segment.rows,
            min_ts=segment.min_ts,
            max_ts=segment.max_ts,
            why=why,
            wall_ns=wall_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A file that counts no more, but stays a while for those who read an earlier generation.

    `by` is the segment that has its rows, "" if they were dropped. `monotonic_ns` is of the boot.
    """

    name: str
    segment: str
    by: str
    boot: str
    monotonic_ns: int
    wall_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One generation of a store. Immutable; the next one replaces it whole.

    `positions` are the next tickets by session (uuid) and ring, `rings` what is stored of these,
    `ledger` is what became of exactly the events before these positions. Of the sessions in
    `undelivered_in` some event is not here though it was read. `filtered`: not everything was
    asked for. `replaced` are files that are still to be deleted, `dropped` counts what was given
    up by age or size, `tombstones` hide requests and traces. `more` holds what later versions have
    added, and is kept.
    """

    store: str = ""
    generation: int = 0
    files: tuple[Segment, ...] = ()
    positions: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    rings: Mapping[str, Mapping[int, RingTally]] = field(default_factory=dict)
    ledger: SinkLedger = field(default_factory=SinkLedger)
    undelivered_in: tuple[str, ...] = ()
    filtered: bool = False
    tombstones: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    quarantined: tuple[Quarantined, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    dropped: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Events in all files."""
        return sum(each.rows for each in self.files)

    @property
    def acknowledged(self) -> Acknowledged:
        """How far everything is here, in a pipeline's words."""
        return Acknowledged(self.positions, self.ledger, frozenset(self.undelivered_in))

    def without(self, uuids: frozenset[str]) -> Manifest:
        """The same without the positions of these sessions, which nobody will read again."""
        return replace(
            self,
            positions={uuid: at for uuid, at in self.positions.items() if uuid not in uuids},
            rings={uuid: held for uuid, held in self.rings.items() if uuid not in uuids},
            undelivered_in=tuple(uuid for uuid in self.undelivered_in if uuid not in uuids),
        )


def encoded(manifest: Manifest) -> bytes:
    """The file: one JSON object, whose last member is the checksum of all before it."""
    body = {
        **manifest.more,
        "format": FORMAT,
        "version": VERSION,
        "store": manifest.store,
        "generation": manifest.generation,
        "files": [_plain_segment(each) for each in manifest.files],
        "positions": plain_positions(manifest.positions),
        "rings": _plain_rings(manifest.rings),
        "ledger": manifest.ledger.plain(),
        "undelivered_in": list(manifest.undelivered_in),
        "filtered": manifest.filtered,
        "tombstones": [dict(each) for each in manifest.tombstones],
        "settings": dict(manifest.settings),
        "quarantined": [_plain(each) for each in manifest.quarantined],
        "replaced": [_plain(each) for each in manifest.replaced],
        "dropped": dict(manifest.dropped),
    }
    text = json.dumps(body, separators=(",", ":"), allow_nan=False)[:-1].encode()
    return b'%s,"crc32":"%08x"}\n' % (text, zlib.crc32(text))


def commit_note(
    new: Manifest,
    segments: int,
    positions: Mapping[str, Mapping[int, int]],
    rings: Mapping[str, Mapping[int, RingTally]],
) -> dict[str, Any]:
    """What the segments of a commit say of it, for the case that the manifest is lost."""
    note = {
        "store": new.store,
        "generation": new.generation,
        "segments": segments,
        "positions": plain_positions(positions),
        "rings": _plain_rings(rings),
        "ledger": new.ledger.plain(),
        "undelivered_in": list(new.undelivered_in),
        "filtered": new.filtered,
    }
    return note | {"tombstones": [dict(e) for e in new.tombstones]} if new.tombstones else note


def parsed_manifest(content: bytes, name: str = "MANIFEST") -> Manifest:
    """The manifest in a file. Raises CorruptFile, or UnsupportedFormat for another version."""
    end = _END.search(content)
    body = content[: end.start()] if end else content
    if end is None or zlib.crc32(body) != int(end[1], 16):
        raise CorruptFile(f"{name} fails its checksum")
    try:
        value = json.loads(body + b"}")
        return _manifest(_of_this_version(value, name))
    except (UnsupportedFormat, CorruptFile):
        raise
    except _DAMAGE as error:
        raise CorruptFile(f"{name} contradicts its format: {error}") from None


def plain_positions(positions: Mapping[str, Mapping[int, int]]) -> dict[str, dict[str, int]]:
    """As JSON has them."""
    return {
        uuid: {str(ring): ticket for ring, ticket in rings.items()}
        for uuid, rings in positions.items()
    }


def parsed_positions(value: Mapping[str, Mapping[str, int]]) -> dict[str, dict[int, int]]:
    """What plain_positions() made; raises ValueError and the like for anything else."""
    return {
        uuid: {int(ring): _count(ticket) for ring, ticket in rings.items()}
        for uuid, rings in value.items()
    }


def parsed_rings(value: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[int, RingTally]]:
    """The tallies by session and ring; raises ValueError and the like for anything else."""
    return {
        uuid: {int(ring): RingTally(*map(_integer, tally)) for ring, tally in rings.items()}
        for uuid, rings in value.items()
    }


def _of_this_version(value: dict[str, Any], name: str) -> dict[str, Any]:
    if value["format"] != FORMAT:
        raise UnsupportedFormat(f"{name} is of format {value['format']!r}, not {FORMAT}")
    version = value["version"]
    while version != VERSION and version in STEPS:
        value = STEPS[version](value)
        version += 1
    if version != VERSION:
        raise UnsupportedFormat(
            f"{name} is of version {value['version']!r}; this whence reads version {VERSION}: "
            "use the whence that wrote it, or a newer one"
        )
    return value


def _manifest(value: dict[str, Any]) -> Manifest:
    return Manifest(
        store=str(value.pop("store")),
        generation=_count(value.pop("generation")),
        files=tuple(map(parsed_segment, value.pop("files"))),
        positions=parsed_positions(value.pop("positions")),
        rings=parsed_rings(value.pop("rings")),
        ledger=SinkLedger.from_plain(value.pop("ledger")),
        undelivered_in=tuple(map(str, value.pop("undelivered_in"))),
        filtered=bool(value.pop("filtered")),
        tombstones=tuple(map(dict, value.pop("tombstones"))),
        settings=dict(value.pop("settings")),
        quarantined=tuple(Quarantined(**each) for each in value.pop("quarantined")),
        replaced=tuple(Replaced(**each) for each in value.pop("replaced", ())),
        dropped=dict(value.pop("dropped", {})),
        more={name: part for name, part in value.items() if name not in ("format", "version")},
    )


def _plain_segment(each: Segment) -> dict[str, Any]:
    found = {
        "name": each.name,
        "rows": each.rows,
        "min_ts": each.min_ts,
        "max_ts": each.max_ts,
        "bytes": each.bytes,
        "level": each.level,
        "segment": each.segment,
        "shipped": list(each.shipped),
        "crc32": each.crc32,
        **({"cleared": each.cleared} if each.cleared else {}),
        **plain_columns(each.promoted, each.blank),
    }
    found |= {} if each.ids is None else {"ids": list(each.ids)}
    return found if each.links is None else found | {"links": each.links._asdict()}


def plain_columns(promoted: Promoted, blank: frozenset[str]) -> dict[str, Any]:
    """What a segment's entry says of its columns, as JSON has it; often nothing."""
    own = {"promoted": {name: list(kinds) for name, kinds in promoted}} if promoted else {}
    return own | ({"blank": " ".join(sorted(blank))} if blank else {})


def parsed_columns(value: Mapping[str, Any]) -> dict[str, Any]:
    """What plain_columns() made, as members of a Segment."""
    promoted = value.get("promoted", {}).items()
    return {
        "promoted": tuple((str(name), tuple(map(str, kinds))) for name, kinds in promoted),
        "blank": frozenset(str(value.get("blank", "")).split()),
    }


def parsed_segment(value: Mapping[str, Any]) -> Segment:
    """A file's entry; raises ValueError and the like for anything else."""
    name = str(value["name"])
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"{name!r} lies outside of the store")
    return Segment(
        name=name,
        rows=_count(value["rows"]),
        min_ts=_integer(value["min_ts"]),
        max_ts=_integer(value["max_ts"]),
        bytes=_count(value["bytes"]),
        level=_count(value["level"]),
        segment=str(value["segment"]),
        crc32=str(value["crc32"]),
        shipped=tuple(map(str, value.get("shipped", ()))),
        cleared=_count(value.get("cleared", 0)),
        ids=IdPlace(*map(_count, value["ids"])) if value.get("ids") else None,
        links=parsed_links(value["links"]) if value.get("links") else None,
        **parsed_columns(value),
    )


def parsed_links(value: Mapping[str, Any]) -> LinksFile:
    """What a segment has of lineage; raises ValueError and the like for anything else."""
    counts = {name: _count(value[name]) for name in ("links", "bytes", "windows", "frames")}
    return LinksFile(crc32=str(value["crc32"]), **counts)


def _plain_rings(rings: Mapping[str, Mapping[int, RingTally]]) -> dict[str, dict[str, list[int]]]:
    return {
        uuid: {str(ring): list(tally) for ring, tally in of.items()} for uuid, of in rings.items()
    }


def _plain(each: Quarantined | Replaced) -> dict[str, Any]:
    return {column.name: getattr(each, column.name) for column in fields(each)}


def _integer(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} is no integer")
    return value


def _count(value: object) -> int:
    number = _integer(value)
    if number < 0:
        raise ValueError(f"{number} is no count")
    return number
