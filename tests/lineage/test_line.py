"""whence.Lineage: ids for roots, stages and joins, and what joins send."""

from __future__ import annotations

from typing import Any

import pytest

import whence
from whence.lineage import (
    AttachCode,
    AttachResponse,
    Counted,
    SnowflakeGenerator,
    TraceLinkSet,
    decode_tracelink_set,
    emit_tracelink,
)
from whence.model.errors import NodeIdMissing


class Channel:
    """A publication that answers as it is told, and keeps what it took."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.taken: list[TraceLinkSet | None] = []

    def offer(self, buffer: bytes, /) -> Any:
        answer = self.answers.pop(0) if self.answers else len(self.taken) + 1
        if isinstance(answer, Exception):
            raise answer
        self.taken.append(decode_tracelink_set(buffer))
        return answer


def test_roots_mint_stages_reuse_and_joins_tell() -> None:
    """R2.23 R2.26 R2.28 R2.29 TL-11 TL-12 TL-13 TL-21 TL-22: the frame's numbers are in the set."""
    channel = Channel()
    line = whence.Lineage(node_id=7, publication=channel)
    page, other = line.root(), line.root()
    assert line.reuse(page) == page
    assert channel.taken == []
    document = line.join([other, page], stream_id=3, epoch=1, seq=9)
    assert channel.taken == [TraceLinkSet(3, 1, 9, document, (other, page))]
    assert page < other < document
    assert (line.sent, line.dropped) == (1, 0)


def test_an_output_is_linked_by_the_number_of_its_inputs() -> None:
    """R2.11 TL-14: only several parents are told of; a join of one gives a new id, and tells."""
    channel = Channel()
    line = whence.Lineage(generator=SnowflakeGenerator(1, clock=lambda: 1), publication=channel)
    place = {"stream_id": 1, "epoch": 1, "seq": 1}
    root = line.output([], **place)
    assert line.output([root], **place) == root
    assert channel.taken == []
    both = line.output([root, 5], **place)
    again = line.join([both], **place)
    assert [made and made.parents for made in channel.taken] == [(root, 5), (both,)]
    assert len({root, both, again}) == 3


@pytest.mark.parametrize("answer", [-1, -2, False, RuntimeError("closed"), OSError()])
def test_what_is_not_taken_is_counted(answer: Any) -> None:
    """R2.1 R2.19 TL-1 TL-2 TL-3 TL-15: back pressure or a failure drops the set; the id stands."""
    line = whence.Lineage(node_id=7, publication=Channel(answer, 5))
    assert line.join([1, 2], stream_id=1, epoch=1, seq=1) > 0
    assert (line.sent, line.dropped) == (0, 1)
    line.join([1, 2], stream_id=1, epoch=1, seq=2)
    assert (line.sent, line.dropped) == (1, 1)


@pytest.mark.parametrize("answer", [0, 64, None, True])
def test_any_other_answer_says_that_it_was_taken(answer: Any) -> None:
    """R2.19 R2.26 A position, or nothing at all."""
    counted = Counted()
    assert emit_tracelink(Channel(answer), 7, 9, 11, 42, [10, 20], counted)
    assert (counted.sent, counted.dropped) == (1, 0)


def test_bad_parents_are_the_callers_mistake() -> None:
    """R2.20 TL-23 TL-25: nothing is sent or counted, and the caller is told."""
    channel = Channel()
    line = whence.Lineage(node_id=7, publication=channel)
    for parents in ([], [0], [3, 3]):
        with pytest.raises(ValueError, match="parent"):
            line.join(parents, stream_id=1, epoch=1, seq=1)
    with pytest.raises(ValueError, match="stream_id"):
        line.join([1, 2], stream_id=-1, epoch=1, seq=1)
    assert (channel.taken, line.sent, line.dropped) == ([], 0, 0)


def test_the_node_is_given_or_assigned() -> None:
    """R2.12 R2.13 R2.14 Without either there is none; without a publication nothing is sent."""
    answer = AttachResponse(1, AttachCode.OK, 5, node_id=9)
    parts = SnowflakeGenerator(0)
    assert parts.node(whence.Lineage(attach=answer).root()) == 9
    assert parts.node(whence.Lineage(0, attach=answer).root()) == 0
    with pytest.raises(NodeIdMissing):
        whence.Lineage()
    line = whence.Lineage(3)
    assert line.join([1, 2], stream_id=1, epoch=1, seq=1) > 0
    assert (line.sent, line.dropped) == (0, 0)


def test_lines_of_one_node_never_mint_the_same() -> None:
    """R2.6 R2.15: all that a process makes of one node mint from one sequence."""
    lines = [whence.Lineage(node_id=9) for _ in range(4)]
    minted = [line.root() for _ in range(500) for line in lines]
    assert minted == sorted(set(minted))


def test_events_carry_lineage_ids() -> None:
    """R2.1 An id made here is what whence.request() and the column of events take."""
    page = whence.Lineage(node_id=7).root()
    with whence.request("req-1", lineage_id=page):
        current = whence.current()
    assert current is not None
    assert current.lineage_id == page
