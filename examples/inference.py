"""A runtime with a deadline: who was let in, who ran first and why, and who came too late.

Run it, then type `whence why`. The lines after `# >` are what it prints.
"""

from __future__ import annotations

from dataclasses import dataclass

import whence
from whence import U32, Option
from whence.query.why import why

CAPACITY_NS = 60_000_000


@whence.kind(component="Admission", decision=True, rationale="{why}: {work_ns:ns} of {room_ns:ns}")
def admission_decision(
    model: str, why: str, work_ns: int, room_ns: int, admitted: bool
) -> None: ...


@whence.kind(
    component="Scheduler",
    decision=True,
    rationale="Selected {model}: {slack_ns:ns} to its deadline, the least of {waiting}",
)
def scheduling_decision(model: str, slack_ns: int, waiting: U32, options: list[Option]) -> None: ...


@whence.kind(component="Worker")
def execution_started(model: str, worker: U32) -> None: ...


@whence.kind(component="Worker", rationale="{duration_ns:ns} on worker {worker}")
def execution_completed(model: str, worker: U32, duration_ns: int, deadline_met: bool) -> None: ...


@dataclass
class Job:
    """What is asked of the runtime. Time is made up, so that every run is the same."""

    request_id: str
    model: str
    work_ns: int  # as planned
    took_ns: int  # in fact
    deadline_ns: int


def admit(jobs: list[Job]) -> list[Job]:
    """Take jobs as long as there is room for their work."""
    taken: list[Job] = []
    for job in jobs:
        room_ns = CAPACITY_NS - sum(each.work_ns for each in taken)
        fits = job.work_ns <= room_ns
        with whence.request(job.request_id):
            word = "Fits" if fits else "Too much"
            admission_decision(job.model, word, job.work_ns, room_ns, fits)
        if fits:
            taken.append(job)
    return taken


def run(waiting: list[Job]) -> None:
    """Run the job with the earliest deadline first."""
    now_ns = 0
    while waiting:
        waiting.sort(key=lambda job: job.deadline_ns)
        job = waiting[0]
        slack = {each.request_id: each.deadline_ns - now_ns - each.work_ns for each in waiting}
        with whence.request(job.request_id):
            options = [
                Option(each.model, {"slack_ms": slack[each.request_id] / 1e6}, each is job)
                for each in waiting
            ]
            scheduling_decision(job.model, slack[job.request_id], len(waiting), options)
            execution_started(job.model, 0)
            now_ns += job.took_ns
            execution_completed(job.model, 0, job.took_ns, now_ns <= job.deadline_ns)
        waiting.remove(job)


def main() -> None:
    """Play four jobs and ask about them."""
    jobs = [
        Job("req-1", "ocr_det", 25_000_000, 25_000_000, 90_000_000),
        Job("req-2", "ocr_rec", 15_000_000, 15_000_000, 40_000_000),
        Job("req-3", "magika", 20_000_000, 27_000_000, 30_000_000),
        Job("req-4", "ocr_cls", 5_000_000, 5_000_000, 35_000_000),
    ]
    run(admit(jobs))

    recording = whence.collector().recording()
    for request_id in ("req-2", "req-4"):
        answer = why(recording, request_id)
        print(f"{request_id} {answer.outcome.text}")
        for row in answer.story:
            print(f"  {row.event_type}: {row.sentence}")
    # > req-2 LATE
    # >   admission_decision: Fits: 15 ms of 35 ms
    # >   scheduling_decision: Selected ocr_rec: -2 ms to its deadline, the least of 2
    # >   execution_started: worker 0
    # >   execution_completed: 15 ms on worker 0
    # > req-4 REJECTED
    # >   admission_decision: Too much: 5 ms of 0 ns

    ledger = recording.rings[0]
    print(ledger.recorded, "recorded", ledger.lost, "lost", "closes" if ledger.closes else "")
    # > 13 recorded 0 lost closes


if __name__ == "__main__":
    main()
