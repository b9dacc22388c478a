"""Which segments are elsewhere, too: shippers say it in files, the owner marks the segments."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from whence.store.disk import Disk, read_plain_file
from whence.store.manifest import Manifest, Segment
from whence.store.place import SHIPPED

__all__ = ["marked", "places_of", "put_shipped", "told_file", "told_shipped", "without_place"]

_FILE = re.compile(r"[0-9a-f]{16}\.json")
_DAMAGE = (ValueError, KeyError, TypeError, RecursionError)
_PLACES = "ships_to"


def put_shipped(disk: Disk, root: Path, place: str, segments: Collection[str], mode: int) -> None:
    """Says that a place has a copy of these segments; replaces what was said before. OSError."""
    folder = root / SHIPPED
    disk.make_folder(folder, mode | (mode & 0o444) >> 2)
    path = told_file(root, place)
    beside = folder / f".{path.name}.new"
    content = json.dumps({"place": place, "segments": sorted(segments)}).encode()
    disk.write(beside, content + b"\n", mode)
    disk.replace(beside, path)


def told_file(root: Path, place: str) -> Path:
    """Where the shippers of a place say what it has."""
    return root / SHIPPED / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"


def without_place(manifest: Manifest, place: str) -> Manifest:
    """The manifest that knows nothing of copies there."""
    places = [each for each in places_of(manifest) if each != place]
    files = tuple(
        replace(each, shipped=tuple(name for name in each.shipped if name != place))
        for each in manifest.files
    )
    return replace(manifest, files=files, settings={**manifest.settings, _PLACES: places})


def told_shipped(root: Path) -> Mapping[str, frozenset[str]]:
    """The segments that each place has a copy of, as their shippers said last."""
    found: dict[str, frozenset[str]] = {}
    try:
        names = sorted(os.listdir(root / SHIPPED))
    except (FileNotFoundError, NotADirectoryError):
        return found
    for name in names:
        if _FILE.fullmatch(name):
            with contextlib.suppress(OSError, *_DAMAGE):
                value = json.loads(read_plain_file(root / SHIPPED / name))
                found[str(value["place"])] = frozenset(map(str, value["segments"]))
    return found


def marked(manifest: Manifest, told: Mapping[str, frozenset[str]]) -> Manifest:
    """The manifest with these marks; the same one if it has them all."""
    places = tuple(sorted({*places_of(manifest), *told}))
    files = tuple(_marked(each, told) for each in manifest.files)
    if files == manifest.files and places == places_of(manifest):
        return manifest
    settings = {**manifest.settings, _PLACES: list(places)}
    return replace(manifest, files=files, settings=settings)


def places_of(manifest: Manifest) -> tuple[str, ...]:
    """The places that anything was ever shipped to."""
    return tuple(map(str, manifest.settings.get(_PLACES, ())))


def _marked(segment: Segment, told: Mapping[str, frozenset[str]]) -> Segment:
    more = {place for place, segments in told.items() if segment.segment in segments}
    if more <= set(segment.shipped):
        return segment
    return replace(segment, shipped=tuple(sorted({*segment.shipped, *more})))
