"""Every allocation of a call fails once: a MemoryError or nothing comes of it, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.host import python

PROGRAM = """
    import ctypes, os, sys, whence
    import whence.ring.reap, whence.trace_collector, whence.export.json_export
    from collections.abc import Sequence

    shim = ctypes.CDLL(None)
    out = os.environ["WHENCE_DIR"] + "/out.json"
    collector = whence.TraceCollector(40)
    tick = whence.kind("tick", component="f", n=int, text=str)
    choice = whence.kind("choice", component="f", options=Sequence[whence.Option], text=str)
    text, options = "x" * 1000, [whence.Option("o" * 50, {"score" * 10: 1.0}, True, "why" * 30)]

    def ask():
        whence.collector().query()
    def export():
        whence.collector().export_json(out)
    def declare():
        whence.kind("other" * 30, component="f" * 60, a=int, b=str, rationale="{b}" * 30)
    def request():
        with whence.request("r" * 500): tick(1, "a")
    def typed():
        tick(1, text)
    def chosen():
        choice(options, text)
    def now():
        collector.record_now("said", "f", "some", attributes={"a": "b" * 100, "n": 3, "f": 1.5})
    work = globals()[sys.argv[1]]
    if sys.argv[2] == "warm":
        for each in (typed, chosen, now, request, ask, export):
            each()

    k = seen = 1
    while seen >= k and k <= 80:
        process = os.fork()
        if process == 0:
            if sys.argv[2] == "warm":
                typed(); chosen(); now()
            shim.arm(k, 0)
            try: work(); done = "fine"
            except MemoryError: done = "MemoryError"
            except RuntimeError: done = "RuntimeError"
            seen = shim.disarm()
            typed(); now()  # all goes on
            assert len(whence.collector().query()) >= 2
            os._exit(0 if seen >= k else 77)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert status in (0, 77), (k, status)
        seen, k = (k if status == 0 else 0), k + 1
    print(k)
"""


@pytest.mark.parametrize("state", ["cold", "warm"])
@pytest.mark.parametrize("what", ["typed", "chosen", "now", "request", "declare", "ask", "export"])
def test_no_allocation_that_fails_ends_the_program(
    preloaded: Callable[[str], dict[str, str]], what: str, state: str, base: Path
) -> None:
    """The k-th allocation of a call fails, for each k: later calls record as ever. R0.2 P11"""
    done = python(PROGRAM, what, state, base=base, settings=preloaded("fail_malloc"))
    assert int(done.stdout) > 1
