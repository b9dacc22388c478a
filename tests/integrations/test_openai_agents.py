"""OpenAI Agents SDK, the real package with its own scripted model: runs as chains and spans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import whence
from tests.own_events import OwnEvents
from whence.integrations.openai_agents import AgentsProcessor
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.query.contracts.verify import verify
from whence.query.why import why

agents = pytest.importorskip("agents", reason="openai-agents is not installed")
testing = pytest.importorskip("agents.testing", reason="this openai-agents has no scripted model")

TRACE = "ab" * 16


@whence.kind(component="Tool")
def looked_up(city: str) -> None: ...


@pytest.fixture
def recorded() -> Iterator[OwnEvents]:
    """What is recorded while our processor is the only one."""
    agents.set_trace_processors([AgentsProcessor(content=True)])
    agents.set_tracing_disabled(False)
    yield OwnEvents()
    agents.set_trace_processors([])


def test_a_run_is_a_request_whose_chain_is_complete(recorded: OwnEvents) -> None:
    """A run with a tool and a handoff keeps the contract of agent runs, and why finds it. R5.23"""
    run(trip, TRACE)
    events = recorded()
    source = Recording(events=tuple(events))
    (verdict,) = verify(source).contracts
    assert (verdict.contract, verdict.chains, verdict.complete) == ("agent-run", 1, 1)
    answer = why(source, f"trace_{TRACE}")
    assert answer.complete
    assert {event.trace_id for event in events} == {TRACE}


def test_spans_nest_as_the_sdk_nests_them(recorded: OwnEvents) -> None:
    """Agent, turn, model call and tool lie in each other, and so does what a tool records. R5.23"""
    run(trip, TRACE)
    events = recorded()
    spans = {event.span_id: event for event in events if event.span}
    tool = one(events, "execute_tool")
    turn = spans[tool.parent_span_id]
    agent = spans[turn.parent_span_id]
    assert (turn.event_type, agent.event_type) == ("turn", "invoke_agent")
    assert agent.attributes["gen_ai_agent_name"] == "planner"
    assert one(events, "looked_up").span_id == tool.span_id
    assert one(events, "looked_up").request_id == f"trace_{TRACE}"
    assert "Rome" in str(tool.attributes["gen_ai_tool_call_arguments"])
    assert tool.attributes["gen_ai_tool_call_result"] == "rain"


def test_tool_calls_and_handoffs_are_decisions_with_what_was_not_taken(
    recorded: OwnEvents,
) -> None:
    """The other tools and agents are options that were not chosen. R5.23"""
    run(trip, TRACE)
    called, handed = one(recorded(), "TOOL_INVOKED"), one(recorded(), "handoff")
    assert called.decision
    assert {option.name: option.chosen for option in called.options} == {
        "weather": True, "trains": False
    }  # fmt: skip
    assert called.rationale == "planner calls weather"
    assert {option.name: option.chosen for option in handed.options} == {
        "writer": True, "critic": False
    }  # fmt: skip
    assert (handed.attributes["from_agent"], handed.attributes["to_agent"]) == ("planner", "writer")


def test_a_guardrail_that_blocks_is_why_the_run_failed(recorded: OwnEvents) -> None:
    """The decision to block is a warning, and the run ends as failed. R5.23"""
    with pytest.raises(agents.InputGuardrailTripwireTriggered):
        run(rude, TRACE)
    events = recorded()
    decided = one(events, "guardrail_decision")
    assert (decided.attributes["outcome"], decided.severity) == ("block", whence.Severity.Warning)
    assert "tripwire" in one(events, "RUN_FAILED").rationale
    assert why(Recording(events=tuple(events)), f"trace_{TRACE}").outcome.wrong


def test_a_model_that_raises_ends_its_spans_and_the_run(recorded: OwnEvents) -> None:
    """The exception goes on; the model call and the run say what it was. R5.23"""
    with pytest.raises(ValueError, match="model down"):
        run(broken, TRACE)
    assert one(recorded(), "chat").status == "error"
    assert "model down" in one(recorded(), "RUN_FAILED").rationale


def test_a_model_call_has_its_model_and_tokens_by_the_genai_names(recorded: OwnEvents) -> None:
    """Model and tokens are under the names that the table of conventions knows. R5.22 R5.23"""
    usage = {"input_tokens": 10, "output_tokens": 5}
    with agents.trace("direct"), agents.generation_span(model="tiny-1", usage=usage):
        pass
    call = one(recorded(), "chat")
    assert call.attributes["gen_ai_request_model"] == "tiny-1"
    assert call.attributes["gen_ai_usage_input_tokens"] == 10
    assert call.attributes["gen_ai_usage_output_tokens"] == 5


def test_runs_side_by_side_keep_apart_and_leave_no_context_behind(recorded: OwnEvents) -> None:
    """Many runs at once: each event in its own request; afterwards there is none. R5.23"""

    async def many() -> None:
        await asyncio.gather(*(trip(f"{at:032x}") for at in range(1, 9)))
        assert whence.current().request_id == ""

    asyncio.run(many())
    events = recorded()
    for at in range(1, 9):
        mine = [event for event in events if event.request_id == f"trace_{at:032x}"]
        assert one(mine, "looked_up").attributes["city"] == f"Rome-{at:032x}"
        assert len([event for event in mine if event.span]) == 12
    assert verify(Recording(events=tuple(events))).contracts[0].complete == 8


def test_a_streamed_run_that_is_given_up_leaves_no_context_behind(recorded: OwnEvents) -> None:
    """Its parts end in other tasks than began them; the caller's context is as before. R5.23"""

    async def give_up() -> None:
        result = agents.Runner.run_streamed(planner("x"), "hi", run_config=config("cd" * 16))
        async for _ in result.stream_events():
            break
        result.cancel()
        async for _ in result.stream_events():
            pass
        assert whence.current().request_id == ""

    asyncio.run(give_up())
    started = one(recorded(), "RUN_STARTED")
    assert started.request_id == "trace_" + "cd" * 16


