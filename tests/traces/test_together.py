"""Many threads and one trace service."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.apps import run_program
from whence.traces.service import TraceService

THREADS = 8


def at_once(work: Callable[[int], object]) -> None:
    """Runs it in several threads, which begin together."""
    ready = threading.Barrier(THREADS)

    def begin(number: int) -> None:
        ready.wait()
        work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(begin, range(THREADS)))


def test_threads_lose_nothing_and_mix_nothing_up() -> None:
    """R4.4 R4.6 R4.66 While others record and read, through a ring that is often full."""
    with TraceService("memory", event_config={"buffer_size": 64}) as traces:
        ids: dict[int, str] = {}

        def work(number: int) -> None:
            with traces.trace(f"thread {number}") as t:
                ids[number] = t.trace_id
                for step in range(100):
                    assert t.event("step", thread=number, step=step).success
                    if step % 25 == 0:
                        assert traces.get_trace_by_id(t.trace_id).success

        at_once(work)
        for number, trace_id in ids.items():
            found = traces.get_trace_by_id(trace_id).unwrap()
            assert (found.status, found.name) == ("completed", f"thread {number}")
            assert [each.data for each in found.events] == [
                {"thread": number, "step": step} for step in range(100)
            ]


def test_of_many_who_end_a_trace_one_does() -> None:
    """R4.20 The others are told of the conflict, and one end is stored."""
    with TraceService("memory") as traces:
        for _ in range(20):
            trace_id = traces.create_trace("ctx").unwrap().trace_id
            ways = (traces.complete, traces.fail, traces.cancel)
            ended: list[str] = []

            def end(number: int, trace_id: str = trace_id, ended: list[str] = ended) -> None:
                result = ways[number % 3](trace_id)  # noqa: B023
                if result.success:
                    ended.append(str(result.data.status))

            at_once(end)
            assert len(ended) == 1
            assert traces.get_trace_by_id(trace_id).unwrap().status == ended[0]


def test_a_folder_answers_as_memory_does(tmp_path: Path) -> None:
    """R4.6 R4.7 R4.11 R4.32 R4.64 Queries, figures, exports, deleting and cleaning up."""
    source = f"""
        from whence.traces.exports import read_json_traces
        from whence.traces.service import TraceService

        with TraceService({str(tmp_path / "traces")!r}) as traces:
            for number in range(30):
                with traces.trace(f"t{{number}}", context_id=f"c{{number % 3}}", tags=["x"]) as t:
                    t.event("step", level="error" if number % 5 == 0 else "info", n=[number])
            asked = {{"group_by": ["context_id"], "metrics": ["count", "error_rate"]}}
            found = traces.query_traces({{"has_errors": True}}, asked, {{"limit": 4}}).unwrap()
            print([row.name for row in found.items], found.total, found.pages)
            print([(g.keys["context_id"], g.values["count"]) for g in found.aggregations])
            again = traces.query_traces({{"has_errors": True}}, limit=4, cursor=found.next_cursor)
            print([row.name for row in again.unwrap().items])
            made = traces.export_traces({{"context_id": "c1"}}).unwrap()
            ids = [each.trace_id for each in read_json_traces(made.path)]
            stored = [traces.get_trace_by_id(each).unwrap() for each in ids]
            print(stored == read_json_traces(made.path), len(stored))
            print(traces.statistics().unwrap().by_status, len(traces.errors().unwrap().events))
            assert traces.delete_trace(t.trace_id).success
            print(traces.get_trace_by_id(t.trace_id).error.code.name)
            print(traces.query_traces().unwrap().total, traces.cleanup(0).unwrap())
            print(traces.query_traces().unwrap().total)
    """
    assert run_program(source, tmp_path).stdout.splitlines() == [
        "['t25', 't20', 't15', 't10'] 6 2",
        "[('c0', 2), ('c1', 2), ('c2', 2)]",
        "['t5', 't0']",
        "True 10",
        "{'completed': 30} 6",
        "NotFound",
        "29 29",
        "0",
    ]
