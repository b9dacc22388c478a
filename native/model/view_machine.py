"""Runs one writer's stores against readers' loads under every outcome C++20 atomics allow.

What it models
    Relaxed, release and acquire accesses and fences, as the RC11 memory model defines them. Memory
    is not a value per location but the list of all messages ever stored there, in modification
    order; a thread's *view* says, per location, which message it can no longer read past. A release
    store puts its thread's view into the message, an acquire load joins that view into its own
    thread's; a relaxed store carries only what the last release fence saw, a relaxed load keeps the
    message's view aside until the next acquire fence.

    The ring has one writer, the writer loads nothing and the readers store nothing. For that shape
    the machine is exact, not an approximation: no store depends on a load, so forbidding cycles
    through program order and reads-from costs no behaviour, and the order of a location's messages
    is the writer's program order.

    The same shape gives the one reduction used here. A reader may always return an older message,
    and the writer takes no notice of readers; so running the writer to its end first and letting
    the reader choose among all messages its view allows reaches exactly the outcomes of all
    interleavings. `explore_interleaved` does without the reduction; the tests hold the two equal,
    for one reader and for two, and both equal to the axioms on random programs.

What it does not model
    Read-modify-writes, seq_cst, two writers of one location, consume, words that are not atomic,
    mixed sizes, and anything an operating system does (page faults, truncation). None of these
    occurs in the ring's protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = [
    "ACQ",
    "REL",
    "RLX",
    "CompilerFence",
    "Exploration",
    "Fence",
    "Load",
    "Next",
    "Reader",
    "Settle",
    "StateLimit",
    "Store",
    "WriterOp",
    "explore",
    "explore_interleaved",
]

RLX: Final = "relaxed"
REL: Final = "release"
ACQ: Final = "acquire"

View: TypeAlias = tuple[int, ...]


class Store(NamedTuple):
    """One atomic store by the writer; order is RLX or REL. Locations start at value 0."""

    location: str
    value: int
    order: str


class Fence(NamedTuple):
    """An atomic_thread_fence: REL in the writer, ACQ in a reader."""

    order: str


class CompilerFence(NamedTuple):
    """An atomic_signal_fence: nothing between threads; it matters to what a kill leaves."""


class Load(NamedTuple):
    """One atomic load by a reader; order is RLX or ACQ. The reader's `yield` returns the value."""

    location: str
    order: str


class Settle(NamedTuple):
    """From here on the reader sees everything stored: the writer is at rest, or dead."""


class Next(NamedTuple):
    """Returned by a reader: go on as reader(state), having forgotten every word loaded so far."""

    state: Hashable


WriterOp: TypeAlias = Store | Fence | CompilerFence
ReaderOp: TypeAlias = Load | Fence | Settle
# A reader is a generator function of one hashable state. It yields operations, is sent the loaded
# values (0 for a fence), and returns a Next or a hashable outcome. It must be a pure function of
# its state and the values sent.
Reader: TypeAlias = Callable[[Any], Generator[ReaderOp, int, Hashable]]


class StateLimit(Exception):
    """The exploration outgrew its bound; make the program smaller."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """Every way the readers can end.

    `outcomes` maps each outcome to the moments from which on it can happen: how many steps the
    writer must have taken for the reader to have loaded what it did. `states` counts distinct
    states visited.
    """

    outcomes: dict[Hashable, frozenset[int]]
    states: int


class _Message(NamedTuple):
    value: int
    view: View
    step: int  # the writer's step that stored it; 0 for the initial value


@dataclass(frozen=True, slots=True)
class _History:
    """All messages the writer ever stores, per location, and how many steps that takes."""

    index: dict[str, int]
    messages: tuple[tuple[_Message, ...], ...]
    steps: int


@dataclass(slots=True)
class _Script:
    """A reader's next operation, looked up by its state and the values it has loaded since."""

    reader: Reader
    known: dict[tuple[Hashable, tuple[int, ...]], tuple[ReaderOp | None, Hashable]] = field(
        default_factory=dict
    )

    def next_step(
        self, state: Hashable, loaded: tuple[int, ...]
    ) -> tuple[ReaderOp | None, Hashable]:
        key = (state, loaded)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._replay(state, loaded)
        return found

    def _replay(self, state: Hashable, loaded: tuple[int, ...]) -> tuple[ReaderOp | None, Hashable]:
        running = self.reader(state)
        try:
            op = next(running)
            for value in loaded:
                op = running.send(value)
        except StopIteration as end:
            return None, end.value
        return op, None


class _At(NamedTuple):
    """Where one reader is; its moment is that of the newest message it loaded."""

    state: Hashable
    loaded: tuple[int, ...]
    view: View
    pending: View  # what an acquire fence would add to the view
    moment: int


