"""A forked child: the service is its parent's, and no call of it hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.apps import run_program


@pytest.mark.parametrize("source", ["memory", "traces"])
def test_a_forked_child_is_answered_at_once(tmp_path: Path, source: str) -> None:
    """R4.12 Every call says why it does not work there; the parent's service goes on working."""
    where = source if source == "memory" else str(tmp_path / source)
    program = f"""
        import os
        from whence.traces.service import TraceService

        traces = TraceService({where!r})
        made = traces.create_trace("parent").unwrap()
        traces.get_trace_by_id(made.trace_id).unwrap()
        traces._lives._lock.acquire()  # as another thread may hold it that moment
        child = os.fork()
        if child == 0:
            answers = [
                traces.create_trace("child"), traces.record_event(made.trace_id, "step"),
                traces.complete(made.trace_id), traces.query_traces(), traces.flush(),
            ]
            traces.close()
            os._exit(0 if {{each.error.code.name for each in answers}} == {{"Unavailable"}} else 1)
        traces._lives._lock.release()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(traces.complete(made.trace_id).success, traces.query_traces().unwrap().total)
        traces.close()
    """
    assert run_program(program, tmp_path).stdout.splitlines() == ["0", "True 1"]
