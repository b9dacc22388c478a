"""Takes old days out of a store, but for the requests and traces of them that go on later."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

from whence.store.manifest import Manifest, Segment
from whence.store.owned_folder import is_full
from whence.store.retention import Drop, oldest_day, without
from whence.store.rewriting import Rewriting
from whence.store.segment import DAY_NS
from whence.store.staying import Staying

if TYPE_CHECKING:
    from whence.store.folder import FolderStore

__all__ = ["aging_steps", "dropping_steps"]

Change = Callable[[Manifest], Manifest]


def aging_steps(
    store: FolderStore, old: Sequence[Segment], change: Change
) -> Generator[None, None, frozenset[str] | None]:
    """Drops what is old, whole requests and traces; each step is some ten milliseconds of work.

    What has an event in any other file stays, and with it what shares an event with it: of one
    that goes on later no part goes, and of one that goes none is seen. The last step commits, with
    `change` besides. When the disk is too full to write what stays, the oldest of these days goes
    whole, and what that cuts is known. Raises DamagedInput, OSError.

    Returns the names of the files that are left of these days; None if there is more to do.
    """
    staying = Staying(store.path, old)
    yield from staying.find(store.manifest.files)
    try:
        return (yield from _dropped(store, staying, change))
    except OSError as error:
        if not is_full(error):
            raise
    yield from dropping_steps(store, oldest_day(old), "age", change)
    return None


def dropping_steps(
    store: FolderStore, files: Sequence[Segment], why: str, change: Change
) -> Iterator[None]:
    """Drops files whatever they hold, and keeps in mind which requests and traces that cuts."""
    staying = Staying(store.path, files)
    cut = None
    with contextlib.suppress(Exception):  # room is wanted, and these files go in any case
        yield from staying.find(store.manifest.files)
        cut = staying.names
    drop = Drop(tuple(files), why, cut)
    store.exchange(files, change=lambda manifest: change(without(manifest, drop)))


def _dropped(
    store: FolderStore, staying: Staying, change: Change
) -> Generator[None, None, frozenset[str] | None]:
    rows = staying.rows
    gone = tuple(each for each in staying.old if rows[each.name] < each.rows)
    left = {each.name for each in staying.old if each not in gone}
    if not gone:
        return frozenset(left)
    parts: defaultdict[tuple[int, tuple[str, ...]], list[Segment]] = defaultdict(list)
    for each in gone:
        if rows[each.name]:
            parts[each.min_ts // DAY_NS, tuple(sorted(each.shipped))].append(each)
    with contextlib.ExitStack() as opened:
        writing = []
        for part in parts.values():
            new = Rewriting(store, part, max(1, *(each.level for each in part)))
            opened.callback(new.close)
            yield from new.steps(staying.left_of)
            writing.append((new, min(each.cleared for each in part)))
        if staying.is_touched_by(store.manifest.files):
            return None  # an event of what was to go came meanwhile: begun anew
        note = store.commit_note([each.name for each in gone], len(writing))
        finished = [new.finish(note, cleared) for new, cleared in writing]
        made = [each for each in finished if each is not None]
        drop = Drop(gone, "age")
        store.exchange(gone, made, lambda manifest: change(without(manifest, drop, rows)))
    return frozenset(left | {each.segment.name for each in made})
