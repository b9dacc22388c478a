"""A server that is killed at any instant has lost and doubled nothing that it acknowledged."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'whence[serve]'")

from tests.system.serving import HttpWriter, OtlpWriter, ServeProcess, Writer
from whence.model.query import TraceQuery
from whence.query.engines.folder import FolderEngine
from whence.store.doctor import examine

STRESS = bool(os.environ.get("WHENCE_STRESS"))
KILLS = 200 if STRESS else 20
pytestmark = pytest.mark.timeout(3_600 if STRESS else 300)


def test_a_killed_server_keeps_what_it_acknowledged_once(tmp_path: Path) -> None:
    """Traces and events over HTTP, spans over OTLP: what was answered is there once, the rest at
    most once, after each of many kills; and every start goes on by itself. R4.6 R5.18 R5.25"""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    store, base = tmp_path / "traces", tmp_path / "whence"
    base.mkdir(mode=0o700)
    writers: list[Writer] = [HttpWriter("a"), HttpWriter("b"), HttpWriter("c")]
    writers += [OtlpWriter("d"), OtlpWriter("e")]
    token, slowest_s = "", 0.0
    for kill in range(KILLS):
        server = ServeProcess(store, base, token)
        token, slowest_s = server.token, max(slowest_s, server.started_s)
        threads = [each.until_killed(server) for each in writers]
        if not kill % 10:
            _holds(store, writers, seed)
        time.sleep(chance.choice((0.05, 0.5, 1.5)) * chance.random())
        server.kill()
        for thread in threads:
            thread.join(60)
        assert [each.trouble for each in writers] == [None] * len(writers), seed
    server = ServeProcess(store, base, token)
    try:
        status, page, _ = server.ask("GET", "/events?event_type=step&with_total=true&limit=1")
        assert status == 200
        assert page["total"] >= sum(len(each.acknowledged) for each in writers), seed
    finally:
        server.kill()
    _holds(store, writers, seed)
    assert examine(store).is_sound
    acknowledged = [len(each.acknowledged) for each in writers]
    print(f"{KILLS} kills, {acknowledged} acknowledged, 0 lost, 0 doubled; {slowest_s:.1f} s")
    assert min(acknowledged) > 0


def _holds(store: Path, writers: list[Writer], seed: int) -> None:
    """What was acknowledged by now is there once; what is there, was sent, and is there once."""
    promised = {name for each in writers for name in tuple(each.acknowledged)}
    with FolderEngine(store, threads=1) as engine:
        events = engine.recording(TraceQuery(event_type="step")).events
    found = Counter(str(event.attributes.get("which", event.rationale)) for event in events)
    assert {name for name, count in found.items() if count != 1} == set(), seed
    assert promised - set(found) == set(), seed
    assert set(found) <= {name for each in writers for name in tuple(each.sent)}, seed