def run(story: Callable[[str], Coroutine[Any, Any, Any]], trace_id: str) -> Any:
    return asyncio.run(story(trace_id))


async def trip(trace_id: str) -> Any:
    """A planner that asks for the weather, then hands over to a writer."""
    return await agents.Runner.run(planner(trace_id), "hi", run_config=config(trace_id))


async def rude(trace_id: str) -> Any:
    @agents.input_guardrail
    async def polite(context: Any, agent: Any, given: Any) -> Any:
        return agents.GuardrailFunctionOutput(None, True)

    agent = agents.Agent("planner", input_guardrails=[polite], model=scripted([said("x")]))
    return await agents.Runner.run(agent, "rude", run_config=config(trace_id))


async def broken(trace_id: str) -> Any:
    agent = agents.Agent("planner", model=scripted([ValueError("model down")]))
    return await agents.Runner.run(agent, "hi", run_config=config(trace_id))


def planner(city: str) -> Any:
    @agents.function_tool
    async def weather(city: str) -> str:
        await asyncio.sleep(0)
        looked_up(city)
        return "rain"

    @agents.function_tool
    async def trains(city: str) -> str:
        return "09:14"

    writer = agents.Agent("writer", model=scripted([said("done")]))
    critic = agents.Agent("critic", model=scripted([]))
    steps = [
        [testing.function_call("weather", {"city": f"Rome-{city}"}, call_id="1")],
        [testing.function_call("transfer_to_writer", {}, call_id="2")],
    ]
    return agents.Agent(
        "planner", tools=[weather, trains], handoffs=[writer, critic], model=scripted(steps)
    )


def scripted(steps: list[Any]) -> Any:
    return testing.ScriptedModel(steps, emit_traces=True)


def said(text: str) -> list[Any]:
    return [testing.assistant_message(text)]


def config(trace_id: str) -> Any:
    return agents.RunConfig(workflow_name="trip", trace_id=f"trace_{trace_id}")


def one(events: list[TraceEvent], event_type: str) -> TraceEvent:
    (found,) = [event for event in events if event.event_type == event_type]
    return found
