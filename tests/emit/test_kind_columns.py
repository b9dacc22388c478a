"""Well-known parameters: each goes to its column, whatever it is given."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

import whence
from tests.own_events import OwnEvents
from whence.model.event import Option
from whence.model.ids import ModelID, parse_event_id
from whence.model.severity import Severity
from whence.model.time import Duration


@whence.kind(component="Columns", severity=Severity.Warning)
def full(
    model: str | ModelID = "",
    severity: Severity | None = None,
    duration_ns: int = 0,
    options: tuple[Option, ...] = (),
    caused_by: str | None = None,
    lineage_id: int = 0,
    request_id: str = "",
    rationale: str | None = None,
    n: int | None = None,
) -> None:
    """Has every well-known parameter, and one attribute."""


def test_every_well_known_parameter_has_its_column(recorded: OwnEvents) -> None:
    """All columns at once. R0.22 R0.26 R0.27 R0.28 R0.29 R0.30 R0.31"""
    options = (Option("a", {"slack": 8.5}, True, "the least"), Option("b", reason="later"))
    full("ocr", Severity.Error, 15, options, "cause", 7, "req-1", "because", 5)
    event = recorded.one()
    assert (event.event_type, event.component) == ("full", "Columns")
    assert (event.model_id, event.request_id, event.rationale) == ("ocr", "req-1", "because")
    assert (event.severity, event.duration) == (Severity.Error, Duration(15))
    assert event.options == options
    assert (event.caused_by, event.lineage_id) == ("cause", 7)
    assert event.decision_chain_id == "req-1"
    assert event.attributes == {"n": 5}
    assert parse_event_id(event.event_id) == (
        parse_event_id(event.event_id)[0],  # type: ignore[index]
        event.ring,
        event.ticket,
    )


def test_columns_that_are_not_given_are_empty(recorded: OwnEvents) -> None:
    """Nothing given: the kind's severity, an instant, no model, request, cause or options."""
    full()
    event = recorded.one()
    assert (event.model_id, event.request_id, event.decision_chain_id) == ("", "", "")
    assert (event.severity, event.duration) == (Severity.Warning, Duration(0))
    assert (event.options, event.caused_by, event.lineage_id) == ((), "", 0)
    assert (event.rationale, dict(event.attributes)) == ("", {})


@pytest.mark.parametrize("severity", Severity)
def test_every_severity_is_kept(severity: Severity, recorded: OwnEvents) -> None:
    """The parameter goes before the kind's own severity. R0.30"""
    full(severity=severity)
    full.emit(severity=int(severity))
    assert [event.severity for event in recorded()] == [severity, severity]


@pytest.mark.parametrize("severity", [5, 6, 7, -1, 2**70])
def test_a_number_that_is_no_severity_is_refused(severity: Any, recorded: OwnEvents) -> None:
    """Severities are 0 to 4. R0.30"""
    with pytest.raises(OverflowError):
        full(severity=severity)
    assert recorded.count("rejected") == 1


@pytest.mark.parametrize("severity", ["Info", 1.0, object()])
def test_a_severity_is_not_guessed(severity: Any, recorded: OwnEvents) -> None:
    """Names and floats are no severities. R0.30"""
    with pytest.raises(TypeError):
        full(severity=severity)
    assert recorded.count("rejected") == 1


@pytest.mark.parametrize("duration", [0, 1, -1, 2**63 - 1, -(2**63), Duration(2**62)])
def test_durations_are_kept_to_the_nanosecond(duration: Any, recorded: OwnEvents) -> None:
    """Any 64-bit duration, as an int or a Duration. R0.26 R0.53"""
    full(duration_ns=duration)
    assert recorded.one().duration == Duration(int(getattr(duration, "nanos", duration)))


@pytest.mark.parametrize("lineage_id", [0, 1, 2**63, 2**64 - 1])
def test_lineage_ids_are_unsigned_64_bits(lineage_id: int, recorded: OwnEvents) -> None:
    """Both ends of the range come back exactly. R0.31"""
    full(lineage_id=lineage_id)
    assert recorded.one().lineage_id == lineage_id


@pytest.mark.parametrize("lineage_id", [-1, 2**64])
def test_a_lineage_id_beyond_64_bits_is_refused(lineage_id: int, recorded: OwnEvents) -> None:
    """No id is ever cut. R0.31"""
    with pytest.raises(OverflowError):
        full(lineage_id=lineage_id)
    assert recorded() == []


def test_the_ambient_lineage_id_holds_unless_another_is_given(recorded: OwnEvents) -> None:
    """0 means none given, so the request's own is inherited. R0.28"""
    with whence.request("r", lineage_id=7):
        full()
        full(lineage_id=8)
    assert [event.lineage_id for event in recorded()] == [7, 8]


