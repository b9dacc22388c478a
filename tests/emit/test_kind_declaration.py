"""Declaring kinds: as a stub, as a name with fields, again, and in ways that are refused."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import pytest

import whence
from tests.own_events import OwnEvents
from whence.collect.local import local_ledgers, local_session
from whence.emit.kind import Kind
from whence.model.severity import Severity

# named only here, so that annotations in tests can be resolved
Option = whence.Option


def test_a_stub_becomes_a_kind_of_its_name() -> None:
    """The decorated function's name and parameters are the kind's. R0.23 R0.24"""

    @whence.kind(component="Scheduler", severity=Severity.Warning)
    def deadline_missed(lateness_ns: int, *, worker: str = "w1") -> None: ...

    assert isinstance(deadline_missed, Kind)
    assert (deadline_missed.name, deadline_missed.component) == ("deadline_missed", "Scheduler")
    assert not deadline_missed.decision
    assert callable(deadline_missed.__wrapped__)
    assert list(inspect.signature(deadline_missed).parameters) == ["lateness_ns", "worker"]
    assert repr(deadline_missed) == "<kind deadline_missed of Scheduler, on>"


def test_a_kind_may_be_named_otherwise_than_its_stub(recorded: OwnEvents) -> None:
    """name= is the event's type. R0.23"""

    @whence.kind(name="cache.hit", component="Cache")
    def _hit(size: int) -> None: ...

    _hit(3)
    assert recorded.one().event_type == "cache.hit"


def test_the_dynamic_spelling_declares_the_same(recorded: OwnEvents) -> None:
    """kind("tick", component=..., n=int) has its keywords for fields. R0.23 R0.24 R0.31"""
    tick = whence.kind("dynamic_tick", component="Clock", n=int, model=str)
    tick(5, "ocr")
    tick(model="det", n=6)
    first, second = recorded()
    assert (first.event_type, first.component) == ("dynamic_tick", "Clock")
    assert (first.attributes, first.model_id) == ({"n": 5}, "ocr")
    assert (second.attributes, second.model_id) == ({"n": 6}, "det")
    assert tick.__wrapped__ is None


@pytest.mark.parametrize(
    "colliding",
    [
        {"component": str},
        {"decision": bool},
        {"severity": Severity},
        {"rationale": str},
        {"otel_name": str},
    ],
)
def test_a_field_called_like_an_option_is_refused(colliding: dict[str, Any]) -> None:
    """The dynamic spelling cannot tell such a field from kind()'s own option, and says so. R0.31"""
    (name,) = colliding
    with pytest.raises(TypeError, match=f"{name!r}.*option.*of kind"):
        whence.kind("tick", **({"component": "Clock"} | colliding))


def test_a_field_may_be_called_name() -> None:
    """The name is positional in the dynamic spelling, so a field may be called so. R0.31"""
    assert whence.kind("named_tick", component="Clock", name=str).name == "named_tick"


def test_the_same_declaration_again_is_the_same_kind() -> None:
    """A stub in a function that runs twice, or in a reloaded module, declares one kind. P18"""

    def declare() -> Kind[...]:
        @whence.kind(component="Clock")
        def reloaded_tick(n: int = 3) -> None: ...

        return reloaded_tick

    assert declare() is declare()


def test_another_declaration_of_a_name_is_another_kind(recorded: OwnEvents) -> None:
    """Two components may record events of one type, each with its own fields. R0.24"""
    first = whence.kind("shared_type", component="A", n=int)
    second = whence.kind("shared_type", component="B", text=str)
    third = whence.kind("shared_type", component="A", n=float)
    assert len({first.id, second.id, third.id}) == 3
    first(1)
    second("x")
    third(0.5)
    assert [(e.component, dict(e.attributes)) for e in recorded()] == [
        ("A", {"n": 1}),
        ("B", {"text": "x"}),
        ("A", {"n": 0.5}),
    ]


