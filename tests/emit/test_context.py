"""The context as a value: left in any order and any task, carried to threads and processes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import multiprocessing
import pickle
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.apps import output_of
from tests.own_events import OwnEvents
from whence import _native
from whence.model.event import TraceEvent

step = whence.kind("context_step", component="Context", n=int)


def here() -> int:
    """The innermost open span."""
    return whence.current().span_id


def test_contexts_left_out_of_order_lead_back_past_each_other() -> None:
    """The outer one may be left first: the inner then leads to what was before both. R5.2 R5.3"""
    first, second = whence.span("first"), whence.span("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert here() == second.span_id
    second.__exit__(None, None, None)
    assert here() == 0


def test_an_async_generator_may_be_closed_by_another_task(recorded: OwnEvents) -> None:
    """Nothing raises, and nobody's context is disturbed. R5.2 R5.3"""

    async def numbers() -> AsyncIterator[int]:
        with whence.span("inside the generator"):
            for n in range(3):
                step(n)
                yield n

    async def main() -> None:
        with whence.span("main") as outer:
            generator = numbers()
            assert await anext(generator) == 0

            async def close() -> None:
                with whence.span("closer") as closer:
                    await generator.aclose()  # type: ignore[attr-defined]
                    assert here() == closer.span_id

            await asyncio.create_task(close())
            assert here() == outer.span_id
        assert here() == 0

    asyncio.run(main())
    assert here() == 0
    statuses = {event.event_type: event.status for event in recorded() if event.span}
    assert statuses == {"main": "", "inside the generator": "", "closer": ""}


def test_tasks_inherit_the_span_in_which_they_were_made(recorded: OwnEvents) -> None:
    """Also when it ends before they run, and when they outlive it. R5.2 R5.3"""

    async def child(n: int) -> None:
        with whence.span("child", n=n):
            await asyncio.sleep(0)
            step(n)

    @whence.span("spawn")
    def spawn(n: int) -> asyncio.Task[None]:
        return asyncio.create_task(child(n))

    async def main() -> None:
        tasks = [spawn(n) for n in range(20)]
        with whence.span("around"):
            tasks.append(asyncio.create_task(child(99)))
        await asyncio.gather(*tasks)

    asyncio.run(main())
    by_id = {event.span_id: event for event in recorded() if event.span}
    children = [event for event in by_id.values() if event.event_type == "child"]
    parents = {e.attributes["n"]: by_id[e.parent_span_id] for e in children}
    assert {parent.event_type for n, parent in parents.items() if n != 99} == {"spawn"}
    assert len({parent.span_id for parent in parents.values()}) == 21
    assert parents[99].event_type == "around"
    for event in recorded():
        if not event.span:
            assert by_id[event.span_id].attributes["n"] == event.attributes["n"]


def test_copied_contexts_keep_the_span_in_which_they_were_copied() -> None:
    """However often the same function is called again afterwards. R5.3"""
    copies: list[tuple[int, contextvars.Context]] = []
    other: contextvars.ContextVar[int] = contextvars.ContextVar("other")

    @whence.span("copying")
    def copy(change: bool) -> None:
        if change:
            other.set(len(copies))
        copies.append((here(), contextvars.copy_context()))

    for n in range(50):
        copy(n % 3 == 0)
        assert here() == 0
    assert len({span_id for span_id, _ in copies}) == 50
    for span_id, context in copies:
        assert context.run(here) == span_id


def test_variables_set_inside_a_span_stay_set() -> None:
    """A span restores its own context and nobody else's variables. R5.3"""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @whence.span("setting")
    def change(n: int) -> None:
        variable.set(n)

    def body() -> None:
        for n in range(1, 6):
            change(n)
            assert variable.get() == n
            with whence.span("also"):
                token = variable.set(-n)
            assert variable.get() == -n
            variable.reset(token)
            assert variable.get() == n
        assert here() == 0

    contextvars.copy_context().run(body)


