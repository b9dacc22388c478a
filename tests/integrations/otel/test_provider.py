"""Our tracer provider: OpenTelemetry's interface over spans of ours."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.apps import AppRun
from tests.own_events import OwnEvents
from whence._native import Span as NativeSpan
from whence.emit.context import carry
from whence.emit.request import current, request
from whence.model.event import TraceEvent

trace = pytest.importorskip("opentelemetry.trace", reason="OpenTelemetry is not installed")

from opentelemetry import context as otel_context  # noqa: E402
from opentelemetry.trace.propagation.tracecontext import (  # noqa: E402
    TraceContextTextMapPropagator,
)

from whence.otel import Tracer, TracerProvider  # noqa: E402

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def tracer() -> Tracer:
    """A tracer of ours."""
    return TracerProvider().get_tracer("tests.lib", "1.0")


def by_name(events: list[TraceEvent]) -> dict[str, TraceEvent]:
    """The events by their type."""
    return {event.event_type: event for event in events}


def test_spans_have_all_that_the_interface_offers(tracer: Tracer, recorded: OwnEvents) -> None:
    """Kind, attributes of every type, events, links, status, a new name. R5.17"""
    other = tracer.start_span("other")
    with tracer.start_as_current_span(
        "first name",
        kind=trace.SpanKind.SERVER,
        attributes={"n": 1, "x": 2.5, "ok": True, "s": "text", "list": ["a", "b"]},
        links=[trace.Link(other.get_span_context(), {"why": "joined"})],
    ) as span:
        span.set_attribute("n", 2)
        span.set_attributes({"raw": b"\xff"})
        span.add_event("half way", {"percent": 50})
        span.add_link(other.get_span_context())
        span.set_status(trace.Status(trace.StatusCode.OK, "fine"))
        span.set_status(trace.StatusCode.ERROR, "too late: ok is final")
        span.update_name("last name")
        assert span.is_recording()
    assert not span.is_recording()
    span.set_attribute("after", "the end")
    span.end()
    found = by_name(recorded())
    event = found["last name"]
    assert event.span
    assert event.component == "tests.lib"
    assert event.status == "ok"
    assert dict(event.attributes) == {
        "otel.scope.version": "1.0",
        "otel.span.kind": "server",
        "n": 2,
        "x": 2.5,
        "ok": True,
        "s": "text",
        "list": '["a", "b"]',
        "raw": "ff",
    }
    assert [link.span_id for link in event.links] == [other.get_span_context().span_id] * 2
    assert dict(event.links[0].attributes) == {"why": "joined"}
    half = found["half way"]
    assert (half.span_id, half.trace_id) == (event.span_id, event.trace_id)
    assert half.attributes["percent"] == 50
    assert f"{span.get_span_context().trace_id:032x}" == event.trace_id
    other.end()


def test_an_exception_is_an_event_a_status_and_goes_on(tracer: Tracer, recorded: OwnEvents) -> None:
    """As with OpenTelemetry's own spans. R5.17"""
    with (
        pytest.raises(KeyError),
        tracer.start_as_current_span("failing"),
    ):
        raise KeyError("gone")
    found = by_name(recorded())
    assert found["failing"].status == "error"
    assert found["failing"].status_message == "KeyError: 'gone'"
    assert found["exception"].rationale == "KeyError: 'gone'"
    assert found["exception"].attributes["exception.escaped"] is True
    assert found["exception"].span_id == found["failing"].span_id


def test_both_interfaces_see_one_ambient_span(tracer: Tracer, recorded: OwnEvents) -> None:
    """Spans nest across the two, both ways, within the request. R5.17 R5.2"""
    with request("req-both"), NativeSpan("outer", component="App") as outer:
        assert trace.get_current_span().get_span_context().span_id == outer.span_id
        with tracer.start_as_current_span("middle") as middle:
            assert trace.get_current_span() is middle
            assert current().span_id == middle.get_span_context().span_id
            with NativeSpan("inner", component="App") as inner:
                assert trace.get_current_span().get_span_context().span_id == inner.span_id
        assert current().span_id == outer.span_id
        assert trace.get_current_span().get_span_context().span_id == outer.span_id
    assert not trace.get_current_span().get_span_context().is_valid
    found = by_name(recorded())
    assert found["inner"].parent_span_id == found["middle"].span_id
    assert found["middle"].parent_span_id == found["outer"].span_id
    assert {event.request_id for event in found.values()} == {"req-both"}
    assert len({event.trace_id for event in found.values()}) == 1


