"""Verifying a store in pieces says what verifying all of it at once says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("duckdb", reason="stores are asked with duckdb")
pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

import whence
from tests.query.build import at_ms, event, ledger, recording, rejected_chain
from tests.query.stores import stored
from tests.query.test_verify import many
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.contracts.verify import verify
from whence.query.engines.folder import FolderEngine
from whence.query.plain import plain


def world() -> Recording:
    """Chains complete, cut short, rejected and lossy, chains of traces, and lone events."""
    lacking = {3: "scheduling_decision", 4: "execution_completed", 40: "scheduling_decision"}
    events = many(60, lacking)
    events += rejected_chain("req-no", 9_000, ticket=900)
    events += [
        event("tick", 9_100 + n, "", ticket=910 + n, trace_id=f"{n % 2 + 1:032x}") for n in range(6)
    ]
    events += [event("alloc", 9_200 + n, "", ticket=920 + n) for n in range(5)]
    rings = [
        ledger(events),
        ledger(events, 3, {"scheduling_decision": 7, "free": 2}, oldest_ns=at_ms(500)),
    ]
    return recording(events, rings=rings)


def test_pieces_hold_every_event_once_and_every_chain_whole(tmp_path: Path) -> None:
    """R5.12 However small the pieces are."""
    source = world()
    path = stored(tmp_path / "store", source, 3)
    with FolderEngine(path, threads=1) as engine:
        pieces = list(engine.whole_chains(TraceQuery(), most_rows=20))
    assert len(pieces) > 5
    ids = [one.event_id for piece in pieces for one in piece.events]
    assert sorted(ids) == sorted(one.event_id for one in source.events)
    for name in ("request_id", "decision_chain_id", "trace_id"):
        holding = [{getattr(one, name) for one in piece.events} - {""} for piece in pieces]
        named = [value for values in holding for value in values]
        assert len(named) == len(set(named))


@pytest.mark.parametrize("strict", [False, True])
def test_a_store_is_verified_in_pieces_as_at_once(tmp_path: Path, strict: bool) -> None:
    """R5.12 R5.16 The same verdicts, counts, causes and losses, from a store as from its events."""
    source = world()
    path = stored(tmp_path / "store", source, 3)
    whole = plain(verify(source, strict=strict))
    with FolderEngine(path, threads=1) as engine:
        found = plain(verify(engine.whole_chains(TraceQuery(), most_rows=20), strict=strict))
    for either in (whole, found):
        for verdict in either["contracts"]:
            verdict["flaws"].sort(key=lambda flaw: flaw["name"])
            for group in verdict["groups"]:
                del group["first"], group["event_ids"], group["sentence"]
            verdict["groups"].sort(key=str)
            del verdict["first"]
    assert found == whole
    assert whence.verify(path, strict=strict).verdict == ("incomplete")


def test_a_filter_takes_chains_of_which_an_event_matches(tmp_path: Path) -> None:
    """R5.12 The rest of such a chain comes with it, wherever in the store it lies."""
    source = world()
    path = stored(tmp_path / "store", source, 3)
    numbers = random.Random(7).sample(range(60), 4)
    with FolderEngine(path, threads=1) as engine:
        for number in numbers:
            query = TraceQuery(request_id=f"req-{number}", event_type="execution_started")
            (piece,) = engine.whole_chains(query)
            assert {one.request_id for one in piece.events} == {f"req-{number}"}
            right = [one for one in source.events if one.request_id == f"req-{number}"]
            assert len(piece.events) == len(right)
