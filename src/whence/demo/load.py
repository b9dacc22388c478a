"""The load: scanners that send pages, a folder that sends files, and bursts beyond what fits."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import whence
from whence.demo.file_types import FileTypeModel
from whence.demo.jobs import Ended, ModelProfile, Request, RequestNumbers, Task
from whence.demo.lineage import PageLineage
from whence.demo.pages import MOST_LINES, Page
from whence.demo.scheduler import Scheduler
from whence.demo.tasks import FindLines, NameType, PageReading
from whence.demo.worker import need_bytes

__all__ = ["Arrival", "Inputs", "Load", "Rhythm", "plan_load"]

_NS = 1_000_000_000
_LINES_PER_PAGE = 3.5  # drawn: two to five
_PAGE_SHARE = 0.45  # of its two workers, what one scanner asks for
_LEAST_FILE_PERIOD_NS = 50_000_000
_BURST_PAGES = 3
_MOST_BURST_FILES = 200
_MOST_EXTRA_BURSTS = 6


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often pages and files come and how soon they are wanted, in nanoseconds."""

    scanners: int
    page_period_ns: int
    page_deadline_ns: int
    file_period_ns: int
    file_deadline_ns: int
    burst_file_gap_ns: int
    burst_files: int

    @classmethod
    def for_costs(cls, profiles: Mapping[str, ModelProfile], workers: int) -> Rhythm:
        """Periods that one scanner and one folder can keep, deadlines that leave room for waiting.

        There is a scanner for every two workers, and it asks for less than half of them. A page may
        take as long as its steps one after the other; a file may wait for two lines of text. In a
        burst files come faster than all workers can name them, for as long as a page may take: the
        folder breaks its promise of a period, which admission control takes on trust. All follows
        from measured costs, so the load is as heavy on a fast machine as on a slow one.
        """
        cost = {model: profile.wcet_ns for model, profile in profiles.items()}
        line_ns = cost["ocr_cls"] + cost["ocr_rec"]
        page_ns = cost["ocr_det"] + round(_LINES_PER_PAGE * line_ns)
        page_deadline_ns = cost["ocr_det"] + MOST_LINES * line_ns
        gap_ns = profiles["magika"].mean_ns * 4 // (5 * workers)
        return cls(
            scanners=max(1, workers // 2),
            page_period_ns=round(page_ns / (_PAGE_SHARE * min(workers, 2))),
            page_deadline_ns=page_deadline_ns,
            file_period_ns=max(_LEAST_FILE_PERIOD_NS, cost["magika"] * 10 // workers),
            file_deadline_ns=2 * cost["magika"] + 2 * cost["ocr_rec"],
            burst_file_gap_ns=gap_ns,
            burst_files=min(_MOST_BURST_FILES, page_deadline_ns // gap_ns),
        )


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """A page or a file that comes `at_ns` after the load began."""

    at_ns: int
    stream: str
    what: str  # "page" or "file"


def plan_load(rhythm: Rhythm, seconds: float, most: int, rng: random.Random) -> list[Arrival]:
    """The first `most` arrivals of `seconds` of load, in order of time.

    Scanners and a folder keep their periods, each arrival up to a tenth of it late. After one and
    two thirds of the time there is a burst: the first scanner sends three pages at once, one more
    begins to scan, and the folder is filled.
    """
    end_ns = round(seconds * _NS)
    arrivals = [*_periodic("folder", "file", rhythm.file_period_ns, 0, end_ns, rng)]
    for number in range(rhythm.scanners):
        start_ns = number * rhythm.page_period_ns // rhythm.scanners
        name = f"scanner-{number + 1}"
        arrivals += _periodic(name, "page", rhythm.page_period_ns, start_ns, end_ns, rng)
    for third in (1, 2):
        at_ns = end_ns * third // 3
        arrivals += _burst(rhythm, at_ns)
        arrivals += _periodic(
            f"scanner-{rhythm.scanners + 1}",
            "page",
            rhythm.page_period_ns,
            at_ns,
            min(end_ns, at_ns + 3 * rhythm.page_period_ns),
            rng,
        )
    return sorted(arrivals)[:most]


def _burst(rhythm: Rhythm, at_ns: int, force: int = 1) -> list[Arrival]:
    """Pages within a few milliseconds, and a flood of files beside them; `force` multiplies both.

    A flood of more force is faster, not longer.
    """
    gap_ns = rhythm.burst_file_gap_ns // force
    return [
        *(
            Arrival(at_ns + n * 1_000_000, "scanner-1", "page")
            for n in range(_BURST_PAGES + force - 1)
        ),
        *(Arrival(at_ns + n * gap_ns, "folder", "file") for n in range(rhythm.burst_files * force)),
    ]


def _periodic(
    stream: str, what: str, period_ns: int, start_ns: int, end_ns: int, rng: random.Random
) -> Iterator[Arrival]:
    for at_ns in range(start_ns, end_ns, period_ns):
        yield Arrival(at_ns + rng.randrange(period_ns // 10 + 1), stream, what)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What requests are made of: real files, drawn pages, and what the models know."""

    pages: Sequence[Page]
    files: Sequence[Path]
    knowledge: FileTypeModel
    characters: Sequence[str]


@dataclass(slots=True)
class Load:
    """Plays arrivals against a scheduler in real time; one thread at a time may use it."""

    inputs: Inputs
    rhythm: Rhythm
    scheduler: Scheduler
    numbers: RequestNumbers
    clock: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], None] = time.sleep
    readings: list[PageReading] = field(default_factory=list)
    files_named: list[NameType] = field(default_factory=list)
    _pages: Iterator[Page] = field(init=False)
    _files: Iterator[Path] = field(init=False)
    _line: whence.Lineage = field(init=False)

    def __post_init__(self) -> None:
        self._pages = itertools.cycle(self.inputs.pages)
        self._files = itertools.cycle(self.inputs.files)
        # the only node of this deployment; two demos at once are told apart well enough
        self._line = whence.Lineage(node_id=os.getpid() % 1024)

    def play(self, arrivals: Sequence[Arrival]) -> None:
        """Submit each arrival at its time."""
        began_ns = self.clock()
        for arrival in arrivals:
            wait_ns = began_ns + arrival.at_ns - self.clock()
            if wait_ns > 0:
                self.sleep(wait_ns / _NS)
            self._submit(arrival)

    def burst_until_seen(self, wanted: Sequence[Ended], timeout_seconds: float) -> int:
        """Send bursts, each stronger, until requests have ended in all of these ways.

        Returns how many were sent; it gives up after six, or when the workers take longer than
        the timeout.
        """
        for number in range(_MOST_EXTRA_BURSTS):
            if not self.scheduler.wait_until_idle(timeout_seconds):
                return number
            if all(self.scheduler.ended[ended] for ended in wanted):
                return number
            self.play(_burst(self.rhythm, 0, force=number + 1))
        self.scheduler.wait_until_idle(timeout_seconds)
        return _MOST_EXTRA_BURSTS

    def _submit(self, arrival: Arrival) -> None:
        is_page = arrival.what == "page"
        rhythm = self.rhythm
        now_ns = self.clock()
        task = self._read_page() if is_page else self._name_type()
        self.scheduler.submit(
            Request(
                id=self.numbers.next(),
                task=task,
                stream=arrival.stream,
                period_ns=rhythm.page_period_ns if is_page else rhythm.file_period_ns,
                released_ns=now_ns,
                deadline_ns=now_ns
                + (rhythm.page_deadline_ns if is_page else rhythm.file_deadline_ns),
                need_bytes=need_bytes(task),
                lineage_id=_lineage_of(task),
            )
        )

    def _read_page(self) -> Task:
        lineage = PageLineage(self._line, len(self.readings))
        reading = PageReading(
            next(self._pages), self.inputs.characters, self.rhythm.page_period_ns, lineage
        )
        self.readings.append(reading)
        return FindLines(reading)

    def _name_type(self) -> Task:
        task = NameType(next(self._files), self.inputs.knowledge)
        self.files_named.append(task)
        return task


def _lineage_of(task: Task) -> int:
    """The id of the page that the task finds lines on."""
    lineage = task.reading.lineage if isinstance(task, FindLines) else None
    return lineage.page if lineage is not None else 0
