"""Why nothing tells of a parent: what was off, overwritten or dropped, and no more than that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.query.build import SESSION, at_ms, event, ledger, recording
from whence.model.event import TraceEvent
from whence.model.lineage_events import LinkPart, link_attributes
from whence.model.names import LINEAGE_FRAME, LINEAGE_LINK, LINEAGE_TYPES, OWN_COMPONENT
from whence.model.recording import GateChange, Recording
from whence.query.engines.memory import InMemory
from whence.query.lineage_answer import LineageAnswer, lineage_answer
from whence.query.lineage_nodes import LineageNode

MADE_MS = 1_795_184_625_000  # what the id of the parent says
PARENT, OTHER, CHILD = MADE_MS << 22 | 1, 4, 9


def link() -> TraceEvent:
    """A join, told of at 0 ms."""
    part = LinkPart(CHILD, 1, 1, 0, (PARENT, OTHER))
    made = event(LINEAGE_LINK, 0, "", ticket=100, component=OWN_COMPONENT)
    return replace(made, lineage_id=CHILD, attributes=link_attributes(part))


def answered(source: Recording) -> tuple[LineageAnswer, LineageNode]:
    """The whole answer, and the parent in it."""
    answer = lineage_answer(InMemory(source), CHILD)
    (parent,) = (node for node in answer.nodes if node.lineage_id == PARENT)
    return answer, parent


def test_a_parent_of_which_nobody_told_is_not_missing() -> None:
    """R2.34 R5.15 A root that was only minted: nothing is made up of it."""
    answer, parent = answered(recording([link()]))
    assert [cause.kind for cause in parent.causes] == ["not recorded"]
    assert (answer.complete, parent.known, parent.may_be_missing) == (True, False, False)


def test_types_that_were_off_are_a_cause() -> None:
    """R2.34 R5.15 Frames were off before the join; off after it explains nothing."""
    for at, kinds in ((-200, ["off"]), (200, ["not recorded"])):
        change = GateChange(SESSION, at_ms(at), LINEAGE_FRAME, on=False)
        answer, parent = answered(recording([link()], gate_changes=[change]))
        assert [cause.kind for cause in parent.causes] == kinds
        assert answer.complete == (kinds == ["not recorded"])


@pytest.mark.parametrize("lost", [*LINEAGE_TYPES, "alloc"])
def test_overwritten_events_of_such_a_type_are_a_cause(lost: str) -> None:
    """R2.34 R5.15 A ring that overwrote links, windows or frames; others explain nothing."""
    events = [link()]
    source = recording(events, rings=[ledger(events, 0, {lost: 7}, oldest_ns=at_ms(-1))])
    answer, parent = answered(source)
    expected = "not recorded" if lost == "alloc" else "possibly lost"
    assert [cause.kind for cause in parent.causes] == [expected]
    assert answer.complete == (lost == "alloc")


def test_what_a_store_dropped_is_a_cause_for_ids_that_are_older() -> None:
    """R2.34 R5.15 By the time in the id, where it has one: a younger id was not dropped."""
    for later_ms, kind in ((1_000, "possibly lost"), (-1_000, "not recorded")):
        before_ns = (MADE_MS + later_ms) * 1_000_000
        source = replace(recording([link()]), dropped_before_ns=before_ns)
        answer, parent = answered(source)
        assert [cause.kind for cause in parent.causes] == [kind]
        (other,) = (node for node in answer.nodes if node.lineage_id == OTHER)
        assert [cause.kind for cause in other.causes] == ["possibly lost"], "its id tells no time"
