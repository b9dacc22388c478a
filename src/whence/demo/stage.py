"""Sets the stage: loads and measures the models, plays the load, waits for the last request."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from whence.demo import pages as drawn
from whence.demo.engines import Engines
from whence.demo.file_types import FileTypeModel
from whence.demo.files import find_files
from whence.demo.jobs import Ended, ModelProfile, RequestNumbers, Task
from whence.demo.load import Inputs, Load, Rhythm, plan_load
from whence.demo.models import ModelFile, read_metadata
from whence.demo.pool import MemoryPool
from whence.demo.profile import Allowance, measure
from whence.demo.scheduler import Scheduler
from whence.demo.tasks import FindLines, NameType, PageReading, ReadLine, TurnLine
from whence.demo.text_lines import alphabet
from whence.demo.worker import Runner, Worker, execute
from whence.model.errors import WhenceError

__all__ = ["Played", "Stage", "WorkersStuck"]

_PAGES = 24
_TORN_PAGE = 5  # its file is cut in the middle, so that one fault is real
_PROFILE_RUNS = 4
_PATIENCE_SECONDS = 30.0


class WorkersStuck(WhenceError):
    """The workers did not finish what was admitted in a time that is ample for it."""


@dataclass(frozen=True, slots=True)
class Played:
    """What the runtime itself can say of the run; everything else is read from the recording."""

    profiles: Mapping[str, ModelProfile]
    ended: Mapping[Ended, int]
    readings: Sequence[PageReading]
    files_named: int
    extra_bursts: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Stage:
    """How long and how hard to play. `folder` holds the pages; `say` hears what happens."""

    folder: Path
    models: Mapping[str, ModelFile]
    workers: int
    seconds: float
    requests: int
    seed: int
    say: Callable[[str], None]

    def play(self) -> Played:
        """Run everything once. Raises WorkersStuck rather than wait for ever."""
        rng = random.Random(self.seed)
        self.say(f"drawing {_PAGES} pages, looking for files, loading {len(self.models)} models")
        inputs = self._inputs(rng)
        pool = MemoryPool()
        with Engines(self.models) as engines:
            profiles = self._measure(inputs, engines, pool)
            self.say("worst times: " + ", ".join(map(_cost, profiles.values())))
            return self._play_load(inputs, engines, pool, profiles, rng)

    def _inputs(self, rng: random.Random) -> Inputs:
        pages = drawn.write_pages(self.folder, _PAGES, rng)
        drawn.tear(pages[_TORN_PAGE])
        return Inputs(
            pages=pages,
            files=find_files(rng),
            knowledge=FileTypeModel(self.models["magika"].path),
            characters=alphabet(read_metadata(self.models["ocr_rec"], "character")),
        )

    def _measure(self, inputs: Inputs, runner: Runner, pool: MemoryPool) -> dict[str, ModelProfile]:
        picture = drawn.draw_page([drawn.LONGEST_LINE] * drawn.MOST_LINES)
        path = self.folder / "longest.png"
        picture.save(path)
        page = drawn.Page(path, picture.width, picture.height, ())

        def reading() -> PageReading:
            return PageReading(page, inputs.characters, period_ns=1)

        line = _first_line(FindLines(reading()), runner, pool)
        tasks: dict[str, Callable[[], Task]] = {
            "magika": lambda: NameType(Path(random.__file__), inputs.knowledge),
            "ocr_det": lambda: FindLines(reading()),
            "ocr_cls": lambda: TurnLine(reading(), 0, line),
            "ocr_rec": lambda: ReadLine(reading(), 0, line),
        }
        allowances = {
            "magika": Allowance(streams=self.workers, largest_requests=self.workers),
            # Room for one page per two workers, or two short ones: pages wait for memory, too.
            "ocr_det": Allowance(
                streams=self.workers, largest_requests=max(1.5, self.workers * 0.75)
            ),
            "ocr_cls": Allowance(streams=1, largest_requests=1),
            "ocr_rec": Allowance(streams=self.workers, largest_requests=self.workers),
        }
        return measure(tasks, allowances, runner, pool, self.workers, _PROFILE_RUNS)

    def _play_load(
        self,
        inputs: Inputs,
        engines: Engines,
        pool: MemoryPool,
        profiles: Mapping[str, ModelProfile],
        rng: random.Random,
    ) -> Played:
        scheduler = Scheduler(profiles, self.workers)
        numbers = RequestNumbers()
        workers = [
            Worker(number, scheduler, engines, pool, numbers, lambda model: profiles[model].wcet_ns)
            for number in range(1, self.workers + 1)
        ]
        for worker in workers:
            worker.start()
        rhythm = Rhythm.for_costs(profiles, self.workers)
        load = Load(inputs, rhythm, scheduler, numbers)
        arrivals = plan_load(rhythm, self.seconds, self.requests, rng)
        self.say(f"playing {len(arrivals)} arrivals in {self.seconds:g} s on {_workers(workers)}")
        began_ns = time.monotonic_ns()
        load.play(arrivals)
        bursts = load.burst_until_seen((Ended.Rejected, Ended.Late), _PATIENCE_SECONDS)
        duration_ns = time.monotonic_ns() - began_ns
        scheduler.close()
        for worker in workers:
            worker.join(_PATIENCE_SECONDS)
            if worker.is_alive():
                raise WorkersStuck(f"{worker.name} is still busy after {_PATIENCE_SECONDS:g} s")
        return Played(
            profiles=profiles,
            ended=Counter(scheduler.ended),
            readings=tuple(load.readings),
            files_named=sum(task.verdict is not None for task in load.files_named),
            extra_bursts=bursts,
            duration_ns=duration_ns,
        )


def _first_line(find: FindLines, runner: Runner, pool: MemoryPool) -> Image.Image:
    """The first line of a page as the runtime itself would cut it out."""
    first = execute(find, runner, pool, "profile", 0, 0)[0].task
    assert isinstance(first, TurnLine)
    return first.picture


def _cost(profile: ModelProfile) -> str:
    return f"{profile.model} {profile.wcet_ns / 1e6:.1f} ms"


def _workers(workers: Sequence[Worker]) -> str:
    return "1 worker" if len(workers) == 1 else f"{len(workers)} workers"
