"""Conditions mean in SQL what they mean of events: every kind of value against every other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

duckdb = pytest.importorskip("duckdb", reason="stores are asked with duckdb")
pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

from tests.query.build import event, recording  # noqa: E402
from tests.query.worlds import (  # noqa: E402
    COLUMNS,
    LITERALS,
    RECORDED,
    Clause,
    holds,
    operators_of,
)
from whence.export.columns import table_of  # noqa: E402
from whence.model.condition import parse_condition  # noqa: E402
from whence.model.event import Option, TraceEvent  # noqa: E402
from whence.model.severity import Severity  # noqa: E402
from whence.query.sql.dialect import DUCKDB  # noqa: E402
from whence.query.sql.statement import Statement  # noqa: E402
from whence.query.sql.where import condition_sql  # noqa: E402

AT_ONCE = 150
FIELDS = ("n", "severity", "model_id", *COLUMNS)


def every_event() -> Iterator[TraceEvent]:
    """Each recorded value in each of some fields, and columns of every kind."""
    ticket = 0
    for name in ("n", "severity", "model_id", "options"):
        for value in RECORDED:
            ticket += 1
            yield event("tick", ticket=ticket, attributes={name: value}, model_id="m")
    for severity in Severity:
        for text in ("", "a", "Ä", " 40", "\u3000\t ", "true", "2"):
            ticket += 1
            yield event(
                "tick" if ticket % 2 else "a",
                ticket=ticket,
                request_id=text,
                severity=severity,
                model_id=text,
                rationale=text,
                caused_by=text,
                decision_chain_id="a" if ticket % 3 else "",
                lineage_id=(0, 1, 2, 40, 2**63, 2**64 - 1)[ticket % 6],
                duration_ms=(0, 1, 40)[ticket % 3],
                options=(Option("x"), Option("y"))[: ticket % 3],
            )


def every_clause() -> Iterator[Clause]:
    """Each field with each literal in every way that the language allows."""
    for field in dict.fromkeys(FIELDS):
        for literal in LITERALS:
            for operator in operators_of(field, literal):
                yield Clause(field, operator, literal)


def test_every_value_compares_in_sql_as_it_does_in_memory() -> None:
    """R4.68 R5.12 Some thousand comparisons of some hundred events, by SQL, by us, and plainly."""
    events = list(every_event())
    connection = duckdb.connect(":memory:")
    connection.from_arrow(table_of(recording(events))).create("stored")
    clauses = list(every_clause())
    assert len(clauses) > 1_500
    differing = []
    for first in range(0, len(clauses), AT_ONCE):
        some = clauses[first : first + AT_ONCE]
        statement = Statement(DUCKDB)
        written = [condition_sql(statement, parse_condition(each.text)) for each in some]
        columns = ", ".join(f"coalesce({text}, FALSE)" for text in written)
        text = f"SELECT {columns} FROM stored ORDER BY ticket"
        values = {name: value for name, (_, value) in statement.values_in(text).items()}
        rows = connection.execute(text, values).fetchall()
        for each, answers in zip(some, zip(*rows, strict=True), strict=True):
            condition = parse_condition(each.text)
            for found, told in zip(events, answers, strict=True):
                wanted = holds(found, each)
                ours = condition.holds(found) is True
                if not wanted == told == ours:
                    differing.append((each.text, found.attributes, wanted, told, ours))
    assert differing == []


def test_what_no_event_can_hold_matches_none() -> None:
    """R4.68 Half a surrogate pair is in no stored text."""
    statement = Statement(DUCKDB)
    assert condition_sql(statement, parse_condition("model_id = '\ud800'")).endswith("FALSE) END")
    assert "<> '' AND TRUE" in condition_sql(statement, parse_condition("model_id != '\ud800'"))