def test_many_other_variables_do_not_matter() -> None:
    """Not even so many that CPython keeps them in several nodes. R5.3"""
    many: list[contextvars.ContextVar[int]] = [contextvars.ContextVar(f"v{n}") for n in range(60)]
    seen: list[tuple[int, contextvars.Context]] = []

    @whence.span("crowded")
    def crowded() -> None:
        seen.append((here(), contextvars.copy_context()))

    def body() -> None:
        for n, variable in enumerate(many):
            variable.set(n)
            crowded()
            crowded()
        assert [variable.get() for variable in many] == list(range(60))

    contextvars.copy_context().run(body)
    assert [context.run(here) for _, context in seen] == [span_id for span_id, _ in seen]


# What a program does with spans: open one, close the innermost, an exception, an event, a call.
ACTIONS = st.lists(st.sampled_from(["open", "close", "event", "call", "fail", "copy"]), max_size=40)


@given(ACTIONS)
def test_any_nesting_is_recorded_as_it_was(actions: list[str]) -> None:
    """Parents and the spans of events are those of a simple stack. R5.2"""
    recorded = OwnEvents()
    stack: list[whence.span] = []
    wanted: dict[int, int] = {}  # span -> parent
    around: list[int] = []  # of events
    copies: list[tuple[int, contextvars.Context]] = []

    def top() -> int:
        return stack[-1].span_id if stack else 0

    @whence.span("called")
    def called(parent: int) -> None:
        wanted[here()] = parent
        step(1)
        around.append(here())

    for action in actions:
        if action == "open":
            span = whence.span("nested")
            wanted[span.span_id] = top()
            stack.append(span.__enter__())
        elif action == "event":
            step(0)
            around.append(top())
        elif action == "call":
            called(top())
        elif action == "copy":
            copies.append((top(), contextvars.copy_context()))
        elif stack:
            error = ValueError("x") if action == "fail" else None
            stack.pop().__exit__(type(error) if error else None, error, None)
        assert here() == top()
    while stack:
        stack.pop().__exit__(None, None, None)
    assert here() == 0
    events = recorded()
    assert {e.span_id: e.parent_span_id for e in events if e.span} == wanted
    assert [e.span_id for e in events if not e.span] == around
    assert [context.run(here) for _, context in copies] == [span_id for span_id, _ in copies]


# ---------------------------------------------------------------- decorators


def test_a_decorated_function_stays_what_it_is(recorded: OwnEvents) -> None:
    """Name, signature, documentation, methods, static and class methods, pickling. R5.2"""

    class Agent:
        @whence.span("method")
        def method(self, n: int, *, extra: int = 2) -> int:
            """Says."""
            return n + extra

        @whence.span("static")
        @staticmethod
        def static(n: int) -> int:
            return n

        @classmethod
        @whence.span("class")
        def of_class(cls, n: int) -> tuple[type, int]:
            return cls, n

    agent = Agent()
    assert (agent.method(1), Agent.method(agent, 1, extra=3)) == (3, 4)
    assert agent.static(5) == Agent.static(5) == 5
    assert agent.of_class(6) == (Agent, 6)
    assert Agent.method.__name__ == "method"
    assert Agent.method.__doc__ == "Says."
    assert list(inspect.signature(Agent.method).parameters) == ["self", "n", "extra"]
    assert list(inspect.signature(agent.method).parameters) == ["n", "extra"]
    assert inspect.unwrap(Agent.method) is Agent.method.__wrapped__  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(shouted)) is shouted
    assert functools.partial(shouted, "x")() == "X"
    assert [event.event_type for event in recorded()].count("method") == 2
    for wrong in (5, int):
        with pytest.raises(TypeError, match="decorates functions"):
            whence.span("wrong")(wrong)  # type: ignore[type-var]


@whence.span("shout")
def shouted(text: str) -> str:
    """In capitals."""
    return text.upper()


def test_errors_of_decorated_functions_go_on(recorded: OwnEvents) -> None:
    """With their traceback, noted in the span. R5.2"""

    @whence.span("dividing", by="zero")
    def divide(n: int) -> float:
        return n / 0

    with pytest.raises(ZeroDivisionError) as caught:
        divide(1)
    assert caught.traceback[-1].name == "divide"
    with pytest.raises(TypeError, match="missing"):
        divide()  # type: ignore[call-arg]
    first, second = recorded()
    assert (first.status, first.status_message) == ("error", "ZeroDivisionError: division by zero")
    assert first.attributes == {"by": "zero"}
    assert second.status_message.startswith("TypeError")


