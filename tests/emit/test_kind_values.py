"""What values a field takes: exact at both ends of its range, converted, or refused and counted."""

from __future__ import annotations

import math
import struct
from enum import IntEnum
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.own_events import OwnEvents
from whence.model.ids import ModelID
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

ONE_OF: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "u8": whence.U8,
    "u32": whence.U32,
    "u64": whence.U64,
    "f32": whence.F32,
}
KINDS = {name: whence.kind(f"one_{name}", component="Values", x=of) for name, of in ONE_OF.items()}
# as the first of two fields, so that the general path is taken as well as the one for numbers only
BESIDE = {
    name: whence.kind(f"beside_{name}", component="Values", x=of, s=str)
    for name, of in ONE_OF.items()
}


class Index:
    """A whole number that is no int, like numpy.int64."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Real:
    """A number that is no float, like numpy.float32."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


class bool_(Index):
    """A truth value by its name alone."""

    def __bool__(self) -> bool:
        raise AssertionError("whoever only has that name is not asked")


class Text(str):
    """A str of another class."""

    __slots__ = ()


class Colour(IntEnum):
    """An int of another class."""

    Red = 3


def read_back(recorded: OwnEvents, name: str, value: Any) -> Any:
    """The value as both kinds with such a field recorded it."""
    KINDS[name](value)
    KINDS[name].emit(x=value)
    BESIDE[name](value, "beside")
    first, *others = [event.attributes["x"] for event in recorded()]
    assert [repr(other) for other in others] == [repr(first)] * 2
    return first


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("int", 0, 0),
        ("int", -1, -1),
        ("int", 2**30 - 1, 2**30 - 1),
        ("int", 2**30, 2**30),
        ("int", -(2**30), -(2**30)),
        ("int", 2**60, 2**60),
        ("int", 2**63 - 1, 2**63 - 1),
        ("int", -(2**63), -(2**63)),
        ("int", True, 1),
        ("int", Colour.Red, 3),
        ("int", Index(2**63 - 1), 2**63 - 1),
        ("int", Duration(5), 5),
        ("int", Timestamp(6), 6),
        ("u8", 0, 0),
        ("u8", 255, 255),
        ("u8", Severity.Critical, 4),
        ("u8", Index(7), 7),
        ("u32", 2**32 - 1, 2**32 - 1),
        ("u32", Index(2**32 - 1), 2**32 - 1),
        ("u64", 2**64 - 1, 2**64 - 1),
        ("u64", 2**63, 2**63),
        ("u64", Index(2**64 - 1), 2**64 - 1),
        ("float", 0.1, 0.1),
        ("float", -0.0, -0.0),
        ("float", 5e-324, 5e-324),
        ("float", 1.7976931348623157e308, 1.7976931348623157e308),
        ("float", math.inf, math.inf),
        ("float", 3, 3.0),
        ("float", True, 1.0),
        ("float", 2**53 + 2, float(2**53 + 2)),
        ("float", Real(0.25), 0.25),
        ("float", Index(4), 4.0),
        ("f32", 0.1, struct.unpack("f", struct.pack("f", 0.1))[0]),
        ("f32", 3.4028234663852886e38, 3.4028234663852886e38),
        ("f32", -math.inf, -math.inf),
        ("f32", 1e-46, 0.0),
        ("f32", Real(0.5), 0.5),
        ("bool", True, True),
        ("bool", False, False),
        ("bool", numpy.bool_(1), True),
        ("bool", numpy.bool_(0), False),
        ("str", "", ""),
        ("str", Text("sub"), "sub"),
        ("str", ModelID("ocr"), "ocr"),
    ],
)
def test_a_value_that_fits_its_field_is_kept_exactly(
    name: str, value: Any, kept: object, recorded: OwnEvents
) -> None:
    """Both ends of every range, bools, enums, numpy's likes and subclasses come back. R0.31"""
    found = read_back(recorded, name, value)
    assert (type(found), repr(found)) == (type(kept), repr(kept))


