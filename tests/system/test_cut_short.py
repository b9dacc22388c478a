"""Somebody cuts the files of a live session short: the program that records goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.host import python, read

PROGRAM = """
    import faulthandler, os, sys, threading, whence
    import whence.trace_collector
    from collections.abc import Sequence

    when = sys.argv[2]
    if when == "before":
        faulthandler.enable()
    tick = whence.kind("tick", component="cut", n=int, text=str)
    collector = whence.TraceCollector(10)
    tick(0, "known"); tick(0, "known"); tick(0, "known")
    collector.record_now("said", "cut", "something")
    folder = whence.session().path
    if when == "after":
        faulthandler.enable()
    for name in os.listdir(folder):
        if name.startswith(sys.argv[1]):
            os.truncate(folder / name, int(sys.argv[3]))
    for n in range(1, 6):
        tick(n, "known"); tick(n, f"new {n % 2}")
        collector.record_now("said", "cut", "something else")
    whence.kind("later", component="cut", n=int)(7)
    thread = threading.Thread(target=tick, args=(6, "threaded"))
    thread.start(); thread.join()
    tick.disable(); tick(99, "off"); tick.enable()
    if os.fork() == 0:
        tick(8, "child"); whence.kind("born", component="cut", n=int)(9)
        assert len(whence.collector().query()) == 2
        os._exit(0)
    assert os.wait()[1] == 0
    events = whence.collector().query(event_type="tick")
    print(sorted({event.attributes["n"] for event in events} - {0}))
    print(len(whence.collector().query(event_type="later")))
    print({event.attributes["text"] for event in events} >= {"known", "threaded"})
    print(len(collector.query()) >= 4, whence.session().trouble != "")
"""


@pytest.mark.parametrize("when", ["without", "before", "after"])
@pytest.mark.parametrize("name", ["ring", "names", "control", "session", ""])
def test_no_file_that_is_cut_short_ends_the_program(name: str, when: str, base: Path) -> None:
    """Memory takes the file's place, with faulthandler too; all but rings keep all. R0.2 P11

    Of a ring that which was in it is gone, and the event that was being written.
    """
    done = python(PROGRAM, name, when, 0, base=base)
    numbers, later, texts, rest = done.stdout.splitlines()
    lost = ["[2, 3, 4, 5, 6]", "[1, 2, 3, 4, 5, 6]"]
    assert numbers in (lost if name in ("ring", "") else lost[1:])
    assert (later, texts) == ("1", "True")
    assert rest == "True True"
    if when != "after":  # installed after us, it shows the fault that is then mended
        assert done.stderr.count("\n") <= 1
        assert all(line.startswith("whence: ") for line in done.stderr.splitlines())


def test_a_ring_cut_in_the_midst_goes_on_in_another_file(base: Path) -> None:
    """The rest of the events is in a new ring, for other processes as well. R0.2 P11"""
    done = python(PROGRAM, "ring", "without", 20_000, base=base)
    assert "was cut short by somebody" in done.stderr
    events = [event for event in read(base).events if event.event_type == "tick"]
    assert {2, 3, 4, 5, 6} <= {event.attributes["n"] for event in events}


def test_another_fault_still_ends_the_program(base: Path) -> None:
    """A file of the program's own that was cut short is its own affair, as ever. R0.2 P11"""
    python(
        """
        import mmap, os, tempfile, whence
        whence.start()
        file = tempfile.TemporaryFile()
        file.truncate(8192)
        memory = mmap.mmap(file.fileno(), 8192)
        file.truncate(0)
        memory[5000]
        """,
        base=base,
        expect=-7,
    )
