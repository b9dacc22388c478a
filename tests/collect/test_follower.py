"""Following sessions: those alive, those that appear, those that die, those that are damaged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.apps import AppRun
from whence.collect.events import to_events
from whence.collect.follower import Follower, Step
from whence.export.own_metrics import DrainTimes, TimedSource
from whence.ring.folders import session_folders

RunApp = Callable[..., AppRun]

RECORDS = """
    import sys, whence
    tick = whence.kind("tick", component="X", n=int)
    tick(0)
    print("ready", flush=True)
    for line in sys.stdin:
        first, last = map(int, line.split())
        for n in range(first, last):
            tick(n)
        print("done", flush=True)
"""


class Producer:
    """A process that records numbers when it is told to."""

    def __init__(self, whence_dir: Path, source: str = RECORDS) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source)],
            env={**os.environ, "WHENCE_DIR": str(whence_dir)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answer()

    def record(self, first: int, last: int) -> None:
        """Records and waits until it is done."""
        stdin: IO[str] | None = self.process.stdin
        assert stdin is not None
        stdin.write(f"{first} {last}\n")
        stdin.flush()
        self.answer()

    def answer(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, number: int = signal.SIGKILL) -> None:
        """Ends it."""
        self.process.send_signal(number)
        self.process.wait(60)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def producers(whence_dir: Path) -> Iterator[Callable[[], Producer]]:
    """Starts producers that end with the test."""
    made: list[Producer] = []

    def make() -> Producer:
        made.append(Producer(whence_dir))
        return made[-1]

    yield make
    for producer in made:
        if producer.process.poll() is None:
            producer.end()


def follow(base: Path, clock: Callable[[], float] | None = None) -> Follower:
    """A follower of all sessions in a folder, which looks for new ones at every step."""
    times = iter(range(10**9))
    return Follower(lambda: session_folders(base), clock=clock or (lambda: float(next(times))))


def numbers(step: Step) -> list[int]:
    """The field n of the events of a step."""
    return [int(row[9]["n"]) for row in step.drained.batch.rows()]


def test_sessions_that_live_appear_and_die_are_drained_to_the_end(
    whence_dir: Path, producers: Callable[[], Producer]
) -> None:
    """Each event comes once, whichever way its process goes. R1.39 R5.9 R5.10"""
    first = producers()
    follower = follow(whence_dir)
    assert numbers(follower.step(1000)) == [0]
    first.record(1, 50)
    second = producers()
    step = follower.step(1000)
    assert sorted(numbers(step)) == [0, *range(1, 50)]
    assert set(step.drained.sessions) == {info.name for info in follower.sessions}
    assert follower.take_ended() == []
    first.record(50, 60)
    first.end()
    second.record(1, 3)
    step = follower.step(1000)
    assert sorted(numbers(step)) == [1, 2, *range(50, 60)]
    (ended,) = follower.take_ended()
    assert (ended.info.pid, ended.ends, ended.whole) == (first.process.pid, {0: 60}, True)
    assert [info.pid for info in follower.sessions] == [second.process.pid]
    assert numbers(follower.step(1000)) == []


def test_events_of_several_sessions_come_in_order_of_time(
    whence_dir: Path, producers: Callable[[], Producer]
) -> None:
    """Merged by time over sessions and rings. R1.39"""
    made = [producers() for _ in range(3)]
    follower = follow(whence_dir)
    follower.step(1000)
    for turn in range(4):
        for at, producer in enumerate(made):
            producer.record(10 * turn + at, 10 * turn + at + 1)
    step = follower.step(1000)
    assert numbers(step) == [10 * turn + at for turn in range(4) for at in range(3)]
    times = [row[3] for row in step.drained.batch.rows()]
    assert times == sorted(times)


def test_a_step_is_bounded_and_the_next_goes_on(
    whence_dir: Path, producers: Callable[[], Producer]
) -> None:
    """A flood costs a bounded batch; what was left comes next, from every session in turn. R1.39"""
    made = [producers(), producers()]
    for producer in made:
        producer.record(1, 500)
    follower = follow(whence_dir)
    found: list[int] = []
    steps = 0
    while True:
        step = follower.step(64)
        assert len(step.drained) <= 64
        assert sum(b - a for a, b in step.spans.values()) == len(step.drained)
        found += numbers(step)
        steps += 1
        if not step.more:
            break
    assert sorted(found) == sorted(2 * list(range(500)))
    assert steps >= 16


def test_what_was_overwritten_is_what_the_tickets_count_beyond_the_events(run_app: RunApp) -> None:
    """Loss is exact: the span of tickets less the events. R1.39"""
    run = run_app(
        """
        import whence
        whence.start(ring_slots=100)
        tick = whence.kind("tick", component="X", n=int)
        for n in range(1234):
            tick(n)
        """
    )
    follower = follow(run.whence_dir)
    step = follower.step(10_000)
    assert list(step.spans.values()) == [(0, 1234)]
    assert numbers(step) == list(range(1134, 1234))


def test_rings_that_came_and_went_unread_count_as_lost(run_app: RunApp) -> None:
    """Ended collectors' files are bounded; what went with them is in the spans, once. R1.39"""
    run = run_app(
        """
        import whence
        for n in range(150):
            collector = whence.TraceCollector(1000)
            for _ in range(10):
                collector.record_now("tick", "X", attributes={"n": n})
            del collector
        """
    )
    follower = follow(run.whence_dir)
    step = follower.step(10_000)
    tickets = sum(after - before for before, after in step.spans.values())
    assert tickets == 1500
    assert 0 < len(step.drained) < 1500
    (ended,) = follower.take_ended()
    assert ended.whole
    ((uuid, _), *_) = step.spans
    again = Follower(lambda: session_folders(run.whence_dir), {uuid: ended.ends})
    assert again.step(10_000).spans == {}


