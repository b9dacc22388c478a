"""record_now(): an event stamped at the call, with everything beside it given by keyword."""

from __future__ import annotations

import fractions
import inspect
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy
import pytest

import whence
from tests.apps import AppRun
from whence.model.ids import ModelID
from whence.model.recording import KindCounts
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp


@pytest.fixture
def collector() -> whence.TraceCollector:
    """A collector for a few events."""
    return whence.TraceCollector(10)


def only(collector: whence.TraceCollector) -> whence.TraceEvent:
    """The one event that is held."""
    (event,) = collector
    return event


def test_an_event_is_stamped_at_the_call(collector: whence.TraceCollector) -> None:
    """Its time lies between what is read before and after. R0.25 R0.40"""
    before = Timestamp.now()
    collector.record_now("t", "C")
    after = Timestamp.now()
    assert before <= only(collector).timestamp <= after


def test_type_component_and_rationale_may_be_given_by_place_or_name(
    collector: whence.TraceCollector,
) -> None:
    """The rationale may be left out, unless it is a decision. R0.29 R0.40"""
    collector.record_now("t", "C")
    collector.record_now("t", "C", "r")
    collector.record_now("t", component="C", rationale="r")
    collector.record_now(rationale="r", component="C", event_type="t")
    collector.record_now(**{("event_type" + "!")[:-1]: "t", ("component" + "!")[:-1]: "C"})
    assert [(e.event_type, e.component, e.rationale) for e in collector] == [
        ("t", "C", ""),
        *[("t", "C", "r")] * 3,
        ("t", "C", ""),
    ]


def test_every_other_field_is_a_keyword(collector: whence.TraceCollector) -> None:
    """Request, model, severity, duration and attributes. R0.26 R0.27 R0.28 R0.30 R0.31 R0.40"""
    collector.record_now(
        "t",
        "C",
        "r",
        request_id="req-1",
        model_id="ocr",
        severity=Severity.Error,
        duration=Duration(15),
        attributes={"i": -5, "f": 0.5, "b": True, "s": "x"},
    )
    event = only(collector)
    assert (event.request_id, event.decision_chain_id, event.model_id) == ("req-1", "req-1", "ocr")
    assert (event.severity, event.duration) == (Severity.Error, Duration(15))
    assert event.attributes == {"i": -5, "f": 0.5, "b": True, "s": "x"}
    assert [type(value) for value in event.attributes.values()] == [int, float, bool, str]


def test_what_is_not_given_is_empty(collector: whence.TraceCollector) -> None:
    """Info, an instant, no model, no request, no attributes. R0.26 R0.27 R0.28 R0.30 R0.40"""
    collector.record_now(
        "t", "C", request_id="", model_id="", duration=Duration(0), attributes=None
    )
    event = only(collector)
    assert (event.severity, event.duration) == (Severity.Info, Duration(0))
    assert (event.model_id, event.request_id, dict(event.attributes)) == ("", "", {})


def test_events_belong_to_the_ambient_request(collector: whence.TraceCollector) -> None:
    """Unless they name another one. R0.28 R0.40 R0.49"""
    collector.record_now("t", "C", "outside")
    with whence.request("ambient", decision_chain_id="chain", lineage_id=3):
        collector.record_now("t", "C", "inside")
        collector.record_now("t", "C", "empty", request_id="")
        collector.record_now("t", "C", "other", request_id="own")
    with whence.request("a request that is longer than sixteen bytes"):
        collector.record_now("t", "C", "long")
    assert {e.rationale: (e.request_id, e.decision_chain_id, e.lineage_id) for e in collector} == {
        "outside": ("", "", 0),
        "inside": ("ambient", "chain", 3),
        "empty": ("ambient", "chain", 3),
        "other": ("own", "own", 0),
        "long": ("a request that is longer than sixteen bytes",) * 2 + (0,),
    }


