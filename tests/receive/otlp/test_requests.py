"""What an OTLP request becomes: held against a second reading, in Python, of the same bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("opentelemetry.proto", reason="requests are made with opentelemetry-proto")

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList

from tests.receive.otlp.made_requests import logs, read, rows_of, traces
from tests.receive.otlp.reference import log_rows, span_rows
from whence.model.nested import whole
from whence.store.columns import SCHEMA, events_of

TRACE, SPAN = bytes(range(16)), bytes(range(8))
quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """NaN is not equal to itself, its name is."""
    assert str(found) == str(wanted) or found == wanted


@quick
@given(traces)
def test_spans_and_their_events_become_rows(request: ExportTraceServiceRequest) -> None:
    """Every field of every span arrives; those without ids are rejected, and no others. R5.17"""
    body = request.SerializeToString()
    received = read("traces", body)
    sent = sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
    found = rows_of(received)
    assert received.records == sent
    assert received.rejected == sent - sum(row["span"] for row in found)
    wanted = span_rows(body)
    for row, want in zip(found, wanted, strict=True):
        assert sorted(row["attributes"].items(), key=str) == sorted(
            want["attributes"].items(), key=str
        ) or str(sorted(row["attributes"].items())) == str(sorted(want["attributes"].items()))
        same([row | {"attributes": 0}], [want | {"attributes": 0}])


@quick
@given(logs)
def test_log_records_become_rows(request: ExportLogsServiceRequest) -> None:
    """Times, levels, names, bodies and ids of log records arrive as documented. R5.17"""
    body = request.SerializeToString()
    found, wanted = rows_of(read("logs", body)), log_rows(body)
    for row, want in zip(found, wanted, strict=True):
        assert str(sorted(row["attributes"].items())) == str(sorted(want["attributes"].items()))
        same([row | {"attributes": 0}], [want | {"attributes": 0}])


def one_span(**more: Any) -> ExportTraceServiceRequest:
    """A request of one span."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    scope.scope.name = "lib"
    scope.spans.add(trace_id=TRACE, span_id=SPAN, start_time_unix_nano=5, name="op", **more)
    return request


def pair(key: str, **value: Any) -> KeyValue:
    """An attribute."""
    return KeyValue(key=key, value=AnyValue(**value))


def test_rows_are_of_the_columns_of_a_store() -> None:
    """A received table can be appended as it is. R5.17"""
    ((table, session),) = read("traces", one_span().SerializeToString()).parts
    assert table.schema.equals(SCHEMA)
    assert session.info.run == "otlp"


def test_ids_of_events_follow_from_what_was_sent() -> None:
    """The same span has one id, sent whenever and with whatever; each event in it its own. R5.17"""
    request = one_span()
    request.resource_spans[0].scope_spans[0].spans[0].events.add(name="a")
    request.resource_spans[0].scope_spans[0].spans[0].events.add(name="a")
    first = ids("traces", request)
    assert len(set(first)) == 3
    request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="more")
    assert ids("traces", request) == first
    request.resource_spans[0].scope_spans[0].spans[0].span_id = b"another!"
    assert not set(ids("traces", request)) & set(first)


def test_ids_of_log_records_follow_from_their_content() -> None:
    """The same request has the same ids; two equal records in it are two. R5.17"""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for text in ("x", "y", "x"):
        scope.log_records.add(time_unix_nano=5, body=AnyValue(string_value=text))
    first = ids("logs", request)
    assert len(set(first)) == 3
    assert ids("logs", request) == first
    request.resource_logs[0].resource.attributes.append(pair("service.name", string_value="s"))
    assert not set(ids("logs", request)) & set(first)


def ids(signal: str, request: Any) -> list[str]:
    """The ids of all events of a request."""
    parts = read(signal, request.SerializeToString()).parts
    return [event.event_id for table, _ in parts for event in events_of(table, {0: ""})]


def test_attributes_of_every_type_come_back_whole() -> None:
    """Bytes, lists, maps and nothing at all are what they were. R5.17"""
    inner = KeyValueList(values=[pair("$bytes", string_value="no"), pair("n", int_value=2)])
    request = one_span(
        attributes=[
            pair("bytes", bytes_value=b"\x00\xff"),
            pair("map", kvlist_value=inner),
            pair("none"),
            pair("int", int_value=-(2**63)),
            pair("float", double_value=float("inf")),
        ]
    )
    ((table, _),) = read("traces", request.SerializeToString()).parts
    (event,) = events_of(table, {0: ""})
    assert whole(event.attributes) == {
        "bytes": b"\x00\xff",
        "map": {"$bytes": "no", "n": 2},
        "none": None,
        "int": -(2**63),
        "float": float("inf"),
    }


