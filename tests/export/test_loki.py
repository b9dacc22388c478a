"""The Loki sink against a strict double: formats, labels, limits, answers."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.mocks.loki_double import Limits, LokiDouble, Scripted
from tests.mocks.loki_wire import decode_push, parse_labels, unsnap
from tests.own_events import OwnEvents
from whence.collect.http_post import Answer, retry_after_s
from whence.collect.local import local_session
from whence.collect.sink import Drained, Refused, Reply, TooLarge, Unavailable
from whence.export.loki import LokiSink, open_loki_sink
from whence.export.loki_message import push_request, quoted_labels
from whence.export.sinks import open_sink
from whence.model.recording import Anchor, SessionInfo

pytest.importorskip("google.protobuf", reason="needs whence[loki]")
cramjam = pytest.importorskip("cramjam", reason="needs whence[loki]")

decided = whence.kind(
    "loki_decided", component="Scheduler", decision=True, rationale="Selected {model}", model=str
)


@whence.kind(name="loki_noted", component="Worker")
def noted(text: str, severity: whence.Severity) -> None: ...


HOSTILE = 'a"} , {b="\\\n\r\x00\x1b[31m\u2028\u202ecé\U0001f600'


def drained(recorded: OwnEvents, **changes: object) -> Drained:
    """What this test recorded, as the pipeline hands it to a sink."""
    session = local_session()
    assert session is not None
    changed = SessionInfo(**{name: getattr(session, name) for name in session.__slots__} | changes)
    return Drained(recorded.batch(), {session.name: changed})


def now_ns() -> int:
    """The wall time of this session's newest anchor."""
    session = local_session()
    assert session is not None
    wall_ns = session.wall_ns(whence.Timestamp.now().value_ns)
    assert wall_ns is not None
    return wall_ns


@pytest.fixture
def loki() -> Iterator[LokiDouble]:
    """A double whose clock is now."""
    decided("warm-up")
    with LokiDouble(now_ns()) as double:
        yield double


def sink(double: LokiDouble, query: str = "", **options: object) -> LokiSink:
    """A sink to the double; the caller closes it."""
    opened = open_sink(f"loki://{double.place}{query}", {"host": "node-1", **options})
    assert isinstance(opened, LokiSink)
    return opened


@pytest.mark.parametrize("format", ["protobuf", "json"])
def test_events_arrive_as_lines_with_labels_and_metadata(
    loki: LokiDouble, recorded: OwnEvents, format: str
) -> None:
    """Labels are few and bounded; ids are structured metadata; the line is our JSON. R1.43"""
    with whence.request("req-17"):
        decided("ocr_rec")
    noted("careful", whence.Severity.Warning)
    events = recorded()
    target = sink(loki, f"?format={format}&tenant=team-a&label.env=prod")
    (payload,) = target.encode(drained(recorded, service="demo"))
    assert target.deliver(payload, 5.0) == Reply(2)
    target.close()

    first, second = loki.lines("team-a")
    assert first.labels == {
        "service_name": "demo",
        "component": "Scheduler",
        "event_type": "loki_decided",
        "level": "info",
        "host": "node-1",
        "env": "prod",
    }
    assert second.labels["level"] == "warn"
    assert first.metadata["request_id"] == "req-17"
    assert first.metadata["model_id"] == "ocr_rec"
    assert first.metadata["trace_id"] == events[0].trace_id
    assert first.metadata["event_id"] == events[0].event_id
    line = json.loads(first.line)
    assert line["rationale"] == "Selected ocr_rec"
    assert line["event_type"] == "loki_decided"
    assert first.wall_ns == line["wall_ns"]
    assert loki.refused == []


def test_no_id_ever_becomes_a_label(loki: LokiDouble, recorded: OwnEvents) -> None:
    """A thousand requests and models are still one stream. R1.43"""
    for number in range(1_000):
        with whence.request(f"req-{number}"):
            decided(f"model-{number}")
    target = sink(loki)
    for payload in target.encode(drained(recorded)):
        target.deliver(payload, 5.0)
    target.close()
    assert len(loki.lines()) == 1_000
    assert len({json.dumps(line.labels) for line in loki.lines()}) == 1


