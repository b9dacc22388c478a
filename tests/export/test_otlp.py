"""OTLP written natively means the same as what the official message classes are given."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed")

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import whence
from tests.export.otlp_reference import encode, id_bytes, in_base64
from tests.export.test_native_json import batch_of, events, floats, ids, int64, texts
from tests.own_events import OwnEvents
from whence._native import Batch
from whence.collect.events import to_events
from whence.collect.local import local_session
from whence.export.otlp import OtlpRequest, otlp_requests
from whence.model.event import TraceEvent
from whence.model.recording import Anchor, SessionInfo
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

CLASSES = {"logs": ExportLogsServiceRequest, "traces": ExportTraceServiceRequest}


def session() -> SessionInfo:
    """This process's session."""
    found = local_session()
    assert found is not None
    return found


def decoded(
    batch: Batch, info: SessionInfo, **more: Any
) -> tuple[ExportLogsServiceRequest, ExportTraceServiceRequest]:
    """The batch's requests, those of a signal merged."""
    merged = {name: message() for name, message in CLASSES.items()}
    for signal, body, _ in otlp_requests(batch, {info.name: info}, **more):
        merged[signal].MergeFromString(body)
    return merged["logs"], merged["traces"]


def agree(batch: Batch, info: SessionInfo | None = None, **more: Any) -> None:
    """The native encoder and the plain one say the same, in both notations."""
    info = info or session()
    logs, traces = decoded(batch, info)
    wanted = encode(to_events(batch.rows()), info, **more)
    for got, want in zip((logs, traces), wanted, strict=True):
        assert got.SerializeToString() == want.SerializeToString()
    as_json = otlp_requests(batch, {info.name: info}, as_json=True)
    found = {signal: body for signal, body, _ in as_json}
    for (signal, message), want in zip(CLASSES.items(), wanted, strict=True):
        got = from_json(found.get(signal, b"{}"), message())
        if got != want:  # JSON has one NaN, and it differs from itself
            assert str(got) == str(want)


def from_json(line: bytes, message: Any) -> Any:
    """OTLP's JSON as a message; it must be what the specification wants of names and ids."""
    return ParseDict(in_base64(json.loads(line)), message)


def test_json_is_written_as_the_specification_wants(recorded: OwnEvents) -> None:
    """Ids in hexadecimal, enums as numbers, 64-bit integers as strings. R5.17"""
    kind = whence.kind("json_otlp", component="C", duration_ns=int, n=int)
    with whence.request("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"):
        kind(5, 2**53 + 1)
    info = session()
    ((_, body, _),) = otlp_requests(recorded.batch(), {info.name: info}, as_json=True)
    (span,) = json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert len(span["spanId"]) == 16
    assert span["kind"] == 1
    assert span["attributes"][-1] == {"key": "n", "value": {"intValue": "9007199254740993"}}
    assert b"\n" not in body


def attributes_of(record: Any) -> dict[str, Any]:
    """A record's attributes by name."""
    return {pair.key: pair.value for pair in record.attributes}


@given(st.lists(events(), max_size=4))
def test_built_events_mean_what_the_official_classes_say(built: list[TraceEvent]) -> None:
    """Any text, numbers at both ends, NaN, infinities, empty names. R1.42 R5.17"""
    collector = whence.TraceCollector(8)
    for event in built:
        collector.record(event)
    if built:
        agree(batch_of(collector))


@given(st.lists(st.tuples(int64, floats, st.booleans(), texts, st.none() | texts), max_size=4), ids)
@example([(2**63 - 1, math.nan, True, "", None)], "")
def test_typed_events_mean_what_the_official_classes_say(
    rows: list[tuple[int, float, bool, str, str | None]], request_id: str
) -> None:
    """Declared fields, templates, names of one's own and ambient requests. R1.42 R5.17"""
    kind = whence.kind(
        "typed_otlp",
        component="C",
        rationale="{i} {f:.2f} {b} {s} {o}",
        otel_name="app.typed",
        i=int,
        f=float,
        b=bool,
        s=str,
        o=str | None,
        severity=Severity.Warning,
    )
    recorded = OwnEvents()
    with whence.request(request_id or "none"):
        for i, f, b, s, o in rows:
            kind(i, f, b, s, o)
    if rows:
        agree(recorded.batch(), otel_names={"typed_otlp": "app.typed"})