def test_a_trace_goes_in_and_out_of_headers(tracer: Tracer, recorded: OwnEvents) -> None:
    """A remote parent is the parent; what goes out names our span. R5.17 R5.3"""
    carrier = TraceContextTextMapPropagator()
    came = carrier.extract({"traceparent": PARENT, "tracestate": "a=1"})
    with tracer.start_as_current_span("served", context=came) as span:
        out: dict[str, str] = {}
        carrier.inject(out)
        assert current().trace_id == PARENT[3:35]
    event = recorded.one()
    assert (event.trace_id, f"{event.parent_span_id:016x}") == (PARENT[3:35], PARENT[36:52])
    assert out["traceparent"] == f"00-{PARENT[3:35]}-{span.get_span_context().span_id:016x}-01"
    assert out["tracestate"] == "a=1"


def test_a_parent_that_was_not_sampled_stays_so_for_others(
    tracer: Tracer, recorded: OwnEvents
) -> None:
    """We record it; what goes out says what came in. R5.17 R5.3"""
    carrier = TraceContextTextMapPropagator()
    came = carrier.extract({"traceparent": PARENT[:-2] + "00"})
    out: dict[str, str] = {}
    with (
        tracer.start_as_current_span("served", context=came),
        tracer.start_as_current_span("inner"),
    ):
        carrier.inject(out)
    assert out["traceparent"].endswith("-00")
    assert len(recorded()) == 2


def test_what_was_attached_before_us_can_still_be_detached() -> None:
    """A program may set its provider late, within a context of its own. R5.17"""
    token = otel_context._RUNTIME_CONTEXT._current_context.set(otel_context.Context({"k": 1}))
    TracerProvider()
    assert otel_context.get_value("k") == 1
    otel_context.detach(token)
    assert otel_context.get_value("k") is None


def test_without_opentelemetry_the_way_in_says_what_to_install(
    run_app: Callable[..., AppRun],
) -> None:
    """Importing whence needs none of it. R5.17"""
    run = run_app(
        """
        import sys
        sys.modules["opentelemetry"] = None
        import whence
        try:
            whence.otel.TracerProvider
        except ModuleNotFoundError as error:
            print(error)
        """
    )
    assert run.stdout == "whence.otel needs OpenTelemetry: pip install 'whence[otel]'\n"


def test_an_explicit_empty_context_begins_a_new_trace(tracer: Tracer, recorded: OwnEvents) -> None:
    """A root is a root, whatever is current. R5.17"""
    with tracer.start_as_current_span("around") as around:
        tracer.start_span("root", context=otel_context.Context()).end()
    found = by_name(recorded())
    assert found["root"].parent_span_id == 0
    assert found["root"].trace_id != found["around"].trace_id
    assert found["around"].span_id == around.get_span_context().span_id


def test_times_may_be_given(tracer: Tracer, recorded: OwnEvents) -> None:
    """A span of the past keeps its length. R5.17"""
    import time

    now = time.time_ns()
    tracer.start_span("past", start_time=now - 5_000_000_000).end(now - 2_000_000_000)
    assert abs(recorded.one().duration.nanos - 3_000_000_000) < 50_000_000


def test_a_decorated_function_is_a_span_each_time(tracer: Tracer, recorded: OwnEvents) -> None:
    """Sync and async. R5.17"""

    @tracer.start_as_current_span("sync")
    def work(n: int) -> int:
        return n

    @tracer.start_as_current_span("async")
    async def work_async(n: int) -> int:
        await asyncio.sleep(0)
        return n

    assert [work(1), work(2), asyncio.run(work_async(3))] == [1, 2, 3]
    assert [event.event_type for event in recorded()] == ["sync", "sync", "async"]


