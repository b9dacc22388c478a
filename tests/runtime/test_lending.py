"""Lending: many borrowers, one owner, and taking back waits for the last."""

from __future__ import annotations

import threading

from whence.runtime.lending import Lending


def test_what_is_offered_is_lent_until_it_is_withdrawn() -> None:
    """R3.26 R3.27 Nothing before, the thing while it is on offer, nothing after."""
    lending: Lending[str] = Lending()
    with lending.borrowed() as before:
        assert before is None
    lending.offer("model")
    with lending.borrowed() as first, lending.borrowed() as second:
        assert (first, second, lending.on_offer()) == ("model", "model", "model")
    lending.withdraw()
    with lending.borrowed() as after:
        assert after is None


def test_a_borrower_keeps_what_was_replaced_meanwhile() -> None:
    """R3.26 A new offer goes to new borrowers only."""
    lending: Lending[str] = Lending()
    lending.offer("old")
    with lending.borrowed() as early:
        lending.offer("new")
        with lending.borrowed() as late:
            assert (early, late) == ("old", "new")


def test_what_a_failing_borrower_had_comes_back() -> None:
    """R3.27 An exception in the block gives the thing back, so withdrawing does not hang."""
    lending: Lending[str] = Lending()
    lending.offer("model")
    try:
        with lending.borrowed():
            raise LookupError
    except LookupError:
        lending.withdraw()
    assert lending.on_offer() is None


def test_withdrawing_waits_for_every_borrower_of_old_and_new() -> None:
    """R3.27 It returns after the last borrower, also one of a thing that was replaced before."""
    lending: Lending[str] = Lending()
    order: list[str] = []
    borrowed = [threading.Event(), threading.Event()]
    go_on = [threading.Event(), threading.Event()]

    def borrow(number: int) -> None:
        with lending.borrowed() as thing:
            borrowed[number].set()
            go_on[number].wait()
            order.append(str(thing))

    def withdraw() -> None:
        lending.withdraw()
        order.append("withdrawn")

    borrowers = [threading.Thread(target=borrow, args=(number,)) for number in range(2)]
    for number, thing in enumerate(("old", "new")):
        lending.offer(thing)
        borrowers[number].start()
        borrowed[number].wait()
    owner = threading.Thread(target=withdraw)
    owner.start()
    while lending.on_offer():
        pass
    for number in (1, 0):
        go_on[number].set()
        borrowers[number].join()
    owner.join()
    assert order == ["new", "old", "withdrawn"]
