"""Where a chain's frames came from, and what was made of them: one step each way, as short rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from whence.model.event import TraceEvent
from whence.query.engines.memory import InMemory
from whence.query.index import Index
from whence.query.lineage_nodes import LineageNode, described, short_ids

__all__ = ["FromTo", "LineageEnd", "end_text", "from_to", "way_text"]

MOST_STEPS = 3
MOST_ENDS = 4
_MOST_IDS = 50
_MOST_OWN = 3  # frames of a chain that are told of


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageEnd:
    """A frame on the way: its id, the short form of it, what is known of it in few words."""

    lineage_id: int
    name: str
    words: str = ""
    request_id: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FromTo:
    """One frame of a chain. `before` leads up to it, the farthest first, the frame itself last;
    beside each step there may be `others` that it was made of, too. `after` are those that were
    made of it, `more` how many of these are not among them."""

    lineage_id: int
    before: tuple[LineageEnd, ...]
    others: int = 0
    after: tuple[LineageEnd, ...] = ()
    more: int = 0


def from_to(index: Index, events: Sequence[TraceEvent]) -> tuple[FromTo, ...]:
    """Of the frames that a chain's events bear, the first few: what they came from and went into.

    Frames that are linked to nothing are left out.
    """
    own = dict.fromkeys(event.lineage_id for event in events if event.lineage_id)
    if not own:
        return ()
    engine = InMemory(index)
    found = (_of(index, engine, each) for each in own)
    return tuple(islice((each for each in found if each is not None), _MOST_OWN))


def way_text(one: FromTo) -> str:
    """…7118 page  ->  …7121 box."""
    text = "  ->  ".join(map(end_text, one.before))
    plural = "" if one.others == 1 else "s"
    return text + (f"  and {one.others} more parent{plural}" if one.others else "")


def end_text(end: LineageEnd) -> str:
    """The short id and what is known."""
    words = end.words if end.known else "unknown"
    said = f"{words}, {end.request_id}" if words and end.request_id else words or end.request_id
    return f"{end.name} {said}".rstrip()


def _of(index: Index, engine: InMemory, lineage_id: int) -> FromTo | None:
    up = engine.lineage(lineage_id, "up", most_depth=MOST_STEPS, most_ids=_MOST_IDS)
    down = engine.lineage(lineage_id, "down", most_depth=1, most_ids=_MOST_IDS)
    if not up.links and not down.links:
        return None
    parents: dict[int, list[int]] = {}
    for link in up.links:
        parents.setdefault(link.child, []).append(link.parent)
    way, others = [lineage_id], 0
    while (above := parents.get(way[-1])) and len(way) <= MOST_STEPS and above[0] not in way:
        others += len(above) - 1
        way.append(above[0])
    ids = [*way, *down.ids]
    nodes, names = described(index, dict.fromkeys(ids, 0)), short_ids(ids)
    after = down.ids[:MOST_ENDS]
    return FromTo(
        lineage_id=lineage_id,
        before=tuple(_end(nodes[each], names[each]) for each in reversed(way)),
        others=others,
        after=tuple(_end(nodes[each], names[each]) for each in after),
        more=len(down.ids) - len(after),
    )


def _end(node: LineageNode, name: str) -> LineageEnd:
    joined = f"joined from {node.made_of} frames" if node.made_of > 1 else ""
    window = f"window of {node.place}" if node.what == "window" else ""
    words = ", ".join(part for part in (node.stage, joined, window) if part)
    request = next((tied.request_id for tied in node.decisions if tied.request_id), "")
    return LineageEnd(
        lineage_id=node.lineage_id, name=name, words=words, request_id=request, known=node.known
    )