def test_too_many_streams_are_folded_and_counted(loki: LokiDouble, recorded: OwnEvents) -> None:
    """Beyond the cap events share a stream, keep their names as metadata, and are counted. R1.43"""
    from whence import TraceCollector

    collector = TraceCollector(100)
    for number in range(20):
        collector.record_now(f"made_up_{number}", f"Part {number}")
    target = open_loki_sink(f"loki://{loki.place}", {"host": ""})
    target._most_streams = 5
    from whence import _native

    batch = _native.Batch()
    session = local_session()
    assert session is not None
    catalogue = _native.Catalogue()
    reader = _native.shared_ring_reader(collector)
    assert reader is not None
    batch.drain(reader, catalogue, session.name, session.key)
    catalogue.update_local()
    whole = Drained(batch, {session.name: session})
    (payload,) = target.encode(whole)
    (again,) = target.encode(whole)
    assert payload.body == again.body
    assert target.folded == 0  # nothing was delivered yet
    target.deliver(payload, 5.0)
    target.close()
    assert target.folded == 15
    folded = [line for line in loki.lines() if line.labels["event_type"] == "(other)"]
    assert len(folded) == 15
    assert {line.metadata["event_type"] for line in folded} == {
        f"made_up_{number}" for number in range(5, 20)
    }


@pytest.mark.parametrize("format", ["protobuf", "json"])
def test_hostile_text_stays_in_its_place(
    loki: LokiDouble, recorded: OwnEvents, format: str
) -> None:
    """Quotes, braces, CR/LF, NUL, escapes and half surrogates break out of nothing. R1.43"""
    with whence.request(HOSTILE):
        noted(HOSTILE, whence.Severity.Info)
    target = sink(loki, f"?format={format}", **{"label.zone": HOSTILE})
    (payload,) = target.encode(drained(recorded, service=HOSTILE + "\ud800"))
    assert target.deliver(payload, 5.0) == Reply(1)
    target.close()
    (line,) = loki.lines()
    assert line.labels["service_name"] == HOSTILE + "?"
    assert line.labels["zone"] == HOSTILE
    assert line.metadata["request_id"] == HOSTILE
    assert json.loads(line.line)["attributes"]["text"] == HOSTILE
    assert "\n" not in line.line


def test_what_is_longer_than_loki_takes_is_cut_and_counted(
    loki: LokiDouble, recorded: OwnEvents
) -> None:
    """Lines of 256 KB, labels of 2 KiB and long ids never reach the server's limits. R1.43"""
    with whence.request("r" * 10_000):
        noted("\x01" * 60_000, whence.Severity.Info)  # six bytes each in JSON
    target = sink(loki)
    (payload,) = target.encode(drained(recorded, service="s" * 5_000))
    target.deliver(payload, 5.0)
    target.close()
    (line,) = loki.lines()
    assert loki.refused == []
    assert target.cut == 1
    assert line.labels["service_name"] == "s" * 2048
    assert line.metadata["request_id"] == "r" * 4096
    assert "left_out" in json.loads(line.line)


def test_sending_again_stores_nothing_twice(loki: LokiDouble, recorded: OwnEvents) -> None:
    """Timestamps and text are the same at every attempt, so a repetition is ignored. R1.43"""
    for number in range(10):
        decided(f"model-{number}")
    loki.answers = deque([Scripted(429, {"Retry-After": "7"}, "rate_limited"), Scripted(503)])
    target = sink(loki)
    (payload,) = target.encode(drained(recorded))
    with pytest.raises(Unavailable, match="429 rate_limited") as throttled:
        target.deliver(payload, 5.0)
    assert throttled.value.retry_after_s == 7.0
    with pytest.raises(Unavailable, match="503"):
        target.deliver(payload, 5.0)
    assert target.deliver(payload, 5.0) == Reply(10)
    assert target.deliver(payload, 5.0) == Reply(10)
    target.close()
    assert len(loki.lines()) == 10
    assert len({body for _, body in loki.requests}) == 1


