"""Declaring kinds: a typed stub, or a name with field types, becomes a Kind whose call records."""

from __future__ import annotations

import sys
import threading
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, overload

from whence import _native
from whence._native import Kind
from whence.emit.fields import FieldRole, ParameterSpec, parameter_spec
from whence.model.severity import Severity

__all__ = ["Kind", "any_declared", "declared_kinds", "kind", "kind_that_is_off"]

P = ParamSpec("P")

_declaring = threading.RLock()  # a finaliser may declare while a declaration is under way
_declared: dict[str, Kind[Any]] = {}


@overload
def kind(
    *,
    name: str | None = None,
    component: str,
    decision: bool = False,
    severity: Severity = Severity.Info,
    rationale: str | None = None,
    otel_name: str | None = None,
) -> Callable[[Callable[P, None]], Kind[P]]: ...


@overload
def kind(
    name: str,
    /,
    *,
    component: str,
    decision: bool = False,
    severity: Severity = Severity.Info,
    rationale: str | None = None,
    otel_name: str | None = None,
    **fields: Any,
) -> Kind[...]: ...


def kind(
    name: str | None = None,
    /,
    *,
    component: str,
    decision: bool = False,
    severity: Severity = Severity.Info,
    rationale: str | None = None,
    otel_name: str | None = None,
    **fields: Any,
) -> Any:
    """Declares a kind of event, once; calling the result records one event.

    As a decorator of a typed stub, `@whence.kind(component="Scheduler")`, the parameters are the
    fields. Dynamically, `whence.kind("tick", component="x", n=int)`, the keywords are. A parameter
    is int (64 bits, signed), float, bool, str, Severity, ModelID, whence.U8, U32, U64 or F32, or
    one of these `| None`. Well-known parameters have columns of their own: model or model_id,
    request_id, rationale, severity, duration_ns, caused_by, lineage_id, and options, which is
    `list[Option]`, `tuple[Option, ...]` or `Sequence[Option]`.

    `rationale` is a template such as "Selected {model}: {slack_ns:ns} left": only its arguments
    are recorded and readers render it. Formats: `{f}`, `{f:ns}`, `{f:bytes}`, `{f:.3f}`, `{f:%}`.
    A `decision` needs a template or a parameter `rationale`. `otel_name` is the event's name in
    OpenTelemetry, where `whence.<name>` will not do.

    Raises TypeError for a parameter that cannot be recorded, ValueError for an empty name or
    component or a template that does not fit the parameters. Declaring creates no files. The same
    declaration on the same line of the same file, run again, returns the same Kind; on another
    line it makes another one. Threads may call kinds freely: tens of nanoseconds, no lock, no
    system call after a thread's first event.
    """
    given_name = fields.pop("name", None) if name is None else name
    if not isinstance(component, str) or not isinstance(decision, bool):
        raise TypeError("'component' and 'decision' are options of kind(), not fields")
    for option, text in (("rationale", rationale), ("otel_name", otel_name)):
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{option!r} is an option of kind() and takes a str, not a field type")
    if not isinstance(severity, Severity):
        raise TypeError("'severity' is an option of kind() and takes a Severity, not a field type")
    declaration = _Declaration(component, decision, severity, rationale or "", otel_name or "")
    if name is None:
        if fields:
            raise TypeError(f"unknown options {sorted(fields)}; fields need a positional name")

        def declare(stub: Callable[..., None]) -> Kind[Any]:
            return declaration.of_stub(stub, given_name)

        return declare
    specs = tuple(parameter_spec(field, kind_of) for field, kind_of in fields.items())
    caller = sys._getframe(1)
    source = f"{caller.f_code.co_filename}:{caller.f_lineno}"
    return declaration.make(name, specs, source, None)


def any_declared() -> bool:
    """Whether this process has declared a kind by now."""
    return bool(_declared)


def kind_that_is_off(name: str, component: str, fields: Mapping[str, Any]) -> Kind[...]:
    """As kind(name, component=component, **fields), but off until it is enabled, unless a rule for
    its name says otherwise."""
    specs = tuple(parameter_spec(field, kind_of) for field, kind_of in fields.items())
    declaration = _Declaration(component, False, Severity.Info, "", "", on=False)
    return declaration.make(name, specs, "whence", None)


