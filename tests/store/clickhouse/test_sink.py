"""Collecting straight into ClickHouse: every event once, also after a collector was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs whence[store]")

from tests.apps import AppRun
from tests.peers.clickhouse import READER, Node, settle
from whence.collect.sessions import read_recording
from whence.export.sinks import open_sink
from whence.model.errors import UnknownSink
from whence.model.query import TraceQuery
from whence.query.engines.cluster import ClusterEngine
from whence.store.clickhouse.http import Client
from whence.store.sessions import parsed_session_document

pytestmark = pytest.mark.timeout(300)

EVENTS = 3_000
PROGRAM = f"""
import whence
whence.start(service="shipped", ring_slots=8_192, text_bytes=4 << 20)
decided = whence.kind("decided", component="Scheduler", decision=True, rationale="took {{model}}",
                      model=str, n=int, share=float, late=bool)
for i in range({EVENTS}):
    with whence.request(f"request-{{i // 8}}"):
        decided("m\\u00e9", i, i / 3, i % 3 == 0)
"""


def collect(folder: Path, url: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Delivers what is in the folder once."""
    command = [sys.executable, "-m", "whence", "collect", "--once", "--keep", "--from", str(folder)]
    return subprocess.run(
        [*command, "--to", url, *more],
        capture_output=True,
        text=True,
        timeout=90,
        env=os.environ | {"NO_COLOR": "1", "WHENCE_DIR": str(folder)},
        check=False,
    )


def counted(client: Client) -> list[int]:
    """Rows, and different events among them."""
    [counts] = client.rows(
        f"SELECT count(), uniqExact(session, ring, ticket) FROM {client.place.events}"
    )
    return counts


def test_what_was_recorded_is_there_once(
    run_app: Callable[..., AppRun], url_of: Callable[..., str], client: Client, tmp_path: Path
) -> None:
    """Also when a collector that has forgotten it all delivers it again in other parts. R5.21"""
    app = run_app(PROGRAM)
    first = collect(app.whence_dir, url_of())
    assert first.returncode == 0, first.stderr
    assert counted(client) == [EVENTS, EVENTS]
    again = collect(app.whence_dir, url_of(), "--state", str(tmp_path / "other"), "--batch", "700")
    assert again.returncode == 0, again.stderr
    assert counted(client) == [EVENTS, EVENTS]
    [[document]] = client.rows(
        f"SELECT argMax(document, version) FROM {client.place.sessions} GROUP BY uuid"
    )
    told = parsed_session_document(document, "told")
    recorded = read_recording(app.session_dirs)
    assert told.info.uuid == recorded.sessions[0].uuid
    assert told.kinds == recorded.kinds
    engine = ClusterEngine(client)
    [ring] = engine.ledger()
    assert (ring.recorded, ring.readable, ring.lost) == (EVENTS, EVENTS, 0)
    part = engine.recording(TraceQuery(request_id="request-7"))
    whole = [event for event in recorded.events if event.request_id == "request-7"]
    assert list(part.events) == whole
    assert part.rings == (ring,)


def test_what_was_not_asked_for_is_not_lost(
    run_app: Callable[..., AppRun], url_of: Callable[..., str], client: Client
) -> None:
    """Readers know that not every event was collected. R5.21"""
    app = run_app(PROGRAM)
    result = collect(app.whence_dir, url_of(), "--request", "request-7")
    assert result.returncode == 0, result.stderr
    engine = ClusterEngine(client)
    assert len(engine.select(TraceQuery()).events) == 8
    assert [ring.lost for ring in engine.ledger()] == [0]


def test_a_shard_that_is_gone_is_waited_for(
    run_app: Callable[..., AppRun],
    url_of: Callable[..., str],
    client: Client,
    shards: list[Node],
) -> None:
    """What could not be delivered stays queued, and the next collector delivers it. R5.21"""
    app = run_app(PROGRAM)
    shards[2].kill()
    without = collect(app.whence_dir, url_of(), "--grace", "1s")
    assert without.returncode == 3, without.stderr
    settle(shards)
    after = collect(app.whence_dir, url_of())
    assert after.returncode == 0, after.stderr
    assert counted(client) == [EVENTS, EVENTS]


def test_who_may_not_write_is_told_and_loses_nothing(
    run_app: Callable[..., AppRun], url_of: Callable[..., str]
) -> None:
    """A refused user is trouble that may pass: events stay queued. R5.21"""
    app = run_app(PROGRAM)
    result = collect(app.whence_dir, url_of(user=READER), "--grace", "1s")
    assert result.returncode == 3
    assert "'reader' is refused" in result.stdout + result.stderr
    assert READER[1] not in result.stderr + result.stdout


def test_urls_of_many_hosts_are_sinks() -> None:
    """They open without a connection, show no password, and wrong ones are refused. R5.21"""
    sink = open_sink("clickhouse://me:secret@one:81,two:82/db?cluster=all")
    assert sink.name == "clickhouse://me@one:81,two:82/db?cluster=all"
    sink.close()
    with pytest.raises(UnknownSink) as refused:
        open_sink("clickhouse://me:sec/ret@one/db")
    assert "sec" not in str(refused.value).replace("passwords", "")
