"""Named exceptions; each message says what is wrong and what to do about it."""

from __future__ import annotations

__all__ = [
    "AlertError",
    "AlreadyStarted",
    "AmbiguousId",
    "BadCondition",
    "BadQuestion",
    "BudgetExceeded",
    "ClusterDenied",
    "ClusterError",
    "ClusterUnavailable",
    "CollectorRunning",
    "ContractError",
    "CorruptFile",
    "ExportError",
    "IdNotFound",
    "IllegalTransition",
    "IncompleteEvent",
    "NodeIdMissing",
    "NodeIdRefused",
    "NotASession",
    "NotAStore",
    "NotStored",
    "ReadOnly",
    "SessionEnded",
    "SessionNotFound",
    "StoreBusy",
    "StoreFull",
    "StoreOwned",
    "UnknownSink",
    "UnsupportedFormat",
    "WhenceError",
    "WrongAccessor",
]


class WhenceError(Exception):
    """The base of every exception that whence raises on its own account."""


class AlertError(WhenceError, ValueError):
    """An alert rule, or what it is to do, makes no sense; the message says where."""


class AlreadyStarted(WhenceError, RuntimeError):
    """Settings came after the session they were meant for had begun."""


class CollectorRunning(WhenceError, RuntimeError):
    """Another process collects here already; one at a time keeps the positions."""


class IllegalTransition(WhenceError, ValueError):
    """A trace that has ended is to change: each one ends once and then stays as it is."""


class IncompleteEvent(WhenceError, ValueError):
    """An event lacks what every event must have: a type, a component, a decision's rationale."""


class WrongAccessor(WhenceError):
    """A failed result was asked for its value, or a good one for its error."""


class SessionNotFound(WhenceError, LookupError):
    """No session answers to that pid, name, prefix or path."""


class SessionEnded(WhenceError, RuntimeError):
    """The process that recorded the session has ended, and what was asked needs it alive."""


class NotASession(WhenceError, ValueError):
    """The folder or file exists, but no process recorded into it."""


class NotAStore(WhenceError, ValueError):
    """The folder is no store, and none is made where other things lie."""


class NotStored(WhenceError, TimeoutError):
    """What was recorded is not in the store yet; it may still come there. The message says why."""


class ReadOnly(WhenceError, RuntimeError):
    """What is to be written to can only be read here."""


class StoreOwned(WhenceError, RuntimeError):
    """Another process writes to the store; the message names it. Reading needs no owner."""


class StoreBusy(WhenceError, RuntimeError):
    """A store takes no more just now; what was sent may be sent again after `retry_after_s`.

    Whether it was stored is not known where it waited in vain; sent again it is there once.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreFull(StoreBusy):
    """There is no room on a store's disk: nothing of what was sent is there."""


class UnsupportedFormat(WhenceError, ValueError):
    """The file is of a format or version that this version does not read."""


class CorruptFile(WhenceError, ValueError):
    """The file is of a known format, but its content contradicts it."""


class ExportError(WhenceError, OSError):
    """An export could not be written; no partial file is left behind."""


class UnknownSink(WhenceError, ValueError):
    """No sink answers to that URL; the message names those there are."""


class IdNotFound(WhenceError, LookupError):
    """No request, chain or event answers to that id; `nearest` holds ids that look like it."""

    def __init__(self, message: str, nearest: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.nearest = nearest


class AmbiguousId(WhenceError, LookupError):
    """Several requests, chains or events answer to that id: `candidates`, of `count` in all."""

    def __init__(self, message: str, candidates: tuple[str, ...], count: int) -> None:
        super().__init__(message)
        self.candidates = candidates
        self.count = count


class ContractError(WhenceError, ValueError):
    """A contract or one of its conditions cannot be understood."""


class ClusterError(WhenceError, RuntimeError):
    """A ClickHouse server answered with an error; `code` is the number that it has for it."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class ClusterDenied(ClusterError):
    """The server does not know the user or password, or the user may not do what was asked."""


class ClusterUnavailable(ClusterError):
    """No whole answer came, or a shard is missing: trying again later may help."""

    def __init__(self, message: str, code: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message, code)
        self.retry_after_s = retry_after_s


class NodeIdMissing(WhenceError, ValueError):
    """Lineage ids are to be minted, but neither the caller nor a driver said for which node."""


class NodeIdRefused(WhenceError, RuntimeError):
    """A node id that was asked for is taken, or none is free; `code` as in an attach answer."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class BadCondition(WhenceError, ValueError):
    """A condition on events is none that the language of conditions knows."""


class BadQuestion(WhenceError, ValueError):
    """A question in SQL cannot be understood, or asks for more than reading a store's events."""


class BudgetExceeded(WhenceError, RuntimeError):
    """A question needs more rows, bytes or time than it was given; the message says which."""
