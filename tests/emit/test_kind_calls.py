"""Calling a kind: arguments are bound as in any Python call, and what does not fit is refused."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import pytest

import whence
from tests.own_events import OwnEvents
from whence import Option, Severity, _native


@whence.kind(component="Calls")
def called(a: int, b: str = "b", *, c: float = 0.5, d: bool | None = None) -> None:
    """Has every way of taking an argument."""


SPELLINGS: list[Callable[..., None]] = [called, called.emit]


@pytest.mark.parametrize("call", SPELLINGS, ids=["kind", "emit"])
def test_arguments_may_be_positional_or_named(
    call: Callable[..., None], recorded: OwnEvents
) -> None:
    """All by place, all by name and mixed give the same event. R0.31"""
    call(1, "x", c=2.0, d=True)
    call(1, "x", d=True, c=2.0)
    call(d=True, c=2.0, b="x", a=1)
    call(1, b="x", c=2.0, d=True)
    call(*[1], **{"b": "x", "c": 2.0, "d": True})
    assert [dict(e.attributes) for e in recorded()] == [{"a": 1, "b": "x", "c": 2.0, "d": True}] * 5


def test_a_keyword_is_found_by_its_text_too(recorded: OwnEvents) -> None:
    """A keyword that is equal but not the identical string finds its parameter. R0.31"""
    wide = whence.kind("wide_call", component="Calls", parameter_number_one=int, number_two=str)
    name = _copy("parameter_number_one")
    assert name is not sys.intern("parameter_number_one")
    wide(**{_copy("number_two"): "x", name: 7})
    wide.emit(8, **{_copy("number_two"): "y"})
    assert [dict(e.attributes) for e in recorded()] == [
        {"parameter_number_one": 7, "number_two": "x"},
        {"parameter_number_one": 8, "number_two": "y"},
    ]


@pytest.mark.parametrize("call", SPELLINGS, ids=["kind", "emit"])
def test_what_is_left_out_takes_its_default(call: Callable[..., None], recorded: OwnEvents) -> None:
    """Defaults of the stub are recorded; a default of None is absent. R0.31"""
    call(1)
    call(a=2, c=9.0)
    assert [dict(e.attributes) for e in recorded()] == [
        {"a": 1, "b": "b", "c": 0.5},
        {"a": 2, "b": "b", "c": 9.0},
    ]


@pytest.mark.parametrize("call", SPELLINGS, ids=["kind", "emit"])
@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        ((), {}, r"called\(\) is missing the argument 'a'"),
        ((), {"b": "x"}, r"called\(\) is missing the argument 'a'"),
        ((1,), {"e": 1}, r"called\(\) got an unexpected argument 'e'"),
        ((1,), {"": 1}, r"called\(\) got an unexpected argument ''"),
        ((1,), {"a": 1}, r"called\(\) got multiple values for argument 'a'"),
        ((1, "x", 2.0, True, 5), {}, r"called\(\) takes 2 positional arguments but 5 were given"),
    ],
)
def test_arguments_that_do_not_fit_are_a_type_error(
    call: Callable[..., None],
    args: tuple[object, ...],
    kwargs: dict[str, object],
    problem: str,
    recorded: OwnEvents,
) -> None:
    """Unknown, missing, duplicate and surplus arguments raise and are counted as rejected. P3"""
    with pytest.raises(TypeError, match=problem):
        call(*args, **kwargs)
    assert recorded() == []
    assert recorded.count("rejected") == 1
    assert recorded.count("recorded") == 0


def test_a_kind_without_fields_takes_no_arguments(recorded: OwnEvents) -> None:
    """An event may consist of its type alone. R0.23"""
    bare = whence.kind("bare_call", component="Calls")
    bare()
    bare.emit()
    with pytest.raises(TypeError, match="takes 0 arguments but 1"):
        bare(1)
    assert [dict(e.attributes) for e in recorded()] == [{}, {}]


def test_a_call_gives_nothing_back(recorded: OwnEvents) -> None:
    """Recording is a statement: both spellings return None. R0.2"""
    assert [call(1) for call in SPELLINGS] == [None, None]


def test_lenient_recording_only_counts_what_it_refuses(recorded: OwnEvents) -> None:
    """Where errors must never reach the program, refused calls are counted and nothing else. P3"""
    collector = whence.TraceCollector(3)
    decide = whence.kind("lenient", component="Calls", decision=True, rationale="{why}", why=str)
    _native.set_strict(False)
    try:
        assert called() is None  # type: ignore[call-arg]
        assert called("x") is None  # type: ignore[arg-type]
        assert decide(" ") is None
        assert collector.record_now("", "C") is None
        assert collector.record_now("scheduling_decision", "C", " ") is None
        assert collector.record_now("t", "C", severity=9) is None  # type: ignore[arg-type]
    finally:
        _native.set_strict(True)
    assert recorded() == []
    assert recorded.count("rejected") == 6
    assert sum(ring.recorded for ring in collector.recording().rings) == 0
    (ring,) = collector.recording().rings
    assert sum(counts.rejected for counts in ring.per_kind) == 3
    with pytest.raises(TypeError):
        called()  # type: ignore[call-arg]


def test_an_argument_whose_conversion_records_is_no_trouble(recorded: OwnEvents) -> None:
    """`__index__` may record events itself: they come first, each whole. P16"""

    class Loud:
        def __index__(self) -> int:
            called(100)
            return 1

    called(Loud())  # type: ignore[arg-type]
    assert [e.attributes["a"] for e in recorded()] == [100, 1]


def test_an_argument_whose_conversion_fails_is_refused_with_its_error(recorded: OwnEvents) -> None:
    """What `__index__` raises comes through, and the call is counted as rejected. P16"""

    class Broken:
        def __index__(self) -> int:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        called(Broken())  # type: ignore[arg-type]
    assert recorded() == []
    assert recorded.count("rejected") == 1


def test_a_string_that_records_when_it_dies_is_no_trouble(recorded: OwnEvents) -> None:
    """A str of the user's own class may be dropped in the middle of a call and record then. P16"""

    class Dying(str):
        __slots__ = ()

        def __del__(self) -> None:
            called(-1)

    text = whence.kind("dying", component="Calls", s=str)
    for n in range(3):
        text(Dying(f"last words {n % 2}"))
        text("another")
    gc.collect()
    texts = [e.attributes["s"] for e in recorded() if e.event_type == "dying"]
    assert texts == [
        "last words 0",
        "another",
        "last words 1",
        "another",
        "last words 0",
        "another",
    ]
    assert len(recorded()) - len(texts) == 3


