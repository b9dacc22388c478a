"""Runs the store's benchmarks: what keeping and asking cost, beside other ways to keep events."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.figure import Target
from benchmarks.run import machine, pinned
from benchmarks.store.questions import (
    Latency,
    Questions,
    StoreQuestions,
    drawn_requests,
    drawn_times,
    exponent,
    taken,
)
from benchmarks.store.rows import Load
from whence.store.folder import FolderStore

__all__ = ["main"]

MILLION = 1_000_000
SIZES = (2, 20)
LARGE = 100
TARGETS = {
    "T21": Target(2, 1.3),
    "T22": Target(1.5, 2.5, more=True),
    "T22 longest": Target(1, 1),
    "T25 typed": Target(0.25, 0.15),
    "T25 rich": Target(36, 25),
    "T30 p50": Target(15, 5),
    "T30 p99": Target(40, 15),
    "T30 cold": Target(80, 40),
    "T31": Target(30, 10),
    "T32 1 day": Target(80, 40),
    "T32 10 days": Target(700, 300),
    "T33 p50": Target(5, 1),
    "T33 p99": Target(10, 3),
    "T34": Target(0, 0),
}
TARGET_SIZE = 20  # million events, of which the targets of T30 to T32 speak


def main() -> int:
    """`python -m benchmarks.store.run [--only T30 ...]`; 1 when a target is missed. R5.27"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="figures whose names begin so")
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES, help="millions of events")
    parser.add_argument("--large", action="store_true", help=f"{LARGE} million, too: 3 GB")
    parser.add_argument("--folder", type=Path, help="keeps the stores there, and uses them again")
    parser.add_argument("--peers", type=int, default=2, help="up to so many million in peers")
    options = parser.parse_args()
    sizes = [*options.sizes, *([LARGE] if options.large else [])]
    for line in machine():
        print(line)
    with contextlib.ExitStack() as kept:
        folder = options.folder or Path(kept.enter_context(_temporary()))
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["WHENCE_DIR"] = kept.enter_context(tempfile.TemporaryDirectory())
        report = Report(options.only)
        print(f"\n{'figure':12} {'size':>5} {'result':>10} {'must':>6} {'aim':>6}  verdict")
        _commits(report, folder)
        _questions(report, folder, sizes, options.peers)
        _lineage(report)
        _beside(report)
    return 1 if report.missed else 0


class Report:
    """Prints figures beside their targets."""

    def __init__(self, only: Sequence[str]) -> None:
        self._only = tuple(only)
        self.missed = False

    def wants(self, name: str) -> bool:
        """Whether figures that begin so were asked for."""
        return not self._only or any(name.startswith(o) or o.startswith(name) for o in self._only)

    def line(self, name: str, size: str, value: float, what: str, *, judged: bool = True) -> None:
        target = TARGETS[name]
        verdict = target.verdict(value) if judged else "-"
        self.missed |= verdict == "MISSED"
        load = os.getloadavg()[0]
        print(
            f"{name:12} {size:>5} {value:10.2f} {target.must:6} {target.aim:6}  {verdict:7}"
            f" {what}  (load {load:.1f})",
            flush=True,
        )

    def note(self, name: str, text: str) -> None:
        print(f"{name:12} {text}", flush=True)


def _commits(report: Report, folder: Path) -> None:
    from benchmarks.store.commit import commit_ratio, typed_bytes
    from benchmarks.store.fill import fill

    if report.wants("T21"):
        with pinned():
            ratio = commit_ratio(folder)
        void = "" if ratio.valid else ", VOID"
        what = (
            f"200,000 events of a ring -> segment and manifest on the disk / pyarrow's write_table"
            f" to memory; {ratio.low:.2f}-{ratio.high:.2f}, null {ratio.null:.3f}{void},"
            f" {ratio.subject_ns:.0f} / {ratio.baseline_ns:.0f} ns an event"
        )
        report.line("T21", "", ratio.median, what, judged=ratio.valid)
    if report.wants("T22") or report.wants("T25"):
        with pinned(), tempfile.TemporaryDirectory(dir=folder) as base:
            filled = fill(Path(base) / "store", Load(2 * MILLION))
        cpu = filled.rows / filled.cpu_s / MILLION
        what = f"million events/s on one core, each commit durable; {cpu:.2f} a second of its CPU"
        report.line("T22", "2 M", filled.rows_per_s / MILLION, what)
        report.line("T22 longest", "2 M", filled.longest_commit_s, "s, the longest commit")
        report.line("T25 rich", "2 M", filled.bytes_per_row, "bytes an event of three attributes")
        typed = typed_bytes(folder)
        what = f"of a slot's 64: {typed:.1f} bytes an event of three scalars"
        report.line("T25 typed", "", typed / 64, what)


