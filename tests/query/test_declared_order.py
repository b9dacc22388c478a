"""Attributes are told in the order in which their kind declares them."""

from __future__ import annotations

from tests.query.build import event
from whence.model.recording import FieldInfo, KindInfo
from whence.query.engines.declared_order import in_declared_order


def test_attributes_stand_in_the_order_of_the_kinds_fields() -> None:
    """R5.11 Undeclared ones come last; of a kind that is not known nothing changes."""
    fields = tuple(FieldInfo(name, "int") for name in ("b", "a", "c"))
    here = KindInfo(0, "tick", "Clock", fields=fields, session="demo-4711")
    anywhere = KindInfo(0, "tock", "Clock", fields=fields[:2])
    mixed = {"a": 1, "x": 2, "b": 3}
    events = [
        event("tick", attributes=mixed),
        event("tock", attributes=mixed),
        event("other", attributes=mixed),
        event("tick", attributes={"c": 1}),
        event("tick", attributes=mixed, session="elsewhere"),
    ]
    found = in_declared_order(events, [here, anywhere])
    assert list(found) == events
    names = [list(each.attributes) for each in found]
    assert names == [["b", "a", "x"], ["b", "a", "x"], ["a", "x", "b"], ["c"], ["a", "x", "b"]]
    assert found[3] is events[3]