def _copy(text: str) -> str:
    """An equal string that is another object."""
    return (text + "!")[:-1]


@whence.kind(component="Calls")
def told(
    slack_ns: int = 0,
    size: whence.U8 = 0,
    load: float = 0.0,
    good: bool = False,
    word: str = "",
    severity: Severity = Severity.Info,
    caused_by: str = "",
    options: tuple[Option, ...] = (),
    request_id: str = "",
) -> None:
    """Has a parameter of every way to be refused."""


@pytest.mark.parametrize("call", [told, told.emit], ids=["kind", "emit"])
@pytest.mark.parametrize(
    ("argument", "value", "raised", "said"),
    [
        ("slack_ns", "8", TypeError, "expected int, got str"),
        ("slack_ns", 2**63, OverflowError, "int does not fit a signed 64-bit field"),
        ("size", 256, OverflowError, "int does not fit an unsigned field (0 to 255)"),
        ("load", "1.5", TypeError, "expected float, got str"),
        ("good", 1, TypeError, "expected bool, got int"),
        ("word", None, TypeError, "expected str, got NoneType"),
        ("severity", "Info", TypeError, "expected whence.Severity, got str"),
        ("caused_by", 5, TypeError, "expected str, got int"),
        ("options", "ab", TypeError, "options must be a sequence of whence.Option, not str"),
        ("request_id", 5, TypeError, "expected str, got int"),
    ],
)
def test_a_refusal_names_the_kind_and_the_argument(
    call: Callable[..., None],
    argument: str,
    value: object,
    raised: type[Exception],
    said: str,
    recorded: OwnEvents,
) -> None:
    """Whoever reads the message knows which value of which call to mend. P3"""
    with pytest.raises(raised) as refusal:
        call(**{argument: value})
    assert type(refusal.value) is raised
    assert str(refusal.value) == f"told(): argument '{argument}': {said}"
    assert recorded.count("rejected") == 1


def test_an_exception_that_is_not_ours_keeps_its_words_and_gets_a_note(
    recorded: OwnEvents,
) -> None:
    """UTF-8's refusals, and what the caller's own __index__ raises, pass on whole. P3"""

    class Odd:
        def __index__(self) -> int:
            raise ValueError("mine")

    with pytest.raises(UnicodeEncodeError) as refusal:
        told(request_id="half \ud800")
    assert refusal.value.__notes__ == ["told(): argument 'request_id'"]
    with pytest.raises(ValueError, match="mine") as own:
        told(Odd())  # type: ignore[arg-type]
    assert str(own.value) == "mine"
    assert own.value.__notes__ == ["told(): argument 'slack_ns'"]
    assert recorded.count("rejected") == 2


@pytest.mark.parametrize("call", SPELLINGS, ids=["kind", "emit"])
def test_a_keyword_only_parameter_is_not_given_by_its_place(
    call: Callable[..., None], recorded: OwnEvents
) -> None:
    """As the stub declares it, even where all are given and where the kind is sampled. R0.31"""
    with pytest.raises(TypeError, match="takes 2 positional arguments but 4 were given"):
        call(1, "x", 2.0, True)
    called.enable(0.999999999)
    try:
        with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
            call(1, "x", 2.0)
    finally:
        called.enable()
    only = whence.kind("by_place", component="Calls", n=int)
    with pytest.raises(TypeError, match="takes 1 argument but 2 were given"):
        only(1, 2)
    assert recorded() == []
