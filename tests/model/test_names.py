"""One registry of names: snake_case is canonical, everything else is an alias."""

from __future__ import annotations

import pytest

from whence.model.builder import TraceEventBuilder
from whence.model.errors import IncompleteEvent
from whence.model.names import DECISION_TYPES, canonical, spellings


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("AdmissionDecision", "admission_decision"),
        ("admission_result", "admission_decision"),
        ("AdmissionResult", "admission_decision"),
        ("ExecutionCompleted", "execution_completed"),
        ("deadline_miss", "deadline_miss"),
        ("Alloc", "alloc"),
    ],
)
def test_every_spelling_leads_to_the_canonical_name(spelling: str, name: str) -> None:
    """R5.13 PascalCase and the spellings of old mean the name in snake_case."""
    assert canonical(spelling) == name
    assert spelling in spellings(name)
    assert spellings(spelling)[0] == name


def test_other_types_are_their_own_names() -> None:
    """R5.13 What users call their types is left alone, also where it looks like ours."""
    for name in ("tick", "MyThing", "admission_Decision", "ALLOC", ""):
        assert canonical(name) == name
        assert spellings(name) == (name,)


def test_no_spelling_means_two_names() -> None:
    """R5.13 A registry in which one could would be none."""
    every = [spelling for name in ("alloc", *DECISION_TYPES) for spelling in spellings(name)]
    assert {canonical(spelling) for spelling in every} == {
        "alloc",
        "admission_decision",
        "scheduling_decision",
    }


def test_decisions_are_known_by_any_spelling() -> None:
    """R5.13 R1.29 What is a decision by its name says why, whoever spells it how."""
    unfinished = TraceEventBuilder().with_type("SchedulingDecision").with_component("Scheduler")
    with pytest.raises(IncompleteEvent):
        unfinished.build()
