"""Finds real files of many types on the machine for the file type model."""

from __future__ import annotations

import os
import random
import sysconfig
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["find_files"]

_MOST_BYTES = 1 << 20
_MOST_LOOKED_AT = 4000  # per root; enough to meet every type, and done in a fraction of a second
_MOST_PER_SUFFIX = 12


def find_files(rng: random.Random, roots: Sequence[Path] | None = None) -> list[Path]:
    """Readable files of at most 1 MiB under the roots, shuffled, a dozen of each suffix at most.

    The roots default to Python's standard library, the installed packages and /usr/share.
    """
    by_suffix: defaultdict[str, list[Path]] = defaultdict(list)
    for root in _default_roots() if roots is None else roots:
        for path in _some_files(root):
            by_suffix[path.suffix].append(path)
    chosen = []
    for paths in by_suffix.values():
        rng.shuffle(paths)
        chosen += paths[:_MOST_PER_SUFFIX]
    rng.shuffle(chosen)
    return chosen


def _default_roots() -> list[Path]:
    return [
        Path(sysconfig.get_path("stdlib")),
        Path(sysconfig.get_path("purelib")),
        Path("/usr/share"),
    ]


def _some_files(root: Path) -> Iterator[Path]:
    looked_at = 0
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            looked_at += 1
            if looked_at > _MOST_LOOKED_AT:
                return
            if _is_small_and_readable(path):
                yield path


def _is_small_and_readable(path: Path) -> bool:
    try:
        return (
            path.is_file()
            and not path.is_symlink()
            and path.stat().st_size <= _MOST_BYTES
            and os.access(path, os.R_OK)
        )
    except OSError:
        return False
