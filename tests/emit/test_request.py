"""The ambient request: entered, nested, left by value; in tasks, threads and decorators."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import whence
from tests.own_events import OwnEvents

step = whence.kind("step", component="Request", n=int)

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def requests_of(recorded: OwnEvents) -> list[str]:
    """The request of each event, in order."""
    return [event.request_id for event in recorded()]


def test_events_inside_belong_to_the_request(recorded: OwnEvents) -> None:
    """Before and after it there is none. R0.28"""
    step(0)
    with whence.request("req-1"):
        step(1)
        step.emit(2)
    step(3)
    assert requests_of(recorded) == ["", "req-1", "req-1", ""]


def test_requests_nest(recorded: OwnEvents) -> None:
    """The innermost counts; leaving it puts the outer one back, errors or not. R0.28"""
    with whence.request("outer"):
        with contextlib.suppress(KeyError), whence.request("inner"):
            step(1)
            raise KeyError
        step(2)
        with whence.request("outer"):
            step(3)
        step(4)
    assert requests_of(recorded) == ["inner", "outer", "outer", "outer"]


def test_current_tells_the_ambient_request() -> None:
    """Its id, chain and lineage; an empty one outside of any request. R0.28"""
    assert whence.current().request_id == ""
    with whence.request("req-1", decision_chain_id="chain", lineage_id=2**64 - 1) as context:
        assert whence.current() is context
        assert (context.request_id, context.chain_id) == ("req-1", "chain")
        assert context.lineage_id == 2**64 - 1
        assert repr(context) == "Context('req-1')"
    with whence.request("req-2") as context:
        assert (context.chain_id, context.lineage_id) == ("req-2", 0)
    assert whence.current().request_id == ""


def test_a_request_without_an_id_gets_a_new_one_each_time(recorded: OwnEvents) -> None:
    """A random UUIDv4 for every entry. R0.28"""
    anonymous = whence.request()
    with anonymous as first, anonymous as second:
        step(1)
    ids = {first.request_id, second.request_id}
    assert len(ids) == 2
    assert all(UUID4.fullmatch(each) for each in ids)
    assert requests_of(recorded) == [second.request_id]


def test_a_chain_may_be_part_of_a_request(recorded: OwnEvents) -> None:
    """decision_chain_id and lineage_id are inherited by the events inside. R0.28 R0.49"""
    with whence.request("req-1", decision_chain_id="attempt-2", lineage_id=9):
        step(1)
    with whence.request("req-1", decision_chain_id="req-1"):
        step(2)
    assert [(e.request_id, e.decision_chain_id, e.lineage_id) for e in recorded()] == [
        ("req-1", "attempt-2", 9),
        ("req-1", "req-1", 0),
    ]


def test_one_request_may_be_entered_again_inside_itself(recorded: OwnEvents) -> None:
    """Each entry is left on its own. R0.28"""
    again = whence.request("again")
    with whence.request("outer"):
        with again, again:
            step(1)
        step(2)
    with again:
        step(3)
    step(4)
    assert requests_of(recorded) == ["again", "outer", "again", ""]


def test_tasks_inherit_the_request_and_do_not_disturb_each_other(recorded: OwnEvents) -> None:
    """Tasks that take turns each keep their own request; one started inside inherits. R0.28"""

    async def work(name: str, first: int) -> None:
        step(first)  # inherited
        with whence.request(name):
            await asyncio.sleep(0)
            step(first + 1)
            await asyncio.sleep(0)
            step(first + 2)
        step(first + 3)

    async def main() -> None:
        with whence.request("parent"):
            tasks = [asyncio.create_task(work(f"task-{n}", 10 * n)) for n in range(3)]
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert {e.attributes["n"]: e.request_id for e in recorded()} == {
        10 * n + i: name
        for n in range(3)
        for i, name in enumerate(["parent", f"task-{n}", f"task-{n}", "parent"])
    }


def test_tasks_may_share_one_request_object(recorded: OwnEvents) -> None:
    """Each task gets back the request that it had before, whoever leaves first. R0.28"""
    shared = whence.request("shared")

    async def work(name: str, turns: int) -> None:
        with whence.request(name):
            with shared:
                for _ in range(turns):
                    await asyncio.sleep(0)
            step(turns)

    async def main() -> None:
        await asyncio.gather(*(work(f"outer-{turns}", turns) for turns in (2, 4, 1, 3)))

    asyncio.run(main())
    assert {e.attributes["n"]: e.request_id for e in recorded()} == {
        turns: f"outer-{turns}" for turns in (1, 2, 3, 4)
    }


def test_a_generator_closed_by_another_task_disturbs_nobody(recorded: OwnEvents) -> None:
    """Leaving a request where it was never entered raises nothing and changes nothing. R0.28"""

    async def numbers() -> AsyncIterator[int]:
        with whence.request("generator"):
            yield 1
            yield 2

    async def main() -> None:
        opened = numbers()

        async def start() -> None:
            await anext(opened)
            step(1)

        async def close() -> None:
            with whence.request("closer"):
                await opened.aclose()  # type: ignore[attr-defined]
                step(2)
            step(3)

        await asyncio.create_task(start())
        await asyncio.create_task(close())
        step(4)

    asyncio.run(main())
    assert requests_of(recorded) == ["generator", "closer", "", ""]


def test_a_thread_has_a_request_of_its_own(recorded: OwnEvents) -> None:
    """Threads inherit none, but take one along in a copied context. R0.28 R0.38"""

    def work(first: int) -> None:
        step(first)
        with whence.request(f"thread-{first}"):
            step(first + 1)
        step(first + 2)

    with whence.request("main"):
        bare = threading.Thread(target=work, args=(10,))
        copied = threading.Thread(target=contextvars.copy_context().run, args=(work, 20))
        for thread in (bare, copied):
            thread.start()
            thread.join()
        step(1)
    assert {e.attributes["n"]: e.request_id for e in recorded()} == {
        10: "",
        11: "thread-10",
        12: "",
        20: "main",
        21: "thread-20",
        22: "main",
        1: "main",
    }


def test_a_request_decorates_functions(recorded: OwnEvents) -> None:
    """Each call is inside, by its id or a new one; name, result and errors stay. R0.28"""

    @whence.request("fixed", decision_chain_id="c", lineage_id=3)
    def fixed(n: int, *, deep: int = 0) -> int:
        """Says its name."""
        step(n)
        return fixed(n + 1, deep=deep - 1) if deep else n

    @whence.request()
    def fresh(n: int) -> None:
        step(n)
        raise KeyError(n)

    assert (fixed.__name__, fixed.__doc__) == ("fixed", "Says its name.")
    assert fixed(1, deep=2) == 3
    for n in (10, 11):
        with pytest.raises(KeyError):
            fresh(n)
    step(20)
    events = recorded()
    assert [(e.request_id, e.decision_chain_id, e.lineage_id) for e in events[:3]] == [
        ("fixed", "c", 3)
    ] * 3
    assert len({e.request_id for e in events[3:5]}) == 2
    assert events[5].request_id == ""


def test_a_request_decorates_coroutine_functions(recorded: OwnEvents) -> None:
    """The request lasts until the coroutine has ended, and stays within its task. R0.28"""

    @whence.request("async")
    async def work(n: int) -> int:
        await asyncio.sleep(0)
        step(n)
        return n

    async def main() -> list[int]:
        done = await asyncio.gather(work(1), work(2))
        step(3)
        return done

    assert asyncio.iscoroutinefunction(work)
    assert asyncio.run(main()) == [1, 2]
    assert requests_of(recorded) == ["async", "async", ""]


def test_a_generator_function_is_not_decorated() -> None:
    """It would run in its consumer's context, so the decorator says what to do instead. R0.28"""

    def numbers() -> Iterator[int]:
        yield 1

    async def anumbers() -> AsyncIterator[int]:
        yield 1

    generators: list[Callable[..., Any]] = [numbers, anumbers]
    for each in generators:
        with pytest.raises(TypeError, match="inside it"):
            whence.request("r")(each)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"request_id": ""}, ValueError),
        ({"request_id": "half \ud800"}, ValueError),
        ({"request_id": 5}, TypeError),
        ({"request_id": b"r"}, TypeError),
        ({"request_id": "r", "decision_chain_id": "\udfff"}, ValueError),
        ({"request_id": "r", "decision_chain_id": 5}, TypeError),
        ({"decision_chain_id": "\udfff"}, ValueError),
        ({"request_id": "r", "lineage_id": -1}, OverflowError),
        ({"request_id": "r", "lineage_id": 2**64}, OverflowError),
        ({"request_id": "r", "lineage_id": 1.0}, TypeError),
        ({"lineage_id": "1"}, TypeError),
    ],
)
def test_an_id_that_cannot_be_kept_whole_is_refused(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    """Empty ids, half surrogate pairs and other types are refused before they are entered. R0.28"""
    with pytest.raises(error):
        whence.request(**arguments)
    assert whence.current().request_id == ""


def test_the_decorator_is_written_with_parentheses() -> None:
    """`@whence.request` alone would take the function for an id; the message says what to write."""
    with pytest.raises(TypeError, match=r"write @whence\.request\(\)"):

        @whence.request  # type: ignore[arg-type]
        def work() -> None: ...