def test_a_follower_goes_on_where_another_left_off(
    whence_dir: Path, producers: Callable[[], Producer]
) -> None:
    """Positions are tickets by session and ring; nonsense among them is not believed. R1.39"""
    producer = producers()
    producer.record(1, 10)
    follower = follow(whence_dir)
    step = follower.step(1000)
    ((uuid, ring),) = step.spans
    producer.record(10, 12)
    times = iter(range(1000))
    again = Follower(
        lambda: session_folders(whence_dir),
        {uuid: {ring: 10}, "another": {0: 5}},
        clock=lambda: float(next(times)),
    )
    assert numbers(again.step(1000)) == [10, 11]
    beyond = Follower(lambda: session_folders(whence_dir), {uuid: {ring: 10**9}})
    assert numbers(beyond.step(1000)) == list(range(12))


def test_a_folder_that_vanishes_ends_with_its_process(
    whence_dir: Path, producers: Callable[[], Producer]
) -> None:
    """What is mapped stays readable while the process lives; then the session has ended. R5.10"""
    producer = producers()
    follower = follow(whence_dir)
    follower.step(1000)
    (folder,) = session_folders(whence_dir)
    shutil.rmtree(folder)
    producer.record(1, 5)
    assert numbers(follower.step(1000)) == [1, 2, 3, 4]
    assert follower.take_ended() == []
    producer.record(5, 6)
    producer.end()
    assert numbers(follower.step(1000)) == [5]
    (ended,) = follower.take_ended()
    assert not ended.whole
    follower.step(1000)
    assert follower.take_removed() == [ended.info.uuid]


def test_a_ring_that_is_truncated_is_left_out_and_told_of(
    whence_dir: Path, producers: Callable[[], Producer]
) -> None:
    """No signal ends the collector; the other sessions go on. R5.10"""
    broken, sound = producers(), producers()
    follower = follow(whence_dir)
    follower.step(1000)
    (folder,) = [f for f in session_folders(whence_dir) if str(broken.process.pid) in f.name]
    broken.record(1, 200)
    os.truncate(folder / "ring-00000", 20_000)
    sound.record(1000, 1004)
    found = numbers(follower.step(1000))
    assert [n for n in found if n >= 1000] == [1000, 1001, 1002, 1003]
    assert len(found) < 200
    broken.end()
    follower.step(1000)
    (ended,) = follower.take_ended()
    assert not ended.whole
    (damage,) = follower.damage
    assert damage.file == "ring-00000"


def test_a_stopped_producer_holds_up_nobody(
    whence_dir: Path, producers: Callable[[], Producer]
) -> None:
    """SIGSTOP leaves the session live; the others are drained. R1.39"""
    stopped, other = producers(), producers()
    follower = follow(whence_dir)
    follower.step(1000)
    stopped.process.send_signal(signal.SIGSTOP)
    other.record(1, 3)
    assert numbers(follower.step(1000)) == [1, 2]
    assert follower.take_ended() == []
    stopped.process.send_signal(signal.SIGCONT)
    stopped.record(7, 8)
    assert numbers(follower.step(1000)) == [7]


def test_a_fork_while_it_is_read_makes_another_session(whence_dir: Path, tmp_path: Path) -> None:
    """Parent and child record into sessions of their own; each event comes once. R1.39"""
    producer = Producer(
        whence_dir,
        """
        import os, sys, whence
        tick = whence.kind("tick", component="X", n=int)
        tick(0)
        print("ready", flush=True)
        for line in sys.stdin:
            first, last = map(int, line.split())
            if os.fork() == 0:
                for n in range(first, last):
                    tick(n)
                os._exit(0)
            for n in range(first, last):
                tick(-n)
            os.wait()
            print("done", flush=True)
        """,
    )
    try:
        follower = follow(whence_dir)
        found = numbers(follower.step(1000))
        producer.record(1, 20)
        found += numbers(follower.step(1000))
        producer.record(20, 30)
        found += numbers(follower.step(1000))
    finally:
        producer.end()
    assert sorted(found) == list(range(-29, 30))


def test_a_thousand_dead_sessions_are_read_one_after_the_other(run_app: RunApp) -> None:
    """Their rings are not all held at once: files and mappings stay few. R5.10 R1.39"""
    run = run_app(
        """
        import os, whence
        whence.start(ring_slots=8, text_bytes=4096)
        tick = whence.kind("tick", component="X", n=int)
        for n in range(1000):
            if os.fork() == 0:
                tick(n)
                os._exit(0)
            os.wait()
        """
    )
    follower = follow(run.whence_dir)
    before = len(os.listdir("/proc/self/fd"))
    found: list[int] = []
    step = follower.step(400)
    while step.spans:
        found += numbers(step)
        assert len(os.listdir("/proc/self/fd")) <= before + 4
        step = follower.step(400)
    assert sorted(found) == list(range(1000))
    assert len(follower.take_ended()) == 1001
    assert follower.damage == []


def test_texts_that_were_overwritten_are_counted(run_app: RunApp) -> None:
    """As often as a row says that its text is lost, and for the metrics of a collector. R5.25"""
    run = run_app("""
        import whence
        whence.start(ring_slots=1000, text_bytes=1 << 16)
        say = whence.kind("say", component="x", text=str)
        for n in range(900):
            say(str(n) * 200)
    """)
    drains = DrainTimes()
    source = TimedSource(Follower(lambda: run.session_dirs), drains)
    lost = 0
    while (step := source.step(100)).spans:
        lost += sum(event.text_lost for event in to_events(step.drained.batch.rows()))
    assert drains.text_lost == lost > 0