def _questions(report: Report, folder: Path, sizes: Sequence[int], peers: int) -> None:
    if not any(map(report.wants, ("T30", "T31", "T32"))):
        return
    kept: dict[str, dict[int, float]] = {}
    for size in sizes:
        load = Load(size * MILLION)
        path = _filled(folder, load)
        store = StoreQuestions(path)
        judged = size == TARGET_SIZE
        for name, what, result in _asked(report, store, path, load):
            if name == "T30":
                told = f"ms, {what}; CPU {result.cpu:.1f}, null {result.null:.2f}"
                report.line("T30 p50", f"{size} M", result.p50, told, judged=judged)
                report.line("T30 p99", f"{size} M", result.p99, f"ms, {what}", judged=judged)
            else:
                told = f"ms, {what}; p99 {result.p99:.1f}, CPU {result.cpu:.0f}"
                told += f", null {result.null:.2f}"
                report.line(name, f"{size} M", result.p50, told, judged=judged)
            kept.setdefault(name, {})[size] = result.p50
        store.close()
        if report.wants("T30"):
            costs = sorted(_cold(path))
            middle = costs[len(costs) // 2]
            what = f"ms, {len(costs)} new processes, files evicted; slowest {costs[-1]:.0f}"
            report.line("T30 cold", f"{size} M", middle, what, judged=judged)
            kept.setdefault("T30 cold", {})[size] = middle
        _peers(report, path, load, size, peers)
    for name, found in kept.items():
        if len(found) > 1:
            least, most = min(found), max(found)
            grows = exponent(found[least], found[most], most / least)
            report.note(
                name, f"grows with the power {grows:.2f} of the size, {least} M to {most} M"
            )


def _asked(
    report: Report, store: Questions, path: Path, load: Load, fewer: int = 1
) -> Iterator[tuple[str, str, Latency]]:
    if report.wants("T30"):
        ids = drawn_requests(path, 210)
        yield "T30", "a request's chain", taken(lambda i: store.chain(ids[i]), 200 // fewer, 10)
    if report.wants("T31"):
        hours = drawn_times(load, 1, 63)
        yield "T31", "a page of 100", taken(lambda i: store.page(hours[i]), 60 // fewer)
    for days, times in ((1, 12), (10, 3)):
        if report.wants("T32"):
            begins = drawn_times(load, days, times + 3)
            ask: Callable[[int], int] = lambda i: store.groups(begins[i], days)  # noqa: B023, E731
            name = f"T32 {days} day{'s' if days > 1 else ''}"
            yield name, "by hour, type, status", taken(ask, max(2, times // fewer), 1)


def _cold(path: Path, times: int = 9) -> Iterator[float]:
    from benchmarks.store.cold import cold_chain

    for request in drawn_requests(path, times, seed=9):
        yield cold_chain(path, request)


def _peers(report: Report, path: Path, load: Load, size: int, most: int) -> None:
    from benchmarks.store.peers import DuckTable, Missing, Postgres, Sqlite

    if size > most:
        report.note("peers", f"SKIPPED at {size} M: --peers {size} asks them, too")
        return
    files = FolderStore(path).snapshot().files
    for peer in (DuckTable, Sqlite, Postgres):
        with tempfile.TemporaryDirectory(dir=path.parent) as base:
            try:
                made = peer(Path(base), files)
            except Missing as why:
                report.note("peers", f"SKIPPED {peer.name}: {why}")
                continue
            try:
                told = []
                if isinstance(made, Postgres):
                    found = _asked_postgres(made, path, load)
                else:
                    found = _asked(report, made, path, load, fewer=4)
                for name, _, result in found:
                    told.append(f"{name} {result.p50:.1f} (p99 {result.p99:.1f})")
                report.note("beside", f"{peer.name}, {size} M, ms: {'; '.join(told)}")
            finally:
                made.close()


def _asked_postgres(made: object, path: Path, load: Load) -> Iterator[tuple[str, str, Latency]]:
    from benchmarks.store.peers import Postgres

    assert isinstance(made, Postgres)
    texts = {
        "T30": [made.chain(request) for request in drawn_requests(path, 60)],
        "T31": [made.page(since) for since in drawn_times(load, 1, 18)],
        "T32 1 day": [made.groups(since, 1) for since in drawn_times(load, 1, 5)],
        "T32 10 days": [made.groups(since, 10) for since in drawn_times(load, 10, 3)],
    }
    for name, asked in texts.items():
        costs = iter(made.milliseconds(asked)[1:])
        values = sorted(costs)
        last = values[max(0, round(0.99 * len(values)) - 1)]
        yield name, "", Latency(values[len(values) // 2], last, 1.0, 0.0)


def _lineage(report: Report) -> None:
    from benchmarks.store.lineage import DEPTH, LINKS, walks

    if report.wants("T33"):
        with tempfile.TemporaryDirectory() as base:
            found, ids = walks(Path(base))
        what = (
            f"ms, {DEPTH} steps up, {ids:.0f} ids, {LINKS // MILLION} M links; CPU {found.cpu:.1f}"
        )
        report.line("T33 p50", "", found.p50, what)
        report.line("T33 p99", "", found.p99, what)


def _beside(report: Report) -> None:
    from benchmarks.store.beside import READERS, asked_beside_writes

    if report.wants("T34"):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as base:
            found = asked_beside_writes(Path(base) / "store")
        what = (
            f"errors of {found.questions} questions by {READERS} processes beside"
            f" {found.written_per_s:,.0f} events/s {found.first_error}"
        )
        report.line("T34", "", found.errors, what)
    if report.wants("T35"):
        report.note("T35", "of a cluster, by itself: python -m benchmarks.store.cluster")


def _filled(folder: Path, load: Load) -> Path:
    """The store of that load: the one that is there, or a new one."""
    from benchmarks.store.fill import fill

    path = folder / f"store-{load.events}"
    if path.exists() and FolderStore(path).snapshot().manifest.rows == load.events:
        return path
    fill(path, load)
    return path


def _temporary() -> contextlib.AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(dir=os.environ.get("WHENCE_BENCH_DIR"))


if __name__ == "__main__":
    sys.exit(main())
