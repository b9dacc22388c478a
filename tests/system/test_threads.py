"""Threads that come and go, and code that records where nobody expects it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.system.host import python, read, sessions
from whence.ring.folders import ring_files

SHORT_THREADS = 100_000 if os.environ.get("WHENCE_STRESS") else 10_000


def test_ten_thousand_short_threads_leave_as_many_files_as_ran_at_once(base: Path) -> None:
    """Four at a time make four rings, and every event of all of them is there. P9 R0.2"""
    python(
        """
        import os, sys, threading, time, whence

        spoke = whence.kind("spoke", component="threads", thread=int, turn=int)
        together = threading.Barrier(4)

        def speak(number):
            spoke(number, 0)
            together.wait()  # four have rings at this moment
            if number % 3 == 0:
                spoke(number, 1)

        def gone(thread):  # joining is not enough: its ring is given back a little later
            while os.path.exists(f"/proc/self/task/{thread.native_id}"):
                time.sleep(0.00002)

        for first in range(0, int(sys.argv[1]), 4):
            group = [threading.Thread(target=speak, args=(first + i,)) for i in range(4)]
            for thread in group: thread.start()
            for thread in group: thread.join()
            for thread in group: gone(thread)
        """,
        SHORT_THREADS,
        base=base,
    )
    (folder,) = sessions(base)
    assert ring_files(folder) == [f"ring-{number:05d}" for number in range(4)]
    recording = read(base)
    calls = SHORT_THREADS + (SHORT_THREADS + 2) // 3
    assert sum(ledger.recorded for ledger in recording.rings) == calls
    assert sum(ledger.readable + ledger.lost for ledger in recording.rings) == calls
    told = [(event.attributes["thread"], event.attributes["turn"]) for event in recording.events]
    assert len(set(told)) == len(told)
    if SHORT_THREADS == 10_000:
        assert {thread for thread, _ in told} == set(range(SHORT_THREADS))


def test_ring_of_a_finished_thread_goes_on_with_the_next_one(base: Path) -> None:
    """Tickets go on, the header names both threads, and nothing is overwritten. P9"""
    done = python(
        """
        import os, threading, time, whence

        spoke = whence.kind("spoke", component="threads", thread=int)
        whence.start(ring_slots=100)

        def speak(count):
            for _ in range(count):
                spoke(threading.get_native_id())

        for count in (3, 4):
            thread = threading.Thread(target=speak, args=(count,))
            thread.start(); thread.join()
            while os.path.exists(f"/proc/self/task/{thread.native_id}"):
                time.sleep(0.00002)
            print(thread.native_id)
        """,
        base=base,
    )
    first, second = done.stdout.split()
    recording = read(base)
    (ledger,) = recording.rings
    assert ledger.owners == (first, second)
    assert [(event.ticket, str(event.attributes["thread"])) for event in recording.events] == [
        *((ticket, first) for ticket in range(3)),
        *((ticket, second) for ticket in range(3, 7)),
    ]


def test_eight_threads_fill_one_collector_from_the_very_first_event(base: Path) -> None:
    """8 x 1,000 events: all held, each thread's in its order, in one ring. R0.56 R0.38 R0.2 P4"""
    python(
        """
        import sys, threading, whence

        collector = whence.TraceCollector(10_000)
        small = whence.TraceCollector(777)
        sys.setswitchinterval(1e-6)
        together = threading.Barrier(8)

        def record(thread):
            together.wait()  # nobody has recorded yet: all of them want the session and the ring
            for n in range(1000):
                collector.record_now("said", "threads", f"{thread} {n}")
                small.record_now("said", "threads", f"{thread} {n}")

        threads = [threading.Thread(target=record, args=(t,)) for t in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert collector.size() == 8000, collector.size()
        assert small.size() == 777, small.size()
        said = [tuple(map(int, event.rationale.split())) for event in collector]
        for thread in range(8):
            assert [n for t, n in said if t == thread] == list(range(1000))
        assert len(small) == 777
        """,
        base=base,
    )
    ledgers = {ledger.capacity: ledger for ledger in read(base).rings}
    assert sorted(ledgers) == [777, 10_000]
    assert (ledgers[10_000].recorded, ledgers[10_000].readable) == (8000, 8000)
    assert (ledgers[777].recorded, ledgers[777].readable, ledgers[777].lost) == (8000, 777, 7223)


def test_collectors_end_while_others_read_all_rings(base: Path) -> None:
    """A ring stays readable to whoever reads it when its collector goes. P12 P20"""
    python(
        """
        import threading, whence
        from whence import _native
        from whence.collect.local import drain_local, local_session

        whence.kind("tick", component="threads")()
        over = threading.Event()

        def churn():
            while not over.is_set():
                collector = whence.TraceCollector(20_000)
                for _ in range(20_000):
                    collector.record_now("said", "threads")
                del collector  # its memory goes, unless somebody reads it

        thread = threading.Thread(target=churn)
        thread.start()
        session = local_session()
        for _ in range(3000):
            drain_local(_native.local_rings(), session)
        over.set()
        thread.join()
        """,
        base=base,
    )


