"""The table of names: unique, complete, and spelled as OpenTelemetry spells them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps import AppRun
from whence.emit import cognitive
from whence.export import conventions
from whence.export.conventions import ATTRIBUTES, COLUMNS, KINDS, RESOURCE, SCHEMA_URL

PAGE = Path(__file__).resolve().parents[2] / "docs" / "opentelemetry.md"


def test_no_two_columns_share_a_name() -> None:
    """Columns, and fields of each kind, are told apart by their names. R5.22"""
    assert len(set(COLUMNS.values())) == len(COLUMNS)
    assert len(set(ATTRIBUTES.values())) == len(ATTRIBUTES)
    for names in KINDS.values():
        assert len(set(names.values())) == len(names)
        assert all(name.startswith("whence.") for name in names.values())


def test_a_field_is_spelled_with_underscores() -> None:
    """What a parameter of Python can be called leads to the dotted name. R5.22"""
    assert ATTRIBUTES["gen_ai_usage_input_tokens"] == "gen_ai.usage.input_tokens"
    for declared, name in ATTRIBUTES.items():
        assert declared.isidentifier()
        assert declared == name.replace(".", "_")


def test_names_of_others_are_theirs() -> None:
    """Every name but the proposed ones stands in OpenTelemetry's own package. R5.22"""
    semconv = pytest.importorskip("opentelemetry.semconv", reason="semantic conventions: not here")
    root = Path(semconv.__path__[0])
    known: set[str] = set()
    for path in root.rglob("*_attributes.py"):
        dotted = ".".join(path.relative_to(root).with_suffix("").parts)
        module = importlib.import_module(f"opentelemetry.semconv.{dotted}")
        known |= {value for value in vars(module).values() if isinstance(value, str)}
    proposed = {"gen_ai.agent.decision.id", "gen_ai.agent.decision.outcome"}
    resource = {name for name in RESOURCE.values() if not name.startswith("whence.")}
    assert (set(ATTRIBUTES.values()) | resource) - known == proposed
    schemas = importlib.import_module("opentelemetry.semconv.schemas")
    assert SCHEMA_URL in {schema.value for schema in schemas.Schemas}


def test_cognitive_kinds_are_in_the_table_with_the_fields_they_have() -> None:
    """Each declared field of the four has a name there, and no other one. R1.42 R5.22"""
    tables = (cognitive._FIELDS, cognitive._CONTENT)
    declared: dict[str, set[str]] = {}
    for table in tables:
        for name, fields in table.items():
            declared.setdefault(name, set()).update(fields)
    assert declared == {name: set(names) for name, names in KINDS.items()}


def test_the_page_says_version_and_schema() -> None:
    """Readers of the page see which table this is. R5.22"""
    page = PAGE.read_text()
    assert f"version {conventions.VERSION}," in page
    assert SCHEMA_URL in page
    columns = {name for name in COLUMNS.values() if name.startswith("whence.")}
    told = {"whence.rationale", "whence.severity", "whence.duration_ns", "whence.links"}
    assert {name for name in columns - told if name not in page} == set()


def test_a_producer_imports_nothing_of_it(run_app: Callable[..., AppRun]) -> None:
    """Recording needs no protobuf, no gRPC and no encoder. R1.42"""
    run = run_app(
        """
        import sys
        import whence
        whence.kind("k", component="C", gen_ai_tool_name=str)("x")
        heavy = ("grpc", "google.protobuf", "opentelemetry", "whence.export")
        print([name for name in sys.modules if name.startswith(heavy)])
        """
    )
    assert run.stdout.strip() == "[]"
