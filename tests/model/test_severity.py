"""Severities: their order, their names and the level names of trace services."""

from __future__ import annotations

import pytest

from whence.model.severity import Severity


def test_severities_are_ordered() -> None:
    """R0.30 Debug < Info < Warning < Error < Critical."""
    names = [severity.name for severity in sorted(Severity)]
    assert names == ["Debug", "Info", "Warning", "Error", "Critical"]
    assert Severity.Info < Severity.Warning < Severity.Error < Severity.Critical


@pytest.mark.parametrize("severity", Severity)
def test_a_severity_is_found_by_its_name_in_any_case(severity: Severity) -> None:
    """R0.30 The name that exports write leads back to the severity."""
    spellings = (severity.name, severity.name.upper(), severity.name.lower())
    assert {Severity.from_name(name) for name in spellings} == {severity}


@pytest.mark.parametrize("severity", Severity)
def test_levels_map_both_ways(severity: Severity) -> None:
    """R0.30 A severity's level name leads back to the severity."""
    assert Severity.from_level(severity.level_name()) is severity


def test_levels_have_the_names_of_trace_services() -> None:
    """R0.30 The levels are debug, info, warn, error and critical, in this order."""
    levels = [severity.level_name() for severity in Severity]
    assert levels == ["debug", "info", "warn", "error", "critical"]
    assert Severity.from_name("warn") is Severity.from_name("Warning") is Severity.Warning


def test_an_unknown_name_is_refused_with_the_choices() -> None:
    """R0.30 A name that is no severity raises and lists the five."""
    with pytest.raises(ValueError, match="'fatal'; one of Debug, Info, Warning, Error, Critical"):
        Severity.from_name("fatal")