@pytest.mark.parametrize(
    ("duration", "kept"), [(5, 5), (Duration(2**63 - 1), 2**63 - 1), (-(2**63), -(2**63))]
)
def test_a_duration_may_be_whole_nanoseconds(
    duration: Any, kept: int, collector: whence.TraceCollector
) -> None:
    """As a Duration or an int. R0.26 R0.53"""
    collector.record_now("t", "C", duration=duration)
    assert only(collector).duration == Duration(kept)


def test_a_model_may_be_named_by_its_id(collector: whence.TraceCollector) -> None:
    """ModelID or text. R0.27"""
    collector.record_now("t", "C", model_id=ModelID("ocr"))
    assert only(collector).model_id == "ocr"


def test_attributes_may_be_any_mapping(collector: whence.TraceCollector) -> None:
    """What is neither number, bool nor text is shown by its str(). R0.31"""

    class Text(str):
        __slots__ = ()

    class array(list[int]):
        def __index__(self) -> int:
            raise TypeError("only arrays of one number")

    collector.record_now(
        "t",
        "C",
        attributes=MappingProxyType(
            {
                Text("k"): Text("v"),
                "severity": Severity.Error,
                "none": None,
                "list": [1],
                "half": fractions.Fraction(1, 2),
                "numpy": numpy.float32(0.25),
                "truth": numpy.bool_(True),
                "array": array([1, 2]),
            }
        ),  # type: ignore[arg-type]
    )
    assert only(collector).attributes == {
        "k": "v",
        "severity": 3,
        "none": "None",
        "list": "[1]",
        "half": "1/2",
        "numpy": 0.25,
        "truth": True,
        "array": "[1, 2]",
    }


@pytest.mark.parametrize("name", ["scheduling_decision", "admission_decision", "admission_result"])
@pytest.mark.parametrize("blank", [(), ("",), (" ",), ("\u2003",)])
def test_a_decision_by_its_name_needs_a_rationale(
    name: str, blank: tuple[str, ...], collector: whence.TraceCollector
) -> None:
    """However it is recorded; refused, counted, not stored. R0.29 R0.40"""
    with pytest.raises(ValueError, match="needs a rationale"):
        collector.record_now(name, "Scheduler", *blank)
    assert collector.size() == 0
    collector.record_now(name, "Scheduler", "because")
    assert only(collector).decision
    (ring,) = collector.recording().rings
    assert ring.per_kind == (KindCounts(name, "Scheduler", recorded=1, rejected=1),)


def test_a_kind_declared_as_a_decision_needs_a_rationale_here_too(
    collector: whence.TraceCollector,
) -> None:
    """The type is a decision wherever it is recorded. R0.29"""

    @whence.kind(component="Approvals", decision=True, rationale="{why}")
    def approval_given(why: str) -> None: ...

    with pytest.raises(ValueError, match="needs a rationale"):
        collector.record_now("approval_given", "Elsewhere")
    collector.record_now("approval_given", "Elsewhere", "asked twice")
    assert only(collector).decision


@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        ((), {}, TypeError),
        (("t",), {}, TypeError),
        (("t", "C", "r", "x"), {}, TypeError),
        (("t", "C"), {"unknown": 1}, TypeError),
        (("t", "C"), {"component": "D"}, TypeError),
        (("", "C"), {}, ValueError),
        (("t", ""), {}, ValueError),
        ((5, "C"), {}, TypeError),
        (("t", None), {}, TypeError),
        (("t", "C", None), {}, TypeError),
        (("t", "C"), {"request_id": 5}, TypeError),
        (("t", "C"), {"request_id": None}, TypeError),
        (("t", "C"), {"request_id": "\ud800"}, UnicodeEncodeError),
        (("t", "C"), {"model_id": 5}, TypeError),
        (("t", "C"), {"severity": "Error"}, TypeError),
        (("t", "C"), {"severity": 5}, OverflowError),
        (("t", "C"), {"severity": None}, TypeError),
        (("t", "C"), {"duration": 1.5}, TypeError),
        (("t", "C"), {"duration": None}, TypeError),
        (("t", "C"), {"duration": 2**63}, OverflowError),
        (("t", "C"), {"attributes": [("k", 1)]}, TypeError),
        (("t", "C"), {"attributes": "text"}, TypeError),
        (("t", "C"), {"attributes": {5: 1}}, TypeError),
    ],
)
def test_what_does_not_fit_is_refused_and_counted(
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    error: type[Exception],
    collector: whence.TraceCollector,
) -> None:
    """Nothing is stored, nothing is guessed, and the ledger knows. R0.33 R0.40 R0.60 P3"""
    with pytest.raises(error):
        collector.record_now(*arguments, **keywords)
    assert collector.size() == 0
    (ring,) = collector.recording().rings
    assert sum(row.rejected for row in ring.per_kind) == 1