def declared_kinds() -> list[Kind[Any]]:
    """The kinds that kind() has made in this process."""
    with _declaring:
        return list(_declared.values())


class _Declaration:
    """The options of one kind() call, waiting for a name and parameters."""

    def __init__(
        self,
        component: str,
        decision: bool,
        severity: Severity,
        rationale: str,
        otel_name: str,
        on: bool = True,
    ) -> None:
        self.component = component
        self.decision = decision
        self.severity = severity
        self.rationale = rationale
        self.otel_name = otel_name
        self.on = on

    def of_stub(self, stub: Callable[..., None], name: object) -> Kind[Any]:
        if not isinstance(stub, types.FunctionType):
            raise TypeError(f"@kind decorates a function, not {type(stub).__name__}")
        if name is None:
            name = stub.__name__
        if not isinstance(name, str):
            raise TypeError(f"a kind's name must be str, not {type(name).__name__}")
        code = stub.__code__
        source = f"{code.co_filename}:{code.co_firstlineno}"
        return self.make(name, _stub_parameters(stub), source, stub, code.co_argcount)

    def make(
        self,
        name: str,
        specs: tuple[ParameterSpec, ...],
        source: str,
        stub: object,
        positional: int | None = None,
    ) -> Kind[Any]:
        """`positional` parameters may be given by their place; by default all."""
        if not name or not self.component:
            raise ValueError("a kind needs a name and a component that are not empty")
        must_say = self._check_rationale(name, specs)
        if positional is None:
            positional = len(specs)
        # a text: of all that tells declarations apart it is what takes the least memory
        key = repr((name, *vars(self).values(), _comparable(specs), source, positional))
        with _declaring:
            known = _declared.get(key)
            if known is None:
                known = _declared[key] = Kind(
                    name,
                    self.component,
                    self.rationale,
                    self.otel_name,
                    source,
                    int(self.severity),
                    self.decision,
                    self.on,
                    specs,
                    must_say,
                    stub,
                    positional,
                )
        return known

    def _check_rationale(self, name: str, specs: tuple[ParameterSpec, ...]) -> int:
        """Bits of the parameters of which one must not be blank, lest a decision say nothing."""
        given = sum(1 << i for i, spec in enumerate(specs) if spec.role is FieldRole.Rationale)
        fields = tuple((spec.name, int(spec.type)) for spec in specs)
        problem, must_say = _native.check_rationale(self.rationale, fields)
        if problem is not None:
            raise ValueError(f"rationale of {name!r}: {problem}")
        if not self.decision:
            return 0
        if not self.rationale.strip() and not given:
            raise ValueError(
                f"{name!r} is a decision: give it rationale='a template', or a parameter"
                " 'rationale: str'"
            )
        if not self.rationale.strip():
            return given
        return must_say | given if must_say else 0


def _stub_parameters(stub: types.FunctionType) -> tuple[ParameterSpec, ...]:
    code = stub.__code__
    if code.co_flags & 0x0C:  # *args, **kwargs
        raise TypeError(f"{stub.__name__}: a kind's parameters are named one by one")
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    defaults: dict[str, object] = dict(stub.__kwdefaults__ or {})
    positional_defaults = stub.__defaults__ or ()
    first = code.co_argcount - len(positional_defaults)
    defaults.update(zip(names[first : code.co_argcount], positional_defaults, strict=True))
    try:
        hints = typing.get_type_hints(stub, include_extras=True)
    except NameError as error:
        raise TypeError(f"{stub.__name__}: annotation cannot be resolved: {error}") from error
    missing = [name for name in names if name not in hints]
    if missing:
        raise TypeError(f"{stub.__name__}: parameters without a type: {', '.join(missing)}")
    return tuple(parameter_spec(name, hints[name], defaults.get(name, ...)) for name in names)


def _comparable(specs: tuple[ParameterSpec, ...]) -> tuple[object, ...]:
    return tuple((*spec[:4], repr(spec.default), spec.least, spec.most) for spec in specs)
