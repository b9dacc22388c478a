"""Lineage ids: roots, one parent, several; and the node that mints them."""

from __future__ import annotations

from typing import Any

import pytest

from whence._native import SnowflakeGenerator
from whence.lineage import (
    AttachCode,
    AttachResponse,
    TraceIdGenerator,
    new_trace_id_from_parents,
    next_trace_id,
    resolve_node_id,
    reuse_trace_id,
    trace_id_for_output,
)
from whence.lineage.w3c import lineage_of_w3c, w3c_trace_id
from whence.model.errors import NodeIdMissing

ASSIGNED = AttachResponse(1, AttachCode.OK, 5, node_id=9)


@pytest.fixture
def made() -> TraceIdGenerator:
    """A generator whose clock stands at 3 ms."""
    return TraceIdGenerator(7, clock=lambda: 3)


def test_a_root_gets_a_new_id_of_the_node(made: TraceIdGenerator) -> None:
    """R2.7 R2.8 R2.28 TL-4 TL-5 TL-11: ids increase and carry the node."""
    ids = [next_trace_id(made) for _ in range(3)]
    assert ids == [(3 << 22) + (7 << 12) + n for n in range(3)]
    assert made.node_id == made.generator.node(ids[0]) == 7
    assert next_trace_id(SnowflakeGenerator(7, clock=lambda: 3)) == ids[0]


def test_one_parent_is_passed_on() -> None:
    """R2.9 R2.28 TL-12: what was made from one frame has its id; 0 is no id."""
    assert reuse_trace_id(42) == 42
    for wrong in (0, -1, 2**64 - 1):
        with pytest.raises(ValueError, match="from 1"):
            reuse_trace_id(wrong)


def test_several_parents_make_a_new_id(made: TraceIdGenerator) -> None:
    """R2.10 R2.28 TL-13: a join mints, also where it has one parent."""
    first, second = (new_trace_id_from_parents(made, parents) for parents in ([10, 20], [10]))
    assert second == first + 1


@pytest.mark.parametrize("parents", [[], [0], [10, 0], [5, 5]])
def test_bad_parents_mint_nothing(made: TraceIdGenerator, parents: list[int]) -> None:
    """R2.10 R2.20 TL-23 TL-25: none, 0 and a parent named twice are refused."""
    with pytest.raises(ValueError, match="parent"):
        new_trace_id_from_parents(made, parents)
    assert made.generator.sequence(made.next()) == 0


def test_the_number_of_parents_decides(made: TraceIdGenerator) -> None:
    """R2.11 No parent: new; one: the same; several: new."""
    root = trace_id_for_output(made, [])
    assert trace_id_for_output(made, [root]) == root
    assert trace_id_for_output(made, [root, 5]) == root + 1
    with pytest.raises(ValueError, match="twice"):
        trace_id_for_output(made, [5, 5])


def test_the_node_id_given_goes_before_the_one_assigned() -> None:
    """R2.12 R2.13 R2.14 TL-6 TL-7: explicit, 0 too; else the driver's, but for 0."""
    assert resolve_node_id(3, ASSIGNED) == 3
    assert resolve_node_id(0, ASSIGNED) == 0
    assert resolve_node_id(attach=ASSIGNED) == 9
    assert resolve_node_id(2**32 - 1) == 2**32 - 1
    assert TraceIdGenerator(ASSIGNED).node_id == 9
    for attach in (None, ASSIGNED._replace(node_id=None), ASSIGNED._replace(node_id=0)):
        with pytest.raises(NodeIdMissing, match="node_id missing; pass node_id explicitly"):
            resolve_node_id(None, attach)


@pytest.mark.parametrize("wrong", [-1, 2**32, True, 1.5, "7"])
def test_what_is_no_node_id_is_refused(wrong: Any) -> None:
    """R2.14 Numbers beyond 32 bits, and what is no int."""
    with pytest.raises((TypeError, ValueError), match="node_id must be"):
        resolve_node_id(wrong)


def test_a_node_id_must_fit_its_bits() -> None:
    """R2.7 A node id of 32 bits that 10 bits cannot hold is refused, with the bound."""
    with pytest.raises(ValueError, match="<= 1023: node_id=1024"):
        TraceIdGenerator(1024)
    assert TraceIdGenerator(1024, node_bits=11, sequence_bits=11).node_id == 1024


def test_ids_are_padded_for_w3c() -> None:
    """R5.3 A lineage id is the right half of a W3C trace id, and is told from a whole one."""
    assert w3c_trace_id(0x1122334455667788) == "0" * 16 + "1122334455667788"
    assert lineage_of_w3c(w3c_trace_id(42)) == 42
    assert lineage_of_w3c("4bf92f3577b34da6a3ce929d0e0e4736") == 0
    with pytest.raises(ValueError, match="from 1"):
        w3c_trace_id(0)
    for wrong in ("", "g" * 32, "0x" + "1" * 30, "A" * 32):
        with pytest.raises(ValueError, match="32 digits"):
            lineage_of_w3c(wrong)
