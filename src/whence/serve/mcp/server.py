"""The server that agents speak to: it lists the tools, and answers their calls within bounds."""

from __future__ import annotations

from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from pydantic import ValidationError

from whence.model.errors import WhenceError
from whence.model.version import __version__
from whence.serve.asking import Asking
from whence.serve.mcp.fit import fitted, json_text
from whence.serve.mcp.questions import Costs
from whence.serve.mcp.tools import TOOLS, WELCOME
from whence.serve.problem import Problem, problem_of

__all__ = ["make_server", "serve_stdio"]

_LONGEST_MESSAGE = 1_000
_TOOLS = {tool.name: tool for tool in TOOLS}
_READS = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


def make_server(asking: Asking, costs: Costs) -> Server[Any]:
    """A server whose tools ask through `asking`, which is closed by whoever made it."""

    async def list_tools(context: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(
            tools=[
                Tool(
                    name=tool.name,
                    title=tool.title,
                    description=tool.description,
                    input_schema=tool.model.model_json_schema(),
                    annotations=_READS,
                )
                for tool in TOOLS
            ]
        )

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        try:
            return _result(await _answered(asking, costs, params.name, params.arguments or {}))
        except (Problem, WhenceError, ValueError, OSError) as error:
            return _refusal(error)

    return Server(
        "whence",
        version=__version__,
        title="whence",
        instructions=WELCOME,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(server: Server[Any]) -> None:
    """Answers whoever writes to standard input, until that ends."""
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def _answered(
    asking: Asking, costs: Costs, name: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    tool = _TOOLS.get(name)
    if tool is None:
        advice = f"there are {', '.join(_TOOLS)}"
        raise Problem(404, "no_such_tool", f"no tool is called {name[:100]!r}", advice)
    try:
        asked = tool.model.model_validate(arguments)
    except ValidationError as error:
        raise Problem(400, "bad_arguments", _in_words(error), f"arguments of {name}") from None
    answer = await asking.ask(lambda engine: tool.ask(engine, asked, costs))
    return fitted(answer, costs.bytes, tool.narrow)


def _in_words(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))[:100]}: {each['msg']}" for each in error.errors()[:5]
    )


def _result(answer: dict[str, Any]) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=json_text(answer))])


def _refusal(error: Exception) -> CallToolResult:
    """What was wrong with a call, for the agent to ask better: nothing else failed."""
    problem = problem_of(error)
    body = {
        "error": problem.code,
        "message": problem.detail[:_LONGEST_MESSAGE],
        **({"advice": problem.advice} if "/api/" not in problem.advice else {}),
        **problem.more,
    }
    return CallToolResult(content=[TextContent(type="text", text=json_text(body))], is_error=True)