def test_kinds_may_be_declared_from_many_threads() -> None:
    """Declarations in eight threads at once give eight kinds with numbers of their own. P18"""
    kinds: list[Kind[...]] = []
    threads = [
        threading.Thread(
            target=lambda n=n: kinds.append(whence.kind(f"threaded_{n}", component="T"))
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({kind.id for kind in kinds}) == 8
    assert {kind.name for kind in kinds} == {f"threaded_{n}" for n in range(8)}


def test_the_session_says_where_a_kind_was_declared() -> None:
    """Template, fields, OpenTelemetry name and file:line are in the dictionary. P18"""

    @whence.kind(
        component="Cache",
        decision=True,
        severity=Severity.Error,
        rationale="Evicted {key}",
        otel_name="app.cache.evicted",
    )
    def evicted(key: str, size: whence.U32, share: whence.F32, lineage_id: int) -> None: ...

    evicted("k", 1, 0.5, 2)
    session = local_session()
    assert session is not None
    _, catalogue, _ = local_ledgers([], session)
    from whence.collect.kinds import kind_infos

    (info,) = [kind for kind in kind_infos(catalogue) if kind.name == "evicted"]
    assert (info.component, info.decision, info.severity) == ("Cache", True, Severity.Error)
    assert (info.rationale, info.otel_name) == ("Evicted {key}", "app.cache.evicted")
    assert [(field.name, field.type) for field in info.fields] == [
        ("key", "str"),
        ("size", "u32"),
        ("share", "f32"),
        ("lineage_id", "u64"),
    ]
    path, _, line = info.source.rpartition(":")
    assert path == __file__
    source = inspect.getsourcelines(inspect.unwrap(evicted))
    assert int(line) == source[1]


def test_a_kind_has_at_most_64_fields() -> None:
    """64 fields are a kind, 65 a ValueError. P18"""
    fields: dict[str, Any] = {f"f{n}": int for n in range(64)}
    assert whence.kind("wide", component="C", **fields).name == "wide"
    with pytest.raises(ValueError, match="64"):
        whence.kind("too_wide", component="C", **fields, f64=int)


def test_a_field_name_has_its_limit() -> None:
    """A name that the dictionary cannot hold is refused when it is declared. P18"""
    assert whence.kind("long_field", component="C", **{"n" * 255: int}).name == "long_field"
    with pytest.raises(ValueError, match="255"):
        whence.kind("longer_field", component="C", **{"n" * 256: int})


def test_an_empty_name_or_component_is_refused() -> None:
    """An event without a type or component could not be told from others. R0.23 R0.24 R0.33"""
    for name, component in [("", ""), ("", "C"), ("tick", "")]:
        with pytest.raises(ValueError, match="not empty"):
            whence.kind(name, component=component)
    with pytest.raises(ValueError, match="not empty"):
        whence.kind(component="")(_stub)


@pytest.mark.parametrize("text", ["half \ud800", "nul \0"])
def test_a_name_that_no_file_can_hold_is_refused(text: str) -> None:
    """Half surrogate pairs and NUL are a ValueError in names and templates. P18"""
    for name, component, rationale in [(text, "C", ""), ("n", text, ""), ("n", "C", text)]:
        with pytest.raises(ValueError, match=r"surrogate|null"):
            whence.kind(name, component=component, rationale=rationale)


@pytest.mark.parametrize(
    "options",
    [
        {"component": 5},
        {"component": "C", "decision": 1},
        {"component": "C", "severity": 2},
        {"component": "C", "rationale": 5},
        {"component": "C", "name": 5},
        {"component": "C", "n": int},
    ],
)
def test_options_of_the_wrong_type_are_refused(options: dict[str, Any]) -> None:
    """Each option of kind() has its type; fields need a positional name. R0.23 R0.30"""
    with pytest.raises(TypeError):
        whence.kind(**options)(_stub)


def test_only_a_plain_function_can_be_a_stub() -> None:
    """Classes and builtins have no typed parameters to take over. R0.31"""
    for thing in (int, len, _Callable()):
        with pytest.raises(TypeError, match="decorates a function"):
            whence.kind(component="C")(thing)


def test_every_parameter_of_a_stub_has_a_type_that_can_be_kept() -> None:
    """No *args, **kwargs, missing or unknown annotations. R0.31"""

    def many(*n: int) -> None: ...
    def more(**n: int) -> None: ...
    def bare(n, m: int) -> None: ...  # type: ignore[no-untyped-def]
    def unknown(n: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def binary(n: bytes) -> None: ...

    for stub, problem in [
        (many, "one by one"),
        (more, "one by one"),
        (bare, "without a type: n$"),
        (unknown, "Nowhere"),
        (binary, "bytes"),
    ]:
        with pytest.raises(TypeError, match=problem):
            whence.kind(component="C")(stub)


@pytest.mark.parametrize("options", [tuple[Option, ...], list[Option]])
def test_options_may_be_given_in_the_dynamic_spelling(options: Any, recorded: OwnEvents) -> None:
    """A sequence of Option is a field type too. R0.31"""
    chosen = whence.kind("chosen", component="C", options=options)
    chosen([Option("a")])
    assert recorded.one().options == (Option("a"),)


def test_declaring_needs_no_annotations_at_run_time(recorded: OwnEvents) -> None:
    """Kind[P] may be written in annotations, and a kind is as true as it is on. R0.2"""
    assert Kind[int] is not None
    assert bool(whence.kind("truthy", component="C"))


def _stub(n: int) -> None: ...


class _Callable:
    def __call__(self, n: int) -> None: ...
