"""Interruptions that are the program's own, and interpreters that are not."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import whence
from whence import _native


class _Interrupting:
    def __index__(self) -> int:
        raise KeyboardInterrupt


@pytest.fixture
def lenient() -> Iterator[None]:
    _native.set_strict(False)
    yield
    _native.set_strict(True)


def test_a_lenient_recorder_does_not_swallow_ctrl_c(lenient: None) -> None:
    """KeyboardInterrupt that comes while a value is converted reaches the program."""
    tick = whence.kind("interrupted_tick", component="test", n=int)
    with pytest.raises(KeyboardInterrupt):
        tick(_Interrupting())  # type: ignore[arg-type]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="newer versions refuse by themselves")
def test_a_second_interpreter_is_told_that_only_the_first_is_served(run_app) -> None:  # type: ignore[no-untyped-def]
    """P20 A subinterpreter's import fails by name, and the first one goes on recording."""
    result = run_app("""
        import _xxsubinterpreters as interpreters
        import whence
        tick = whence.kind("tick", component="test", n=int)
        other = interpreters.create()
        try:
            interpreters.run_string(other, "import whence")
        except interpreters.RunFailedError as error:
            print("refused:", "one interpreter" in str(error))
        with whence.request("main"):
            tick(1)
    """)
    (event,) = result.recording().events
    assert event.request_id == "main"
