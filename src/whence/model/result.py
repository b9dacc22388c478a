"""An outcome that is either a value or a described error; domain failures are never raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Never, TypeVar, cast, overload

from whence.model.errors import WrongAccessor

__all__ = ["Error", "ErrorCode", "Result"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class ErrorCode(Enum):
    """What kind of failure it was; the value is the name, as it is written into files."""

    BudgetExceeded = "BudgetExceeded"
    BackendError = "BackendError"
    InvalidArgument = "InvalidArgument"
    NotFound = "NotFound"
    Timeout = "Timeout"
    InternalError = "InternalError"
    DeadlineMissed = "DeadlineMissed"
    NotSchedulable = "NotSchedulable"
    AlreadyBound = "AlreadyBound"
    MemoryPressure = "MemoryPressure"
    InsufficientSamples = "InsufficientSamples"
    QueueEmpty = "QueueEmpty"
    NotLoaded = "NotLoaded"
    Conflict = "Conflict"
    Unavailable = "Unavailable"


@dataclass(frozen=True, slots=True)
class Error:
    """A failure as a value: its kind, a sentence for people, and where it happened."""

    code: ErrorCode
    message: str
    context: str = ""

    def to_string(self) -> str:
        """One line: "NotLoaded: load a model first (in OnnxRuntimeBackend.execute)"."""
        place = f" (in {self.context})" if self.context else ""
        return f"{self.code.value}: {self.message}{place}"

    __str__ = to_string


@dataclass(frozen=True, slots=True, repr=False)
class Result(Generic[T_co]):
    """Either a value (`Result.ok(value)`) or an Error (`Result.err(error)`), told apart by a tag.

    Because of the tag `Result.ok(Error(...))` is a good result whose value is an Error.
    `Result.err` makes a failed result and `.error` reads it: Python has one name for both, so the
    maker is the short one. Asking for the side that is not there raises WrongAccessor, always.
    Truth testing is refused (TypeError): `if result:` would be true for failures, so ask
    `is_ok()`. Immutable; hashable and picklable when the value is.
    """

    _ok: bool
    _value: T_co | None
    _error: Error | None

    @overload
    @staticmethod
    def ok() -> Result[None]: ...
    @overload
    @staticmethod
    def ok(value: U) -> Result[U]: ...
    @staticmethod
    def ok(value: Any = None) -> Result[Any]:
        """A good result; without an argument, one that has nothing to say: Result[None]."""
        return Result(True, value, None)

    @staticmethod
    def err(error: Error) -> Result[Never]:
        """A failed result; TypeError if `error` is not an Error."""
        if not isinstance(error, Error):
            raise TypeError(f"Result.err takes an Error, not {type(error).__name__}")
        return Result(False, None, error)

    def is_ok(self) -> bool:
        """Whether there is a value."""
        return self._ok

    def is_error(self) -> bool:
        """Whether there is an error."""
        return not self._ok

    def value(self) -> T_co:
        """The value; raises WrongAccessor, naming the error, if there is none."""
        if not self._ok:
            raise WrongAccessor(f"value of a failed result: {self._error}; ask is_ok() first")
        return cast("T_co", self._value)

    def unwrap(self) -> T_co:
        """The value, handed over to the caller; the same as value(), the result stays usable."""
        return self.value()

    @property
    def error(self) -> Error:
        """The error; raises WrongAccessor if there is none."""
        if self._error is None:
            raise WrongAccessor(f"error of a good result: {self!r}; ask is_error() first")
        return self._error

    @property
    def success(self) -> bool:
        """The same as is_ok(), under the name that trace services use."""
        return self._ok

    @property
    def data(self) -> T_co:
        """The same as value(), under the name that trace services use."""
        return self.value()

    def map(self, f: Callable[[T_co], U]) -> Result[U]:
        """A good result of f(value), or this error; f is not called for an error."""
        return Result.ok(f(self.value())) if self._ok else Result.err(self.error)

    def and_then(self, f: Callable[[T_co], Result[U]]) -> Result[U]:
        """f(value), itself a result, or this error; f is not called for an error."""
        return f(self.value()) if self._ok else Result.err(self.error)

    def or_else(self, f: Callable[[Error], Result[U]]) -> Result[T_co | U]:
        """This value, or f(error), itself a result; f is not called for a value."""
        return self if self._ok else f(self.error)

    def __bool__(self) -> bool:
        raise TypeError("a Result is neither true nor false; ask is_ok() or is_error()")

    def __repr__(self) -> str:
        return f"Result.ok({self._value!r})" if self._ok else f"Result.err({self._error!r})"