def test_lines_may_come_out_of_order(loki: LokiDouble, recorded: OwnEvents) -> None:
    """A later batch with older events, within an hour, is stored whole. R1.43"""
    decided("first")
    early = drained(recorded)
    session = next(iter(early.sessions.values()))
    half_an_hour = 1_800_000_000_000
    anchors = tuple(Anchor(a.monotonic_ns, a.wall_ns - half_an_hour) for a in session.anchors)
    late = drained(recorded, anchors=anchors)
    target = sink(loki)
    for part in (early, late):
        for payload in target.encode(part):
            assert target.deliver(payload, 5.0) == Reply(1)
    target.close()
    assert len(loki.lines()) == 2


def test_a_400_is_not_repeated_and_says_that_some_may_be_stored(
    loki: LokiDouble, recorded: OwnEvents
) -> None:
    """Lines refused for their age are counted as refused; the others Loki has. R1.43"""
    noted("old", whence.Severity.Info)
    loki.now_ns += 8 * 24 * 3600 * 1_000_000_000
    target = sink(loki)
    (payload,) = target.encode(drained(recorded))
    reply = target.deliver(payload, 5.0)
    target.close()
    assert (reply.delivered, reply.refused) == (0, 1)
    assert "greater_than_max_sample_age" in reply.message
    assert "others may be stored" in reply.message


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (260, Refused),
        (299, Refused),
        (301, Refused),
        (401, Refused),
        (404, Refused),
        (408, Unavailable),
        (413, TooLarge),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_each_status_means_what_loki_means_by_it(
    loki: LokiDouble, recorded: OwnEvents, status: int, raised: type[Exception]
) -> None:
    """260 is blocked ingestion and no success; 413 asks for less; 5xx and 429 for later. R1.43"""
    decided("x")
    loki.answers = deque([Scripted(status, {"Location": "http://elsewhere/"}, "why\r\n not")])
    target = sink(loki)
    (payload,) = target.encode(drained(recorded))
    with pytest.raises(raised, match="why not") as caught:
        target.deliver(payload, 5.0)
    assert type(caught.value) is raised
    target.close()
    assert len(loki.requests) == 1


def test_a_tenant_and_credentials_go_into_headers_and_not_into_the_name(
    loki: LokiDouble, recorded: OwnEvents
) -> None:
    """X-Scope-OrgID and basic authentication are sent; the name shown holds no secret. R1.43"""
    decided("x")
    loki.multi_tenant = True
    anonymous = sink(loki)
    (payload,) = anonymous.encode(drained(recorded))
    with pytest.raises(Refused, match="401 no org id"):
        anonymous.deliver(payload, 5.0)
    anonymous.close()
    known = open_sink(f"loki://me:se%40cret@{loki.place}?tenant=t1", {"headers": {"X-More": "1"}})
    assert known.deliver(payload, 5.0) == Reply(1)
    known.close()
    headers, _ = loki.requests[-1]
    assert headers["x-scope-orgid"] == "t1"
    assert headers["authorization"] == "Basic bWU6c2VAY3JldA=="
    assert headers["x-more"] == "1"
    assert re.fullmatch(rf"loki://{loki.place}\?tenant=t1#[0-9a-f]{{8}}", known.name)


def test_a_server_that_is_not_there_or_drops_the_connection_is_unavailable(
    loki: LokiDouble, recorded: OwnEvents
) -> None:
    """Connection refused and closed idle connections are told apart and retried. R1.43"""
    decided("x")
    target = sink(loki)
    (payload,) = target.encode(drained(recorded))
    target.deliver(payload, 5.0)
    target._post._connection.sock.shutdown(socket.SHUT_RDWR)
    assert target.deliver(payload, 5.0) == Reply(1)  # on a fresh connection
    target.close()
    with LokiDouble(now_ns()) as other:
        gone = sink(other)
    with pytest.raises(Unavailable):
        gone.deliver(payload, 0.5)
    gone.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("loki://h?format=xml", "format=xml"),
        ("loki://h?label.__x=1", "label name"),
        ("loki://h?label.a-b=1", "label name"),
        ("loki://h?label.level=1", "set by each event"),
        ("loki://h?" + "&".join(f"label.x{n}=1" for n in range(11)), "more than 15 labels"),
        ("loki://h?label.a=" + "x" * 2049, "2048 bytes"),
        ("loki://h?speed=11", "speed: no option"),
        ("loki:///path", "names no host"),
        ("loki://h?tenant=a%0d%0ab", "line break"),
    ],
)
def test_what_loki_would_refuse_is_refused_when_the_sink_is_opened(url: str, message: str) -> None:
    """Formats, label names and counts are checked before anything is sent. R1.43"""
    with pytest.raises(ValueError, match=message):
        open_sink(url, {"host": "node-1"})


