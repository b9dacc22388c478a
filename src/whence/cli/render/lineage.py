"""Prints a lineage as a tree: each id once, with what is known of it and the decisions on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

from whence.cli.render.page import clock_text, line, page_cells
from whence.cli.render.safe import clip, safe, wrap
from whence.query.lineage_answer import LineageAnswer, NodeLink
from whence.query.lineage_nodes import LineageNode, short_ids
from whence.query.words import count_text

__all__ = ["lineage_lines"]

_MOST_DECISIONS = 3
_LEAST_CELLS = 30


def lineage_lines(answer: LineageAnswer) -> Iterator[Text]:
    """The tree, what ended it, and what to type next."""
    nodes = {str(node.lineage_id): node for node in answer.nodes}
    names = {str(number): text for number, text in short_ids([*map(int, nodes)]).items()}
    root = str(answer.lineage_id)
    names[root] = root
    onward: defaultdict[str, list[NodeLink]] = defaultdict(list)
    up = answer.direction == "up"
    for link in answer.links:
        onward[link.child if up else link.parent].append(link)
    seen: set[str] = set()
    stack: list[tuple[str, str, str, bool]] = [(root, "", "", False)]
    while stack:  # in depth: of a very deep one recursion would end
        each, lead, indent, cycle = stack.pop()
        node = nodes.get(each)
        if node is None:
            continue
        if each in seen:
            again = "a cycle: it leads back here" if cycle else "shown above"
            yield line((lead, "dim"), names[each], (f"  ({again})", "red" if cycle else "dim"))
            continue
        seen.add(each)
        yield from _node(node, names[each], lead, indent)
        far = [(link.parent if up else link.child, link.cycle) for link in onward[each]]
        for number, (name, circle) in reversed(list(enumerate(far))):
            last = number == len(far) - 1
            stack.append(
                (
                    name,
                    indent + ("└─ " if last else "├─ "),
                    indent + ("   " if last else "│  "),
                    circle,
                )
            )
    if answer.cut:
        way = {"depth": "deeper: --depth", "size": "more ids: --most"}[answer.cut]
        yield line()
        yield line((f"There is more than is shown ({way} N shows it)", "yellow"))
    elif len(nodes) == 1:
        yield line()
        yield line(
            ("Nothing is linked to it " + ("as a parent." if up else "as made of it."), "dim")
        )
    if answer.next_commands:
        yield line()
        commands = [safe(command) for command in answer.next_commands]
        joined = " · ".join(commands)
        for number, text in enumerate(
            [joined] if cell_len(joined) <= page_cells() - 8 else commands
        ):
            yield line(("Next    " if not number else " " * 8, "dim"), text)


def _node(node: LineageNode, name: str, lead: str, indent: str) -> Iterator[Text]:
    room = max(page_cells() - cell_len(lead) - cell_len(name) - 2, _LEAST_CELLS)
    if not node.known:
        why = "; ".join(cause.text for cause in node.causes) or "nothing here tells of it"
        first, *rest = wrap(f"unknown: {why}", room)
        yield line((lead, "dim"), (name, "bold"), "  ", (first, "yellow"))
        for text in rest:
            yield line((indent, "dim"), " " * (cell_len(name) + 2), (text, "yellow"))
        return
    yield line((lead, "dim"), (name, "bold"), "  ", clip(_words(node), room))
    if node.missing_parts:
        lost = f"{count_text(node.missing_parts)} parts of its parents are not here"
        yield line((indent, "dim"), "  ", (lost, "yellow"))
    if node.versions > 1:
        words = f"told in {count_text(node.versions)} ways, which differ: minted by two processes?"
        yield line((indent, "dim"), "  ", (words, "yellow"))
    for tied in node.decisions[:_MOST_DECISIONS]:
        head = f"  {tied.request_id}  " if tied.request_id else "  "
        text = f"{head}{tied.event_type}  {tied.sentence}"
        yield line((indent, "dim"), clip(text, max(page_cells() - cell_len(indent), _LEAST_CELLS)))
    if len(node.decisions) > _MOST_DECISIONS:
        more = f"  … {count_text(len(node.decisions) - _MOST_DECISIONS)} more events: --json"
        yield line((indent, "dim"), (more, "dim"))


def _words(node: LineageNode) -> str:
    """When, what and where."""
    what = {"join": f"joined from {count_text(node.made_of)}", "window": "window"}.get(
        node.what, ""
    )
    process = node.service + (", " if node.service and node.pid else "")
    process += f"pid {node.pid}" if node.pid else ""
    process += f" on {node.host}" if node.host else ""
    parts = (clock_text(node.wall_ns), node.stage, what, node.place, node.status, process)
    return "  ".join(part for part in parts if part)
