"""What a stub's parameters may be: each annotation has one way of being stored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import pytest

from whence.emit.fields import (
    F32,
    U8,
    U32,
    U64,
    FieldRole,
    FieldType,
    ParameterSpec,
    parameter_spec,
)
from whence.model.event import Option
from whence.model.ids import ModelID
from whence.model.severity import Severity

LAYOUT = (Path(__file__).parents[2] / "native/whence/layout.hpp").read_text()


@pytest.mark.parametrize(
    ("annotation", "stored"),
    [
        (int, FieldType.I64),
        (float, FieldType.F64),
        (bool, FieldType.Bool),
        (str, FieldType.Name),
        (ModelID, FieldType.Name),
        (str | ModelID, FieldType.Name),
        (Severity, FieldType.U8),
        (U8, FieldType.U8),
        (U32, FieldType.U32),
        (U64, FieldType.U64),
        (F32, FieldType.F32),
        (Annotated[int, "milliseconds"], FieldType.I64),
    ],
)
def test_an_annotation_says_how_a_parameter_is_stored(annotation: Any, stored: FieldType) -> None:
    """int is 64 bits signed, float 64 bits, str UTF-8, the marked ones narrower. R0.31"""
    spec = parameter_spec("size", annotation)
    assert spec == ParameterSpec("size", stored, FieldRole.Plain, False, ...)


@pytest.mark.parametrize("annotation", [int | None, None | int, Optional[int]])  # noqa: UP045
def test_or_none_makes_a_parameter_optional(annotation: Any) -> None:
    """`int | None` in any spelling is an int that may be absent. R0.31"""
    assert parameter_spec("size", annotation).optional
    assert parameter_spec("size", annotation).type is FieldType.I64
    assert not parameter_spec("size", int).optional


def test_a_narrow_type_may_be_absent_too() -> None:
    """`U32 | None` and `str | ModelID | None` are optional. R0.31"""
    assert parameter_spec("size", Optional[U32]).optional  # noqa: UP045
    assert parameter_spec("model", str | ModelID | None).optional


@pytest.mark.parametrize(
    ("name", "annotation", "role", "stored"),
    [
        ("model", str, FieldRole.Model, FieldType.Name),
        ("model_id", ModelID, FieldRole.Model, FieldType.Name),
        ("request_id", str, FieldRole.Request, FieldType.Elsewhere),
        ("rationale", str, FieldRole.Rationale, FieldType.Name),
        ("severity", Severity, FieldRole.Severity, FieldType.Elsewhere),
        ("severity", int, FieldRole.Severity, FieldType.Elsewhere),
        ("duration_ns", int, FieldRole.Duration, FieldType.I64),
        ("options", tuple[Option, ...], FieldRole.Options, FieldType.Elsewhere),
        ("options", list[Option], FieldRole.Options, FieldType.Elsewhere),
        ("options", Sequence[Option], FieldRole.Options, FieldType.Elsewhere),
        ("caused_by", str, FieldRole.CausedBy, FieldType.Elsewhere),
        ("lineage_id", int, FieldRole.Lineage, FieldType.U64),
        ("lineage_id", U64, FieldRole.Lineage, FieldType.U64),
    ],
)
def test_well_known_parameters_have_columns_of_their_own(
    name: str, annotation: Any, role: FieldRole, stored: FieldType
) -> None:
    """Names such as model, severity and duration_ns mean a column. R0.26 R0.27 R0.28 R0.29 R0.30"""
    spec = parameter_spec(name, annotation)
    assert (spec.role, spec.type) == (role, stored)


@pytest.mark.parametrize(
    ("name", "annotation"),
    [
        ("model", int),
        ("request_id", int),
        ("rationale", bytes),
        ("severity", str),
        ("duration_ns", float),
        ("duration_ns", U32),
        ("options", str),
        ("options", list[str]),
        ("caused_by", int),
        ("lineage_id", str),
    ],
)
def test_a_well_known_parameter_of_another_type_is_refused(name: str, annotation: Any) -> None:
    """A duration that is a float, or a model that is a number, is a TypeError. R0.9 R0.27"""
    with pytest.raises(TypeError, match=name):
        parameter_spec(name, annotation)


@pytest.mark.parametrize("annotation", [list, tuple, Option, list[str], str, int | None])
def test_a_refusal_of_options_says_what_to_write(annotation: Any) -> None:
    """A bare list tells nothing of its members; the message gives what does. R0.31"""
    with pytest.raises(TypeError, match=r"write list\[Option\], tuple\[Option, \.\.\.\] or Seq"):
        parameter_spec("options", annotation)


@pytest.mark.parametrize(
    "annotation",
    [
        bytes,
        list[int],
        dict[str, int],
        object,
        Any,
        None,
        int | str,
        int | float,
        complex,
        "int",
        [int],
        tuple[Option, ...],
    ],
)
def test_what_cannot_be_recorded_is_refused_by_name(annotation: Any) -> None:
    """An annotation that no field can hold is a TypeError naming the parameter. R0.31"""
    with pytest.raises(TypeError, match="'payload'"):
        parameter_spec("payload", annotation)


def test_types_and_roles_have_the_numbers_of_the_files() -> None:
    """FieldType and FieldRole are those of layout.hpp, number by number. P18"""
    assert _enum("FieldType") == {
        ("None" if each is FieldType.Elsewhere else each.name): each.value for each in FieldType
    }
    assert _enum("FieldRole") == {each.name: each.value for each in FieldRole}


def _enum(name: str) -> dict[str, int]:
    found = re.search(rf"enum class {name}\b[^{{]*\{{(.*?)\}};", LAYOUT, re.DOTALL)
    assert found is not None
    return {key: int(value) for key, value in re.findall(r"(\w+) = (\d+)", found[1])}
