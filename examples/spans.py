"""An agent whose steps are spans: nested, in tasks and threads, over the wire to a tool.

Run it, then type `whence why trip-2`. The lines after `# >` are what it prints.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import whence


@whence.kind(component="Agent", decision=True, rationale="Asking {tool} for {goal}")
def tool_chosen(tool: str, goal: str) -> None: ...


def serve(headers: dict[str, str], goal: str) -> str:
    """A tool on the other side of the wire: all it knows of its caller is in the headers."""
    with whence.use(whence.extract(headers)), whence.span("serve", component="Tool", goal=goal):
        if goal == "weather":
            raise TimeoutError("no answer in 2 s")
        return "leaves at 09:14"


@whence.span("call tool", component="Agent")
async def call_tool(pool: ThreadPoolExecutor, goal: str) -> str:
    """One step of the agent, in a task of its own."""
    tool_chosen("tool-1", goal)
    headers: dict[str, str] = {}
    whence.inject(headers)
    return await asyncio.get_running_loop().run_in_executor(pool, serve, headers, goal)


async def main() -> None:
    """Ask for two things at once; one of them fails."""
    with ThreadPoolExecutor() as pool, whence.request("trip-2"):
        async with whence.span("plan", component="Agent") as plan:
            steps = (call_tool(pool, goal) for goal in ("train", "weather"))
            answers = await asyncio.gather(*steps, return_exceptions=True)
            plan.set(answered=sum(isinstance(answer, str) for answer in answers))


asyncio.run(main())

spans = {event.span_id: event for event in whence.collector() if event.span}
for event in sorted(spans.values(), key=lambda event: (event.event_type, event.status)):
    parent = spans.get(event.parent_span_id)
    inside = f"in {parent.event_type}" if parent else "outermost"
    print(f"{event.event_type}: {inside}, {event.status or 'ended'} {event.status_message}".strip())
# > call tool: in plan, ended
# > call tool: in plan, error TimeoutError: no answer in 2 s
# > plan: outermost, ended
# > serve: in call tool, ended
# > serve: in call tool, error TimeoutError: no answer in 2 s