@given(st.integers(0, 2**64 - 1))
def test_a_number_beyond_64_signed_bits_goes_out_as_text(number: int) -> None:
    """OTLP's integers are signed; a large one keeps all its digits. R1.42"""
    kind = whence.kind("wide_otlp", component="C", n=whence.U64)
    recorded = OwnEvents()
    kind(number)
    logs, _ = decoded(recorded.batch(), session())
    value = attributes_of(logs.resource_logs[0].scope_logs[0].log_records[0])["n"]
    if number < 2**63:
        assert value.int_value == number
    else:
        assert value.string_value == str(number)


def test_an_event_that_lasted_is_a_span_that_ends_when_it_was_recorded() -> None:
    """Its ids follow from its own id, so that sending it twice gives the same span. R1.42 R5.17"""
    kind = whence.kind("lasted_otlp", component="C", duration_ns=int)
    recorded = OwnEvents()
    kind(1_500)
    event = recorded.one()
    _, traces = decoded(recorded.batch(), session())
    (span,) = traces.resource_spans[0].scope_spans[0].spans
    assert span.end_time_unix_nano == session().wall_ns(event.timestamp.value_ns)
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_500
    assert span.trace_id == id_bytes(event.event_id)  # no request, no trace: one of its own
    assert decoded(recorded.batch(), session())[1] == traces


def test_parents_are_links() -> None:
    """A span is linked to what caused it and to its lineage. R5.17"""
    first = whence.kind("cause_otlp", component="C", duration_ns=int)
    second = whence.kind(
        "effect_otlp", component="C", duration_ns=int, caused_by=str, lineage_id=whence.U64
    )
    recorded = OwnEvents()
    with whence.request("otlp-links"):
        first(10)
        second(10, recorded.one().event_id, 2**64 - 1)
    batch = recorded.batch()
    agree(batch)
    cause, effect = decoded(batch, session())[1].resource_spans[0].scope_spans[0].spans
    by_cause, by_lineage = effect.links
    assert (by_cause.trace_id, by_cause.span_id) == (cause.trace_id, cause.span_id)
    assert by_lineage.span_id == b"\xff" * 8
    assert by_lineage.trace_id == bytes(8) + b"\xff" * 8


small_names = st.sampled_from(
    ["a", "b", "gen_ai_tool_name", "n\u00e9", "otel.span.kind", "otel.dropped_events_count",
     "otel.dropped_attributes_count", "otel.dropped_links_count"]
)  # fmt: skip
values = (
    st.booleans()
    | int64
    | st.integers(0, 9)
    | floats
    | texts
    | st.sampled_from(["client", "server"])
)


