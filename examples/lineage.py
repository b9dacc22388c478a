"""A page is read, boxes are found, texts become one document: and where that came from."""

from __future__ import annotations

import select
from collections.abc import Iterator

import whence
from whence.lineage import DatagramPublication, DatagramSubscription, TraceLinkSet

PARENTS: dict[int, tuple[int, ...]] = {}
NAMES: dict[int, str] = {}


@whence.kind(component="Reader", decision=True, rationale="Kept {kept} of {texts} texts")
def texts_kept(kept: int, texts: int) -> None:
    """Which texts go into the document."""


def keep(found: TraceLinkSet) -> None:
    """What a process would do that only listens."""
    PARENTS[found.trace_id] = found.parents


def named(name: str, trace_id: int) -> int:
    """Remembers what an id is of."""
    NAMES[trace_id] = name
    return trace_id


def read_pages(line: whence.Lineage) -> int:
    """Two pages, two boxes each; every box's text has the box's id; the document joins them."""
    texts = []
    for page_number in range(2):
        page = named(f"page {page_number}", line.root())
        for box_number in range(2):
            place = {"stream_id": 2, "epoch": 1, "seq": 2 * page_number + box_number}
            box = line.join([page], **place)  # two boxes of one page: an id for each
            texts.append(named(f"text {page_number}.{box_number}", line.reuse(box)))
    document = named("document", line.join(texts[:3], stream_id=3, epoch=1, seq=0))
    with whence.request("req-1", lineage_id=document):
        texts_kept(3, 4)
    return document


def tree(trace_id: int, depth: int = 0) -> Iterator[str]:
    """The id and all it was made from."""
    yield "  " * depth + NAMES[trace_id]
    for parent in PARENTS.get(trace_id, ()):
        yield from tree(parent, depth + 1)


def main() -> None:
    """Sends the links over loopback, receives them, and prints the tree."""
    with (
        DatagramSubscription(("127.0.0.1", 0), keep) as listening,
        DatagramPublication(listening.address) as channel,
    ):
        line = whence.Lineage(node_id=7, publication=channel)
        document = read_pages(line)
        taken = 0
        while taken < line.sent and select.select([listening], [], [], 10)[0]:
            taken += listening.poll()
    print("\n".join(tree(document)))


if __name__ == "__main__":
    main()
# > document
# >   text 0.0
# >     page 0
# >   text 0.1
# >     page 0
# >   text 1.0
# >     page 1
