"""Files that count no more: how long they stay for readers, by a clock that no one sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from whence.store.disk import read_plain_file
from whence.store.manifest import Manifest, Replaced, Segment

__all__ = ["GRACE_S", "boot_id", "due", "exchanged", "replaced_now"]

GRACE_S = 60.0


def replaced_now(segments: Iterable[Segment], by: str) -> list[Replaced]:
    """These files from now on; `by` is the segment that has their rows, "" for none."""
    boot, monotonic_ns, wall_ns = boot_id(), time.monotonic_ns(), time.time_ns()
    return [
        Replaced(
            name=each.name,
            segment=each.segment,
            by=by,
            boot=boot,
            monotonic_ns=monotonic_ns,
            wall_ns=wall_ns,
        )
        for each in segments
    ]


def exchanged(
    manifest: Manifest, gone: Collection[Segment], made: Iterable[tuple[Segment, Iterable[Segment]]]
) -> Manifest:
    """The manifest without these segments, and those made of some of them in their place."""
    of = {each.name: new for new, inputs in made for each in inputs}
    names = {each.name for each in gone}
    files: dict[str, Segment] = {}
    for each in manifest.files:
        if each.name not in names:
            files[each.name] = each
        elif new := of.get(each.name):
            files[new.name] = new
    parts: dict[str, list[Segment]] = {}
    for each in gone:
        parts.setdefault(of[each.name].segment if each.name in of else "", []).append(each)
    now = [entry for by, some in parts.items() for entry in replaced_now(some, by)]
    return replace(manifest, files=tuple(files.values()), replaced=(*manifest.replaced, *now))


def due(
    manifest: Manifest, clock_ns: Callable[[], int] = time.monotonic_ns, grace_s: float = GRACE_S
) -> list[Replaced]:
    """The files that nobody reads any more.

    By the time since the machine started, which all its processes share; of an earlier start all
    readers are gone.
    """
    boot, now_ns = boot_id(), clock_ns()
    return [
        each
        for each in manifest.replaced
        if each.boot != boot or not 0 <= now_ns - each.monotonic_ns < grace_s * 1e9
    ]


@cache
def boot_id() -> str:
    """Which start of the machine this is; "" where that cannot be told."""
    try:
        return read_plain_file(Path("/proc/sys/kernel/random/boot_id")).decode().strip()
    except OSError:
        return ""
