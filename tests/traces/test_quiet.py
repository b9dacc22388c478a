"""A service at rest asks its store nothing; what others record is seen nevertheless."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from whence.model.trace import TraceStatus
from whence.query.engines.engine import Engine
from whence.query.engines.traces import TraceFilter
from whence.store.folder import FolderStore
from whence.traces.elsewhere import Elsewhere
from whence.traces.lives import Life
from whence.traces.measuring import collection_of
from whence.traces.options import MetricsConfiguration
from whence.traces.rooms import FolderRoom
from whence.traces.service import TraceService
from whence.traces.stirring import Stirring
from whence.watch.metrics.history import MetricHistory


class _Room:
    """A folder's room that counts the questions."""

    def __init__(self, room: FolderRoom) -> None:
        self._room = room
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._room, name)

    @contextlib.contextmanager
    def asking(self) -> Iterator[Engine]:
        self.asked += 1
        with self._room.asking() as engine:
            yield engine


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TraceService]:
    """A service that does nothing by itself."""
    with TraceService(
        tmp_path / "traces", enable_metrics_collection=False, enable_real_time_monitoring=False
    ) as made:
        yield made


def _room(service: TraceService) -> FolderRoom:
    assert isinstance(service._room, FolderRoom)
    return service._room


def test_the_figures_of_a_store_that_gains_nothing_are_asked_for_once(
    service: TraceService,
) -> None:
    """Until something is recorded; what is older than the window is nothing. R4.52"""
    now_ns = service.create_trace("ctx", name="one").value().started_ns
    service.flush().value()
    room = _Room(_room(service))
    at = [now_ns + 1_000_000_000]
    application = collection_of(room, MetricsConfiguration(), lambda: at[0])._application  # type: ignore[arg-type]
    assert application is not None
    first = application.read()
    assert first.request_count
    assert room.asked == 1
    for later_s, asked in ((400, 2), (500, 2), (3_000, 2), (4_100, 3)):
        at[0] = now_ns + later_s * 1_000_000_000
        found = application.read()
        assert (found.request_count, found.until_ns) == (0.0, at[0])
        assert room.asked == asked, later_s
    service.create_trace("ctx", name="two").value()
    service.flush().value()
    application.read()
    assert room.asked == 4


def test_own_metrics_stir_nothing(service: TraceService) -> None:
    """They come every minute, and would have the store asked every minute. R4.52"""
    service.create_trace("ctx").value()
    service.flush().value()
    room, history = _room(service), MetricHistory()
    stirring = Stirring(room, lambda: history.ring)
    before = stirring.mark()
    assert before is not None
    assert before.rows >= 1
    collection = collection_of(room, MetricsConfiguration(metric_types=("system",)), lambda: 10**18)
    readings = collection.collect().readings["system"]
    history.record("system", readings)
    room.kept.flush()
    assert Stirring(room).mark() != before
    assert stirring.mark() != before  # of the collection's own ring, which is not this history's
    again = stirring.mark()
    history.record("system", readings)
    room.kept.flush()
    assert stirring.mark() == again
    service.create_trace("ctx").value()
    service.flush().value()
    assert stirring.mark() != again


def test_overdue_traces_of_others_are_looked_for_when_there_may_be_any(
    service: TraceService,
) -> None:
    """Not while nothing is new and none is due; and at once when one is. R4.15"""
    trace = service.create_trace("ctx", timeout_ms=60_000).value()
    service.flush().value()
    elsewhere = Elsewhere(Stirring(_room(service)))
    now_ns = trace.started_ns + 1_000_000_000

    def look(at_ns: int) -> set[str]:
        """What is overdue by then."""
        with service._room.asking() as engine:
            asked = TraceFilter(statuses=(TraceStatus.ACTIVE.value,))
            page = engine.traces(asked, limit=1_000)
        found = elsewhere.overdue(page, at_ns, lambda row: Life(trace, 60_000_000_000))
        return {each.trace_id for each in found}

    assert elsewhere.may_be_overdue(now_ns)
    assert look(now_ns) == set()
    assert not elsewhere.may_be_overdue(now_ns + 1_000_000_000)
    assert elsewhere.may_be_overdue(now_ns + 61_000_000_000)
    assert look(now_ns + 61_000_000_000) == {trace.trace_id}
    service.create_trace("ctx").value()
    service.flush().value()
    assert elsewhere.may_be_overdue(now_ns)


class _Empty:
    """The room of an empty store, which must not be asked."""

    def __init__(self, folder: Path) -> None:
        FolderStore(folder, write=True).close()
        self.folder = folder

    def asking(self) -> NoReturn:
        raise AssertionError("nobody is to ask")


def test_an_empty_store_is_never_asked(tmp_path: Path) -> None:
    """Neither for figures nor for what is overdue. R4.52"""
    room: Any = _Empty(tmp_path / "traces")
    application = collection_of(room, MetricsConfiguration(), lambda: 10**18)._application
    assert application is not None
    figures = {each.name: each.value for each in application.read().readings()}
    assert figures == {"request_count": 0, "active_traces": 0, "events_per_second": 0}
    assert not Elsewhere(Stirring(room)).may_be_overdue(10**18)
