"""Open spans and forks, kills and exits: what a process leaves, and what it must not spoil."""

from __future__ import annotations

import os
from pathlib import Path

from tests.system.host import Host, python, read, sessions
from whence.model.recording import Recording
from whence.query.spans import open_spans
from whence.query.why import why

OPEN = """
    import sys, threading, whence
    step = whence.kind("step", component="Span", n=int)
    def work():
        with whence.request("req-1"), whence.span("outer"), whence.span("a" * 300):
            with whence.span("done"):
                step(1)
            print("ready", flush=True)
            threading.Event().wait()
    threading.Thread(target=work, daemon=True).start()
    sys.stdin.read()
"""

FORKED = """
    import os, sys, whence
    with whence.request("req-1"), whence.span("outer"), whence.span("inner") as inner:
        child = os.fork()
        if child == 0:
            with whence.span("of the child"):
                pass
            inner.end()
            os.write(1, b"%d\\n" % os.getpid())  # a line at once: both write to one pipe
            sys.stdin.read()
            os._exit(0)
        os.write(1, b"parent\\n")
        sys.stdin.read()
        os.waitpid(child, 0)
"""

LATE = """
    import whence
    kept = whence.span("kept to the end")
    def numbers():
        with whence.span("in a generator"):
            yield 1
    generator = numbers()
    next(generator)
    with whence.span("at exit"):
        raise SystemExit(5)
"""


def names(recording: Recording, pid: int) -> tuple[set[str], set[str]]:
    """The spans of a process that ended, and those that are open."""
    session = next(info.name for info in recording.sessions if info.pid == pid)
    ended = {e.event_type for e in recording.events if e.span and e.session == session}
    open_ = {s.name for s in open_spans(recording).values() if s.session == session}
    return ended, open_


def test_kill_9_leaves_the_open_spans_open(base: Path) -> None:
    """Each with name, request and parent; ended ones are ended. R5.1 R5.16"""
    with Host(OPEN, base=base) as host:
        assert host.line() == "ready"
        assert names(read(base), host.pid) == ({"done"}, {"outer", "a" * 300})
        host.kill()
    recording = read(base)
    assert names(recording, host.pid) == ({"done"}, {"outer", "a" * 300})
    answer = why(recording, "req-1")
    assert not answer.complete
    assert [(row.event_type[:5], row.depth, row.open) for row in answer.story] == [
        ("outer", 0, True),
        ("aaaaa", 1, True),
        ("done", 2, False),
        ("step", 3, False),
    ]
    assert {cause.kind for gap in answer.gaps for cause in gap.causes} == {"crashed"}


def test_a_fork_leaves_the_parents_table_to_the_parent(base: Path) -> None:
    """The child ends its copy in a session of its own; the parent's span stays open. R5.1 R5.3"""
    with Host(FORKED, base=base) as host:
        lines = {host.line(), host.line()}
        (child,) = (int(line) for line in lines - {"parent"})
        recording = read(base)
        assert names(recording, host.pid) == (set(), {"outer", "inner"})
        assert names(recording, child) == ({"of the child", "inner"}, set())
        (work,) = (e for e in recording.events if e.event_type == "of the child")
        (inner,) = (e for e in recording.events if e.event_type == "inner")
        assert (work.parent_span_id, work.request_id) == (inner.span_id, "req-1")
        host.finish()
    recording = read(base)
    ended, open_ = names(recording, host.pid)
    assert (ended, open_) == ({"outer", "inner"}, set())
    ids = [e.span_id for e in recording.events if e.span and e.event_type != "inner"]
    assert len(set(ids)) == len(ids)


def test_an_exit_is_noted_and_what_is_left_over_does_no_harm(base: Path) -> None:
    """Generators closed at the end, spans that nobody ends. R5.2"""
    finished = python(LATE, base=base, expect=5)
    assert finished.stderr == ""
    events = {event.event_type: event for event in read(base).events}
    assert events["at exit"].status_message == "SystemExit: 5"
    ended = set(events) | {span.name for span in open_spans(read(base)).values()}
    assert ended == {"at exit", "in a generator", "kept to the end"}


def test_hostile_tables_are_read_without_harm(base: Path) -> None:
    """Whatever bytes stand where open spans are noted. R5.1"""
    with Host(OPEN, base=base) as host:
        assert host.line() == "ready"
        host.kill()
    (session,) = sessions(base)
    ring = session / "ring-00000"
    sound = ring.read_bytes()
    for seed in range(20):
        noise = os.urandom(6144) if seed else b"\xff" * 6144
        ring.write_bytes(sound[:0x1000] + noise + sound[0x2800:])
        recording = read(base)
        assert len(recording.rings[0].open_spans) <= 128
        assert all(span.start_ns < 2**63 for span in recording.rings[0].open_spans)
        assert why(recording, "req-1").story