def test_threads_from_before_and_after_the_session_are_both_in_it(base: Path) -> None:
    """A thread that began before the first event records like one that began after. R0.2"""
    python(
        """
        import threading, whence

        spoke = whence.kind("spoke", component="threads", who=str)
        begun, may_speak = threading.Event(), threading.Event()

        def early():
            begun.set()
            may_speak.wait()
            spoke("early")

        thread = threading.Thread(target=early)
        thread.start()
        begun.wait()
        whence.start(service="both")
        late = threading.Thread(target=spoke, args=("late",))
        late.start(); late.join()
        may_speak.set()
        thread.join()
        spoke("main")
        """,
        base=base,
    )
    recording = read(base)
    assert Counter(event.attributes["who"] for event in recording.events) == Counter(
        ["early", "late", "main"]
    )
    assert len(recording.sessions) == 1
    assert recording.sessions[0].service == "both"


def test_events_are_kept_to_the_last_breath_of_the_interpreter(base: Path) -> None:
    """atexit, a __del__ after all modules, a daemon thread that never stops: all record. P16"""
    done = python(
        """
        import atexit, sys, threading, whence

        spoke = whence.kind("spoke", component="end", who=str)

        class Last:
            def __del__(self, spoke=spoke):
                spoke("del")

        def chatter(spoke=spoke):
            while True:
                spoke("daemon")

        atexit.register(spoke, "atexit")
        sys.kept = Last()  # outlives the modules
        threading.Thread(target=chatter, daemon=True).start()
        spoke("main")
        """,
        base=base,
    )
    assert done.stderr == ""
    recording = read(base)
    assert all(ledger.closes for ledger in recording.rings)
    who = {event.attributes["who"] for event in recording.events}
    assert {"atexit", "del", "main"} <= who
    assert {ledger.in_flight for ledger in recording.rings} <= {0, 1}


@pytest.mark.parametrize("when", ["atexit", "del"])
def test_very_first_event_may_come_when_the_interpreter_ends(base: Path, when: str) -> None:
    """A session made during shutdown is whole, and nothing is complained about. P16 P7"""
    done = python(
        """
        import atexit, sys, whence

        spoke = whence.kind("spoke", component="end", who=str)

        class Last:
            def __del__(self, spoke=spoke):
                spoke("del")

        if sys.argv[1] == "atexit":
            atexit.register(spoke, "atexit")
        else:
            sys.kept = Last()  # outlives the modules
        """,
        when,
        base=base,
    )
    assert done.stderr == ""
    assert [event.attributes["who"] for event in read(base).events] == [when]


def test_garbage_collection_may_record_in_the_middle_of_recording(base: Path) -> None:
    """Callbacks and finalisers record between our own allocations, and all is counted. P16"""
    python(
        """
        import gc, whence

        outer = whence.kind("outer", component="gc", n=int, text=str)
        inner = whence.kind("inner", component="gc", phase=str)
        freed = whence.kind("freed", component="gc", n=int)
        collector = whence.TraceCollector(60_000)
        collections = 0

        class Cycle:
            def __init__(self, n):
                self.n, self.itself = n, self
            def __del__(self):
                freed(self.n)

        def told(phase, info):
            global collections
            collections += 1
            inner(phase)
            collector.record_now("collection", "gc", phase, attributes={"n": collections})

        whence.start(ring_slots=200_000)
        gc.callbacks.append(told)
        gc.set_threshold(5, 1, 1)
        for n in range(10_000):
            Cycle(n)
            outer(n, f"text {n}" * 4)
            collector.record_now("said", "gc", f"{n}", attributes={"n": n, "list": str([n])})
        gc.callbacks.clear()
        gc.collect()
        assert collections > 1000, collections
        counts = {}
        for event in whence.collector():
            counts[event.event_type] = counts.get(event.event_type, 0) + 1
            if event.event_type == "outer":
                text = f"text {event.attributes['n']}" * 4
                assert event.text_lost or event.attributes["text"] == text, event
        assert counts == {
            "outer": 10_000, "inner": collections, "freed": 10_000,
            "collection": collections, "said": 10_000}, counts
        """,
        base=base,
    )


def test_storm_of_signals_records_beside_what_it_interrupts(base: Path) -> None:
    """A profiling timer's handler emits the same kinds as the loop it interrupts. P16 P1"""
    done = python(
        """
        import signal, whence

        tick = whence.kind("tick", component="signals", n=int, text=str)
        collector = whence.TraceCollector(1000)
        handled = 0

        def handle(number, frame):
            global handled
            handled += 1
            tick(-handled, "in the handler " * 8)
            collector.record_now("tick", "signals", "in the handler")

        signal.signal(signal.SIGPROF, handle)
        signal.setitimer(signal.ITIMER_PROF, 0.0001, 0.0001)
        n = 0
        while handled < 150:
            tick(n, "in the loop " * 8)
            collector.record_now("tick", "signals", "in the loop")
            n += 1
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(n, handled)
        """,
        base=base,
    )
    in_loop, handled = map(int, done.stdout.split())
    recording = read(base)
    for ledger in recording.rings:
        assert ledger.recorded == in_loop + handled
        assert ledger.closes
        assert ledger.in_flight == 0
        assert all(counts.nested == 0 for counts in ledger.per_kind)
    numbers = [int(event.attributes.get("n", 0)) for event in recording.events if event.ring == 1]
    for part in ([n for n in numbers if n >= 0], [-n for n in numbers if n < 0]):
        assert part == sorted(part)


