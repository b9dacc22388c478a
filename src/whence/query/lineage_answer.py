"""Answers what an id was made of, or what was made of it: the ids, their links, what is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from whence.model.errors import AmbiguousId, IdNotFound
from whence.model.recording import Recording
from whence.query.contracts.causes import Causes
from whence.query.engines.asked_lineage import LINEAGE_ROWS
from whence.query.engines.declared_order import in_declared_order
from whence.query.engines.engine import Engine
from whence.query.index import Index
from whence.query.lineage import DEEPEST, Way
from whence.query.lineage_nodes import LineageNode, described, unknown_causes
from whence.query.words import can_be_typed, command_text

__all__ = ["LineageAnswer", "NodeLink", "found_lineage_id", "lineage_answer"]

MOST_SHOWN = 200
_GROUP = 200  # ids whose events are asked for at once
_MOST_NEXT = 3
_MOST_MEANT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLink:
    """A link that was walked: `child` was made of `parent`; both as decimal texts."""

    child: str
    parent: str
    depth: int
    cycle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageAnswer:
    """The lineage of one id in one direction, the nearest ids first; the first node is its own.

    `cut` is "depth" or "size" where a limit ended the walk, "" where there was no more. Links
    marked `cycle` lead back to an id on their own way, which no honest recording has.
    `next_commands` are worth typing next. `complete` is whether nothing was cut and
    nothing may be missing: a parent that was never recorded here is none of that.
    """

    lineage_id: int
    direction: Way
    nodes: tuple[LineageNode, ...]
    links: tuple[NodeLink, ...]
    cut: str = ""
    next_commands: tuple[str, ...] = ()
    complete: bool = True


def found_lineage_id(engine: Engine, text: str) -> int:
    """The id that a text means: whole, or by its last digits, with or without … before them.

    Raises IdNotFound with the nearest ids, AmbiguousId with the candidates.
    """
    found = engine.lineage_ids(text, _MOST_MEANT + 1)
    if len(found) == 1:
        return found[0]
    if found:
        count = f"{len(found)}" if len(found) <= _MOST_MEANT else f"more than {_MOST_MEANT}"
        shown = tuple(str(each) for each in found[:_MOST_MEANT])
        what = f"{text!r} names {count} lineage ids: give more of the id"
        raise AmbiguousId(what, shown, len(found))
    sentence = f"no lineage id here is {text!r} or ends so"
    if not text.strip().lstrip("…").isdigit():
        sentence += "; lineage ids are whole numbers"
    raise IdNotFound(sentence, tuple(str(each) for each in engine.near_lineage(text)))


def lineage_answer(
    engine: Engine,
    lineage_id: int,
    direction: Way = "up",
    *,
    most_depth: int = DEEPEST,
    most_ids: int = MOST_SHOWN,
    source_words: Sequence[str] | None = (),
) -> LineageAnswer:
    """Walks, and says what is known of every id on the way.

    `source_words` are repeated in the commands to type next; None for a source that cannot be read
    again. Raises ValueError for limits below 1, and what the engine raises.
    """
    walked = engine.lineage(lineage_id, direction, most_depth=most_depth, most_ids=most_ids)
    depths = {each: depth for depth, level in enumerate(walked.levels) for each in level}
    index = Index(_recorded(engine, list(depths)))
    nodes = described(index, depths)
    causes: Causes | None = None
    for link in walked.links:
        node = nodes.get(link.parent)
        if node is not None and not node.known and not node.causes:
            causes = causes or Causes(index)
            told = unknown_causes(index, causes, link.parent, link.child)
            nodes[link.parent] = replace(node, causes=told)
    cycles = set(walked.cycles)
    links = tuple(
        NodeLink(
            child=str(link.child), parent=str(link.parent), depth=link.depth, cycle=link in cycles
        )
        for link in walked.links
    )
    shown = tuple(nodes.values())
    commands = () if source_words is None else tuple(_next(shown, direction, source_words))
    whole = not any(each.missing_parts or each.may_be_missing for each in shown)
    return LineageAnswer(
        lineage_id=lineage_id,
        direction=direction,
        nodes=shown,
        links=links,
        cut=walked.cut,
        next_commands=commands,
        complete=whole and not walked.cut and not cycles,
    )


def _recorded(engine: Engine, ids: Sequence[int]) -> Recording:
    """The events of all these ids; of an id that has very many, the first ones."""
    parts = []
    for at in range(0, len(ids), _GROUP):
        group = ids[at : at + _GROUP]
        parts.append(engine.with_lineage(group, LINEAGE_ROWS))
        if len(parts[-1].events) == LINEAGE_ROWS:
            seen = {event.lineage_id for event in parts[-1].events}
            parts += [
                engine.with_lineage([each], LINEAGE_ROWS // _GROUP)
                for each in group
                if each not in seen
            ]
    if len(parts) == 1:
        return parts[0]
    events = {(e.order_key, e.event_id): e for part in parts for e in part.events}
    return replace(parts[0], events=in_declared_order(events.values(), parts[0].kinds))


def _next(nodes: Sequence[LineageNode], direction: Way, words: Sequence[str]) -> Iterator[str]:
    own = str(nodes[0].lineage_id)
    other = (*words, "--down") if direction == "up" else words
    yield command_text("lineage", own, other)
    requests = (tied.request_id for node in nodes for tied in node.decisions)
    named = [name for name in dict.fromkeys(requests) if name and can_be_typed(name)]
    for name in named[:_MOST_NEXT]:
        yield command_text("why", name, words)
    yield command_text(
        "lineage", own, (*words, *(["--down"] if direction == "down" else []), "--json")
    )