@pytest.mark.parametrize("model", ["ocr", ModelID("ocr")])
def test_a_model_may_be_named_by_its_id_or_text(model: Any, recorded: OwnEvents) -> None:
    """A ModelID is kept as its text; model_id is the same column. R0.27"""
    full(model)
    whence.kind("model_id_field", component="Columns", model_id=ModelID)(model)
    assert [event.model_id for event in recorded()] == ["ocr", "ocr"]


@pytest.mark.parametrize(
    "options",
    [
        [Option("a"), Option("b")],
        (option for option in (Option("a"), Option("b"))),
        {"a": None, "b": None},  # names alone, as any iterable gives them
        ("a", "b"),
        [("a", {}, False, ""), ("b", {}, False, "")],
    ],
    ids=["list", "generator", "keys", "names", "tuples"],
)
def test_options_may_be_any_sequence(options: Any, recorded: OwnEvents) -> None:
    """Lists, generators, plain tuples of four, and names alone are options. R0.31"""
    full(options=options)
    assert recorded.one().options == (Option("a"), Option("b"))


def test_an_option_keeps_all_it_says(recorded: OwnEvents) -> None:
    """Scores to the last bit, whether chosen, the reason; mappings of any kind. R0.31"""
    scores = {"slack": 0.1, "cost": float("inf"), "n": 3, "é\0": -0.0}
    given = [
        Option("", MappingProxyType(scores), True, "ü" * 300),
        Option("x" * 1000, dict.fromkeys(map(str, range(255)), 1.5)),
    ]
    full(options=given)
    first, second = recorded.one().options
    assert (first.name, first.chosen, first.reason) == ("", True, "ü" * 300)
    assert repr(dict(first.scores)) == repr(scores | {"n": 3.0})
    assert (second.name, len(second.scores)) == ("x" * 1000, 255)
    assert not recorded.one().truncated


@pytest.mark.parametrize(
    "options",
    [
        None,
        5,
        "ab",
        [5],
        [None],
        [("a",)],
        [("a", {}, True, "", 5)],
        [Option(5)],  # type: ignore[arg-type]
        [Option("a", None)],  # type: ignore[arg-type]
        [Option("a", {"x": "1.5"})],  # type: ignore[dict-item]
        [Option("a", {5: 1.0})],  # type: ignore[dict-item]
        [Option("a", [("x", 1.0)])],  # type: ignore[arg-type]
        [Option("a", {}, False, None)],  # type: ignore[arg-type]
    ],
)
def test_what_is_no_option_is_refused_and_counted(options: Any, recorded: OwnEvents) -> None:
    """Names and reasons are text, scores are numbers: else a TypeError. R0.31 P3"""
    with pytest.raises(TypeError):
        full(options=options)
    assert recorded() == []
    assert recorded.count("rejected") == 1


def test_an_option_with_too_many_scores_is_refused(recorded: OwnEvents) -> None:
    """What could not be kept whole is refused, never cut in silence. R0.31"""
    with pytest.raises(ValueError, match="255"):
        full(options=[Option("a", dict.fromkeys(map(str, range(256)), 1.0))])
    assert recorded.count("rejected") == 1


def test_a_mapping_that_gives_no_pairs_is_refused(recorded: OwnEvents) -> None:
    """Whatever items() of the user's own mapping gives, it is checked before it is read. P16"""

    class Odd:
        def items(self) -> list[Any]:
            return ["ab", 3, ("a", 1.0, 2.0)]

    with pytest.raises(TypeError, match="pairs"):
        full(options=[Option("a", Odd())])  # type: ignore[arg-type]
    assert recorded.count("rejected") == 1


def test_options_that_record_while_they_are_read_are_no_trouble(recorded: OwnEvents) -> None:
    """A generator of options may record events itself; they come first. P16"""

    def options() -> Any:
        full(n=100)
        yield Option("a")
        full(n=101)

    full(options=options(), n=1)
    assert [event.attributes["n"] for event in recorded()] == [100, 101, 1]


@pytest.mark.parametrize(
    "request_id", ["", "req-1", "4f1c0a5e-8a52-4d6e-9c8a-0a64b9f1d1aa", "x" * 99]
)
def test_a_request_parameter_goes_before_the_ambient_request(
    request_id: str, recorded: OwnEvents
) -> None:
    """An empty one leaves the event in the ambient request and its chain. R0.28"""
    with whence.request("ambient", decision_chain_id="chain"):
        full(request_id=request_id)
    event = recorded.one()
    assert event.request_id == (request_id or "ambient")
    assert event.decision_chain_id == (request_id or "chain")


@pytest.mark.parametrize("wrong", [{"caused_by": 5}, {"request_id": 5}, {"model": 5}])
def test_a_column_of_text_takes_text(wrong: dict[str, Any], recorded: OwnEvents) -> None:
    """Numbers are not turned into ids. R0.27 R0.28 P3"""
    with pytest.raises(TypeError):
        full(**wrong)
    assert recorded.count("rejected") == 1