TALKATIVE = """
    import whence
    from whence import Option

    collector = whence.TraceCollector(100)
    inner = whence.kind("inner", component="values", name=str)

    class Index:
        def __index__(self):
            inner("index"); collector.record_now("inner", "values", "index")
            return 7

    class Real:
        def __float__(self):
            inner("float"); collector.record_now("inner", "values", "float")
            return 0.5

    class Shown:
        def __str__(self):
            inner("str"); collector.record_now("inner", "values", "str")
            return "shown"

    class Model:
        def to_string(self):
            inner("to_string"); collector.record_now("inner", "values", "to_string")
            return "ocr"

    class Pairs:
        def keys(self): return ["a"]
        def items(self):
            inner("items"); collector.record_now("inner", "values", "items")
            return [("a", Shown())]

    def options():
        inner("options")
        yield Option("first", {"score": Real()})
        collector.record_now("inner", "values", "options")
        yield Option("second", chosen=True)
"""


def test_values_that_record_while_they_are_recorded_spoil_nothing(base: Path) -> None:
    """Dunders that emit run before the outer event's ticket; both come out whole. P16"""
    python(
        TALKATIVE
        + """
    from collections.abc import Sequence

    outer = whence.kind(
        "outer", component="values", i=int, u=whence.U64, f=float, model=str | whence.ModelID,
        options=Sequence[Option], lineage_id=whence.U64)
    for n in range(50):
        outer(Index(), Index(), Real(), Model(), options(), Index())
        collector.record_now(
            "outer", "values", "said", model_id=Model(), duration=Index(), attributes=Pairs())
    events = whence.collector().query(component="values")
    outers = [e for e in events if e.event_type == "outer" and not e.rationale]
    assert len(outers) == 50
    for event in outers:
        assert dict(event.attributes) == {"i": 7, "u": 7, "f": 0.5}, event
        assert (event.model_id, event.lineage_id) == ("ocr", 7)
        assert event.options == (
            Option("first", {"score": 0.5}), Option("second", chosen=True)), event.options
    names = [e.attributes["name"] for e in events if "name" in e.attributes]
    assert names[:6] == ["index", "index", "float", "to_string", "options", "float"], names[:8]
    for event in collector:
        if event.event_type == "outer":
            assert (event.model_id, event.duration.nanos) == ("ocr", 7), event
            assert dict(event.attributes) == {"a": "shown"}
        else:
            assert event.rationale in ("index", "float", "str", "to_string", "items", "options")
    """,
        base=base,
    )
    assert all(ledger.closes and ledger.in_flight == 0 for ledger in read(base).rings)


def test_name_that_records_when_it_dies_keeps_every_other_name_right(base: Path) -> None:
    """The last string a kind saw may be a subclass whose __del__ calls the kind again. P16"""
    python(
        """
        import whence

        said = whence.kind("said", component="names", model=str, n=int)

        class Dying(str):
            def __del__(self):
                said("beta", 1)

        for _ in range(3):  # names enter the dictionary when they recur
            said("alpha", 0), said("beta", 1), said("gamma", 2)
            said(Dying("gamma"), 2)
        for _ in range(50):
            said(Dying("gamma"), 2)
            said("alpha", 0)
            said("beta", 1)
        for event in whence.collector():
            assert event.model_id == ("alpha", "beta", "gamma")[event.attributes["n"]], event
        """,
        base=base,
    )


def test_values_that_fail_while_they_are_recorded_are_counted_as_rejected(base: Path) -> None:
    """An exception in a dunder reaches the caller; nothing is stored but the count. P16 P3"""
    python(
        """
        import whence

        said = whence.kind("said", component="values", n=int, f=float)
        collector = whence.TraceCollector(10)

        class Broken:
            def __index__(self): raise ZeroDivisionError
            __float__ = __str__ = __index__

        for n in range(5):
            for call in (
                lambda: said(Broken(), 1.0), lambda: said(1, Broken()),
                lambda: collector.record_now("said", "values", attributes={"a": Broken()}),
            ):
                try:
                    call()
                except ZeroDivisionError:
                    continue
                raise AssertionError("it was recorded")
        said(1, 1.0)
        """,
        base=base,
    )
    recording = read(base)
    rejected = {c.rejected for ledger in recording.rings for c in ledger.per_kind}
    assert rejected == {5, 10}
    assert len(recording.events) == 1
    assert all(ledger.closes for ledger in recording.rings)
