"""The view machine: the known litmus tests, the axioms on random programs, and its reduction."""

from __future__ import annotations

from collections.abc import Generator, Hashable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol import Shape, ledger_reader, poll_reader, slot_reader, writer
from view_machine import (
    ACQ,
    REL,
    RLX,
    Fence,
    Load,
    Next,
    Settle,
    StateLimit,
    Store,
    explore,
    explore_interleaved,
)

Ops = list[object]


def straight(ops: Ops):
    """A reader that does these operations and ends with all values it loaded."""

    def read(_: Hashable) -> Generator[object, int, Hashable]:
        values = []
        for op in ops:
            value = yield op
            if isinstance(op, Load):
                values.append(value)
        return tuple(values)

    return read


def results(stores: Ops, loads: Ops) -> set[Hashable]:
    """Every outcome of these loads beside these stores."""
    return set(explore(stores, straight(loads)).outcomes)


@pytest.mark.parametrize(
    ("stores", "loads", "stale"),
    [
        ([Store("x", 1, RLX), Store("f", 1, REL)], [Load("f", ACQ), Load("x", RLX)], False),
        ([Store("x", 1, RLX), Store("f", 1, RLX)], [Load("f", ACQ), Load("x", RLX)], True),
        ([Store("x", 1, RLX), Store("f", 1, REL)], [Load("f", RLX), Load("x", RLX)], True),
        (
            [Store("x", 1, RLX), Fence(REL), Store("f", 1, RLX)],
            [Load("f", RLX), Fence(ACQ), Load("x", RLX)],
            False,
        ),
        (
            [Store("x", 1, RLX), Fence(REL), Store("f", 1, RLX)],
            [Fence(ACQ), Load("f", RLX), Load("x", RLX)],
            True,
        ),
        (
            [Fence(REL), Store("x", 1, RLX), Store("f", 1, RLX)],
            [Load("f", ACQ), Load("x", RLX)],
            True,
        ),
        # since C++20 a later relaxed store does not go on with an earlier release
        (
            [Store("x", 1, RLX), Store("f", 1, REL), Store("f", 2, RLX)],
            [Load("f", ACQ), Load("x", RLX)],
            True,
        ),
    ],
)
def test_message_passing_needs_a_release_met_by_an_acquire(
    stores: Ops, loads: Ops, stale: bool
) -> None:
    """A flag seen set shows what was stored before it only where release meets acquire. P2"""
    seen_flag = {values for values in results(stores, loads) if values[0] == stores[-1].value}
    assert (stores[-1].value, 1) in seen_flag
    assert ((stores[-1].value, 0) in seen_flag) == stale


def test_one_location_never_goes_back() -> None:
    """Two relaxed loads of one location may both be old, but never newer and then older."""
    stores = [Store("x", 1, RLX), Store("x", 2, RLX)]
    expected = {(a, b) for a, b in product(range(3), repeat=2) if a <= b}
    assert results(stores, [Load("x", RLX), Load("x", RLX)]) == expected


def test_a_settled_reader_sees_the_last_store() -> None:
    """Once the writer is known to be at rest, relaxed loads return the newest values."""
    stores = [Store("x", 1, RLX), Store("y", 2, RLX), Store("x", 3, RLX)]
    loads = [Load("x", RLX), Settle(), Load("x", RLX), Load("y", RLX)]
    assert results(stores, loads) == {(old, 3, 2) for old in (0, 1, 3)}


def test_a_location_never_stored_holds_zero() -> None:
    """A program cut short leaves the other locations at their initial value."""
    assert results([Store("x", 1, RLX)], [Load("y", ACQ)]) == {(0,)}


def test_moments_say_when_an_outcome_can_happen() -> None:
    """An outcome's moment is the writer's step that stored the newest value loaded."""
    stores = [Store("x", 1, RLX), Store("y", 1, RLX), Store("x", 2, RLX)]
    found = explore(stores, straight([Load("x", RLX)]))
    assert found.outcomes == {(0,): {0}, (1,): {1}, (2,): {3}}


def test_an_exploration_beyond_its_bound_is_refused() -> None:
    """A program too large to be explored raises instead of giving half an answer."""
    with pytest.raises(StateLimit):
        explore(writer(Shape(2, 8, 3)), slot_reader(Shape(2, 8, 3)), 0, limit=10)


def test_forgetting_loaded_values_changes_no_outcome() -> None:
    """A reader in steps that carry only what they need ends like one that remembers all."""

    def in_steps(total: int | None):
        if total is not None and total >= 100:
            return total
        value = yield Load("x", ACQ)
        return Next((total or 0) + value + 50)

    def at_once(_: None):
        total = 0
        while total < 100:
            total += (yield Load("x", ACQ)) + 50
        return total

    stores = [Store("x", n, REL) for n in (1, 2, 3)]
    assert explore(stores, in_steps).outcomes == explore(stores, at_once).outcomes


