"""Hand-made events, chains and recordings for the tests of questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

from whence.model.event import AttributeValue, Option, TraceEvent
from whence.model.ids import event_id
from whence.model.recording import (
    Anchor,
    GateChange,
    KindCounts,
    KindInfo,
    Recording,
    RingLedger,
    SessionInfo,
)
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

__all__ = [
    "SESSION",
    "START_NS",
    "WALL_NS",
    "at_ms",
    "event",
    "inference_chain",
    "kinds",
    "late_chain",
    "ledger",
    "recording",
    "rejected_chain",
    "session",
]

SESSION = "demo-4711"
START_NS = 5_000_000_000
WALL_NS = 1_795_184_625_160_000_000
DECISIONS = frozenset({"admission_decision", "scheduling_decision"})
TYPES = (
    "admission_decision",
    "scheduling_decision",
    "execution_started",
    "execution_completed",
    "fault_recorded",
    "deadline_miss",
    "alloc",
    "free",
)
ADMITTED: Mapping[str, AttributeValue] = {
    "admitted": True,
    "reason": "schedulable",
    "utilisation": 0.742,
    "wcrt_ns": 38_000_000,
    "max_blocking_ns": 31_000_000,
}
COMPLETED: Mapping[str, AttributeValue] = {
    "deadline_met": True,
    "budget_ns": 15_000_000,
    "response_ns": 20_000_000,
    "deadline_ns": 40_000_000,
}


def at_ms(offset_ms: float) -> int:
    """A monotonic moment that many milliseconds after START_NS."""
    return START_NS + round(offset_ms * 1_000_000)


def event(
    event_type: str,
    offset_ms: float = 0,
    request_id: str = "req-1",
    *,
    ticket: int = 0,
    ring: int = 0,
    session: str = SESSION,
    attributes: Mapping[str, AttributeValue] | None = None,
    duration_ms: float = 0,
    **fields: Any,
) -> TraceEvent:
    """An event of the session; decisions of the inference contract say why."""
    if event_type in DECISIONS:
        fields.setdefault("decision", True)
        fields.setdefault("rationale", f"because of {event_type}")
        fields.setdefault("model_id", "ocr_rec")
    return TraceEvent(
        event_id=fields.pop("event_id", event_id(crc32(session.encode()), ring, ticket)),
        event_type=event_type,
        component=fields.pop("component", "Scheduler"),
        timestamp=Timestamp(at_ms(offset_ms)),
        duration=Duration(round(duration_ms * 1_000_000)),
        request_id=request_id,
        attributes=dict(attributes or {}),
        session=session,
        ring=ring,
        ticket=ticket,
        **fields,
    )


def inference_chain(
    request_id: str = "req-1", begin_ms: float = 0, *, first_ticket: int = 0, ring: int = 0
) -> list[TraceEvent]:
    """Admitted, scheduled, executed in time: complete under the inference contract."""
    steps: list[tuple[str, float, dict[str, Any]]] = [
        ("admission_decision", 0, {"attributes": ADMITTED}),
        ("scheduling_decision", 4, {}),
        ("execution_started", 5, {"attributes": {"worker": 2}}),
        ("execution_completed", 20, {"attributes": COMPLETED, "duration_ms": 15}),
    ]
    return [
        event(name, begin_ms + ms, request_id, ticket=first_ticket + n, ring=ring, **more)
        for n, (name, ms, more) in enumerate(steps)
    ]


def rejected_chain(
    request_id: str = "req-2", begin_ms: float = 0, ticket: int = 0
) -> list[TraceEvent]:
    """Not admitted, which ends the chain rightly."""
    attributes = {**ADMITTED, "admitted": False, "reason": "utilisation"}
    return [
        event(
            "admission_decision",
            begin_ms,
            request_id,
            ticket=ticket,
            attributes=attributes,
            severity=Severity.Warning,
            rationale="Rejected: U=1.242 > 1.000 [EDF]",
        )
    ]


def late_chain() -> list[TraceEvent]:
    """The chain of a request that was admitted, deferred, selected and completed late."""
    request = "req-000412"
    return [
        event(
            "admission_decision",
            0,
            request,
            ticket=0,
            attributes=ADMITTED,
            component="AdmissionController",
            rationale="Admitted: U=0.742 <= 1.000 [EDF], adding ocr_rec (C=15 ms, T=60 ms)",
        ),
        event(
            "scheduling_decision",
            0.1,
            request,
            ticket=1,
            attributes={"blocked_by": "req-000409", "left_ns": 31_400_000},
            rationale="Deferred: blocked by req-000409 (ocr_det, non-preemptive, 31.4 ms left)",
        ),
        event(
            "scheduling_decision",
            31.6,
            request,
            ticket=2,
            rationale="Selected ocr_rec: 8.4 ms to its deadline, the least",
            options=(
                Option("magika req-000415", {"slack_ms": 68.4}, reason="later deadline"),
                Option("ocr_rec req-000412", {"slack_ms": 8.4}, chosen=True),
                Option("ocr_cls req-000413", {}, reason="over memory budget (512 MB)"),
            ),
        ),
        event("execution_started", 31.8, request, ticket=3, attributes={"worker": 2}),
        event(
            "execution_completed",
            46.8,
            request,
            ticket=4,
            duration_ms=15,
            rationale="15.0 ms of 15.0 ms budget; deadline missed",
            attributes={
                "deadline_met": False,
                "response_ns": 46_800_000,
                "deadline_ns": 40_000_000,
            },
        ),
    ]


def session(name: str = SESSION, **fields: Any) -> SessionInfo:
    """A process of the demo, dead unless told otherwise."""
    defaults: dict[str, Any] = {
        "path": f"/dev/shm/whence-test/{name}",
        "uuid": "5d0f0a52-9a9c-4f43-8a3f-000000000001",
        "key": crc32(name.encode("utf-8", "surrogatepass")),
        "pid": 4711,
        "service": "demo",
        "run": "run-1",
        "boot_id": "boot-1",
        "started_wall_ns": WALL_NS - 1_000_000_000,
        "anchors": (Anchor(START_NS, WALL_NS),),
        "state": "dead",
    }
    return SessionInfo(name=name, **(defaults | fields))


def kinds(types: Iterable[str] = TYPES) -> tuple[KindInfo, ...]:
    """Declarations of these types."""
    return tuple(
        KindInfo(id=n, name=name, component="Scheduler", decision=name in DECISIONS)
        for n, name in enumerate(types)
    )


def ledger(
    events: Sequence[TraceEvent],
    ring: int = 0,
    lost: Mapping[str, int] | None = None,
    *,
    in_flight: int = 0,
    oldest_ns: int | None = None,
    name: str = SESSION,
    **fields: Any,
) -> RingLedger:
    """The counts of a ring that holds these events of its own and lost others, by type."""
    own = [e for e in events if (e.session, e.ring) == (name, ring)]
    times = [e.timestamp.value_ns for e in own]
    lost = lost or {}
    recorded: dict[str, int] = dict(lost)
    for e in own:
        recorded[e.event_type] = recorded.get(e.event_type, 0) + 1
    counts = tuple(KindCounts(kind, "Scheduler", recorded=n) for kind, n in recorded.items())
    return RingLedger(
        session=name,
        ring=ring,
        capacity=10_000,
        owners=("MainThread",),
        recorded=len(own) + sum(lost.values()) + in_flight,
        readable=len(own),
        lost=sum(lost.values()),
        in_flight=in_flight,
        oldest_ns=min(times, default=None) if oldest_ns is None else oldest_ns,
        newest_ns=max(times, default=None),
        per_kind=fields.pop("per_kind", counts),
        **fields,
    )


def recording(
    events: Iterable[TraceEvent],
    *,
    rings: Sequence[RingLedger] | None = None,
    sessions: Sequence[SessionInfo] | None = None,
    gate_changes: Sequence[GateChange] = (),
    types: Iterable[str] = TYPES,
) -> Recording:
    """A recording of one dead process whose ring lost nothing, unless told otherwise."""
    events = tuple(events)
    found = sorted({e.ring for e in events})
    return Recording(
        events=events,
        kinds=kinds(types),
        sessions=tuple(sessions) if sessions is not None else (session(),),
        rings=tuple(rings) if rings is not None else tuple(ledger(events, r) for r in found),
        gate_changes=tuple(gate_changes),
    )
