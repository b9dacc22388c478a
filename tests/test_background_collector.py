"""A collector in the producer's own process: delivers while it runs, and never disturbs it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import whence
from tests.apps import AppRun
from whence.model.errors import ExportError, UnknownSink

RunApp = Callable[..., AppRun]

tick = whence.kind("background_tick", component="Background", n=int)


def numbers(path: Path, event_type: str = "background_tick") -> list[int]:
    """The field n of a type's events in an NDJSON file, in order of the lines."""
    # The last line may be being written; other tests' texts hold other ends of lines.
    *lines, _ = path.read_text().split("\n")
    events = [json.loads(line) for line in lines]
    return [int(e["attributes"]["n"]) for e in events if e["event_type"] == event_type]


def test_what_a_program_records_is_delivered_while_it_runs(tmp_path: Path) -> None:
    """All threads' events, those of rings that appear later among them; the sum closes. R1.39"""
    out = tmp_path / "out.ndjson"

    def record(first: int) -> None:
        for n in range(first, first + 100):
            tick(n)

    with whence.BackgroundCollector(to=[str(out)], interval_ms=10_000) as collector:
        assert collector.flush()
        threads = [threading.Thread(target=record, args=(1000 * n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert collector.flush()
        assert sorted(n for n in numbers(out) if n >= 0) == sorted(
            n for first in range(8) for n in range(1000 * first, 1000 * first + 100)
        )
    (ledger,) = collector.ledger().values()
    assert ledger.closes
    assert ledger.delivered == out.read_text().count("\n")


def test_the_end_drains_what_is_left(tmp_path: Path) -> None:
    """Leaving the `with` does not wait for the interval, and delivers all. R1.40"""
    out = tmp_path / "out.ndjson"
    collector = whence.BackgroundCollector(
        to=[str(out)], interval_ms=10**9, event_types=["background_tick"]
    )
    with collector:
        assert collector.flush()
        for n in range(5000, 5050):
            tick(n)
    assert numbers(out)[-50:] == list(range(5000, 5050))
    assert next(iter(collector.ledger().values())).queued == 0
    collector.stop()


def test_a_program_that_ends_delivers_by_itself(run_app: RunApp, tmp_path: Path) -> None:
    """No stop(), an exception, or a whole program without `with`: the last drain comes. R1.40"""
    out = tmp_path / "out.ndjson"
    ended = run_app(
        """
        import os, whence
        tick = whence.kind("background_tick", component="X", n=int)
        whence.BackgroundCollector(to=[os.environ["OUT"]], interval_ms=10**9).start()
        for n in range(300):
            tick(n)
        raise SystemError("the program fails")
        """,
        env={"OUT": str(out)},
        fails=True,
    )
    assert "the program fails" in ended.stderr
    assert numbers(out) == list(range(300))


def test_a_forked_child_has_no_collector(run_app: RunApp, tmp_path: Path) -> None:
    """The child goes on, ends without waiting, holds no file; it may start one. R1.40"""
    out, other = tmp_path / "out.ndjson", tmp_path / "child.ndjson"
    run_app(
        """
        import os, sys, whence
        tick = whence.kind("background_tick", component="X", n=int)
        tick(0)
        collector = whence.BackgroundCollector(to=[os.environ["OUT"]], interval_ms=5).start()
        pid = os.fork()
        if pid == 0:
            tick(100)
            assert collector.ledger() == {} and collector.trouble == "" and not collector.flush()
            held = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
            assert os.environ["OUT"] not in held
            with whence.BackgroundCollector(to=[os.environ["CHILD"]]):
                tick(101)
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        tick(1)
        collector.stop()
        """,
        env={"OUT": str(out), "CHILD": str(other)},
    )
    assert numbers(out) == [0, 1]
    assert numbers(other) == [100, 101]


def test_a_sink_that_fails_does_not_disturb_the_program(tmp_path: Path) -> None:
    """A folder that vanishes is told of, not raised; the events expire at the end. R1.39 R1.40"""
    folder = tmp_path / "there"
    folder.mkdir()
    collector = whence.BackgroundCollector(
        to=[str(folder / "out.ndjson")],
        interval_ms=10,
        event_types=["background_tick"],
        grace_s=0.2,
    )
    with collector:
        assert collector.flush()
        (folder / "out.ndjson").unlink()
        folder.rmdir()
        tick(1)
        assert not collector.flush(timeout_s=0.2)
        assert "there is no folder" in collector.trouble
        assert collector.trouble.count("out.ndjson") == 1
    (ledger,) = collector.ledger().values()
    assert ledger.expired >= 1
    assert ledger.closes


def test_it_obeys_the_exports_configured_at_the_start(run_app: RunApp) -> None:
    """Batch size and interval come from the session unless they are given. R1.37 R1.39"""
    run_app(
        """
        import os, whence
        os.chdir(os.path.dirname(os.environ["WHENCE_DIR"]))
        whence.start(config=whence.TracingConfig(export_batch_size=7, export_interval_ms=30_000))
        collector = whence.BackgroundCollector()
        (delivery,) = collector._pipeline.deliveries
        assert delivery.sink.most_events == 7
        assert delivery.sink.name.endswith(f"/whence-{os.getpid()}.json")
        assert collector._interval_s() == 30.0
        assert whence.BackgroundCollector(to=["b.json"], interval_ms=50)._interval_s() == 0.05
        """
    )


@pytest.mark.parametrize("wrong", [{"interval_ms": 0}, {"batch_size": -1}])
def test_settings_out_of_range_are_errors(tmp_path: Path, wrong: dict[str, int]) -> None:
    """They are told at once, before anything runs. R1.37"""
    with pytest.raises(ValueError, match="must be positive"):
        whence.BackgroundCollector(to=[str(tmp_path / "o.ndjson")], **wrong)


def test_a_sink_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    """Before anything runs, and without leaving other sinks open."""
    out = str(tmp_path / "out.ndjson")
    with pytest.raises(UnknownSink):
        whence.BackgroundCollector(to=[out, "carrier+pigeon://roof"])
    with pytest.raises(ExportError, match="another collector"):
        whence.BackgroundCollector(to=[out, out])
    with pytest.raises(TypeError):
        whence.BackgroundCollector(to=out)
    whence.BackgroundCollector(to=[out])._leave_behind()


def test_ended_collectors_and_threads_are_drained(run_app: RunApp, tmp_path: Path) -> None:
    """Rings that end between two drains lose nothing; 500 threads need few of them. R1.39 R1.26"""
    out = tmp_path / "out.ndjson"
    run_app(
        """
        import os, threading, whence
        tick = whence.kind("background_tick", component="X", n=int)
        with whence.BackgroundCollector(to=[os.environ["OUT"]], interval_ms=10**9) as collector:
            for n in range(500):
                thread = threading.Thread(target=tick, args=(n,))
                thread.start()
                thread.join()
            for n in range(500, 520):
                with_own = whence.TraceCollector(4)
                with_own.record_now("background_tick", "Y", attributes={"n": n})
                del with_own
        (ledger,) = collector.ledger().values()
        assert ledger.closes and ledger.lost == 0 and ledger.delivered == 520, ledger
        """,
        env={"OUT": str(out)},
    )
    assert sorted(numbers(out)) == list(range(520))


def test_a_full_disk_disturbs_nobody_and_is_made_up_for(run_app: RunApp, tmp_path: Path) -> None:
    """Told of in `trouble`; once there is room again all is delivered, each once. R1.39"""
    out = tmp_path / "out.ndjson"
    run_app(
        """
        import os, resource, whence
        tick = whence.kind("background_tick", component="X", n=int)
        collector = whence.BackgroundCollector(to=[os.environ["OUT"]], interval_ms=5)
        with collector:
            tick(0)
            assert collector.flush()
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(os.environ["OUT"]).st_size, hard))
            for n in range(1, 500):
                tick(n)
            assert not collector.flush(timeout_s=0.3)
            assert "File too large" in collector.trouble, collector.trouble
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            assert collector.flush()
            assert collector.trouble == ""
        (ledger,) = collector.ledger().values()
        assert ledger.closes and ledger.delivered == 500, ledger
        """,
        env={"OUT": str(out)},
    )
    assert numbers(out) == list(range(500))


def test_nothing_is_raised_where_threads_or_time_run_out(run_app: RunApp, tmp_path: Path) -> None:
    """No thread to be had, endless or absurd times, calls after the end. R1.39 R1.40"""
    run = run_app(
        """
        import atexit, math, os, threading, whence
        tick = whence.kind("background_tick", component="X", n=int)
        tick(0)
        def collector(name, **options):
            return whence.BackgroundCollector(to=[os.environ["OUT"] + name + ".ndjson"], **options)

        start = threading.Thread.start
        for nth in (1, 2):
            left = [nth]
            def failing(self):
                left[0] -= 1
                if left[0] == 0:
                    raise RuntimeError("can't start new thread")
                start(self)
            threading.Thread.start = failing
            with collector(f"none{nth}") as without:
                tick(1)
                assert not without.flush(0.1)
                assert "can't start new thread" in without.trouble
            threading.Thread.start = start

        with collector("long", interval_ms=10**30, grace_s=math.inf) as long:
            tick(2)
            assert long.flush(math.inf) and long.trouble == "", long.trouble
            assert long.flush(math.nan) is False
            long.flush(-math.inf)
        long.stop(math.inf), long.stop(math.nan), long.flush(), long.ledger(), long.trouble
        with collector("nan", interval_ms=10**400, grace_s=math.nan) as absurd:
            tick(3)
            absurd.flush(1.0)

        last = collector("last").start()
        def at_the_very_end():
            tick(4)
            last.stop(), last.flush(), last.ledger(), last.trouble
            collector("late").start().stop()
            print("ended well")
        atexit.register(at_the_very_end)
        """,
        env={"OUT": str(tmp_path / "o-")},
    )
    assert (run.stdout, run.stderr) == ("ended well\n", "")


def test_one_that_was_made_before_a_fork_is_the_parents(run_app: RunApp, tmp_path: Path) -> None:
    """Started or not: in the child start() does nothing, and no file of it is held. R1.40"""
    out = tmp_path / "out.ndjson"
    run = run_app(
        """
        import os, sys, whence
        tick = whence.kind("background_tick", component="X", n=int)
        tick(0)
        others = [os.environ["OUT"] + ".json", "otlp-file:" + os.environ["OUT"] + ".jsonl"]
        collector = whence.BackgroundCollector(to=[os.environ["OUT"], *others], interval_ms=5)
        if (pid := os.fork()) == 0:
            with collector:
                tick(100)
                assert not collector.flush() and collector.ledger() == {}
            held = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
            assert not any(path.startswith(os.environ["OUT"]) for path in held), held
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        with collector:
            assert collector.flush()
        """,
        env={"OUT": str(out)},
    )
    assert numbers(out) == [0]
    assert run.stderr == ""
