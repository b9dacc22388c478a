"""Why a member is missing, as far as it can be proven, from files that the recorder wrote."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps import AppRun
from whence.collect.sessions import read_recording
from whence.model.recording import Recording
from whence.query.contracts.check import Finding
from whence.query.contracts.contract import Contract, End, Requirement
from whence.query.why import Answer, why
from whence.ring.folders import session_folders

RunApp = Callable[..., AppRun]

CONTRACT = Contract(
    name="work",
    opens="begin",
    ends=(End("done"),),
    require=(Requirement("work", count="1+", after=("begin",)),),
)
KINDS = """
    import os, threading, time, whence
    begin = whence.kind("begin", component="A", decision=True, rationale="Began {n}", n=int)
    work = whence.kind("work", component="A", n=int)
    done = whence.kind("done", component="A", text=str)
    fill = whence.kind("fill", component="A", n=int)
"""


def program(body: str) -> str:
    """The kinds, and what the program does with them."""
    return KINDS + textwrap.indent(textwrap.dedent(body), "    ")


def explained(source: Recording) -> Answer:
    """Why req-1 went as it did."""
    return why(source, "req-1", (CONTRACT,))


def gap(source: Recording, member: str) -> Finding:
    """What is missing of that type."""
    (found,) = (each for each in explained(source).gaps if each.member == member)
    return found


def test_what_is_all_there_has_no_gap(run_app: RunApp) -> None:
    """R5.16 The same program without a fault: complete."""
    source = run_app(
        program("""
            with whence.request("req-1"):
                begin(1); work(1); done("x")
        """)
    ).recording()
    assert explained(source).complete
    assert explained(source).gaps == ()


def test_what_the_program_never_did_is_not_recorded(run_app: RunApp) -> None:
    """R5.16 Nothing was lost, off or sampled, and the chain has ended: it did not happen."""
    source = run_app(
        program("""
            with whence.request("req-1"):
                begin(1); done("x")
        """)
    ).recording()
    found = gap(source, "work")
    assert [cause.text for cause in found.causes] == ["not recorded"]
    assert explained(source).reports[0].verdict == "incomplete"


def test_what_was_off_says_since_when_and_until_when(run_app: RunApp) -> None:
    """R5.16 R1.34 From the log of gates; a request outside of that interval has no such excuse."""
    source = run_app(
        program("""
            whence.start()
            with whence.request("req-1"):
                begin(1); work.disable(); work(1); done("x"); work.enable()
            time.sleep(0.25)
            with whence.request("req-2"):
                begin(2); done("x")
        """)
    ).recording()
    (cause,) = gap(source, "work").causes
    assert cause.kind == "off"
    assert "work was switched off from +" in cause.sentence
    assert "until +" in cause.sentence
    assert explained(source).reports[0].verdict == "unknown"
    later = why(source, "req-2", (CONTRACT,))
    assert [c.kind for c in later.gaps[0].causes] == ["not recorded"]


def test_what_was_sampled_out_is_proved_by_the_id(run_app: RunApp) -> None:
    """R5.16 R1.35 The rate is in the log, and the id says which side of it the request was on."""
    source = run_app(
        program("""
            work.enable(0.000001)
            whence.start()
            time.sleep(0.15)
            with whence.request("req-1"):
                begin(1); work(1); done("x")
        """)
    ).recording()
    (cause,) = gap(source, "work").causes
    assert cause.kind == "sampled out"
    assert "this request is none of those that are kept" in cause.sentence


def test_what_a_ring_overwrote_names_the_ring_and_until_when(run_app: RunApp) -> None:
    """R5.16 The thread that worked has lost it, as its ring's counts say; others lost nothing."""
    source = run_app(
        program("""
            whence.start(ring_slots=64)
            with whence.request("req-1"):
                begin(1)
                context = __import__("contextvars").copy_context()
            def busy():
                context.run(work, 1)
                for n in range(100):
                    fill(n)
            thread = threading.Thread(target=busy)
            thread.start(); thread.join()
            with whence.request("req-1"):
                done("x")
        """)
    ).recording()
    (cause,) = gap(source, "work").causes
    leaking = next(ring for ring in source.rings if ring.lost)
    assert (cause.kind, cause.ring, cause.count) == ("possibly lost", leaking.ring, leaking.lost)
    assert f"ring {leaking.ring} overwrote 37 events, among them 1 work, up to +" in cause.sentence
    assert cause.end_ns == leaking.oldest_ns
    assert explained(source).reports[0].verdict == "unknown"


