"""What a kill leaves in the mapped file, and what recovery makes of it."""

from __future__ import annotations

import pytest
from crash_machine import crash, drain_after_kill, images, recover
from protocol import FORM_B, TEXT_LOST, WHOLE, Shape, WriterForm, writer
from view_machine import RLX, Store

FENCED = WriterForm(fence="after intent", words=RLX, text=RLX)


@pytest.mark.parametrize("capacity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("form", [FORM_B, FENCED], ids=["B", "E"])
@pytest.mark.parametrize("order", ["program", "compiler"])
def test_recovery_yields_the_newest_contiguous_tickets(
    capacity: int, form: WriterForm, order: str
) -> None:
    """Whatever store the kill follows, min(n, capacity) events are whole, less one in mid-write.

    P5 P18 and the ledger: residue 0 or 1, text whole or marked lost. R5.1 R1.21
    """
    shape = Shape(capacity, 4 * capacity + 1, 3, text_words=3, lengths=(1, 0, 2), name_from=1)
    found = crash(shape, form, order)
    assert found.broken == {}
    assert {WHOLE, "in flight", "at rest"} <= found.seen
    assert TEXT_LOST in found.seen or capacity < 4  # fewer slots than text: none overtaken


def test_images_as_written_are_the_prefixes() -> None:
    """In program order there is one image per number of stores done."""
    shape = Shape(2, 3, 2)
    stores = [op for op in writer(shape) if isinstance(op, Store)]
    assert len(list(images(shape, FORM_B, "program"))) == len(stores) + 1


def test_a_compiler_fence_keeps_the_next_event_behind_the_last() -> None:
    """Without it two slots may be in mid-write at once; with it at most one. P5"""
    shape = Shape(3, 3, 2)
    busy = {
        fence: max(
            len(recover(shape, image).busy)
            for image, _ in images(shape, WriterForm(compiler_fence=fence), "compiler")
        )
        for fence in (True, False)
    }
    assert busy[True] == 1
    assert busy[False] > 1


def test_a_ring_of_one_slot_knows_its_past_from_the_busy_stamp() -> None:
    """Killed inside an emit, a ring of one slot holds no event but still knows the count. P5"""
    shape = Shape(1, 3, 2)
    half_written = [
        (image, finished)
        for image, finished in images(shape, FORM_B, "program")
        if recover(shape, image).busy
    ]
    assert half_written != []
    for image, finished in half_written:
        found = recover(shape, image)
        assert found.events == {}
        assert found.complete == finished


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_the_ledger_closes_for_a_reader_attached_at_the_kill(capacity: int) -> None:
    """Delivered + lost = finished, counted - finished in {0, 1}, at every instant. P3 P5 R5.1"""
    found = drain_after_kill(Shape(capacity, 4, 2, text_words=2, lengths=(1, 0)))
    assert found.broken == {}
    assert "in flight" in found.seen