def explore(
    writer: Sequence[WriterOp], reader: Reader, state: Hashable = None, limit: int = 2_000_000
) -> Exploration:
    """Return every outcome of one reader beside the writer; raises StateLimit beyond `limit`."""
    history = _run_writer(writer)
    script = _Script(reader)
    nothing = (0,) * len(history.messages)
    stack = [_At(state, (), nothing, nothing, 0)]
    seen = set(stack)
    outcomes: dict[Hashable, set[int]] = {}
    while stack:
        here = stack.pop()
        op, result = script.next_step(here.state, here.loaded)
        if op is not None:
            successors = _apply(history, here, op, history.steps)
        elif isinstance(result, Next):
            successors = [here._replace(state=result.state, loaded=())]
        else:
            outcomes.setdefault(result, set()).add(here.moment)
            continue
        for following in successors:
            if following not in seen:
                seen.add(following)
                stack.append(following)
        if len(seen) > limit:
            raise StateLimit(f"more than {limit} states")
    return Exploration({k: frozenset(v) for k, v in outcomes.items()}, len(seen))


def explore_interleaved(
    writer: Sequence[WriterOp],
    readers: Sequence[tuple[Reader, Hashable]],
    limit: int = 2_000_000,
) -> Exploration:
    """The same without the reduction: step the writer and all readers in every interleaving.

    Outcomes are tuples, one item per reader; their moments are the writer's steps taken when the
    last reader ended.
    """
    history = _run_writer(writer)
    scripts = [_Script(reader) for reader, _ in readers]
    nothing = (0,) * len(history.messages)
    start = (0, tuple(_At(state, (), nothing, nothing, 0) for _, state in readers))
    stack = [start]
    seen = {start}
    outcomes: dict[Hashable, set[int]] = {}
    while stack:
        taken, places = stack.pop()
        successors = [(taken + 1, places)] if taken < history.steps else []
        results = []
        for who, here in enumerate(places):
            op, result = scripts[who].next_step(here.state, here.loaded)
            if op is not None:
                moves = _apply(history, here, op, taken)
            elif isinstance(result, Next):
                moves = [here._replace(state=result.state, loaded=())]
            else:
                results.append(result)
                continue
            successors += [(taken, (*places[:who], move, *places[who + 1 :])) for move in moves]
        if len(results) == len(places):
            outcomes.setdefault(tuple(results), set()).add(taken)
        for following in successors:
            if following not in seen:
                seen.add(following)
                stack.append(following)
        if len(seen) > limit:
            raise StateLimit(f"more than {limit} states")
    return Exploration({k: frozenset(v) for k, v in outcomes.items()}, len(seen))


def _run_writer(writer: Sequence[WriterOp]) -> _History:
    index: dict[str, int] = {}
    for op in writer:
        if isinstance(op, Store):
            index.setdefault(op.location, len(index))
    nothing = (0,) * len(index)
    messages: list[list[_Message]] = [[_Message(0, nothing, 0)] for _ in index]
    view, fenced = nothing, nothing
    for step, op in enumerate(writer, start=1):
        if isinstance(op, Store):
            place = index[op.location]
            view = _moved(view, place, len(messages[place]))
            carried = view if op.order == REL else _moved(fenced, place, view[place])
            messages[place].append(_Message(op.value, carried, step))
        elif isinstance(op, Fence):
            fenced = view
    return _History(index, tuple(tuple(m) for m in messages), len(writer))


def _apply(history: _History, here: _At, op: ReaderOp, taken: int) -> Iterable[_At]:
    """Every place the reader can be after `op`, if the writer has taken `taken` steps."""
    if isinstance(op, Load):
        return list(_load(history, here, op, taken))
    if isinstance(op, Fence):
        return [here._replace(loaded=(*here.loaded, 0), view=_join(here.view, here.pending))]
    if taken < history.steps:
        return []  # Settle waits for the writer
    newest = tuple(len(m) - 1 for m in history.messages)
    return [_At(here.state, (*here.loaded, 0), newest, newest, history.steps)]


def _load(history: _History, here: _At, op: Load, taken: int) -> Iterable[_At]:
    place = history.index.get(op.location)
    if place is None:  # never stored: the initial 0 is all there is
        yield here._replace(loaded=(*here.loaded, 0))
        return
    messages = history.messages[place]
    for position in range(here.view[place], len(messages)):
        message = messages[position]
        if message.step > taken:
            return
        view = _moved(here.view, place, position)
        pending = _join(here.pending, message.view)
        if op.order == ACQ:
            view = _join(view, message.view)
        yield _At(
            here.state, (*here.loaded, message.value), view, pending, max(here.moment, message.step)
        )


def _moved(view: View, place: int, position: int) -> View:
    return (*view[:place], position, *view[place + 1 :])


def _join(a: View, b: View) -> View:
    return tuple(map(max, a, b))
