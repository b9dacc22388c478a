"""Events as rows of tables: CSV in its two profiles, and the columns of a store."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

import pytest
from hypothesis import given

pa = pytest.importorskip("pyarrow", reason="tables need pyarrow")

from tests.query.build import event  # noqa: E402
from tests.query.worlds import SESSIONS, events_in, wall_ns  # noqa: E402
from whence.export.columns import table_of  # noqa: E402
from whence.export.csv_file import BASIC, EVERYTHING, csv_lines  # noqa: E402
from whence.model.event import TraceEvent  # noqa: E402
from whence.model.recording import Recording  # noqa: E402
from whence.query.plain import plain_event  # noqa: E402
from whence.store.columns import SCHEMA, events_of  # noqa: E402


def read(lines: Iterable[bytes]) -> list[dict[str, str]]:
    """The rows of a CSV file by the names of its columns."""
    text = b"".join(lines).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@given(events_in())
def test_events_come_back_from_the_columns_of_a_store(events: tuple[TraceEvent, ...]) -> None:
    """R5.18 R4.57 Everything but the order of attributes is kept, 64-bit ids included."""
    table = table_of(Recording(events, sessions=SESSIONS), events)
    table.validate(full=True)
    assert table.schema.equals(SCHEMA)
    names = {info.key: info.name for info in SESSIONS}
    assert [plain_event(e) for e in events_of(table, names)] == [plain_event(e) for e in events]
    assert table.column("ts_ns").to_pylist() == [wall_ns(e) for e in events]


def test_what_no_column_holds_becomes_text() -> None:
    """R5.18 Integers beyond 64 bits keep their digits, half a surrogate pair is a question mark."""
    odd = event("tick", attributes={"huge": 2**70, "half": "a\ud800"}, request_id="r\udfff")
    (row,) = table_of(Recording((odd,))).to_pylist()
    assert dict(row["attr_str"]) == {"huge": str(2**70), "half": "a?"}
    assert row["request_id"] == "r?"
    assert (row["ts_ns"], row["offset_ns"]) == (odd.timestamp.value_ns, 0)


@given(events_in())
def test_the_basic_profile_has_five_columns(events: tuple[TraceEvent, ...]) -> None:
    """R5.18 R4.56 Exactly these columns, integers exact, and all the rest in the payload."""
    rows = read(csv_lines((e, wall_ns(e)) for e in events))
    for found, row in zip(events, rows, strict=True):
        assert list(row) == ["timestamp_ns", "event_type", "model_id", "request_id", "payload"]
        whole = json.loads(row["payload"]) | {
            "timestamp_ns": int(row["timestamp_ns"]),
            "event_type": row["event_type"],
            "model_id": row["model_id"],
            "request_id": row["request_id"],
        }
        assert whole == json.loads(json.dumps(plain_event(found)))
    assert list(BASIC) == ["timestamp_ns", "event_type", "model_id", "request_id", "payload"]


@given(events_in())
def test_the_whole_profile_says_everything(events: tuple[TraceEvent, ...]) -> None:
    """R5.18 R4.56 Each column reads back as what the event holds."""
    rows = read(csv_lines(((e, wall_ns(e)) for e in events), EVERYTHING))
    for found, row in zip(events, rows, strict=True):
        plainly = plain_event(found)
        assert list(row) == list(EVERYTHING)
        assert int(row["wall_ns"]) == wall_ns(found)
        assert row["rationale"] == found.rationale
        assert (row["span"], row["decision"]) == tuple(
            str(value).lower() for value in (found.span, found.decision)
        )
        assert int(row["lineage_id"] or 0) == found.lineage_id
        assert row["span_id"] == plainly.get("span_id", "")
        for name in ("attributes", "attribute_types", "options", "links"):
            assert json.loads(row[name] or "null") == (plainly.get(name) or None)


def test_formulas_are_disarmed_for_spreadsheets_only() -> None:
    """R5.18 Texts stand as recorded unless a spreadsheet is to open the file; numbers always do."""
    events = [
        event("tick", request_id=text, model_id="m")
        for text in ("=1+1", "+1", "-1", "@x", "\tx", "a=1")
    ]
    rows = [(e, -5) for e in events]
    exact = [row["request_id"] for row in read(csv_lines(rows))]
    assert exact == [e.request_id for e in events]
    safe = read(csv_lines(rows, EVERYTHING, spreadsheet=True))
    assert [row["request_id"] for row in safe] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "a=1"]
    assert {row["wall_ns"] for row in safe} == {"-5"}