# ---------------------------------------------------------------- against the axioms

locations = st.sampled_from(["x", "y", "z"])
writer_ops = st.one_of(
    st.builds(Store, locations, st.just(0), st.sampled_from([RLX, REL])), st.just(Fence(REL))
)
reader_ops = st.one_of(st.builds(Load, locations, st.sampled_from([RLX, ACQ])), st.just(Fence(ACQ)))


@settings(max_examples=300)
@given(st.lists(writer_ops, max_size=6), st.lists(reader_ops, min_size=1, max_size=4))
def test_the_machine_allows_exactly_what_the_axioms_allow(stores: Ops, loads: Ops) -> None:
    """On random programs the outcomes equal those of the axiomatic model: coherence of hb and eco.

    P2: the verdicts on the ring rest on this machine.
    """
    numbered = [
        op._replace(value=n) if isinstance(op, Store) else op for n, op in enumerate(stores, 1)
    ]
    assert results(numbered, loads) == allowed_by_axioms(numbered, loads)


def allowed_by_axioms(stores: Ops, loads: Ops) -> set[Hashable]:
    """Every reads-from choice that is coherent: happens-before never goes against what was seen."""
    events = [*stores, *loads]
    first_load = len(stores)
    reads = [n for n in range(first_load, len(events)) if isinstance(events[n], Load)]
    choices = [
        [None, *(n for n, op in enumerate(stores) if is_store_to(op, events[read].location))]
        for read in reads
    ]
    program_order = {
        (a, b)
        for a, b in product(range(len(events)), repeat=2)
        if a < b and (a < first_load) == (b < first_load)
    }
    modification_order = {
        (a, b)
        for a, b in product(range(first_load), repeat=2)
        if a < b and isinstance(stores[a], Store) and is_store_to(stores[b], stores[a].location)
    }
    allowed = set()
    for chosen in product(*choices):
        reads_from = {(w, r) for w, r in zip(chosen, reads, strict=True) if w is not None}
        from_read = {
            (read, later)
            for wrote, read in zip(chosen, reads, strict=True)
            for later in range(first_load)
            if is_store_to(stores[later], events[read].location)
            and (wrote is None or later > wrote)
        }
        synchronised = {
            (a, b)
            for wrote, read in reads_from
            for a in release_sides(stores, wrote)
            for b in acquire_sides(events, read)
        }
        before = closure(program_order | synchronised)
        seen = closure(reads_from | modification_order | from_read)
        if not any((b, a) in before for a, b in seen):
            allowed.add(tuple(0 if w is None else stores[w].value for w in chosen))
    return allowed


def is_store_to(op: object, location: str) -> bool:
    return isinstance(op, Store) and op.location == location


def release_sides(stores: Ops, wrote: int) -> list[int]:
    if stores[wrote].order == REL:
        return [wrote]
    return [n for n in range(wrote) if isinstance(stores[n], Fence)]


def acquire_sides(events: Ops, read: int) -> list[int]:
    if events[read].order == ACQ:
        return [read]
    return [n for n in range(read, len(events)) if isinstance(events[n], Fence)]


def closure(pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    found = set(pairs)
    while True:
        more = {(a, d) for a, b in found for c, d in found if b == c} - found
        if not more:
            return found
        found |= more


# ---------------------------------------------------------------- the reduction

SMALL = [
    (Shape(1, 3, 2), slot_reader, 0),
    (Shape(2, 4, 2), slot_reader, 1),
    (Shape(1, 3, 2, text_words=2, lengths=(1, 2)), slot_reader, 0),
    (Shape(2, 3, 2, text_words=1, lengths=(1,)), slot_reader, 0),
    (Shape(2, 4, 1), poll_reader, None),
    (Shape(2, 4, 1), ledger_reader, None),
]


@pytest.mark.parametrize(("shape", "reader", "state"), SMALL)
def test_running_the_writer_first_loses_no_outcome(shape, reader, state) -> None:
    """Stepping both sides in every interleaving gives the same outcomes at the same moments. P2"""
    program = writer(shape)
    quick = explore(program, reader(shape), state).outcomes
    slow = explore_interleaved(program, [(reader(shape), state)]).outcomes
    assert {outcome: min(moments) for (outcome,), moments in slow.items()} == {
        outcome: min(moments) for outcome, moments in quick.items()
    }


def test_two_readers_never_help_or_hinder_each_other() -> None:
    """Two readers of one ring have together exactly the outcomes each has alone. P1 P2"""
    shape = Shape(1, 2, 2)
    program = writer(shape)
    alone = set(explore(program, slot_reader(shape), 0).outcomes)
    readers = [(slot_reader(shape), 0), (slot_reader(shape), 0)]
    together = explore_interleaved(program, readers).outcomes
    assert set(together) == set(product(alone, repeat=2))
