"""What the rings of a producer must hold after any end: checks against its own log."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from tests.system.producer import KINDS, kind_of, label_of, mix, request_of, text_of
from whence.model.event import TraceEvent
from whence.model.recording import Recording, RingLedger

__all__ = ["Proof", "is_right", "new_log", "prove"]


class Proof(NamedTuple):
    """What was found in the rings of one recording; `faults` is empty when all is well."""

    faults: list[str]
    rings: int
    events: int
    in_flight: int  # counted, never completed
    busy: int  # rings that a kill left with a half-written slot in place of their oldest event
    text_lost: int
    laps: int  # rings that had wrapped


def new_log(path: Path, threads: int) -> Path:
    """An empty log for a producer."""
    path.write_bytes(bytes(16 * threads))
    return path


def prove(recording: Recording, log: Path, chunk: int) -> Proof:
    """Compares everything recorded with what the producer says it did."""
    words = struct.iter_unpack("<QQ", log.read_bytes())
    begun_and_done = dict(enumerate(words))
    by_ring: dict[int, list[TraceEvent]] = {ledger.ring: [] for ledger in recording.rings}
    for event in recording.events:
        by_ring[event.ring].append(event)
    faults: list[str] = []
    busy = 0
    seen = set()
    for ledger in sorted(recording.rings, key=lambda ledger: not by_ring[ledger.ring]):
        events = sorted(by_ring[ledger.ring], key=lambda event: event.ticket)
        thread = _thread_of(ledger, events, begun_and_done, seen)
        if thread is None:
            faults.append(f"ring {ledger.ring} belongs to no thread")
            continue
        seen.add(thread)
        begun, done = begun_and_done[thread]
        wrong = [*_count_faults(ledger, begun, done, chunk), *_event_faults(events, thread, chunk)]
        wrong += _ticket_faults(ledger, events)
        busy += ledger.readable < min(ledger.recorded - ledger.in_flight, ledger.capacity)
        faults += [f"thread {thread}: {fault}" for fault in wrong]
    for thread in set(begun_and_done) - seen:
        if begun_and_done[thread][1] > 0:
            faults.append(f"thread {thread} recorded but has no ring")
    return Proof(
        faults,
        len(recording.rings),
        len(recording.events),
        sum(ledger.in_flight for ledger in recording.rings),
        busy,
        sum(ledger.text_lost for ledger in recording.rings),
        sum(ledger.recorded > ledger.capacity for ledger in recording.rings),
    )


def _thread_of(
    ledger: RingLedger, events: list[TraceEvent], known: dict[int, tuple[int, ...]], taken: set[int]
) -> int | None:
    if events:
        thread = events[-1].attributes["thread"]
        return thread if isinstance(thread, int) and thread in known else None
    # killed within its first event, or within any event in a ring of one slot: the counts must do
    complete = ledger.recorded - ledger.in_flight
    fitting = (t for t, (begun, done) in known.items() if done <= complete <= begun)
    return next((thread for thread in fitting if thread not in taken), None)


def _count_faults(ledger: RingLedger, begun: int, done: int, chunk: int) -> list[str]:
    faults = []
    complete = ledger.recorded - ledger.in_flight
    if not done <= complete <= begun:
        faults.append(f"{complete} events are complete; it had begun {begun} and done {done}")
    if ledger.in_flight not in (0, 1):
        faults.append(f"{ledger.in_flight} events are in flight")
    if not ledger.closes:
        faults.append(f"the ledger does not close: {ledger}")
    counts = {counts.kind: counts for counts in ledger.per_kind}
    ahead = 0
    for kind in KINDS:
        recorded = counts[kind].recorded if kind in counts else 0
        ahead += recorded - _of_kind(kind, complete, chunk)
        if recorded - _of_kind(kind, complete, chunk) not in (0, 1):
            faults.append(f"{recorded} of {kind}, of {complete} events in all")
    if ahead != ledger.in_flight:
        faults.append(f"by kind {ahead} are in flight, by ring {ledger.in_flight}")
    if any(counts.called != counts.recorded for counts in ledger.per_kind):
        faults.append("calls were refused")
    return faults


def _of_kind(kind: str, complete: int, chunk: int) -> int:
    rounds, rest = divmod(complete, 3 * chunk)
    return rounds * chunk + min(max(rest - KINDS.index(kind) * chunk, 0), chunk)


def _ticket_faults(ledger: RingLedger, events: list[TraceEvent]) -> list[str]:
    complete = ledger.recorded - ledger.in_flight
    newest = list(range(complete - len(events), complete))
    if [event.ticket for event in events] != newest:
        return ["the events are not the newest, without a gap"]
    whole = min(complete, ledger.capacity)
    if len(events) == whole or (len(events) == whole - 1 and ledger.in_flight == 1):
        return []
    return [f"{len(events)} events of {complete} in a ring of {ledger.capacity}"]


def _event_faults(events: list[TraceEvent], thread: int, chunk: int) -> list[str]:
    faults = []
    text_kept = False
    for event in events:
        # a short text may stand in the dictionary instead, where nothing overtakes it
        if event.event_type == "note" and len(text_of(thread, event.ticket).encode()) > 64:
            text_kept |= not event.text_lost
            if text_kept and event.text_lost:
                faults.append(f"event {event.ticket} lost its text before an older one")
        if not is_right(event, thread, chunk):
            faults.append(f"event {event.ticket} is not what was recorded: {str(event)[:400]}")
    times = [event.timestamp.value_ns for event in events]
    if times != sorted(times):
        faults.append("time goes backwards")
    return faults[:5]


def is_right(event: TraceEvent, thread: int, chunk: int) -> bool:
    """Does it hold what that thread's event of this ticket must hold, less text that was lost?"""
    n = event.ticket
    said: dict[str, object] = {"thread": thread, "n": n}
    if event.event_type == "note":
        if not event.text_lost:
            whole = text_of(thread, n)
            kept = str(event.attributes.get("text"))
            said["text"] = whole[: len(kept)]
            if event.truncated != (len(kept) < len(whole)) or len(kept) < min(len(whole), 400):
                return False
    else:
        said["check"] = mix(thread, n)
    if event.event_type == "step":
        wanted = label_of(n)
        if event.attributes.get("label") != wanted:
            # a label too new for the dictionary went with the text
            return event.text_lost and "label" not in event.attributes
        said["label"] = wanted
        known = event.request_id in (request_of(thread, n), "") or event.text_lost
        if not known or event.rationale != f"{wanted} at {n}":
            return False
    return event.event_type == kind_of(n, chunk) and dict(event.attributes) == said