def test_attributes_that_give_no_pairs_are_refused(collector: whence.TraceCollector) -> None:
    """Whatever items() of the user's own mapping gives. P16"""

    class Odd:
        def items(self) -> list[Any]:
            return ["ab", 3]

    with pytest.raises(TypeError, match="pairs"):
        collector.record_now("t", "C", attributes=Odd())  # type: ignore[arg-type]
    assert collector.size() == 0


def test_attributes_that_record_while_they_are_read_are_no_trouble(
    collector: whence.TraceCollector,
) -> None:
    """str() of a value may record an event of its own, which comes first. P16"""

    class Loud:
        def __str__(self) -> str:
            collector.record_now("t", "C", "nested")
            return "loud"

    collector.record_now("t", "C", "outer", attributes={"x": Loud()})  # type: ignore[dict-item]
    assert [event.rationale for event in collector] == ["nested", "outer"]


def test_types_made_up_at_run_time_do_not_run_out(run_app: Callable[..., AppRun]) -> None:
    """Beyond two thousand types, and of any length, events keep type, component and decision. R0.23

    They share kinds then, which are decisions or not like the events themselves. R0.24 R0.29
    """
    run = run_app("""
        import whence
        collector = whence.TraceCollector(10_000)
        names = [f"made up {n}" for n in range(2100)] + ["long " * 300]
        for name in names:
            collector.record_now(name, f"of {name}", "r")
        collector.record_now("scheduling_decision", "late", "because")
        try:
            collector.record_now("scheduling_decision", "late")
        except ValueError:
            pass
        else:
            raise SystemExit("stored a decision without a rationale")
        declared = whence.kind("declared late", component="C", n=int)
        declared(5)
    """)
    names = [f"made up {n}" for n in range(2100)] + ["long " * 300]
    *events, decision, declared = run.recording().events
    assert [(e.event_type, e.component) for e in events] == [(n, f"of {n}") for n in names]
    assert (decision.event_type, decision.component) == ("scheduling_decision", "late")
    assert decision.decision
    assert not any(event.decision for event in events)
    assert (declared.event_type, declared.attributes["n"]) == ("declared late", 5)
    assert all(ring.closes for ring in run.recording().rings)


def test_help_shows_every_parameter() -> None:
    """The signature parses, and the text says what each one is. R0.40"""
    parameters = inspect.signature(whence.TraceCollector.record_now).parameters
    assert list(parameters) == [
        "self",
        "event_type",
        "component",
        "rationale",
        "request_id",
        "model_id",
        "severity",
        "duration",
        "attributes",
    ]
    assert parameters["severity"].default == Severity.Info
    explained = inspect.getdoc(whence.TraceCollector.record_now) or ""
    assert all(f"    {name} " in explained for name in list(parameters)[1:])