def test_coroutine_functions_and_generators_stay_what_they_are(recorded: OwnEvents) -> None:
    """Recognised by inspect; what they do is inside, what their consumer does is not. R5.2"""

    @whence.span("coroutine")
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return here()

    @whence.span("generator")
    def generator() -> Iterator[int]:
        try:
            got = yield here()
            assert got == "sent"
            yield here()
        except KeyError:
            yield -1
        finally:
            step(7)

    @whence.span("async generator")
    async def async_generator() -> AsyncIterator[int]:
        yield here()
        await asyncio.sleep(0)
        yield here()

    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)

    async def main() -> None:
        with whence.span("consumer") as consumer:
            assert await coroutine() not in (0, consumer.span_id)
            seen = [(n, here()) async for n in async_generator()]
            assert {outer for _, outer in seen} == {consumer.span_id}
            assert len({inner for inner, _ in seen} - {consumer.span_id}) == 1
            made: Any = generator()
            inner = next(made)
            assert here() == consumer.span_id
            assert made.send("sent") == inner
            made.close()
            thrown: Any = generator()
            next(thrown)
            assert thrown.throw(KeyError("k")) == -1
            assert list(thrown) == []

    asyncio.run(main())
    spans = {event.event_type: event for event in recorded() if event.span}
    assert {spans[name].parent_span_id for name in spans if name != "consumer"} == {
        spans["consumer"].span_id
    }
    assert {event.status for event in spans.values()} == {""}
    inside = [event.span_id for event in recorded() if not event.span]
    assert len(inside) == 2
    assert spans["generator"].span_id in inside


def test_a_decorated_function_that_is_off_is_called_straight_through(recorded: OwnEvents) -> None:
    """And comes back on. R5.2"""
    _native.set_rule("shout", 0)
    assert shouted("a") == "A"
    assert recorded() == []
    _native.set_rule("shout", 1)
    assert shouted("b") == "B"
    assert [event.event_type for event in recorded()] == ["shout"]


# ---------------------------------------------------------------- carrying on


def test_a_context_is_a_value() -> None:
    """It compares, hashes, pickles, and cannot be changed. R5.3"""
    with whence.request("req-1", decision_chain_id="c", lineage_id=5), whence.span("s"):
        context = whence.current()
    again = pickle.loads(pickle.dumps(context))
    assert again == context
    assert hash(again) == hash(context)
    assert again != whence.Context("req-1")
    assert context != "req-1"
    assert (again.chain_id, again.lineage_id, again.span_id) == ("c", 5, context.span_id)
    with pytest.raises(AttributeError):
        context.span_id = 5  # type: ignore[misc]
    with pytest.raises(ValueError, match="trace id"):
        whence.Context("r", trace_id="0" * 32)
    with pytest.raises(TypeError, match="takes a Context"):
        whence.use("req-1")  # type: ignore[arg-type]


def test_one_context_may_be_used_many_times_at_once() -> None:
    """In several threads, and inside itself. R5.3"""
    context = whence.Context("shared")
    use = whence.use(context)
    with use, use, whence.request("other"), use:
        assert whence.current().request_id == "shared"
    assert whence.current().request_id == ""
    found = []

    def look() -> None:
        with use:
            barrier.wait()
            found.append(whence.current().request_id)
            barrier.wait()

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["shared"] * 4


def test_a_function_is_carried_to_other_threads(recorded: OwnEvents) -> None:
    """With the context of the moment; a coroutine function stays one. R5.3"""

    async def later() -> str:
        return whence.current().request_id

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with whence.request("req-1"), whence.span("outer") as outer:
            bound = whence.carry(here)
            bound_later = whence.carry(later)
            assert pool.submit(bound).result() == outer.span_id
        assert pool.submit(here).result() == 0
        assert pool.submit(bound).result() == outer.span_id
    assert inspect.iscoroutinefunction(bound_later)
    assert asyncio.run(bound_later()) == "req-1"
    assert whence.carry(here) is here
    assert bound.__name__ == "here"


