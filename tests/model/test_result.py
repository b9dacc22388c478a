"""Results: a value or an error, never both, and no exception for domain failures."""

from __future__ import annotations

import pickle
from typing import Any, NoReturn

import pytest

from whence.model.errors import WrongAccessor
from whence.model.result import Error, ErrorCode, Result

FAILURE = Error(ErrorCode.Timeout, "no answer in 5 ms", "ExecutionContext::execute")


def never(_: object) -> NoReturn:
    """A step on the branch that must not be taken."""
    raise AssertionError("called on the other branch")


def test_the_error_codes_are_all_there() -> None:
    """R3.2 The eight base codes and all further ones exist, each with its name as value."""
    names = [
        "BudgetExceeded", "BackendError", "InvalidArgument", "NotFound", "Timeout",
        "InternalError", "DeadlineMissed", "NotSchedulable", "AlreadyBound", "MemoryPressure",
        "InsufficientSamples", "QueueEmpty", "NotLoaded", "Conflict", "Unavailable",
    ]  # fmt: skip
    assert [code.name for code in ErrorCode] == names
    assert [code.value for code in ErrorCode] == names


def test_an_error_reads_as_one_line() -> None:
    """R3.3 The text holds code, message and context."""
    assert FAILURE.to_string() == "Timeout: no answer in 5 ms (in ExecutionContext::execute)"
    assert str(Error(ErrorCode.NotFound, "no such model")) == "NotFound: no such model"
    assert (FAILURE.code, FAILURE.message) == (ErrorCode.Timeout, "no answer in 5 ms")
    assert FAILURE.context == "ExecutionContext::execute"


def test_a_good_result_holds_its_value() -> None:
    """R3.4 R3.6 R3.7 R3.8 R3.44 A value goes in and the same object comes out."""
    value = object()
    result = Result.ok(value)
    assert result.is_ok()
    assert not result.is_error()
    assert result.value() is value
    assert result.unwrap() is value


def test_a_failed_result_holds_its_error() -> None:
    """R3.5 R3.6 R3.9 R3.44 An error goes in and the same error comes out."""
    result: Result[int] = Result.err(FAILURE)
    assert result.is_error()
    assert not result.is_ok()
    assert result.error is FAILURE


def test_a_result_without_a_value_is_simply_ok() -> None:
    """R3.10 R3.44 Result.ok() stands for done, with nothing to say."""
    result: Result[None] = Result.ok()
    assert result.is_ok()
    assert result == Result.ok(None)


def test_the_wrong_accessor_raises_and_names_the_error() -> None:
    """R3.7 R3.8 R3.9 R3.11 Asking for the side that is not there is loud, always."""
    failed: Result[int] = Result.err(FAILURE)
    for ask in (failed.value, failed.unwrap, lambda: failed.data):
        with pytest.raises(WrongAccessor, match="no answer in 5 ms"):
            ask()
    with pytest.raises(WrongAccessor, match="good result"):
        _ = Result.ok(1).error


def test_making_a_failed_result_raises_nothing() -> None:
    """R3.11 Every code can be carried as a value without an exception."""
    assert all(Result.err(Error(code, "x")).is_error() for code in ErrorCode)


def test_truth_testing_a_result_is_refused() -> None:
    """R3.11 A failure cannot pass for true."""
    with pytest.raises(TypeError, match="is_ok"):
        bool(Result.err(FAILURE))


def test_an_error_may_itself_be_a_value() -> None:
    """R3.4 R3.11 The tag, not the type, decides: Result.ok(Error) is good."""
    result = Result.ok(FAILURE)
    assert result.is_ok()
    assert result.value() is FAILURE
    assert result != Result.err(FAILURE)


def test_a_failed_result_needs_an_error() -> None:
    """R3.5 A bare message or exception is not an Error."""
    wrong: Any = "no answer"
    with pytest.raises(TypeError, match="takes an Error, not str"):
        Result.err(wrong)


def test_map_changes_only_values() -> None:
    """R3.12 R3.44 A value is mapped; an error passes by and the step is not called."""
    failed: Result[int] = Result.err(FAILURE)
    assert Result.ok(20).map(lambda value: value + 1) == Result.ok(21)
    assert failed.map(never) == failed


def test_and_then_goes_on_only_with_values() -> None:
    """R3.13 R3.44 The next step may fail by itself; it is not called for an error."""
    failed: Result[int] = Result.err(FAILURE)
    assert Result.ok(20).and_then(lambda value: Result.ok(str(value))) == Result.ok("20")
    assert Result.ok(20).and_then(lambda _: failed) == failed
    assert failed.and_then(never) == failed


def test_or_else_steps_in_only_for_errors() -> None:
    """R3.14 R3.44 An error may be mended or replaced; the step is not called for a value."""
    failed: Result[int] = Result.err(FAILURE)
    other: Result[int] = Result.err(Error(ErrorCode.InternalError, FAILURE.message))
    assert failed.or_else(lambda error: Result.ok(len(error.message))) == Result.ok(17)
    assert failed.or_else(lambda _: other) == other
    assert Result.ok(20).or_else(never) == Result.ok(20)


def test_chains_stop_at_the_first_error() -> None:
    """R3.12 R3.13 R3.14 The steps after a failure are not called until or_else."""
    chain = (
        Result.ok(4)
        .map(lambda value: value * 10)
        .and_then(lambda value: Result.err(Error(ErrorCode.NotFound, str(value))))
        .map(never)
        .and_then(never)
        .or_else(lambda error: Result.ok(f"mended {error.message}"))
    )
    assert chain.value() == "mended 40"


def test_a_result_can_be_read_under_the_names_of_trace_services() -> None:
    """R3.6 R3.7 success and data are is_ok() and value() under other names."""
    assert Result.ok(3).success
    assert Result.ok(3).data == 3
    assert not Result.err(FAILURE).success


def test_results_compare_print_and_travel() -> None:
    """R3.4 R3.5 Results are values: equal, hashable, printable, picklable."""
    for result in (Result.ok(3), Result.err(FAILURE)):
        assert pickle.loads(pickle.dumps(result)) == result
        assert len({result, result}) == 1
    assert repr(Result.ok(3)) == "Result.ok(3)"
    assert repr(Result.err(FAILURE)).startswith("Result.err(Error(")
