"""An agent that chooses tools: each choice is a decision, with the tools it did not take.

Run it, then type `whence why trip-1`. The lines after `# >` are what it prints.
"""

from __future__ import annotations

import asyncio

import whence
from whence import Option


@whence.kind(component="Agent", decision=True, rationale="Calling {tool} to learn {goal}")
def tool_chosen(tool: str, goal: str, options: list[Option]) -> None: ...


@whence.kind(component="Agent")
def tool_answered(tool: str, answer: str, duration_ns: int, success: bool) -> None: ...


@whence.kind(component="Agent", decision=True)
def answer_given(rationale: str, confidence: float) -> None: ...


async def train(goal: str) -> str:
    """A tool that works."""
    return "leaves at 09:14"


async def weather(goal: str) -> str:
    """A tool that does not."""
    raise TimeoutError("no answer in 2 s")


TOOLS = {"train": train, "weather": weather}


def scores(goal: str) -> dict[str, float]:
    """How well each tool fits, as a model would say it."""
    return {"train": 0.9, "weather": 0.2} if "train" in goal else {"train": 0.1, "weather": 0.7}


async def learn(goal: str) -> str | None:
    """Choose a tool, call it, record both."""
    fit = scores(goal)
    best = max(fit, key=fit.__getitem__)
    options = [Option(name, {"fit": score}, name == best) for name, score in fit.items()]
    tool_chosen(best, goal, options)
    began = whence.Timestamp.now()
    try:
        answer = await TOOLS[best](goal)
    except TimeoutError as error:
        tool_answered(best, str(error), (whence.Timestamp.now() - began).nanos, False)
        return None
    tool_answered(best, answer, (whence.Timestamp.now() - began).nanos, True)
    return answer


@whence.request("trip-1")
async def plan_trip() -> str:
    """Everything in here, in every task, belongs to the request trip-1."""
    found, rain = await asyncio.gather(learn("when the train leaves"), learn("whether it rains"))
    answer_given(f"The train {found}; the weather is {rain or 'not known'}", 0.8 if rain else 0.5)
    return f"take the train that {found}"


def main() -> None:
    """Run the agent and show the chain of its request."""
    print(asyncio.run(plan_trip()))
    # > take the train that leaves at 09:14

    chain = whence.collector().reconstruct_decision_chain("trip-1")
    for event in chain:
        if event.decision:
            print(event.rationale)
            for option in event.options:
                word = "chosen" if option.chosen else "not"
                print(f"  {word:6} {option.name} {option.scores['fit']}")
    # > Calling train to learn when the train leaves
    # >   chosen train 0.9
    # >   not    weather 0.2
    # > Calling weather to learn whether it rains
    # >   not    train 0.1
    # >   chosen weather 0.7
    # > The train leaves at 09:14; the weather is not known

    failed = [event for event in chain if event.attributes.get("success") is False]
    print(failed[0].attributes["tool"], failed[0].attributes["answer"])
    # > weather no answer in 2 s


if __name__ == "__main__":
    main()