@given(
    st.dictionaries(small_names, values, max_size=4),
    st.lists(
        st.tuples(
            st.integers(1, 2**128 - 1),
            st.integers(1, 2**64 - 1),
            st.dictionaries(small_names, values, max_size=2),
        ),
        max_size=3,
    ),
    st.none() | st.text(max_size=9),
)
def test_spans_mean_what_the_official_classes_say(
    attributes: dict[str, Any],
    links: list[tuple[int, int, dict[str, Any]]],
    error: str | None,
) -> None:
    """Parents, links, status and what happened inside, in a trace and in a request. R1.42 R5.17"""
    kind = whence.kind("inside_otlp", component="C", n=int)
    recorded = OwnEvents()
    with whence.request("otlp-spans"), whence.span("outer_otlp", component="Agent"):
        inner = whence.span("inner_otlp", **attributes)
        with inner:
            kind(1)
            for trace_id, span_id, more in links:
                inner.link((f"{trace_id:032x}", span_id), **more)
            if error is not None:
                inner.end(error)
    batch = recorded.batch()
    agree(batch)
    found = {event.event_type: event for event in to_events(batch.rows())}
    logs, traces = decoded(batch, session())
    spans = {span.name: span for span in traces.resource_spans[0].scope_spans[0].spans}
    (record,) = logs.resource_logs[0].scope_logs[0].log_records
    assert record.span_id == spans["inner_otlp"].span_id
    assert spans["inner_otlp"].parent_span_id == spans["outer_otlp"].span_id
    assert len(spans["inner_otlp"].links) == len(links)
    lasted_ns = found["inner_otlp"].duration.nanos
    inner_span = spans["inner_otlp"]
    assert inner_span.end_time_unix_nano - inner_span.start_time_unix_nano == lasted_ns


def test_what_failed_has_a_status(recorded: OwnEvents) -> None:
    """An exception that leaves a span is its error, with its message. R1.42"""
    with pytest.raises(ValueError, match="too late"), whence.span("failed_otlp"):
        raise ValueError("too late")
    batch = recorded.batch()
    agree(batch)
    (span,) = decoded(batch, session())[1].resource_spans[0].scope_spans[0].spans
    assert span.status.code == 2
    assert "too late" in span.status.message


def test_what_opentelemetry_programs_recorded_returns_to_its_fields(recorded: OwnEvents) -> None:
    """A span's kind and the counts of what an SDK dropped. R5.17"""
    counts = {f"otel.dropped_{what}_count": i for i, what in enumerate(["events", "links"], 1)}
    with whence.span("kind_otlp", **{"otel.span.kind": "client", **counts}):
        pass
    (span,) = decoded(recorded.batch(), session())[1].resource_spans[0].scope_spans[0].spans
    assert (span.kind, span.dropped_events_count, span.dropped_links_count) == (3, 1, 2)
    assert not [pair.key for pair in span.attributes if pair.key.startswith("otel.")]


def test_severities_have_the_numbers_of_opentelemetry() -> None:
    """Debug 5, Info 9, Warning 13, Error 17, Critical 21. R1.42"""
    collector = whence.TraceCollector(8)
    for severity in Severity:
        collector.record_now("severity_otlp", "C", severity=severity)
    logs, _ = decoded(batch_of(collector), session())
    records = logs.resource_logs[0].scope_logs[0].log_records
    assert [record.severity_number for record in records] == [5, 9, 13, 17, 21]


@pytest.mark.parametrize("most", [0, 1, 128])
def test_attributes_beyond_the_limit_are_counted(most: int) -> None:
    """OpenTelemetry's limit of 128, or another: the rest is dropped and said to be. R1.42"""
    collector = whence.TraceCollector(8)
    collector.record_now("many_otlp", "C", attributes={f"a{i}": i for i in range(200)})
    batch = batch_of(collector)
    logs, _ = decoded(batch, session(), most_attributes=most)
    (record,) = logs.resource_logs[0].scope_logs[0].log_records
    assert record.dropped_attributes_count == 200 - most
    assert [pair.key for pair in record.attributes if pair.key.startswith("a")] == [
        f"a{i}" for i in range(most)
    ]
    wanted, _ = encode(to_events(batch.rows()), session(), most_attributes=most)
    assert logs == wanted


def test_a_name_of_ours_is_never_repeated() -> None:
    """Attribute names are unique: one that imitates a column is dropped and counted. R1.42"""
    collector = whence.TraceCollector(8)
    own = {"whence.event_id": "fake", "name": "kept", "": "nameless"}
    collector.record_now("imitation_otlp", "C", attributes=own)
    batch = batch_of(collector)
    logs, _ = decoded(batch, session())
    (record,) = logs.resource_logs[0].scope_logs[0].log_records
    assert record.dropped_attributes_count == 2
    assert attributes_of(record)["name"].string_value == "kept"
    keys = [pair.key for pair in record.attributes]
    assert len(keys) == len(set(keys))
    agree(batch)


