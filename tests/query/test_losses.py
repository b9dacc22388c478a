"""Which losses can explain a gap: by where in time they may lie, and which process had them."""

from __future__ import annotations

from dataclasses import replace

from tests.query.build import (
    START_NS,
    WALL_NS,
    at_ms,
    inference_chain,
    ledger,
    recording,
    session,
)
from tests.query.test_completeness import check, without
from whence.model.recording import Anchor


def test_losses_of_a_store_may_lie_between_what_it_has() -> None:
    """R5.16 A collector that fell behind left a hole: what came after the oldest may be gone."""
    events = without(inference_chain(), "scheduling_decision")
    lost = ledger(events, 3, {"scheduling_decision": 7}, oldest_ns=at_ms(-900))
    lost = replace(lost, newest_ns=at_ms(900))
    assert check(events, recording(events, rings=[ledger(events), lost])).verdict == "incomplete"
    scattered = replace(lost, scattered=True)
    report = check(events, recording(events, rings=[ledger(events), scattered]))
    assert (report.verdict, report.findings[0].causes[0].end_ns) == ("unknown", at_ms(900))
    before = replace(scattered, newest_ns=at_ms(-1))
    assert check(events, recording(events, rings=[ledger(events), before])).verdict == "incomplete"


def test_a_process_that_began_later_lost_nothing_of_the_chain() -> None:
    """R5.16 The losses of a later run explain no gap of an earlier one."""
    events = without(inference_chain(), "scheduling_decision")
    for seconds, verdict in ((0, "unknown"), (3_600, "incomplete")):
        began_ns = WALL_NS + seconds * 1_000_000_000
        anchor = Anchor(START_NS + seconds * 1_000_000_000, began_ns)
        other = session("later-1", run="run-2", started_wall_ns=began_ns, anchors=(anchor,))
        lost = replace(ledger([], 0, {"scheduling_decision": 7}), session="later-1")
        source = recording(events, rings=[ledger(events), lost], sessions=[session(), other])
        assert check(events, source).verdict == verdict
