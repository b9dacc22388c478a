"""What our own service does, in one registry: store, lag, losses, listeners, times of questions."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.query.build import WALL_NS
from tests.watch.growing import Program
from tests.watch.traced import SECOND
from whence.collect.live import LiveSessions
from whence.export.openmetrics import render
from whence.export.own_metrics import OwnMetrics
from whence.model.errors import BudgetExceeded
from whence.model.query import TraceQuery
from whence.model.recording import RingLedger
from whence.query.engines.folder import FolderEngine
from whence.query.engines.shapes import Budget
from whence.store.folder import FolderStore
from whence.store.sessions import StoredSession
from whence.watch.following import Following
from whence.watch.listeners import Listeners
from whence.watch.metrics.own import ServerMetrics
from whence.watch.metrics.timed import timed
from whence.watch.tail import BEGINNING, Tail


def samples(own: ServerMetrics) -> dict[str, float]:
    """What a scraper reads, by name and labels."""
    found = {}
    for family in text_string_to_metric_families(render(own.families())):
        for each in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(each.labels.items()))
            found[f"{each.name}{{{labels}}}" if labels else each.name] = each.value
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with five events, and a process that lost three more."""
    folder = tmp_path / "traces"
    with FolderStore(folder, write=True) as store:
        program = Program(store)
        program.record(1, 2, 3)
        program.record(10 * SECOND, 20 * SECOND)
        gone = Program(store, 2).info
        ring = RingLedger(gone.name, 0, 8, recorded=3, lost=3, text_lost=1)
        store.put_session(StoredSession(info=gone, rings=(ring,)))
    return folder


def test_the_store_tells_its_size_its_losses_and_its_age(path: Path) -> None:
    """Events, bytes, files, losses, and how old the newest event is. R5.25"""
    own = ServerMetrics(path, wall_clock_ns=lambda: WALL_NS + 60 * SECOND)
    found = samples(own)
    manifest = FolderStore(path).snapshot().manifest
    assert found["whence_store_events"] == 5
    assert found["whence_store_bytes"] == sum(each.bytes for each in manifest.files)
    assert found["whence_store_files{level=0}"] == 2
    assert found["whence_store_generations_total"] == manifest.generation
    assert found["whence_store_events_lost_total"] == 3
    assert found["whence_store_events_text_lost_total{how=overwritten}"] == 1
    assert found["whence_store_newest_event_age_seconds"] == 40
    assert own.trouble == ""


def test_listeners_and_lag_are_among_them(path: Path) -> None:
    """What was told, what failed, and how late. R5.25"""
    listeners = Listeners()
    listener, last = listeners.add(lambda event: 1 / (event.ticket % 2)), threading.Event()
    listeners.add(lambda event: last.set() if event.ticket == 4 else None)
    following = Following(
        lambda token, sleep: Tail(path, after=token or BEGINNING, sleep=sleep),
        listeners,
        wall_clock_ns=lambda: WALL_NS + 30 * SECOND,
    )
    with following:
        assert last.wait(30)
    assert listener.wait_told(30)
    found = samples(ServerMetrics(path, following=following))
    assert found["whence_followed_events_total"] == 5
    assert found["whence_follow_lag_seconds"] == 10
    assert found["whence_listener_events_total{outcome=told}"] == 7
    assert found["whence_listener_events_total{outcome=failed}"] == 3
    assert found["whence_listener_waiting"] == 0


def test_questions_are_timed_by_what_is_asked_and_how_it_ended(path: Path) -> None:
    """Every question of an engine goes into an exponential histogram. R5.25"""
    moments = iter(range(0, 1_000, 3))
    own = ServerMetrics(path)
    with FolderEngine(path) as plain:
        engine = timed(plain, own.registry, clock=lambda: next(moments))
        assert len(engine.select(TraceQuery()).events) == 5
        assert engine.newest_wall_ns() == plain.newest_wall_ns()
        with pytest.raises(BudgetExceeded):
            engine.recording(TraceQuery(), Budget(rows=1))
    found = samples(own)
    answered = "outcome=answered,question=select"
    assert found[f"whence_query_seconds_count{{{answered}}}"] == 1
    assert found[f"whence_query_seconds_sum{{{answered}}}"] == 3
    assert found["whence_query_seconds_count{outcome=BudgetExceeded,question=recording}"] == 1
    assert {each.name for each in own.readings()} >= {"whence_query_seconds", "whence_store_bytes"}


def test_running_processes_are_among_them(path: Path) -> None:
    """With the counters of live sessions it is one text, without a name twice. R5.25"""
    own = ServerMetrics(path, live=OwnMetrics(LiveSessions(list)))
    own.registry.counter("whence_exports_total", "Exports.").add(2)
    found = samples(own)
    assert found["whence_exports_total"] == 2
    assert "whence_scrape_seconds" in found


def test_a_store_that_is_not_there_is_said_and_keeps_nothing_from_being_told(
    tmp_path: Path,
) -> None:
    """The other figures are there all the same. R5.25"""
    own = ServerMetrics(tmp_path / "nothing", listeners=Listeners())
    found = samples(own)
    assert "NotAStore" in own.trouble
    assert "whence_store_bytes" not in found
    assert found["whence_listeners"] == 0