def test_a_ring_that_lost_none_of_that_type_is_no_excuse(run_app: RunApp) -> None:
    """R5.16 The counts by type prove that no work was among what was overwritten."""
    source = run_app(
        program("""
            whence.start(ring_slots=64)
            thread = threading.Thread(target=lambda: [fill(n) for n in range(200)])
            with whence.request("req-1"):
                begin(1)
                thread.start(); thread.join()
                done("x")
        """)
    ).recording()
    assert any(ring.lost for ring in source.rings)
    assert [cause.text for cause in gap(source, "work").causes] == ["not recorded"]


def test_what_a_crash_cut_short_names_the_process(run_app: RunApp) -> None:
    """R5.16 R5.1 Killed while it worked: neither work nor an end, and whose they were."""
    run = run_app(
        program("""
            with whence.request("req-1"):
                begin(1)
                os.kill(os.getpid(), 9)
        """),
        fails=True,
    )
    source = run.recording()
    (pid,) = (info.pid for info in source.sessions)
    for member in ("work", "done"):
        (cause,) = gap(source, member).causes
        assert cause.kind == "crashed"
        assert f"pid {pid} ended while this was open" in cause.sentence
    answer = explained(source)
    assert answer.outcome.text == "UNFINISHED: crashed"
    assert not answer.complete


def test_a_span_that_a_crash_cut_short_is_a_gap(run_app: RunApp) -> None:
    """R5.16 R5.1 R5.2 Open when the process ended; what happened inside has its parent still."""
    source = run_app(
        program("""
            with whence.request("req-1"), whence.span("handle"):
                begin(1); work(1); done("x")
                os.kill(os.getpid(), 9)
        """),
        fails=True,
    ).recording()
    (found,) = explained(source).gaps
    assert found.sentence == "the end of handle"
    assert [cause.kind for cause in found.causes] == ["crashed"]
    assert [row.event_type for row in explained(source).story if row.open] == ["handle"]


