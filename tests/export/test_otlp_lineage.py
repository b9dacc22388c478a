"""Joins on their way to OpenTelemetry: their parents are links, and the plain encoder agrees."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed")

import whence
from tests.export.test_native_json import batch_of
from tests.export.test_otlp import agree, decoded, session
from tests.own_events import OwnEvents
from whence.model.event import TraceEvent
from whence.model.time import Duration, Timestamp


def test_a_join_is_linked_to_its_parents() -> None:
    """A record of a join lists its parents as links, by W3C ids without the random flag. R5.3"""
    recorded = OwnEvents()
    line = whence.Lineage(node_id=7)
    with whence.request("otlp-join"):
        line.join([2**64 - 2, 5], stream_id=3, epoch=1, seq=9)
        line.join(range(10**18, 10**18 + 5_000), stream_id=3, epoch=1, seq=10)  # in two parts
    batch = recorded.batch()
    agree(batch)
    records = decoded(batch, session())[0].resource_logs[0].scope_logs[0].log_records
    assert [record.event_name for record in records] == ["whence.lineage.link"] * 3
    links = [
        {each.key: each.value for each in record.attributes}["whence.links"].array_value.values
        for record in records
    ]
    assert [len(each) for each in links] == [2, 128, 128]
    first = {each.key: each.value.string_value for each in links[0][0].kvlist_value.values}
    assert first == {
        "trace_id": "0" * 16 + "f" * 15 + "e",
        "span_id": "f" * 15 + "e",
        "whence.link.type": "lineage_parent",
    }


@pytest.mark.parametrize(
    ("parents", "links"),
    [
        ("4 5", 3),
        ("4", 2),
        ("", 1),
        ("4  5", 1),
        (" 4", 1),
        ("4 ", 1),
        ("4 0", 1),
        ("4 x5", 1),
        ("-4", 1),
        (f"4 {2**64}", 1),
        (" ".join(map(str, range(1, 201))), 129),
    ],
)
def test_a_span_that_joins_has_links(parents: str, links: int) -> None:
    """Where a link lasts, it is a span: its parents are span links, those beyond 128 counted, and
    none where others wrote something else. R5.3 R5.17"""
    event = TraceEvent(
        event_type="lineage_link",
        component="whence",
        timestamp=Timestamp.now(),
        duration=Duration(5),
        lineage_id=9,
        attributes={"parents": parents},
    )
    collector = whence.TraceCollector(1)
    collector.record(event)
    agree(batch_of(collector))
    _, traces = decoded(batch_of(collector), session())
    [span] = traces.resource_spans[0].scope_spans[0].spans
    assert len(span.links) == links
    assert span.dropped_links_count == (72 if links == 129 else 0)
