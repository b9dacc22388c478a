"""OpenAI Agents SDK: runs are requests, agents, tools and model calls spans, choices decisions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from whence import _native
from whence.emit.kind import kind
from whence.integrations.plain_values import Plain, plain, safe_text
from whence.model.option import Option
from whence.model.severity import Severity

__all__ = ["AgentsProcessor"]

COMPONENT = "Agents"
MOST_OPTIONS = 64
_AROUND = frozenset({"agent", "task", "turn"})  # may end in another task than they began in


@kind(name="RUN_STARTED", component=COMPONENT, rationale="{workflow} begins")
def _run_started(run_id: str, workflow: str, conversation: str) -> None: ...


@kind(name="RUN_COMPLETED", component=COMPONENT, rationale="{workflow} came to its end")
def _run_completed(run_id: str, workflow: str) -> None: ...


@kind(name="RUN_FAILED", component=COMPONENT, severity=Severity.Error)
def _run_failed(run_id: str, workflow: str, rationale: str, success: bool) -> None: ...


@kind(name="TOOL_INVOKED", component=COMPONENT, decision=True, rationale="{agent} calls {tool}")
def _tool_invoked(tool: str, agent: str, options: list[Option]) -> None: ...


@kind(name="TOOL_COMPLETED", component=COMPONENT)
def _tool_completed(tool: str, rationale: str, success: bool, severity: Severity) -> None: ...


@kind(name="handoff", component=COMPONENT, decision=True,
      rationale="{from_agent} hands over to {to_agent}")  # fmt: skip
def _handoff(from_agent: str, to_agent: str, options: list[Option]) -> None: ...


@kind(name="guardrail_decision", component=COMPONENT, decision=True)
def _guarded(guardrail: str, outcome: str, rationale: str, severity: Severity) -> None: ...


class AgentsProcessor:
    """`agents.add_trace_processor(AgentsProcessor())` records every run beside other processors.

    A trace of the SDK is a request, called as its trace id or as its metadata's `request_id`; its
    spans are spans of ours with the names of OpenTelemetry's GenAI conventions. Tool calls and
    handoffs are decisions among what the agent could have taken, guardrails decisions to allow or
    to block. What a tool, a guardrail or a model call records of its own belongs to the request and
    lies in the span. With `content` prompts, answers, tool arguments and results are recorded, too.

    Any number of runs at once, from any thread or task. Nothing here raises into a run.
    """

    def __init__(self, *, content: bool = False) -> None:
        self._content = content
        self._runs: dict[str, _native.Span] = {}
        self._open: dict[str, tuple[_native.Span, Any]] = {}  # by the SDK's span id
        self._failed: dict[str, str] = {}  # why a run failed, by its trace id
        self._lock = threading.Lock()

    def on_trace_start(self, trace: Any) -> None:
        """A run begins."""
        said = trace.export() or {}
        given = (said.get("metadata") or {}).get("request_id")
        context = _context(trace.trace_id, safe_text(given) if given else trace.trace_id)
        span = _native.begin_span(trace.name or "agent_run", COMPONENT, {}, context)
        with self._lock:
            self._runs[trace.trace_id] = span
        with _within(span):
            _run_started(trace.trace_id, trace.name, safe_text(said.get("group_id") or ""))

    def on_trace_end(self, trace: Any) -> None:
        """A run ends: failed, if an error ended one of its agents."""
        with self._lock:
            span = self._runs.pop(trace.trace_id, None)
            why = self._failed.pop(trace.trace_id, "")
        if span is None:
            return
        with _within(span):
            if why:
                _run_failed(trace.trace_id, trace.name, why, False)
            else:
                _run_completed(trace.trace_id, trace.name)
        span.end(why or None)

    def on_span_start(self, span: Any) -> None:
        """A part of a run begins."""
        data = span.span_data
        with self._lock:
            around = self._open.get(span.parent_id)
            run = around[0] if around is not None else self._runs.get(span.trace_id)
        parent = None if run is None else run.context
        name = _NAMES.get(data.type, data.type)
        ours = _native.begin_span(
            name, COMPONENT, {}, parent or _context(span.trace_id, span.trace_id)
        )
        if data.type == "function":
            agent = self._agent_around(span.parent_id)
            with _within(ours):
                chosen = safe_text(data.name)
                options = _options(getattr(agent, "tools", None), chosen)
                _tool_invoked(chosen, safe_text(getattr(agent, "name", "")), options)
        if data.type not in _AROUND:
            ours.__enter__()  # what it records of its own lies within
        with self._lock:
            self._open[span.span_id] = ours, span

    def on_span_end(self, span: Any) -> None:
        """It ended: by now its data is whole."""
        data = span.span_data
        with self._lock:
            ours, _ = self._open.pop(span.span_id, (None, None))
        if ours is None:
            return
        why = _why(span.error)
        if why and data.type in _AROUND:
            with self._lock:
                self._failed[span.trace_id] = why
        ours.set(**self._said(data))
        with _within(ours):
            self._told(data, span.parent_id, why)
        ours.end(why or None)
        if data.type not in _AROUND:
            ours.__exit__(None, None, None)

    def shutdown(self) -> None:
        """Nothing to do: what is recorded is recorded."""

    def force_flush(self) -> None:
        """Nothing to do: nothing is queued."""

    def _told(self, data: Any, parent_id: str | None, why: str) -> None:
        """The event that says what came of it."""
        if data.type == "function":
            severity = Severity.Error if why else Severity.Info
            _tool_completed(safe_text(data.name), why or "answered", not why, severity)
        elif data.type == "handoff":
            options = _options(
                getattr(self._agent_around(parent_id), "handoffs", None), data.to_agent or ""
            )
            _handoff(safe_text(data.from_agent), safe_text(data.to_agent), options)
        elif data.type == "guardrail":
            name = safe_text(data.name)
            if data.triggered:
                _guarded(name, "block", f"{name} stops the run", Severity.Warning)
            else:
                _guarded(name, "allow", f"{name} has no objection", Severity.Info)

    def _agent_around(self, span_id: str | None) -> Any:
        """The data of the nearest agent around a span."""
        with self._lock:
            while span_id is not None and (found := self._open.get(span_id)) is not None:
                if found[1].span_data.type == "agent":
                    return found[1].span_data
                span_id = found[1].parent_id
        return None

    def _said(self, data: Any) -> dict[str, Plain]:
        read = _SAID.get(data.type)
        found = {} if read is None else read(data)
        if self._content:
            found |= {name: getattr(data, key, None) for key, name in _CONTENT.get(data.type, ())}
        return {name: plain(value) for name, value in found.items() if value not in (None, "", [])}


_NAMES = {"agent": "invoke_agent", "function": "execute_tool", "generation": "chat",
          "response": "chat", "handoff": "hand_over"}  # fmt: skip
_CONTENT = {
    "function": (("input", "gen_ai_tool_call_arguments"), ("output", "gen_ai_tool_call_result")),
    "generation": (("input", "gen_ai_input_messages"), ("output", "gen_ai_output_messages")),
}


def _model_call(data: Any) -> dict[str, Any]:
    usage: Mapping[str, Any] = getattr(data, "usage", None) or {}
    response = getattr(data, "response", None)
    return {
        "gen_ai_operation_name": "chat",
        "gen_ai_request_model": getattr(data, "model", None) or getattr(response, "model", None),
        "gen_ai_response_id": getattr(response, "id", None),
        "gen_ai_usage_input_tokens": usage.get("input_tokens"),
        "gen_ai_usage_output_tokens": usage.get("output_tokens"),
    }


_SAID: dict[str, Callable[[Any], dict[str, Any]]] = {
    "agent": lambda data: {
        "gen_ai_operation_name": "invoke_agent", "gen_ai_agent_name": data.name
    },
    "function": lambda data: {
        "gen_ai_operation_name": "execute_tool", "gen_ai_tool_name": data.name
    },
    "generation": _model_call,
    "response": _model_call,
    "turn": lambda data: {
        "turn": data.turn,
        "gen_ai_agent_name": data.agent_name,
        **(data.usage or {}),
    },
    "task": lambda data: {"gen_ai_workflow_name": data.name},
    "handoff": lambda data: {"from_agent": data.from_agent, "to_agent": data.to_agent},
    "guardrail": lambda data: {"guardrail": data.name, "triggered": data.triggered},
    "custom": lambda data: {"name": data.name},
}  # fmt: skip


def _why(error: Mapping[str, Any] | None) -> str:
    """The SDK's words for an error, with the exception's own where it keeps them."""
    if not error:
        return ""
    more = (error.get("data") or {}).get("error")
    return safe_text(error["message"]) + (f": {safe_text(more)}" if more else "")


def _context(trace_id: str, request_id: str) -> _native.Context:
    digits = trace_id.removeprefix("trace_").lower()
    is_id = len(digits) == 32 and not set(digits) - set("0123456789abcdef") and digits.strip("0")
    return _native.Context(request_id, trace_id=digits if is_id else "")


def _options(names: Any, chosen: str) -> list[Option]:
    others = [safe_text(name) for name in names or () if name != chosen][: MOST_OPTIONS - 1]
    return [Option(chosen, chosen=True), *(Option(name) for name in others)]


@contextmanager
def _within(span: _native.Span) -> Iterator[None]:
    """Within it events lie in the span, whatever task this is."""
    context = span.context
    if context is None:
        yield
        return
    entered = _native.enter(context)
    try:
        yield
    finally:
        _native.leave(entered)