def test_lost_text_is_told_and_counted() -> None:
    """Fields whose text was overwritten count as dropped attributes. R1.42"""
    collector = whence.TraceCollector(4)  # 1,792 bytes of text
    kind_fields = {"long": "x" * 100}
    for _ in range(40):
        collector.record_now("texts_otlp", "C", rationale="y" * 60, attributes=kind_fields)
    batch = batch_of(collector)
    told = [event.text_lost for event in to_events(batch.rows())]
    logs, _ = decoded(batch, session())
    records = logs.resource_logs[0].scope_logs[0].log_records
    assert ["whence.text_lost" in attributes_of(record) for record in records] == told


def test_a_field_whose_text_is_lost_is_a_dropped_attribute(run_lost: Batch) -> None:
    """A declared text that was overtaken leaves a count behind. R1.42"""
    logs, _ = decoded(run_lost, session())
    records = logs.resource_logs[0].scope_logs[0].log_records
    lost = [record for record in records if "whence.text_lost" in attributes_of(record)]
    assert lost
    assert {record.dropped_attributes_count for record in lost} == {2}


@pytest.fixture
def run_lost() -> Batch:
    """Events of a kind with two texts, most of whose texts are overwritten."""
    kind = whence.kind("overtaken_otlp", component="C", a=str, b=str)
    recorded = OwnEvents()
    for i in range(3_000):
        kind(f"{i:0100d}", f"{i:0100d}")
    return recorded.batch()


@given(st.integers(1, 12), st.integers(0, 3_000))
def test_requests_stay_within_their_limits(most_events: int, most_bytes: int) -> None:
    """Split by bytes and by number, everything is sent once, in order. R1.42 R5.17"""
    collector = whence.TraceCollector(64)
    for i in range(24):
        duration = Duration(i % 3)
        collector.record_now("split_otlp", "C", rationale="x" * i * 9, duration=duration)
    batch = batch_of(collector)
    info = session()
    limits = {"most_events": most_events, "most_bytes": most_bytes + 4_096}
    requests = otlp_requests(batch, {info.name: info}, **limits)  # type: ignore[arg-type]
    assert sum(request.events for request in requests) == 24
    for request in requests:
        assert request.events <= most_events
        assert len(request.body) <= most_bytes + 4_096 or request.events == 1
    whole_logs, whole_traces = decoded(batch, info)
    logs, traces = decoded(batch, info, **limits)
    assert [r for g in logs.resource_logs for r in g.scope_logs[0].log_records] == list(
        whole_logs.resource_logs[0].scope_logs[0].log_records
    )
    assert [s for g in traces.resource_spans for s in g.scope_spans[0].spans] == list(
        whole_traces.resource_spans[0].scope_spans[0].spans
    )
    as_json: dict[str, Any] = {"as_json": True}
    parts = otlp_requests(batch, {info.name: info}, **as_json, **limits)
    whole = otlp_requests(batch, {info.name: info}, as_json=True)
    for signal in ("logs", "traces"):
        assert _json_records(parts, signal) == _json_records(whole, signal)


def _json_records(requests: list[OtlpRequest], signal: str) -> list[dict[str, Any]]:
    """The records of one signal in requests in OTLP's JSON."""
    names = {"logs": ("resourceLogs", "scopeLogs", "logRecords")}
    groups, scopes, records = names.get(signal, ("resourceSpans", "scopeSpans", "spans"))
    return [
        record
        for request in requests
        if request.signal == signal
        for group in json.loads(request.body)[groups]
        for scope in group[scopes]
        for record in scope[records]
    ]


