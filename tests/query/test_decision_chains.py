"""Decision chains of a real session: one id links admission, scheduling, start and completion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import whence
from tests.apps import AppRun
from whence.query.chain import find_chain, reconstruct_chain
from whence.receive.json_export import read_json_export

RunApp = Callable[..., AppRun]

STEPS = ["admission_decision", "scheduling_decision", "execution_started", "execution_completed"]
APP = """
    import os, sys, threading, whence
    admit = whence.kind("admission_decision", component="A", decision=True,
                        rationale="Admitted {model}", model=str, admitted=bool)
    choose = whence.kind("scheduling_decision", component="S", decision=True,
                         rationale="Selected {model}", model=str)
    begin = whence.kind("execution_started", component="W", model=str)
    end = whence.kind("execution_completed", component="W", model=str, duration_ns=int)
    new_id = whence.RequestIDGenerator()
    ids = [new_id.next() for _ in range(3)]

    def invoke(request_id, chain, model):
        with whence.request(request_id, decision_chain_id=chain):
            admit(model, True); choose(model); begin(model); end(model, 5)

    threads = [
        threading.Thread(target=invoke, args=(request_id, f"{request_id}.{attempt}", f"m{attempt}"))
        for request_id in ids for attempt in (1, 2)
    ]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(*ids)
    whence.collector().export_json(sys.argv[0] + ".json")
    sys.stdout.flush()
    os.kill(os.getpid(), 9)
"""


def test_one_id_links_the_steps_of_one_invocation(run_app: RunApp, tmp_path: Path) -> None:
    """R5.13 R0.49 After a kill, and from an export alone: no other invocation's steps are in it."""
    run = run_app(APP, fails=True)
    ids = run.stdout.split()
    assert len(ids) == 3
    assert sorted(ids) == ids
    for source in (run.recording(), read_json_export(tmp_path / "app.py.json")):
        for request_id in ids:
            assert len(reconstruct_chain(source, request_id)) == 8
            for attempt in (1, 2):
                chain = find_chain(source, f"{request_id}.{attempt}")
                assert [e.event_type for e in chain.events] == STEPS
                assert {e.request_id for e in chain.events} == {request_id}
                assert {e.model_id for e in chain.events} == {f"m{attempt}"}


def test_a_chain_is_found_by_request_by_chain_and_by_event() -> None:
    """R5.13 An event's id leads through its request to all of it, in the process itself, too."""
    collector = whence.TraceCollector(64)
    for number, step in enumerate(STEPS):
        event = (
            whence.TraceEventBuilder()
            .with_type(step)
            .with_component("Scheduler")
            .with_rationale("because")
            .with_request("req-9")
            .with_decision_chain("attempt-1")
            .with_timestamp(whence.Timestamp(number))
        )
        collector.record(event.build())
    last = collector.query(event_type=STEPS[-1])[0]
    for name in ("req-9", "attempt-1", last.event_id):
        found = collector.reconstruct_decision_chain(name)
        assert [e.event_type for e in found] == STEPS
    assert collector.reconstruct_decision_chain("attempt-2") == []
