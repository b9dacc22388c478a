"""W3C Trace Context: what is read, what is ignored, what is passed on unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

import whence
from tests.own_events import OwnEvents
from whence.emit.w3c import from_environment

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"
SHORT = "0000000000000000" + "1234567890abcdef"

# traceparent; the trace id it gives, or "" when it is to be ignored; the flags
PARENTS = [
    (GOOD, TRACE, 1),
    (f"00-{TRACE}-{PARENT}-00", TRACE, 0),
    (f"00-{TRACE}-{PARENT}-03", TRACE, 3),
    (f"00-{TRACE}-{PARENT}-02", TRACE, 2),
    (f"00-{TRACE}-{PARENT}-ff", TRACE, 3),
    (f"  {GOOD}\t", TRACE, 1),
    (f"01-{TRACE}-{PARENT}-01", TRACE, 1),
    (f"01-{TRACE}-{PARENT}-01-what comes later", TRACE, 1),
    (f"cc-{TRACE}-{PARENT}-01-", TRACE, 1),
    (f"00-{SHORT}-{PARENT}-01", SHORT, 1),
    (f"cc-{TRACE}-{PARENT}-01.later", "", 0),
    (f"00-{TRACE}-{PARENT}-01-", "", 0),
    (f"00-{TRACE}-{PARENT}-01-more", "", 0),
    (f"ff-{TRACE}-{PARENT}-01", "", 0),
    (f"00-{'0' * 32}-{PARENT}-01", "", 0),
    (f"00-{TRACE}-{'0' * 16}-01", "", 0),
    (f"00-{TRACE.upper()}-{PARENT}-01", "", 0),
    (f"0-{TRACE}-{PARENT}-01", "", 0),
    (f"00-{TRACE[1:]}-{PARENT}-01", "", 0),
    (f"00-{TRACE}-{PARENT[1:]}-01", "", 0),
    (f"00-{TRACE}-{PARENT}-1", "", 0),
    (f"00-{TRACE}-{PARENT}", "", 0),
    (f"00_{TRACE}-{PARENT}-01", "", 0),
    (f"00-{TRACE[:-1]}g-{PARENT}-01", "", 0),
    ("", "", 0),
    ("\ud800", "", 0),
]

STATES = [
    ("a=1", "a=1"),
    ("a=1,b=2", "a=1,b=2"),
    (" a=1 , b=2\t", "a=1,b=2"),
    ("a=1,,b=2,", "a=1,b=2"),
    ("a-_*/@9=x y", "a-_*/@9=x y"),
    ("9tenant@vendor=v", "9tenant@vendor=v"),
    ("a" * 256 + "=1", "a" * 256 + "=1"),
    ("a=" + "v" * 256, "a=" + "v" * 256),
    (",".join(f"k{n}=v" for n in range(32)), ",".join(f"k{n}=v" for n in range(32))),
    (",".join(f"k{n}=v" for n in range(33)), ""),
    ("a" * 257 + "=1", ""),
    ("a=" + "v" * 257, ""),
    ("A=1", ""),
    ("-a=1", ""),
    ("a=1,a=2", ""),
    ("a", ""),
    ("=1", ""),
    ("a=", ""),
    ("a=1=2", ""),
    ("a=é", ""),
    ("a=\x01", ""),
]


@pytest.mark.parametrize(("line", "trace_id", "flags"), PARENTS)
def test_a_traceparent_is_read_or_ignored(line: str, trace_id: str, flags: int) -> None:
    """Higher versions by their first 55 characters, anything invalid not at all. R5.3"""
    context = whence.extract({"traceparent": line})
    assert context.trace_id == trace_id
    assert context.trace_flags == flags
    assert context.span_id == (int(PARENT, 16) if trace_id else 0)
    assert context.remote == bool(trace_id)


@pytest.mark.parametrize(("line", "kept"), STATES)
def test_a_tracestate_is_passed_on_or_left_out(line: str, kept: str) -> None:
    """A bad one costs nothing but itself. R5.3"""
    context = whence.extract({"traceparent": GOOD, "tracestate": line})
    assert (context.trace_id, context.tracestate) == (TRACE, kept)
    headers: dict[str, str] = {}
    with whence.use(context):
        whence.inject(headers)
    assert headers.get("tracestate", "") == kept


@pytest.mark.parametrize(
    "headers",
    [
        {"Traceparent": GOOD, "TRACESTATE": "a=1", "Baggage": "k=v"},
        [(b"TraceParent", GOOD.encode()), (b"tracestate", b"a=1"), (b"baggage", b"k=v")],
        [("traceparent", GOOD), ("tracestate", "a=1"), ("baggage", "k=v")],
        {"traceparent": [GOOD], "tracestate": ["a=1"], "baggage": ["k=v"]},
    ],
)
def test_carriers_are_read_whatever_their_form(headers: Any) -> None:
    """Mappings of any case, ASGI's pairs of bytes. R5.3"""
    context = whence.extract(headers)
    assert (context.trace_id, context.tracestate, context.baggage) == (TRACE, "a=1", "k=v")


def test_several_lines_count_as_one_list() -> None:
    """Except for traceparent, of which there is one. R5.3"""
    lines = [
        (b"tracestate", b"a=1"),
        (b"tracestate", b"b=2"),
        (b"baggage", b"x=1"),
        (b"baggage", b"y=2"),
    ]
    context = whence.extract([(b"traceparent", GOOD.encode()), *lines])
    assert (context.tracestate, context.baggage) == ("a=1,b=2", "x=1,y=2")
    assert whence.extract([(b"traceparent", GOOD.encode())] * 2).trace_id == ""
    assert whence.extract(None).trace_id == ""
    assert whence.extract([5, ("a",), "bc"]).trace_id == ""