@pytest.mark.parametrize("name", ["float", "f32"])
def test_not_a_number_is_kept(name: str, recorded: OwnEvents) -> None:
    """NaN is a value like others. R0.31"""
    assert math.isnan(read_back(recorded, name, math.nan))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("int", 2**63),
        ("int", -(2**63) - 1),
        ("int", 10**400),
        ("int", Index(2**63)),
        ("u8", 256),
        ("u8", -1),
        ("u8", 2**64),
        ("u32", 2**32),
        ("u32", -1),
        ("u64", 2**64),
        ("u64", -1),
        ("u64", Index(-1)),
        ("float", 10**400),
        ("f32", 3.5e38),
        ("f32", -1e300),
        ("f32", 10**40),
        ("f32", Real(1e39)),
    ],
)
def test_a_value_out_of_its_range_is_refused_and_counted(
    name: str, value: Any, recorded: OwnEvents
) -> None:
    """A number that a field cannot hold is an OverflowError, never another number. R0.31 P3"""
    for kind, args in ((KINDS[name], (value,)), (BESIDE[name], (value, "s"))):
        with pytest.raises(OverflowError):
            kind(*args)
    assert recorded.count("rejected") == 2
    assert recorded() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("int", 1.0),
        ("int", "1"),
        ("int", None),
        ("int", b"1"),
        ("int", Real(1.0)),
        ("bool", bool_(1)),
        ("u8", 1.0),
        ("u64", "1"),
        ("float", "1.5"),
        ("float", b"1.5"),
        ("float", None),
        ("float", 1j),
        ("f32", "1.5"),
        ("bool", 1),
        ("bool", 0),
        ("bool", "True"),
        ("bool", None),
        ("str", 5),
        ("str", None),
        ("str", b"bytes"),
        ("str", ["text"]),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_and_counted(
    name: str, value: Any, recorded: OwnEvents
) -> None:
    """No value is guessed from another type: a TypeError, and one more rejected. R0.31 P3"""
    for kind, args in ((KINDS[name], (value,)), (BESIDE[name], (value, "s"))):
        with pytest.raises(TypeError):
            kind(*args)
    assert recorded.count("rejected") == 2
    assert recorded.count("recorded") == 0
    assert recorded() == []


@pytest.mark.parametrize("name", ONE_OF)
def test_none_in_an_optional_field_is_absent(name: str, recorded: OwnEvents) -> None:
    """Absent is neither zero nor empty: the attribute is not there. R0.31"""
    optional = whence.kind(f"optional_{name}", component="Values", x=ONE_OF[name] | None, n=int)
    optional(None, 5)
    optional(n=6, x=None)
    assert [dict(e.attributes) for e in recorded()] == [{"n": 5}, {"n": 6}]


def test_an_optional_field_still_keeps_what_it_is_given(recorded: OwnEvents) -> None:
    """Zero, False and "" in optional fields are values. R0.31"""

    @whence.kind(component="Values")
    def all_optional(
        i: int | None, f: float | None, b: bool | None, s: str | None, u: whence.U8 | None
    ) -> None: ...

    all_optional(0, 0.0, False, "", 0)
    all_optional(None, None, None, None, None)
    all_optional(0, None, False, None, 0)
    assert [dict(e.attributes) for e in recorded()] == [
        {"i": 0, "f": 0.0, "b": False, "s": "", "u": 0},
        {},
        {"i": 0, "b": False, "u": 0},
    ]


def test_a_model_id_is_no_other_kind_of_text(recorded: OwnEvents) -> None:
    """Only a ModelID gives its text; a large thing with a to_string() is no name. R0.27"""

    class Table:
        def to_string(self) -> str:
            raise AssertionError("asked a table for all of its rows")

    with pytest.raises(TypeError, match="str"):
        KINDS["str"](Table())
    assert recorded() == []


numbers = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "u8": st.integers(0, 2**8 - 1),
    "u32": st.integers(0, 2**32 - 1),
    "u64": st.integers(0, 2**64 - 1),
    "float": st.floats(),
    "f32": st.floats(width=32),
    "bool": st.booleans(),
    "str": st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
}
fields = st.lists(st.sampled_from(sorted(numbers)), max_size=64)


@given(fields.flatmap(lambda names: st.tuples(*(st.tuples(st.just(n), numbers[n]) for n in names))))
def test_any_fields_in_any_order_come_back(values: tuple[tuple[str, Any], ...]) -> None:
    """Up to 64 fields of mixed types: images within and beyond a slot, with and without text. P18

    The field image may be longer than the 24 bytes of a slot, and than the 16 that are left
    beside text. R0.31
    """
    declared: dict[str, Any] = {f"f{i}": ONE_OF[name] for i, (name, _) in enumerate(values)}
    kind = whence.kind("any_fields", component="Values", **declared)
    recorded = OwnEvents()
    kind(*(value for _, value in values))
    kind.emit(**{f"f{i}": value for i, (_, value) in enumerate(values)})
    wanted = {f"f{i}": repr(value) for i, (_, value) in enumerate(values)}
    for event in recorded():
        assert {key: repr(value) for key, value in event.attributes.items()} == wanted
        assert not event.truncated
        assert not event.text_lost


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 63, 64])
def test_an_image_of_any_length_is_kept_with_and_without_text(
    count: int, recorded: OwnEvents
) -> None:
    """8 to 512 bytes of numbers, alone, beside a request, and beside text. R0.31"""
    names = [f"n{i}" for i in range(count)]
    kind = whence.kind(f"image_{count}", component="Values", **dict.fromkeys(names, int))
    values = {name: (-1) ** i * (2**63 - 1 - i) for i, name in enumerate(names)}
    kind(**values)
    with whence.request("a request that is longer than sixteen bytes"):
        kind(**values)
    with whence.request("short", lineage_id=2**64 - 1):
        kind(**values)
    assert [dict(e.attributes) for e in recorded()] == [values] * 3
    assert [e.lineage_id for e in recorded()] == [0, 0, 2**64 - 1]