def test_the_bytes_of_a_known_request_never_change() -> None:
    """Golden bytes: the message and its label set as push.proto lays them out. R1.43"""
    labels = quoted_labels({"b": 'q"\n', "a": "1"})
    assert labels == '{a="1", b="q\\"\\n"}'
    message = push_request([(labels, [(1_700_000_000_000_000_005, "hi", {"k": "v"})])])
    assert message.hex() == (
        "0a2c0a127b613d2231222c20623d22715c225c6e227d"
        "12160a080880e2cfaa061005120268691a060a016b120176"
    )
    (stream,) = decode_push(unsnap(bytes(cramjam.snappy.compress_raw(message))))
    assert stream.labels == labels
    assert stream.entries == [(1_700_000_000_000_000_005, "hi", [("k", "v")])]


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), st.text(max_size=30)))
def test_any_label_set_reads_back_as_it_was(labels: dict[str, str]) -> None:
    """Quoting is undone by an independent reader of the syntax. R1.43"""
    valid = {name: value.encode("utf-8", "replace").decode() for name, value in labels.items()}
    assert parse_labels(quoted_labels(valid)) == valid


@given(st.binary(max_size=3_000))
def test_raw_snappy_reads_back_as_it_was(data: bytes) -> None:
    """The double undoes what the compressor did, copies included. R1.43"""
    assert unsnap(bytes(cramjam.snappy.compress_raw(data + data))) == data + data


def test_json_bodies_are_gzip_and_whole_by_themselves(
    loki: LokiDouble, recorded: OwnEvents
) -> None:
    """The JSON of one payload is one document of streams; times are text. R1.43"""
    decided("x")
    target = sink(loki, "?format=json")
    (payload,) = target.encode(drained(recorded))
    target.close()
    (stream,) = json.loads(gzip.decompress(payload.body))["streams"]
    ((time, line, metadata),) = stream["values"]
    assert isinstance(time, str)
    assert json.loads(line)["event_id"] == metadata["event_id"]


def test_nothing_to_send_makes_no_payload(loki: LokiDouble, recorded: OwnEvents) -> None:
    """No events, or none that can be placed in time: no request. R1.43"""
    target = sink(loki)
    assert list(target.encode(drained(recorded))) == []
    decided("x")
    assert list(target.encode(drained(recorded, anchors=()))) == []
    target.close()


def test_a_payload_is_refused_where_the_limits_of_the_server_are_lower(
    loki: LokiDouble, recorded: OwnEvents
) -> None:
    """413 raises TooLarge, for the pipeline to halve. R1.43"""
    decided("x")
    loki.limits = Limits(body_bytes=10)
    target = sink(loki)
    (payload,) = target.encode(drained(recorded))
    with pytest.raises(TooLarge):
        target.deliver(payload, 5.0)
    target.close()


def test_retry_after_is_read_as_seconds_or_a_date() -> None:
    """Both spellings of HTTP; nonsense says nothing. R1.43"""
    now = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
    said = {
        "5": 5.0,
        "Fri, 20 Nov 2026 12:00:30 GMT": 30.0,
        "Fri, 20 Nov 2026 11:00:00 GMT": 0.0,
        "soon": None,
        "-1": None,
        "": None,
    }
    for text, seconds in said.items():
        assert retry_after_s(Answer(429, {"retry-after": text}, b""), now) == seconds


def test_without_its_libraries_the_protobuf_format_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ImportError says what to install; format=json needs nothing. R1.43"""
    import sys

    monkeypatch.setitem(sys.modules, "cramjam", None)
    with pytest.raises(ImportError, match=r"whence\[loki\]"):
        open_sink("loki://h")
    open_sink("loki://h?format=json").close()