def test_closing_an_async_generator_in_another_task_raises_nothing_and_logs_nothing(
    tracer: Tracer, recorded: OwnEvents, caplog: pytest.LogCaptureFixture
) -> None:
    """What was ambient is put back by value, so the other task keeps its own span. R5.17 R5.2"""

    async def numbers() -> AsyncIterator[int]:
        with tracer.start_as_current_span("generator"):
            yield 1
            yield 2

    async def main() -> None:
        generator = numbers()
        await anext(generator)

        async def close() -> None:
            with tracer.start_as_current_span("closer") as span:
                await generator.aclose()  # type: ignore[attr-defined]
                assert trace.get_current_span() is span

        await asyncio.create_task(close(), context=contextvars.Context())

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert caplog.records == []
    assert {event.event_type for event in recorded()} == {"generator", "closer"}


def test_no_thread_is_started_and_flushing_is_true(tracer: Tracer) -> None:
    """What is recorded is in the file, so there is nothing to flush or to wait for. R5.17"""
    before = threading.active_count()
    provider = TracerProvider()
    for _ in range(100):
        provider.get_tracer("x").start_span("y").end()
    assert provider.force_flush()
    provider.shutdown()
    assert threading.active_count() == before


def test_work_in_a_thread_pool_belongs_to_the_span_that_gave_it(
    tracer: Tracer, recorded: OwnEvents
) -> None:
    """whence.carry takes OpenTelemetry's current span along, too. R5.17 R5.3"""

    def work() -> None:
        tracer.start_span("in the pool").end()

    with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("giver") as giver:
        pool.submit(carry(work)).result()
    found = by_name(recorded())
    assert found["in the pool"].parent_span_id == giver.get_span_context().span_id


def test_threads_record_at_the_same_time(tracer: Tracer, recorded: OwnEvents) -> None:
    """Each into its own ring: no span is lost and none has another thread's parent. R5.17"""

    def work(name: str) -> None:
        for _ in range(200):
            with (
                tracer.start_as_current_span(f"outer-{name}"),
                tracer.start_as_current_span(f"inner-{name}"),
            ):
                pass

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = recorded()
    assert len(events) == 4 * 200 * 2
    ids = {event.span_id: event for event in events}
    for event in events:
        if event.event_type.startswith("inner"):
            parent = ids[event.parent_span_id]
            assert parent.event_type == event.event_type.replace("inner", "outer")


def test_forked_children_and_killed_processes_keep_their_spans(
    run_app: Callable[..., AppRun],
) -> None:
    """A child records at once, without a thread to lose; kill -9 loses what is open. R5.17 R5.1"""
    run = run_app(
        """
        import os
        from opentelemetry import trace
        from whence.otel import TracerProvider
        trace.set_tracer_provider(TracerProvider())
        tracer = trace.get_tracer("app")
        with tracer.start_as_current_span("parent"):
            pid = os.fork()
            if pid == 0:
                with tracer.start_as_current_span("child"):
                    pass
                os.kill(os.getpid(), 9)
            os.waitpid(pid, 0)
        kept = tracer.start_span("never ended")
        with tracer.start_as_current_span("last"):
            pass
        os.kill(os.getpid(), 9)
        """,
        fails=True,
    )
    assert run.returncode == -9
    recording = run.recording()
    found = by_name(list(recording.events))
    assert found["child"].parent_span_id == found["parent"].span_id
    assert found["child"].trace_id == found["parent"].trace_id
    assert "last" in found
    still_open = {span.name for ring in recording.rings for span in ring.open_spans}
    assert still_open == {"never ended"}


def test_the_environment_chooses_our_provider(
    run_app: Callable[..., AppRun], installed: dict[str, str]
) -> None:
    """OTEL_PYTHON_TRACER_PROVIDER=whence is enough: the program names nobody. R5.17"""
    run = run_app(
        """
        from opentelemetry import trace
        with trace.get_tracer("app").start_as_current_span("unchanged"):
            pass
        """,
        env={**installed, "OTEL_PYTHON_TRACER_PROVIDER": "whence"},
    )
    assert [event.event_type for event in run.recording().events] == ["unchanged"]
