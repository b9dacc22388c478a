"""The same questions over the same worlds, of every engine, as tests to inherit."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from fractions import Fraction
from math import isclose, isfinite, isnan
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.awkward import AWKWARD_TEXTS, awkward_world
from tests.conformance.engine import (
    check_figures,
    check_ids,
    check_pages,
    check_recordings,
    check_rows,
    check_selections,
)
from tests.query.build import inference_chain, late_chain, recording, rejected_chain
from tests.query.traced_worlds import (
    asked_traces,
    expected_traces,
    group_traces,
    plain_trace,
    traced_events,
)
from tests.query.worlds import SESSIONS, Clause, events_in, expected, queries
from whence.model.event import TraceEvent
from whence.model.names import spellings
from whence.model.query import TraceQuery, is_error
from whence.model.recording import Recording
from whence.query.engines.engine import Engine
from whence.query.engines.memory import InMemory, group_value, measured_value
from whence.query.engines.shapes import MEASURES, ORDERS, Aggregate, PageKey
from whence.query.engines.traces import (
    TRACE_GROUPS,
    TRACE_MEASURED,
    TRACE_SORTS,
    TraceFilter,
    TraceKey,
)
from whence.query.plain import plain_event

__all__ = ["QuestionsConformance"]

Asked = tuple[TraceQuery, list[Clause]]
few = settings(
    max_examples=8,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,  # each engine has a class that inherits the tests
    ],
    deadline=None,
)
NAMES = ("type", "component", "model", "request", "severity", "status", "session", "n", "phase")


class QuestionsConformance:
    """Inherit it as class Test<Name>, and say how to get a recording into what is asked."""

    every = 1  # how many of the awkward questions are asked

    @abstractmethod
    def over(self, source: Recording, segments: int = 2) -> AbstractContextManager[Engine]:
        """An engine over what holds the recording, appended in so many parts."""

    @few
    @given(events_in(), st.lists(queries(), min_size=1, max_size=4))
    def test_the_events_are_those_of_a_plain_reading(
        self, events: tuple[TraceEvent, ...], asked: list[Asked]
    ) -> None:
        """R4.68 R4.64 All filters and conditions, in every order."""
        with self.over(Recording(events, sessions=SESSIONS)) as engine:
            for query, parts in asked:
                found = engine.select(query, limit=1_000)
                right = expected(events, query, parts)
                assert _plain(found.events) == _plain(right), query
                newest = engine.select(query, order="newest", limit=1_000)
                assert _plain(newest.events) == _plain(right[::-1]), query
                assert found.next is None
            both = {
                "memory": InMemory(Recording(events, sessions=SESSIONS)),
                "this": engine,
            }
            check_selections(both, [query for query, _ in asked])

    @few
    @given(
        events_in(),
        st.lists(queries(), min_size=1, max_size=3),
        st.lists(st.sampled_from(NAMES), max_size=3, unique=True),
        st.sampled_from([None, 1, 500_000, 1_000_003]),
        st.sampled_from(["duration_ns", "n", "share", "phase"]),
    )
    def test_figures_are_those_of_a_plain_reading(
        self,
        events: tuple[TraceEvent, ...],
        asked: list[Asked],
        group_by: list[str],
        bucket_ns: int | None,
        of: str,
    ) -> None:
        """R4.68 R4.64 R5.5 Any column, attribute and bucket; counts weighted, percentiles exact."""
        source = Recording(events, sessions=SESSIONS)
        question = Aggregate(tuple(group_by), bucket_ns, MEASURES, of)
        with self.over(source) as engine:
            for query, parts in asked:
                check_figures({"memory": InMemory(source), "this": engine}, question, query)
                found = {
                    (row.bucket_ns, row.keys): (
                        row.rows,
                        row.count,
                        row.error_rate,
                        (row.min, row.max, row.last),
                        row.avg,
                        row.sum,
                    )
                    for row in engine.aggregate(question, query)
                }
                right = _groups(source, expected(events, query, parts), question)
                assert found.keys() == right.keys()
                for key, (*figures, values, average, total) in found.items():
                    *wanted, ends, exact, weight, most = right[key]
                    assert figures == pytest.approx(wanted), key
                    assert values == ends, key
                    assert (average is None) == (total is None) == (exact is None), key
                    if exact is not None:
                        assert abs(Fraction(average) - exact) <= most / 10**9, key
                        assert abs(Fraction(total) - exact * weight) <= most * weight / 10**9, key

    @few
    @given(events=events_in(), size=st.integers(1, 7))
    def test_pages_hold_each_event_once(self, events: tuple[TraceEvent, ...], size: int) -> None:
        """R4.45 R4.64 One engine's page may follow another one's."""
        source = Recording(events, sessions=SESSIONS)
        with self.over(source, segments=4) as engine:
            check_pages({"memory": InMemory(source), "this": engine}, size)

    @few
    @given(traced_events(), st.lists(asked_traces(), min_size=1, max_size=4), st.integers(1, 4))
    def test_traces_are_those_of_a_plain_reading(
        self, events: tuple[TraceEvent, ...], asked: list[TraceFilter], size: int
    ) -> None:
        """R4.43 R4.45 R4.68 R4.64 Of every sort, filtered, in every order, and page by page."""
        source = Recording(events, sessions=SESSIONS)
        memory, keys = InMemory(source), {info.name: info.key for info in SESSIONS}
        with self.over(source) as engine:
            for each in asked:
                found = engine.traces(each, sort="oldest", limit=1_000)
                right = expected_traces(events, each, keys)
                assert [plain_trace(row) for row in found.items] == right, each
                assert (found.total, found.next) == (len(right), None)
            for sort in TRACE_SORTS:
                key, number = None, 0
                while True:
                    number += 1
                    by_key = engine.traces(asked[0], sort=sort, limit=size, after=key)
                    by_number = engine.traces(asked[0], sort=sort, limit=size, page=number)
                    assert by_number == memory.traces(asked[0], sort=sort, limit=size, page=number)
                    assert replace(by_key, page=number) == by_number, sort
                    if by_key.next is None:
                        break
                    key = TraceKey.parse(str(by_key.next))

    @few
    @given(
        traced_events(),
        st.lists(asked_traces(), min_size=1, max_size=3),
        st.lists(st.sampled_from([*TRACE_GROUPS]), max_size=2, unique=True),
        st.sampled_from([None, 1, 1_000_003]),
        st.sampled_from(TRACE_MEASURED),
    )
    def test_figures_of_traces_are_those_of_a_plain_reading(
        self,
        events: tuple[TraceEvent, ...],
        asked: list[TraceFilter],
        group_by: list[str],
        bucket_ns: int | None,
        of: str,
    ) -> None:
        """R4.44 R4.68 R4.64 By type, status and time; a trace counts for what it stands for."""
        source = Recording(events, sessions=SESSIONS)
        memory, keys = InMemory(source), {info.name: info.key for info in SESSIONS}
        question = Aggregate(tuple(group_by), bucket_ns, MEASURES, of)
        with self.over(source) as engine:
            for each in asked:
                rows = engine.trace_figures(question, each)
                check_rows({"memory": memory.trace_figures(question, each), "this": rows})
                right = group_traces(expected_traces(events, each, keys), question)
                found = {
                    (row.bucket_ns, row.keys): (
                        row.rows, row.count, row.error_rate, row.avg, row.sum, row.min, row.max,
                        row.last,
                    )
                    for row in rows
                }  # fmt: skip
                assert found.keys() == right.keys()
                for key, figures in found.items():
                    for one, other in zip(figures, right[key], strict=True):
                        assert (one is None) == (other is None), key
                        assert one is None or isclose(one, other, rel_tol=1e-9), key

    def test_a_shared_type_is_found_under_each_of_its_spellings(self) -> None:
        """R4.45 R4.64 Asked for by any of them, all are found, one by one and among traces."""
        names = (*spellings("admission_decision"), "deadline_miss", "DeadlineMiss", "tick", "Tick")
        [some] = inference_chain()[:1]
        events = [
            replace(
                some,
                event_id="",
                event_type=name,
                ticket=100 + number,
                trace_id=f"{number + 1:032x}",
            )
            for number, name in enumerate(names)
        ]
        with self.over(recording(events)) as engine:
            for asked in (*names, ("tick", "AdmissionResult")):
                wanted = [asked] if isinstance(asked, str) else asked
                every = {each for name in wanted for each in spellings(name)}
                found = engine.select(TraceQuery(event_type=asked)).events
                assert {each.event_type for each in found} == every & set(names)
                traces = engine.traces(TraceFilter(event_type=asked)).items
                assert {row.trace_id for row in traces} == {each.trace_id for each in found}
                groups = engine.aggregate(Aggregate(), TraceQuery(event_type=asked))
                assert groups[0].rows == len(found)

    def test_awkward_events_are_selected_alike(self) -> None:
        """R4.68 R4.64 Texts that could be commands, numbers at their limits, times of centuries."""
        world = awkward_world(1 << 12)
        walls = [wall for each in world.events if (wall := world.wall_ns(each)) is not None]
        asked = [TraceQuery(), *_of_texts(AWKWARD_TEXTS), *_of_times(sorted(set(walls))[::24])]
        asked += [TraceQuery(session=info.name) for info in world.sessions]
        for number in (0, 2**63, 2**64 - 1, -(2**63), "0.1", "true", "40ms"):
            asked += [TraceQuery(where=f"value {sign} {number}") for sign in ("=", "!=")]
        for number in (0, 2**63, 2**64 - 1, -(2**63), "0.1", "40ms"):
            asked += [TraceQuery(where=f"value {sign} {number}") for sign in ("<", ">=")]
        memory = InMemory(world)
        with self.over(world) as engine:
            for query in asked[:: self.every]:
                found, right = engine.select(query), memory.select(query)
                assert _plain(found.events) == _plain(right.events), query
                assert found.wall_ns == right.wall_ns, query
                assert found.next == right.next, query

    def test_figures_of_awkward_events_are_alike(self) -> None:
        """R4.68 R4.64 Buckets of a nanosecond and of years, also of times before 1970."""
        world = awkward_world(1 << 10)
        memory = InMemory(world)
        with self.over(world) as engine:
            both = {"memory": memory, "this": engine}
            for names in (("type",), ("request",), ("session", "severity"), ("text",), ("value",)):
                check_figures(both, Aggregate(names, None), TraceQuery())
                check_figures(both, Aggregate(names, None, of="value"), TraceQuery())
            for bucket_ns in (1, 7, 10**9, 86_400 * 10**9, 10**18, 2**63 - 1):
                check_figures(both, Aggregate(("session",), bucket_ns), TraceQuery())

    def test_traces_of_awkward_events_are_alike(self) -> None:
        """R4.43 R4.68 R4.64 Durations past the end of time, and texts that could be commands."""
        world = awkward_world(1 << 10)
        memory = InMemory(world)
        asked = [TraceFilter(), TraceFilter(trace_ids=["f" * 16 + "0" * 15 + "1"])]
        for text in AWKWARD_TEXTS:
            asked += [TraceFilter(text=text), TraceFilter(tag=text), TraceFilter(request_id=text)]
            asked += [TraceFilter(statuses=[text]), TraceFilter(context_ids=[text, "active"])]
        for ns in (-(2**70), -(2**63), 0, 2**63 - 1, 2**70):
            asked += [TraceFilter(started_after_ns=ns), TraceFilter(started_before_ns=ns)]
        with self.over(world) as engine:
            for sort in TRACE_SORTS:
                found = engine.traces(TraceFilter(), sort=sort)
                assert found == memory.traces(TraceFilter(), sort=sort), sort
                for value in (-(2**63), 2**64, 0) if sort in ("longest", "errors") else (0,):
                    key = TraceKey(sort, value, 2**63 - 1, -(2**63), 0)
                    found = engine.traces(TraceFilter(), sort=sort, limit=3, after=key)
                    assert found == memory.traces(TraceFilter(), sort=sort, limit=3, after=key)
            for each in asked[:: self.every]:
                assert engine.traces(each) == memory.traces(each), each
            for bucket_ns in (None, 1, 10**18, 2**63 - 1):
                question = Aggregate(("status", "name"), bucket_ns)
                figures = [e.trace_figures(question, TraceFilter()) for e in (memory, engine)]
                check_rows({"memory": figures[0], "this": figures[1]})
            for page in (2**40, 2**80):
                assert engine.traces(asked[0], page=page) == memory.traces(asked[0], page=page)

    def test_pages_of_awkward_events_hold_each_once(self) -> None:
        """R4.45 R4.64 By keys with negative times, and with the last numbers there are."""
        world = awkward_world(1 << 10)
        with self.over(world, segments=5) as engine:
            check_pages({"memory": InMemory(world), "this": engine}, 9)
            for order in ORDERS:
                for wall_ns in (-(2**63), 2**63 - 1):
                    key = PageKey(order, 0, wall_ns, 0, 0, 0)
                    found = engine.select(TraceQuery(), order=order, limit=3, after=key)
                    right = InMemory(world).select(TraceQuery(), order=order, limit=3, after=key)
                    assert _plain(found.events) == _plain(right.events), key

    def test_ids_of_awkward_events_are_found_alike(self) -> None:
        """R5.11 R4.64 Whole and in part, in whatever case."""
        world = awkward_world(1 << 10)
        sought = [*AWKWARD_TEXTS, "req", "req-1", "E9223", "f" * 32, "f" * 16, "0" * 16, "ffff"]
        sought += [each.event_id for each in world.events[::5]]
        sought += [each.event_id.upper()[-9:] for each in world.events[::7] if each.event_id]
        with self.over(world) as engine:
            check_ids({"memory": InMemory(world), "this": engine}, sought[:: self.every])
            for each in world.events[:: 3 * self.every]:
                event = engine.event(each.event_id)
                assert event is not None
                assert event.event_id.lower() == each.event_id.lower()

    def test_recordings_and_what_went_wrong_are_alike(self) -> None:
        """R5.11 R4.64 The event to explain, kinds, sessions and ledgers."""
        events = [*late_chain(), *inference_chain("req-9", 90, first_ticket=30)]
        source = recording([*events, *rejected_chain("req-2", 200, 50)])
        source = replace(
            source,
            sessions=tuple(replace(info, uuid=UUID) for info in source.sessions),
            kinds=tuple(replace(kind, session=source.sessions[0].name) for kind in source.kinds),
        )
        asked = [TraceQuery(), *(TraceQuery(request_id=name) for name in ("req-9", "nobody"))]
        with self.over(source) as engine:
            memory = InMemory(source)
            check_recordings({"memory": memory, "this": engine}, asked[:1])
            for query in asked:
                found, right = engine.recording(query), memory.recording(query)
                assert _plain(found.events) == _plain(right.events)
                assert engine.newest_wrong(query) == memory.newest_wrong(query)
            assert [each.name for each in engine.sessions()] == [source.sessions[0].name]
            assert sum(ring.readable for ring in engine.ledger()) == sum(
                ring.readable for ring in memory.ledger()
            )
            assert engine.newest_wall_ns() == memory.newest_wall_ns()
            chains = [each for part in engine.whole_chains(asked[1]) for each in part.events]
            assert {"req-9"} <= {each.request_id for each in chains}


UUID = "5d0f0a52-9a9c-4f43-8a3f-0000000000aa"


def _of_texts(texts: Sequence[str]) -> list[TraceQuery]:
    """Each text wherever a query takes one."""
    found = []
    for text in texts:
        found += [
            TraceQuery(text=text), TraceQuery(request_id=text), TraceQuery(model_id=text),
            TraceQuery(decision_chain_id=text), TraceQuery(session=text), TraceQuery(status=text),
        ]  # fmt: skip
        if text:
            found += [TraceQuery(event_type=text), TraceQuery(component=(text, "Clock"))]
        if text and '"' not in text and "\\" not in text:
            found.append(TraceQuery(where=f'text = "{text}"'))
    return found


def _of_times(moments: Sequence[int]) -> list[TraceQuery]:
    return [
        TraceQuery(from_wall_ns=since, until_wall_ns=until)
        for since in (None, -(2**70), *moments)
        for until in (None, 2**70, *moments)
    ]


def _groups(
    source: Recording, events: Sequence[TraceEvent], question: Aggregate
) -> dict[Any, tuple[Any, ...]]:
    """Rows, count, share of errors, least, largest and last value, average, and what it is of."""
    members: defaultdict[Any, list[TraceEvent]] = defaultdict(list)
    for event in events:
        bucket = None
        if question.bucket_ns is not None:
            wall_ns = source.wall_ns(event) or 0
            bucket = wall_ns - wall_ns % question.bucket_ns
        keys = tuple(group_value(event, name) for name in question.group_by)
        members[bucket, keys].append(event)
    found = {}
    for key, each in members.items():
        count = sum(Fraction(event.weight) for event in each)
        errors = sum(Fraction(event.weight) for event in each if is_error(event))
        values = [
            (Fraction(value), Fraction(event.weight))
            for event in each
            if (value := measured_value(event, question.of)) is not None
            and (isinstance(value, int) or (isfinite(value) and not isnan(value)))
        ]
        weight = sum(weight for _, weight in values)
        average = sum(v * w for v, w in values) / weight if values else None
        most = max((abs(v) for v, _ in values), default=Fraction(0))
        ends = tuple(float(f(values)[0]) for f in (min, max)) if values else (None, None)
        ends = (*ends, _last(source, each, question.of))
        found[key] = (len(each), float(count), float(errors / count), ends, average, weight, most)
    return found


def _last(source: Recording, events: Sequence[TraceEvent], of: str) -> float | None:
    keys = {info.name: info.key for info in source.sessions}
    ordered = sorted(events, key=lambda e: (source.wall_ns(e), keys[e.session], e.ring, e.ticket))
    values = [measured_value(event, of) for event in ordered]
    known = [float(value) for value in values if value is not None and isfinite(value)]
    return known[-1] if known else None


def _plain(events: Sequence[TraceEvent]) -> list[dict[str, Any]]:
    return [plain_event(each) for each in events]