def test_signals_can_be_chosen() -> None:
    """Everything as log records, or spans alone. R1.42"""
    kind = whence.kind("chosen_otlp", component="C", duration_ns=int)
    recorded = OwnEvents()
    kind(0)
    kind(7)
    batch, info = recorded.batch(), session()
    found = {
        signals: [r[::2] for r in otlp_requests(batch, {info.name: info}, signals=signals)]
        for signals in ("both", "logs", "traces")
    }
    assert found == {
        "both": [("logs", 1), ("traces", 1)],
        "logs": [("logs", 2)],
        "traces": [("traces", 1)],
    }
    logs, _ = decoded(batch, info, signals="logs")
    lasted = logs.resource_logs[0].scope_logs[0].log_records[1]
    assert attributes_of(lasted)["whence.duration_ns"].int_value == 7
    with pytest.raises(ValueError, match="signals"):
        otlp_requests(batch, {info.name: info}, signals="metrics")


@given(
    st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)), max_size=5),
    st.integers(0, 2**63 - 1),
)
def test_wall_times_are_exact(anchors: list[tuple[int, int]], monotonic_ns: int) -> None:
    """Integer arithmetic from the nearest anchor; without one the time is unknown. R1.42"""
    collector = whence.TraceCollector(2)
    collector.record(
        TraceEvent(event_type="timed_otlp", component="C", timestamp=Timestamp(monotonic_ns))
    )
    real = session()
    known = tuple(Anchor(*pair) for pair in sorted(dict(anchors).items()))
    info = SessionInfo(real.name, uuid=real.uuid, anchors=known)
    logs, _ = decoded(batch_of(collector), info)
    (record,) = logs.resource_logs[0].scope_logs[0].log_records
    wanted = info.wall_ns(monotonic_ns) or 0
    assert record.time_unix_nano == (wanted if 0 <= wanted < 2**64 else 0)


def test_the_resource_says_who_recorded() -> None:
    """Service, session, process, host, and what OTEL_RESOURCE_ATTRIBUTES said. R1.42 R5.22"""
    kind = whence.kind("resource_otlp", component="C")
    recorded = OwnEvents()
    kind()
    real = session()
    given_by_user = (("deployment.environment.name", "test"), ("service.name", "overruled"))
    info = SessionInfo(
        real.name, uuid=real.uuid, pid=real.pid, service="mine", resource=given_by_user
    )
    logs, _ = decoded(recorded.batch(), info)
    found = attributes_of(logs.resource_logs[0].resource)
    assert found["service.name"].string_value == "mine"
    assert found["service.instance.id"].string_value == real.uuid
    assert found["process.pid"].int_value == real.pid
    assert found["deployment.environment.name"].string_value == "test"
    scope = logs.resource_logs[0].scope_logs[0].scope
    assert (scope.name, scope.version) == ("whence", whence.__version__)


def test_names_follow_the_table(recorded: OwnEvents) -> None:
    """Fields of gen_ai kinds and of cognitive kinds go out under their conventions' names. R5.22"""
    chat = whence.kind(
        "chat_otlp",
        component="Agent",
        model=str,
        gen_ai_operation_name=str,
        gen_ai_usage_input_tokens=int,
        temperature=float,
    )
    tracer = whence.CognitiveTracer(whence.TracingConfig.development(), component="Memory")
    chat("m-1", "chat", 77, 0.5)
    tracer.trace_priming(0, 0.5, 7, 2**64 - 1)
    batch = recorded.batch()
    agree(batch)
    first, second = decoded(batch, session())[0].resource_logs[0].scope_logs[0].log_records
    assert first.event_name == "whence.chat.otlp"
    found = attributes_of(first)
    assert found["gen_ai.request.model"].string_value == "m-1"
    assert found["gen_ai.usage.input_tokens"].int_value == 77
    assert found["temperature"].double_value == 0.5
    assert second.event_name == "whence.priming"
    primed = attributes_of(second)
    assert primed["whence.priming.strength"].double_value == 0.5
    assert primed["whence.priming.source_node"].string_value == "7"
    assert primed["whence.priming.target_node"].string_value == str(2**64 - 1)