PATCHED = """
import asyncio, threading, whence
from concurrent.futures import ThreadPoolExecutor
whence.patch_threads()
whence.patch_threads()
found = []
def look(): found.append(whence.current().request_id)
class Mine(threading.Thread):
    def run(self): look()
with ThreadPoolExecutor(1) as pool:
    with whence.request("r1"):
        pool.submit(look).result()
    pool.submit(look).result()
    with whence.request("r2"):
        for thread in (threading.Thread(target=look), Mine(), threading.Timer(0, look)):
            thread.start(); thread.join()
    async def main():
        with whence.request("r3"):
            await asyncio.get_running_loop().run_in_executor(None, look)
        await asyncio.get_running_loop().run_in_executor(None, look)
    asyncio.run(main())
print(found)
"""


def test_threads_and_executors_are_patched_on_request(tmp_path: Path) -> None:
    """Thread, its subclasses, Timer, ThreadPoolExecutor, run_in_executor. R5.3"""
    said = output_of("-c", PATCHED, whence_dir=tmp_path)
    assert said.strip() == "['r1', '', 'r2', 'r2', 'r2', 'r3', '']"


def report(n: int) -> tuple[int, str, str, int]:
    """What is ambient in another process."""
    context = whence.current()
    with whence.span("remote work", n=n) as work:
        return n, context.request_id, work.trace_id, work.parent_span_id


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_function_is_carried_to_other_processes(method: str) -> None:
    """Forked or spawned: same request, same trace, same parent. R5.3"""
    pools = multiprocessing.get_context(method)
    with whence.request("req-mp"), whence.span("outer") as outer, pools.Pool(1) as pool:
        found = pool.map(whence.carry(report), [1, 2])
    assert found == [(n, "req-mp", outer.trace_id, outer.span_id) for n in (1, 2)]


def events_of(recorded: OwnEvents) -> list[TraceEvent]:
    """Those of this file's kind."""
    return [event for event in recorded() if event.event_type == "context_step"]


def test_a_request_goes_on_in_the_trace_around_it(recorded: OwnEvents) -> None:
    """Within a span of our own, or a trace that came from elsewhere. R5.3 R5.2"""
    with whence.span("batch") as batch, whence.request("r1") as ours:
        step(1)
        with whence.span("within") as within:
            assert (within.parent_span_id, within.trace_id) == (batch.span_id, batch.trace_id)
            with whence.request("r0") as nested:
                assert (nested.span_id, nested.trace_id) == (within.span_id, batch.trace_id)
        assert not ours.remote
    came = whence.extract({"traceparent": f"00-{'ab' * 16}-00000000000000ff-01"})
    with whence.use(came), whence.request("r2"):
        step(2)
    with whence.use(came):
        step(3)
    first, second, third = events_of(recorded)
    assert first.trace_id == ours.trace_id == batch.trace_id
    assert (first.span_id, second.span_id, third.span_id) == (batch.span_id, 255, 255)
    assert second.trace_id == third.trace_id == "ab" * 16
    assert (second.request_id, third.request_id) == ("r2", "")


@whence.kind(component="Context")
def context_answered(request_id: str) -> None:
    """An event that names its request itself."""


def test_an_event_that_names_its_request_stays_in_the_span_around_it(recorded: OwnEvents) -> None:
    """It is that request's, and happened in this span of this trace all the same. R5.2 R5.3"""
    long = "r" * 40
    with whence.request("outer"), whence.span("batch") as batch:
        for request in ("r1", long, "outer"):
            context_answered(request)
    context_answered("r1")
    *inside, outside = (each for each in recorded() if each.event_type == "context_answered")
    assert [each.request_id for each in inside] == ["r1", long, "outer"]
    for each in inside:
        assert (each.trace_id, each.span_id) == (batch.trace_id, batch.span_id)
    assert (outside.request_id, outside.span_id) == ("r1", 0)
    assert outside.trace_id not in ("", batch.trace_id)