def test_what_came_goes_on_with_the_span_as_parent(recorded: OwnEvents) -> None:
    """Trace, flags, tracestate and baggage unchanged, also within a request. R5.3"""
    came = {"traceparent": f"00-{TRACE}-{PARENT}-03", "tracestate": "a=1,b=2", "baggage": "k=v;p"}
    with whence.use(whence.extract(came)), whence.request("req-1"), whence.span("work") as work:
        headers: dict[str, str] = {"Traceparent": "old"}
        whence.inject(headers)
        pairs: list[tuple[bytes, bytes]] = [(b"tracestate", b"old"), (b"host", b"x")]
        whence.inject(pairs)
    parent = f"00-{TRACE}-{work.span_id:016x}-03"
    assert headers == {"traceparent": parent, "tracestate": "a=1,b=2", "baggage": "k=v;p"}
    wanted = {name.encode(): value.encode() for name, value in headers.items()}
    assert dict(pairs) == {b"host": b"x", **wanted}
    event = recorded.one()
    assert (event.trace_id, event.parent_span_id) == (TRACE, int(PARENT, 16))
    assert event.request_id == "req-1"


def test_a_lineage_id_goes_left_most_and_maps_by_padding() -> None:
    """Ours first, at most 32 members, none twice; a padded id is not random. R5.3"""
    others = ",".join(f"k{n}=v" for n in range(32))
    for lineage_id in (1, 2**63 + 5, 2**64 - 1):
        headers: dict[str, str] = {}
        context = whence.Context("r", "", lineage_id, TRACE, 5, 1, others)
        with whence.use(context):
            whence.inject(headers)
        members = headers["tracestate"].split(",")
        assert members[0].startswith("whence=")
        assert len(members) == 32
        assert whence.extract(headers).lineage_id == lineage_id
        with whence.use(whence.extract(headers)):
            whence.inject(headers)
        assert headers["tracestate"].count("whence=") == 1
    came = whence.extract({"traceparent": f"00-{SHORT}-{PARENT}-01"})
    assert came.lineage_id == 0x1234567890ABCDEF
    bad = whence.extract({"traceparent": GOOD, "tracestate": "whence=not base 32!"})
    assert bad.lineage_id == 0
    with whence.use(whence.Context("", trace_id=SHORT, span_id=1)):
        whence.inject(headers)
    assert headers["traceparent"].endswith("-00")


def test_a_trace_of_our_own_says_whether_it_is_random() -> None:
    """Spans outside of any request are; so are hashed ids and UUIDs of version 4. R5.3"""
    headers: dict[str, str] = {}
    whence.inject(headers)
    assert headers == {}
    with whence.span("root") as root:
        whence.inject(headers)
    assert headers == {"traceparent": f"00-{root.trace_id}-{root.span_id:016x}-03"}
    for request_id, flags in (
        ("req-1", "03"),
        ("0b0a7e58-3f1c-4c5e-9d3c-1f2e3d4c5b6a", "03"),
        ("0b0a7e58-3f1c-1c5e-9d3c-1f2e3d4c5b6a", "01"),
    ):
        with whence.request(request_id) as context:
            whence.inject(headers)
        _, trace_id, span_id, said = headers["traceparent"].split("-")
        assert (trace_id, said) == (context.trace_id, flags)
        assert span_id == trace_id[16:]  # no span is open: the request is the parent


def test_the_environment_carries_the_context_to_children() -> None:
    """A copy of it; os.environ stays as it is. R5.3"""
    before = dict(os.environ)
    with whence.request("req-7"), whence.span("parent") as parent:
        variables = whence.environment()
    assert dict(os.environ) == before
    assert variables["TRACEPARENT"] == f"00-{parent.trace_id}-{parent.span_id:016x}-03"
    assert variables["WHENCE_REQUEST"] == "req-7"
    program = (
        "import whence; whence.span('child').end(); e = next(iter(whence.collector()));"
        "print(e.request_id, e.trace_id, e.parent_span_id)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["req-7", parent.trace_id, str(parent.span_id)]
    assert "TRACEPARENT" not in whence.environment()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"TRACEPARENT": "nonsense"},
        {"TRACEPARENT": f"00-{TRACE}-{PARENT}-01-more"},
        {"TRACESTATE": "a=1"},
        {"WHENCE_REQUEST": "\udcff"},
    ],
)
def test_a_bad_environment_is_ignored(variables: dict[str, str]) -> None:
    """What says nothing, or what UTF-8 cannot hold, is no context. R5.3"""
    assert from_environment(variables) is None


def test_baggage_beyond_its_limits_is_left_out() -> None:
    """8,192 bytes; no line breaks that could forge a header. R5.3"""
    assert whence.extract({"baggage": "k=" + "v" * 8191}).baggage == ""
    assert whence.extract({"baggage": "k=v\r\nEvil: 1"}).baggage == ""
    assert whence.extract({"baggage": "k=v"}).baggage == "k=v"


@pytest.mark.parametrize("text", ["k=v\r\nX: y", "k=\u65e5", "k=\0", "k=" + "v" * 8192])
def test_baggage_that_no_header_can_carry_goes_nowhere(text: str) -> None:
    """Neither in nor out: it would break the request that it is put into, or add a header. R5.3"""
    came = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert whence.extract({**came, "baggage": text}).baggage == ""
    headers: dict[str, str] = {}
    with whence.use(whence.Context("", trace_id=TRACE, baggage=text)):
        whence.inject(headers)
    assert "baggage" not in headers
