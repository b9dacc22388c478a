"""The trace service for asyncio."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from whence import _native
from whence.traces.asynchronous import AsyncTraceService
from whence.traces.service import TraceService


def test_it_has_every_call_of_the_other() -> None:
    """R4.1 With the same arguments; what was a value is awaited."""
    calls = {name for name in vars(TraceService) | vars(TraceService.__base__) if name[0] != "_"}
    for name in calls - {"name", "trace", "metrics"}:
        theirs = inspect.signature(getattr(TraceService, name)).parameters
        ours = inspect.signature(getattr(AsyncTraceService, name)).parameters
        assert list(ours) == list(theirs), name
        assert inspect.iscoroutinefunction(
            inspect.unwrap(getattr(AsyncTraceService, name), stop=inspect.iscoroutinefunction)
        )


def test_traces_of_many_tasks_are_kept_apart() -> None:
    """R4.2 R4.4 R4.6 Each block is the ambient trace of its own task."""

    async def work(traces: AsyncTraceService, number: int) -> str:
        async with traces.trace(f"task {number}", context_id="ctx") as t:
            for step in range(3):
                assert (await t.event("step", task=number, step=step)).success
                context = _native.current()
                assert context is not None
                assert context.trace_id == t.trace_id
            return t.trace_id

    async def run() -> None:
        async with AsyncTraceService("memory") as traces:
            ids = await asyncio.gather(*(work(traces, number) for number in range(20)))
            for number, trace_id in enumerate(ids):
                found = (await traces.get_trace_by_id(trace_id)).unwrap()
                assert (found.name, found.status) == (f"task {number}", "completed")
                assert [each.data for each in found.events] == [
                    {"task": number, "step": step} for step in range(3)
                ]
            assert (await traces.query_traces(status="completed")).unwrap().total == 20

    asyncio.run(run())
    assert _native.current() is None


def test_an_exception_fails_the_block_and_goes_on() -> None:
    """R4.20 As in the other face."""

    async def run() -> None:
        async with AsyncTraceService("memory") as traces:
            with pytest.raises(KeyError):
                async with traces.trace("work") as t:
                    raise KeyError("page")
            assert (await traces.get_trace_by_id(t.trace_id)).unwrap().status == "failed"

    asyncio.run(run())
