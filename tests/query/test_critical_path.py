"""The critical path: every moment is in one part, and that part is what was waited for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import SESSION, recording
from whence.cli.render.answer import answer_lines
from whence.model.event import TraceEvent
from whence.model.time import Duration, Timestamp
from whence.query.critical_path import critical_path
from whence.query.index import Index
from whence.query.why import why


def span(span_id: int, start_ns: int, end_ns: int, parent: int = 0) -> TraceEvent:
    """A span of that time."""
    return TraceEvent(
        event_type=f"s{span_id}",
        component="c",
        timestamp=Timestamp(start_ns),
        duration=Duration(end_ns - start_ns),
        request_id="req-1",
        span=True,
        span_id=span_id,
        parent_span_id=parent,
        session=SESSION,
        ring=0,
        ticket=span_id,
    )


def path(*spans: TraceEvent) -> list[tuple[str, int, int]]:
    """(name, from, to) of every part."""
    source = recording(spans, rings=[])
    return [
        (part.name, part.offset_ns, part.offset_ns + part.duration_ns)
        for part in critical_path(Index(source), source.events)
    ]


def test_each_moment_belongs_to_what_was_waited_for() -> None:
    """R5.14 The child that ended last before a moment, else the parent itself."""
    spans = [span(1, 0, 100), span(2, 10, 40, 1), span(3, 20, 70, 1), span(4, 30, 60, 3)]
    assert path(*spans) == [
        ("s1", 0, 10),
        ("s2", 10, 20),
        ("s3", 20, 30),
        ("s4", 30, 60),
        ("s3", 60, 70),
        ("s1", 70, 100),
    ]


def test_time_between_spans_is_nobodys() -> None:
    """R5.14 Two roots one after the other, with a gap."""
    assert path(span(1, 0, 10), span(2, 15, 20)) == [("s1", 0, 10), ("", 10, 15), ("s2", 15, 20)]


def test_without_spans_there_is_no_path() -> None:
    """R5.14 Nor where only a damaged file could say who is inside whom."""
    assert path() == []
    assert path(span(1, 0, 5, 2), span(2, 0, 5, 1)) == []
    assert path(span(1, 0, 5, 1)) == [("s1", 0, 5)]


def test_a_deep_chain_of_spans_needs_no_recursion() -> None:
    """R5.14 Ten thousand spans, each in the one before."""
    spans = [span(n, n, 40_000 - n, n - 1) for n in range(1, 10_001)]
    assert len(path(*spans)) == 19_999


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 7)), min_size=1, max_size=8
    )
)
def test_the_path_is_as_long_as_the_spans(times: list[tuple[int, int, int]]) -> None:
    """R5.14 Its parts follow each other without gap or overlap, from the first start to the end."""
    spans = [
        span(n, min(a, b), max(a, b), parent if parent < n else 0)
        for n, (a, b, parent) in enumerate(times, start=1)
    ]
    found = path(*spans)
    roots = [s for s in spans if s.parent_span_id == 0]
    begin = min(s.timestamp.value_ns for s in roots)
    end = max(s.timestamp.value_ns + s.duration.nanos for s in roots)
    at = 0
    for name, from_ns, to_ns in found:
        assert from_ns == at
        assert to_ns > from_ns
        at = to_ns
        if name:
            own = spans[int(name[1:]) - 1]
            start_ns = own.timestamp.value_ns - begin
            assert start_ns <= from_ns
            assert to_ns <= start_ns + own.duration.nanos
    assert at == end - begin


def test_the_answer_says_which_spans_its_length_rests_on() -> None:
    """R5.14 R5.11 By span, the longest first; where there is but one span, nothing is said."""
    ms = 1_000_000
    spans = [span(1, 0, 100 * ms), span(2, 0, 60 * ms, 1), span(3, 60 * ms, 70 * ms, 1)]
    found = why(recording(spans, rings=[]), "req-1")
    line = "Critical path  s2 60.0 ms · s1 30.0 ms · s3 10.0 ms"
    assert line in [text.plain for text in answer_lines(found)]
    assert "s2 60.0 ms · s1 30.0 ms" in found._repr_html_()
    alone = why(recording(spans[:1], rings=[]), "req-1")
    assert not any("Critical path" in text.plain for text in answer_lines(alone))
    assert [part.name for part in alone.critical_path] == ["s1"]
