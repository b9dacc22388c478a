"""What a stub's parameters may be, and how each is stored."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated, Any, NamedTuple

from whence.model.ids import ModelID
from whence.model.option import Option
from whence.model.severity import Severity

__all__ = [
    "F32",
    "U8",
    "U32",
    "U64",
    "FieldRole",
    "FieldType",
    "Limits",
    "ParameterSpec",
    "Strength",
    "parameter_spec",
]

U8 = Annotated[int, "u8"]
U32 = Annotated[int, "u32"]
U64 = Annotated[int, "u64"]
F32 = Annotated[float, "f32"]
# The number that `min_strength` is compared with; Annotated[whence.F32, "strength"] is one, too.
Strength = Annotated[float, "strength"]


class FieldType(IntEnum):
    """How a field's value is stored (the numbers are those of the files)."""

    Bool = 1
    U8 = 2
    U32 = 3
    F32 = 4
    I64 = 5
    U64 = 6
    F64 = 7
    Name = 8
    Elsewhere = 9


class FieldRole(IntEnum):
    """What a well-known parameter means; all others are plain attributes."""

    Plain = 0
    Model = 1
    Request = 2
    Rationale = 3
    Severity = 4
    Duration = 5
    Options = 6
    CausedBy = 7
    Lineage = 8
    Strength = 9
    Span = 10
    Parent = 11


class Limits(NamedTuple):
    """A mark for numbers, `Annotated[U8, Limits(0, 2)]`: what is not within is refused."""

    least: float = -math.inf
    most: float = math.inf


class ParameterSpec(NamedTuple):
    """One parameter as the native Kind wants it; `default` is `...` where there is none."""

    name: str
    type: FieldType
    role: FieldRole
    optional: bool
    default: object
    least: float = -math.inf
    most: float = math.inf


_PLAIN = {
    int: FieldType.I64,
    float: FieldType.F64,
    bool: FieldType.Bool,
    str: FieldType.Name,
    ModelID: FieldType.Name,
    Severity: FieldType.U8,
}
_NARROW = {
    "u8": FieldType.U8,
    "u32": FieldType.U32,
    "u64": FieldType.U64,
    "f32": FieldType.F32,
}
_NUMBERS = frozenset({*_NARROW.values(), FieldType.I64, FieldType.F64})
# role, stored as, the annotations it takes
_WELL_KNOWN: dict[str, tuple[FieldRole, FieldType, tuple[FieldType, ...]]] = {
    "model": (FieldRole.Model, FieldType.Name, (FieldType.Name,)),
    "model_id": (FieldRole.Model, FieldType.Name, (FieldType.Name,)),
    "request_id": (FieldRole.Request, FieldType.Elsewhere, (FieldType.Name,)),
    "rationale": (FieldRole.Rationale, FieldType.Name, (FieldType.Name,)),
    "severity": (FieldRole.Severity, FieldType.Elsewhere, (FieldType.U8, FieldType.I64)),
    "duration_ns": (FieldRole.Duration, FieldType.I64, (FieldType.I64,)),
    "options": (FieldRole.Options, FieldType.Elsewhere, (FieldType.Elsewhere,)),
    "caused_by": (FieldRole.CausedBy, FieldType.Elsewhere, (FieldType.Name,)),
    "lineage_id": (FieldRole.Lineage, FieldType.U64, (FieldType.I64, FieldType.U64)),
}


def parameter_spec(name: str, annotation: Any, default: object = ...) -> ParameterSpec:
    """How the parameter `name` of that annotation is stored.

    int is signed 64 bits, float 64 bits, str UTF-8; U8, U32, U64 and F32 are narrower or
    unsigned; `X | None` may be None, which is kept as absent. Raises TypeError for anything else.
    """
    bare, optional = _without_none(annotation)
    stored = _stored_as(name, bare)
    if name not in _WELL_KNOWN:
        if _is_strength(name, bare, stored):
            limits = _limits(bare)
            return ParameterSpec(name, stored, FieldRole.Strength, optional, default, *limits)
        if stored is FieldType.Elsewhere:
            raise TypeError(f"parameter {name!r}: only 'options' takes a sequence of Option")
        return ParameterSpec(name, stored, FieldRole.Plain, optional, default, *_limits(bare))
    role, stored_well_known, accepted = _WELL_KNOWN[name]
    if stored not in accepted:
        if name == "options":
            raise TypeError(_no_options(annotation))
        raise TypeError(f"parameter {name!r} is well known and cannot be {annotation!r}")
    return ParameterSpec(name, stored_well_known, role, optional, default)


def _limits(annotation: Any) -> Limits:
    if typing.get_origin(annotation) is Annotated:
        for mark in typing.get_args(annotation)[1:]:
            if isinstance(mark, Limits):
                return mark
    return Limits()


def _is_strength(name: str, annotation: Any, stored: FieldType) -> bool:
    marked = typing.get_origin(annotation) is Annotated and "strength" in typing.get_args(
        annotation
    )
    if marked and stored not in _NUMBERS:
        raise TypeError(f"parameter {name!r}: a strength is a number, not {annotation!r}")
    return marked or (name == "strength" and stored in _NUMBERS)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation, False
    members = [member for member in typing.get_args(annotation) if member is not type(None)]
    if len(members) == 1 and len(members) < len(typing.get_args(annotation)):
        return members[0], True
    if set(members) <= {str, ModelID}:
        return str, len(members) < len(typing.get_args(annotation))
    return annotation, False


def _stored_as(name: str, annotation: Any) -> FieldType:
    if typing.get_origin(annotation) is Annotated:
        for mark in typing.get_args(annotation)[1:]:
            if isinstance(mark, str) and mark in _NARROW:
                return _NARROW[mark]
        annotation = typing.get_args(annotation)[0]
    try:
        if annotation in _PLAIN:
            return _PLAIN[annotation]
    except TypeError:
        pass  # unhashable, so no type we know
    origin = typing.get_origin(annotation)
    if origin in (list, tuple, Sequence) and Option in typing.get_args(annotation):
        return FieldType.Elsewhere
    if name == "options":
        raise TypeError(_no_options(annotation))
    raise TypeError(
        f"parameter {name!r}: {annotation!r} cannot be recorded; use int, float, bool, str, "
        "Severity, ModelID, whence.U8, U32, U64, F32, or `| None` of one of them"
    )


def _no_options(annotation: Any) -> str:
    wanted = "list[Option], tuple[Option, ...] or Sequence[Option]"
    return f"parameter 'options': write {wanted}, not {annotation!r}"