@pytest.mark.parametrize(
    ("names", "model"),
    [
        (["gen_ai.response.model", "gen_ai.request.model"], "gen_ai.request.model"),
        (["gen_ai.response.model"], "gen_ai.response.model"),
        (["llm.model_name"], "llm.model_name"),
        (["model"], ""),
    ],
)
def test_the_conventions_name_the_model(names: list[str], model: str) -> None:
    """model_id is told by the one table; prompts, tokens and cost stay attributes. R5.22"""
    attributes = [pair(name, string_value=name) for name in names]
    attributes.append(pair("gen_ai.usage.input_tokens", int_value=7))
    request = one_span(attributes=attributes)
    ((table, _),) = read("traces", request.SerializeToString()).parts
    (event,) = events_of(table, {0: ""})
    assert event.model_id == model
    assert event.attributes["gen_ai.usage.input_tokens"] == 7
    assert all(event.attributes[name] == name for name in names)


def test_what_is_too_much_is_cut_and_counted() -> None:
    """Attributes, names, texts, depth and events have limits; what went is counted. R5.17"""
    deep = AnyValue(string_value="x")
    for _ in range(5):
        deep = AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=deep)]))
    request = one_span(
        attributes=[
            pair("long", string_value="é" * 10),
            pair("n" * 30, int_value=1),
            KeyValue(key="deep", value=deep),
            pair("large", bytes_value=b"x" * 100),
            pair("kept", int_value=1),
            pair("kept", int_value=2),
        ]
    )
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for _ in range(4):
        span.events.add(name="e")
    limits = {"key_bytes": 20, "value_bytes": 31, "depth": 2, "parts": 3, "attributes": 4}
    received = read("traces", request.SerializeToString(), **(limits | {"value_bytes": 15}))
    rows = rows_of(received)
    assert len(rows) == 4
    assert rows[0]["attributes"]["long"] == "é" * 7
    assert rows[0]["attributes"]["kept"] == 1
    assert rows[0]["attributes"]["whence.cut"] == 6
    assert received.cut == 7
    deeper = rows_of(read("traces", request.SerializeToString(), **limits))[0]["attributes"]
    assert deeper["deep"] == {"k": {"k": None}}


def test_more_rows_than_a_request_may_have_are_rejected() -> None:
    """The first ones are kept; the others are told of by the partial success. R5.17"""
    request = one_span()
    spans = request.resource_spans[0].scope_spans[0].spans
    for number in range(9):
        spans.add(trace_id=TRACE, span_id=bytes([number + 1] * 8))
    received = read("traces", request.SerializeToString(), rows=4)
    assert (received.records, received.rejected, len(rows_of(received))) == (10, 6, 4)
    assert "too many" in received.reason


def test_resources_are_sessions_of_their_own() -> None:
    """Rows are filed by the resource that they came from. R5.17"""
    request = one_span()
    request.resource_spans[0].resource.attributes.append(pair("service.name", string_value="a"))
    second = request.resource_spans.add()
    second.CopyFrom(request.resource_spans[0])
    second.resource.attributes[0].value.string_value = "b"
    parts = read("traces", request.SerializeToString()).parts
    assert [session.info.service for _, session in parts] == ["a", "b"]


def test_gauges_and_sums_become_performance_metrics() -> None:
    """A data point is an event; other kinds of metric are rejected, and said so. R5.17"""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    gauge = metrics.add(name="temp", unit="Cel")
    gauge.gauge.data_points.add(
        time_unix_nano=5, as_double=1.5, attributes=[pair("r", int_value=1)]
    )
    total = metrics.add(name="total")
    total.sum.data_points.add(time_unix_nano=6, start_time_unix_nano=2, as_int=-3)
    total.sum.aggregation_temporality = 1
    metrics.add(name="h").histogram.data_points.add(count=1)
    received = read("metrics", request.SerializeToString())
    assert (received.records, received.rejected) == (3, 1)
    first, second = rows_of(received)
    assert first["event_type"] == second["event_type"] == "performance_metric"
    assert first["attributes"] | {"whence.json": 0} == {
        "metric_name": "temp",
        "metric_value": 1.5,
        "metric_unit": "Cel",
        "metric_kind": "gauge",
        "tags": {"r": 1},
        "whence.json": 0,
    }
    assert second["attributes"]["metric_value"] == -3.0
    assert second["attributes"]["metric_temporality"] == "delta"
    assert len(set(ids("metrics", request))) == 2


def test_no_time_is_the_time_of_arrival() -> None:
    """Records without any time get that of their arrival, and the request says so. R5.17"""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add()
    received = read("logs", request.SerializeToString())
    assert received.timeless
    assert rows_of(received)[0]["ts_ns"] == 77
    assert MessageToDict(request)