def test_what_a_live_process_may_still_do_is_open(tmp_path: Path) -> None:
    """R5.16 The same moment, seen while the process lives: still open, and for how long."""
    script = tmp_path / "app.py"
    body = """
        with whence.request("req-1"):
            begin(1); time.sleep(0.001); fill(0)
            print("ready", flush=True)
            input()
            work(1); done("x")
            print("done", flush=True)
            input()
    """
    script.write_text(textwrap.dedent(program(textwrap.dedent(body))))
    folder = tmp_path / "whence"
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={"WHENCE_DIR": str(folder), "PYTHONPATH": ":".join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        source = read_recording(list(session_folders(folder)))
        for member in ("work", "done"):
            (cause,) = gap(source, member).causes
            assert cause.kind == "still open"
            assert cause.sentence.startswith("for ")
        assert explained(source).outcome.text == "UNFINISHED: still open"
        assert explained(source).reports[0].verdict == "unknown"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        assert explained(read_recording(list(session_folders(folder)))).complete
        process.communicate("\n")


@pytest.mark.parametrize("fields", [(), ("text",)])
def test_text_that_was_overwritten_is_lost_and_the_event_is_not(
    run_app: RunApp, fields: tuple[str, ...]
) -> None:
    """R5.16 The member is there; a field that is required may have been there, too."""
    source = run_app(
        program("""
            whence.start(ring_slots=100, text_bytes=4096)
            with whence.request("req-1"):
                begin(1); work(1); done("y" * 900)
            for n in range(20):
                done("z" * 900)
        """)
    ).recording()
    required = (*CONTRACT.require, Requirement("done", fields=fields))
    contract = Contract(name="work", opens="begin", ends=(End("done"),), require=required)
    answer = why(source, "req-1", (contract,))
    causes = {cause.kind for found in answer.gaps for cause in found.causes}
    assert causes == {"text lost"}
    assert answer.complete == (not fields)
    assert answer.reports[0].verdict == ("unknown" if fields else "complete")


def test_several_causes_are_all_told(run_app: RunApp) -> None:
    """R5.16 Off and overwritten: either may have been why, and both are named."""
    source = run_app(
        program("""
            whence.start(ring_slots=64)
            with whence.request("req-1"):
                begin(1)
                context = __import__("contextvars").copy_context()
            def busy():
                context.run(work, 1)
                work.disable()
                for n in range(100):
                    fill(n)
            thread = threading.Thread(target=busy)
            thread.start(); thread.join()
            with whence.request("req-1"):
                done("x")
        """)
    ).recording()
    assert {cause.kind for cause in gap(source, "work").causes} == {"off", "possibly lost"}


def test_a_refused_member_is_told(run_app: RunApp) -> None:
    """R5.16 A call with a wrong value recorded nothing, and was counted as rejected."""
    source = run_app(
        program("""
            with whence.request("req-1"):
                begin(1)
                try:
                    work("not a number")
                except TypeError:
                    pass
                done("x")
        """)
    ).recording()
    (cause,) = gap(source, "work").causes
    assert cause.kind == "possibly refused"
    assert cause.sentence == "1 work was refused when recorded"


def test_a_parent_span_that_was_overwritten_is_told(run_app: RunApp) -> None:
    """R5.16 R5.2 It ended and was recorded, in a ring that newer events have filled since."""
    source = run_app(
        program("""
            whence.start(ring_slots=64)
            from contextvars import copy_context
            with whence.request("req-1"):
                with whence.span("handle"):
                    def inside():
                        begin(1); work(1); done("x")
                    thread = threading.Thread(target=copy_context().run, args=(inside,))
                    thread.start(); thread.join()
            for n in range(100):
                fill(n)
        """)
    ).recording()
    (found,) = explained(source).gaps
    assert found.sentence.startswith("span ")
    assert found.optional
    assert [cause.kind for cause in found.causes] == ["possibly lost"]


CAUSES = """
    whence.start(ring_slots=64)
    effect = whence.kind("effect", component="A", n=int, caused_by=str)
    def cause():
        with whence.request("req-0"):
            begin(0)
        return whence.collector().query(event_type="begin")[0].event_id
    first = cause()
    BETWEEN
    def later():
        with whence.request("req-1"):
            begin(1); work(1); effect(1, NAMED); done("x")
    thread = threading.Thread(target=later)
    thread.start(); thread.join()
"""


@pytest.mark.parametrize(
    ("between", "named", "told"),
    [
        ("pass", "first", ""),
        ("pass", "'req-0'", ""),
        (
            "[fill(n) for n in range(99)]",
            "first",
            "lost: ring 0 overwrote it, and 36 events in all",
        ),
        ("pass", "'1-2'", "not recorded: it may be another process's, which is not part of this"),
        ("pass", "first[:-4] + '0fff'", "not recorded"),
    ],
)
def test_a_cause_that_is_nowhere_is_told(
    run_app: RunApp, between: str, named: str, told: str
) -> None:
    """R5.16 Its id says which ring it stood in, and so whether it was overwritten."""
    body = CAUSES.replace("BETWEEN", between).replace("NAMED", named)
    answer = explained(run_app(program(body)).recording())
    assert answer.complete
    if not told:
        assert answer.gaps == ()
        return
    (found,) = answer.gaps
    assert found.sentence.startswith("the cause of effect, ")
    assert [cause.text.startswith(told) for cause in found.causes] == [True]
