"""Counts what was sent or recorded, and what was not, by the reason."""

from __future__ import annotations

import threading
from typing import Any

from whence.lineage.forks import renew_in_children

__all__ = ["Counted", "refusal"]

# What Aeron's publications answer; numbers of 0 and more are positions: it was taken.
_ANSWERS = {
    -1: "not connected",
    -2: "back pressure",
    -3: "admin action",
    -4: "closed",
    -5: "max position exceeded",
    -6: "error",
}


class Counted:
    """How many were `sent`, how many were `dropped`, and `reasons`: those dropped, by the reason.

    Any thread may count. A reading of several counts is of no one moment.
    """

    __slots__ = ("__weakref__", "_lock", "dropped", "reasons", "sent")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent = 0
        self.dropped = 0
        self.reasons: dict[str, int] = {}
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: no thread that counts here has the lock. The counts go on."""
        self._lock = threading.Lock()

    def count(self, reason: str = "", number: int = 1) -> bool:
        """Counts as many as sent, or, with a reason, as dropped; whether they were sent."""
        with self._lock:
            if not reason:
                self.sent += number
                return True
            self.dropped += number
            self.reasons[reason] = self.reasons.get(reason, 0) + number
        return False


def refusal(answer: Any) -> str:
    """Why a publication did not take a message, by what offer() answered; "" where it did.

    Negative numbers are refusals, as Aeron's clients have them, and so is False; what else an
    answer is, None among it, says that the message was taken.
    """
    if answer is False:
        return "refused"
    if isinstance(answer, int) and answer < 0:
        return _ANSWERS.get(answer, "refused")
    return ""