def test_default_values_in_the_signature_are_accepted(collector: whence.TraceCollector) -> None:
    """Giving each default by hand records what leaving it out does. R0.40"""
    signature = inspect.signature(whence.TraceCollector.record_now)
    given = {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    collector.record_now("t", "C", **given)
    event = only(collector)
    assert (event.rationale, event.request_id, event.model_id) == ("", "", "")
    assert (event.severity, event.duration, dict(event.attributes)) == (
        Severity.Info,
        Duration(0),
        {},
    )


def test_a_decision_that_is_declared_later_is_one_from_then_on(
    run_app: Callable[..., AppRun],
) -> None:
    """Whatever was recorded by that name before: the declaration is seen. R0.29 R0.40"""
    run = run_app("""
        import whence
        collector = whence.TraceCollector(10)
        for n in range(3):
            collector.record_now("approved", "desk")
            collector.record_now("other", "desk")
        whence.kind("approved", component="board", decision=True, why=str, rationale="{why}")
        collector.record_now("approved", "desk", "all signed")
        collector.record_now("other", "desk")
        try:
            collector.record_now("approved", "desk")
        except ValueError as error:
            print(error)
        print([event.decision for event in collector.query(event_type="approved")])
        print(len({event.decision for event in collector.query(event_type="other")}))
    """)
    assert run.stdout.splitlines() == [
        "approved is a decision: it needs a rationale that is not empty",
        "[False, False, False, True]",
        "1",
    ]


def test_an_attribute_is_judged_by_its_type_not_by_its_name(
    collector: whence.TraceCollector,
) -> None:
    """Classes that are called like numbers, and are none, are shown by their str(). R0.31"""

    class floatplane:
        def __str__(self) -> str:
            return "lands on water"

    class boolean_algebra(floatplane):
        def __bool__(self) -> bool:
            raise AssertionError("nobody asked")

    collector.record_now("t", "C", attributes={"a": floatplane(), "b": boolean_algebra()})
    assert only(collector).attributes == {"a": "lands on water", "b": "lands on water"}


def test_what_a_str_says_of_its_hash_and_equals_changes_nothing(
    collector: whence.TraceCollector,
) -> None:
    """A subclass that lies is taken for the text it holds, as type, component or key. R0.29"""

    class Liar(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return hash("honest")

        def __eq__(self, other: object) -> bool:
            return True

    collector.record_now("honest", "honest")
    for text in ("one", "two"):
        liar = Liar(text)
        collector.record_now(
            liar, liar, liar, request_id=liar, model_id=liar, attributes={liar: liar}
        )
    first, second = list(collector)[1:]
    for event, text in ((first, "one"), (second, "two")):
        assert (event.event_type, event.component, event.rationale) == (text, text, text)
        assert (event.request_id, event.model_id) == (text, text)
        assert event.attributes == {text: text}


def test_naming_the_ambient_request_is_the_same_as_leaving_it_out() -> None:
    """The event has its chain and lineage, too; that of another request the span alone. R0.28"""
    collector = whence.TraceCollector(10)
    kind = whence.kind("named", component="C", request_id=str)
    name = "a long id of a request, which the slot has no room for"
    for ambient in ("r", name):
        before = len(collector)
        with whence.request(ambient, decision_chain_id="part", lineage_id=7), whence.span("s"):
            collector.record_now("t", "C")
            collector.record_now("t", "C", request_id=ambient)
            collector.record_now("t", "C", request_id="other")
            kind(ambient)
        implied, named, other = list(collector)[before:]
        (typed,) = [
            event
            for event in whence.collector().query()
            if event.event_type == "named" and event.request_id == ambient
        ]
        for event in (named, typed):
            for field in ("request_id", "decision_chain_id", "lineage_id", "trace_id", "span_id"):
                assert getattr(event, field) == getattr(implied, field), field
        assert (implied.decision_chain_id, implied.lineage_id) == ("part", 7)
        assert implied.span_id != 0
        assert (other.decision_chain_id, other.lineage_id) == ("other", 0)
        # another request's event happened in this span all the same
        assert (other.trace_id, other.span_id) == (implied.trace_id, implied.span_id)
