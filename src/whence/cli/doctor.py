"""whence doctor: what is wrong with a store or a folder of sessions, and where the bytes go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from whence.cli.render.page import line, print_json, print_lines, table
from whence.cli.render.safe import safe
from whence.cli.render.waiting import waiting
from whence.cli.sources import is_store
from whence.cli.verb import FAILED, Verb, json_option
from whence.collect.sessions import list_sessions
from whence.model.errors import ExportError
from whence.query.words import bytes_text, count_text, duration_text, events_text, share_text
from whence.ring.folders import base_folders

if TYPE_CHECKING:
    from whence.store.doctor import Examination

__all__ = ["doctor"]

_SHOWN = 12


@click.command(cls=Verb)
@click.argument("folder", metavar="[STORE|FOLDER]", required=False)
@click.option("--quick", is_flag=True, help="Compare no checksums: sizes alone.")
@click.option("--compact", is_flag=True, help="Merge small files first, where nobody writes.")
@json_option
@click.pass_context
def doctor(
    context: click.Context, folder: str | None, quick: bool, compact: bool, as_json: bool
) -> None:
    """Say what is wrong with a store, or with the folder that programs record into.

    Of a store: damage, what lies in quarantine, files that nobody counts, who writes to it, how
    far it is behind and what is still to be shipped; and where the bytes go, by day, level and
    column. Every file is read once. Nothing is changed but by --compact. Of a folder of sessions,
    by default the one here: whether it survives, and how full it is.

    Exits with 0 if all is well, with 1 if something is wrong.
    """
    if folder is None or not is_store(folder):
        told, problems = _sessions_told(Path(folder) if folder else base_folders()[0])
        if as_json:
            print_json({"sessions": told, "problems": problems})
        else:
            print_lines(line(safe(f"{name}  {value}")) for name, value in told.items())
            print_lines(line((safe(f"! {problem}"), "bold")) for problem in problems)
        context.exit(FAILED if problems else 0)
    try:
        from whence.store.doctor import examine
        from whence.store.folder import FolderStore
    except ImportError as error:
        raise ExportError(f"a store needs pyarrow: pip install 'whence[store]' ({error})") from None
    if compact:
        with (
            FolderStore(folder, write=True, words="whence doctor") as store,
            waiting("merging files"),
        ):
            store.compact()
    with waiting("looking at every file"):
        found = examine(folder, whole=not quick)
    if as_json:
        print_json(_plain(found))
    else:
        print_lines(_lines(found))
    context.exit(0 if found.is_sound else FAILED)


def _lines(found: Examination) -> Iterator[Text]:
    manifest = found.manifest
    size = sum(each.bytes for each in manifest.files)
    each = f", {size / manifest.rows:.1f} bytes each" if manifest.rows else ""
    yield line(
        safe(
            f"{found.path}: {events_text(manifest.rows)} in {count_text(len(manifest.files))} "
            f"files, {bytes_text(size)}{each}; generation {manifest.generation}"
        )
    )
    if found.owner is not None:
        yield line(safe(f"Owner   {found.owner}"))
    if found.lag_s is not None:
        yield line(f"Newest  event {duration_text(max(0, int(found.lag_s * 1e9)))} ago")
    for place, rows in found.unshipped.items():
        yield line(safe(f"Ships   {events_text(rows)} still to be shipped to {place}"))
    if dropped := manifest.dropped.get("rows"):
        yield line(f"Dropped {events_text(dropped)} by the limits of the store")
    for title, sizes in (("day", found.days), ("level", found.levels), ("column", found.columns)):
        yield from _sizes(title, sizes)
    yield from _sizes("other", found.others)
    for note in found.notes:
        yield line(safe(f"Note    {note}"))
    for problem in found.problems:
        advice = f" ({problem.advice})" if problem.advice else ""
        yield line((safe(f"! {problem.file}: {problem.what}{advice}"), "bold"))
    if found.is_sound:
        yield line("Nothing is wrong.")


def _sizes(title: str, sizes: Mapping[str, int]) -> Iterator[Text]:
    whole = sum(sizes.values())
    if not whole:
        return
    ordered = sorted(sizes.items(), key=lambda item: -item[1])
    if title in ("day", "level"):
        ordered = sorted(sizes.items(), reverse=title == "day")
    rows = [(safe(name), bytes_text(size), share_text(size, whole)) for name, size in ordered]
    yield line("")
    yield from table((title, "size", "share"), rows[:_SHOWN], left=(0,))
    if len(rows) > _SHOWN:
        yield line((f"{len(rows) - _SHOWN} more", "dim"))


def _plain(found: Examination) -> dict[str, Any]:
    manifest = found.manifest
    return {
        "store": str(found.path),
        "generation": manifest.generation,
        "events": manifest.rows,
        "files": len(manifest.files),
        "bytes": sum(each.bytes for each in manifest.files),
        "owner": None if found.owner is None else found.owner._asdict(),
        "newest_ago_s": found.lag_s,
        "unshipped": found.unshipped,
        "dropped": {k: v for k, v in manifest.dropped.items() if k != "clock"},
        "days": dict(found.days),
        "levels": dict(found.levels),
        "columns": dict(found.columns),
        "others": dict(found.others),
        "notes": found.notes,
        "problems": [
            {"file": each.file, "what": each.what, "advice": each.advice} for each in found.problems
        ],
    }


def _sessions_told(folder: Path) -> tuple[dict[str, str], list[str]]:
    """What is to be said of a folder that programs record into, and what is wrong with it."""
    problems: list[str] = []
    if not folder.exists():
        return {"Folder  ": str(folder), "": "nothing was recorded into it yet"}, problems
    kind, mounted = _mount(folder)
    space = os.statvfs(folder)
    free, whole = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
    told = {"Folder  ": f"{folder} on {kind} ({mounted})", "Free    ": bytes_text(free)}
    if kind in ("tmpfs", "ramfs"):
        told["Survives"] = "the end of processes, not that of this machine"
    if _in_container() and mounted == "/":
        problems.append(
            "this container's own file system holds it: it goes with the container; set "
            "WHENCE_DIR to a folder on a volume"
        )
    if whole and free < whole // 20:
        problems.append(f"only {bytes_text(free)} are free: new threads may record into memory")
    if not os.access(folder, os.W_OK):
        problems.append("it cannot be written to by this user")
    lists = [each for each in list_sessions() if Path(each.path or "/").parent == folder]
    told["Sessions"] = f"{sum(e.live for e in lists)} live, {sum(not e.live for e in lists)} ended"
    return told, problems


def _mount(folder: Path) -> tuple[str, str]:
    """The kind of file system that holds a folder, and where it is mounted."""
    real, best = os.path.realpath(folder), ("unknown", "/")
    try:
        lines = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return best
    for each in lines:
        _, place, kind, *_ = each.split()
        place = place.replace("\\040", " ")
        inside = real == place or real.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best[1]):
            best = kind, place
    return best


def _in_container() -> bool:
    return any(os.path.exists(name) for name in ("/.dockerenv", "/run/.containerenv")) or bool(
        os.environ.get("KUBERNETES_SERVICE_HOST")
    )
