"""Lends one thing to many threads at once, and takes it back only when none has it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["Lending"]

T = TypeVar("T")


class Lending(Generic[T]):
    """At most one thing on offer; borrowers keep what they have until they give it back.

    Threads share it freely. A borrower MUST NOT withdraw: it would wait for itself.
    """

    def __init__(self) -> None:
        self._returned = threading.Condition()
        self._offer: _Offer[T] | None = None
        self._lent: set[_Offer[T]] = set()

    def offer(self, thing: T) -> None:
        """Lend this from now on; what was lent before stays with its borrowers."""
        with self._returned:
            self._offer = _Offer(thing)

    def on_offer(self) -> T | None:
        """What would be lent now, without borrowing it."""
        offer = self._offer
        return offer.thing if offer else None

    @contextmanager
    def borrowed(self) -> Iterator[T | None]:
        """What is on offer, kept from being taken away until the block ends; None for nothing."""
        with self._returned:
            offer = self._offer
            if offer:
                offer.borrowers += 1
                self._lent.add(offer)
        try:
            yield offer.thing if offer else None
        finally:
            if offer:
                self._give_back(offer)

    def withdraw(self) -> None:
        """Lend nothing from now on, and wait until all that is lent has come back."""
        with self._returned:
            self._offer = None
            awaited = set(self._lent)
            self._returned.wait_for(lambda: awaited.isdisjoint(self._lent))

    def _give_back(self, offer: _Offer[T]) -> None:
        with self._returned:
            offer.borrowers -= 1
            if not offer.borrowers:
                self._lent.discard(offer)
                self._returned.notify_all()


class _Offer(Generic[T]):
    def __init__(self, thing: T) -> None:
        self.thing = thing
        self.borrowers = 0
