"""What a source holds at one moment: events, kinds, sessions, ledgers and gate changes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from whence.model.event import TraceEvent
from whence.model.severity import Severity

__all__ = [
    "MOST_INT64",
    "REMOVED_RINGS",
    "Anchor",
    "Damage",
    "FieldInfo",
    "GateChange",
    "KindCounts",
    "KindInfo",
    "OpenSpan",
    "Recording",
    "RingLedger",
    "SessionInfo",
]


# Times and counts are signed in exports; only a damaged file claims more.
MOST_INT64 = 2**63 - 1
# In the place of a ring's number: all the rings that were removed while the process ran.
REMOVED_RINGS = -1


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One declared field of a kind: its name and the name of its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class KindInfo:
    """One declared kind: its id within the session, its template, where it was declared.

    `session` is the one that declared it, "" where the source does not say.
    """

    id: int
    name: str
    component: str
    decision: bool = False
    severity: Severity = Severity.Info
    rationale: str = ""
    fields: tuple[FieldInfo, ...] = ()
    otel_name: str = ""
    source: str = ""  # "file:line"
    session: str = ""
    span: bool = False  # its events are spans


@dataclass(frozen=True, slots=True, order=True)
class Anchor:
    """One moment read on both clocks, in nanoseconds of each."""

    monotonic_ns: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One process's recording: who, when, and whether it still runs.

    `state` is "recording" or "dead", said of the session's own files, or "exported", "stored" or
    "filtered", said of what was taken out of them. Anchors are kept in order of time. `resource` is
    what else the process told of itself, by OpenTelemetry's names: pairs in order. `unnamed_kinds`
    counts the kinds that the dictionary had no room for: events of theirs are called
    unknown-kind-N. `memory_rings` counts the rings that no file could be had for.
    """

    name: str
    path: str = ""
    uuid: str = ""
    key: int = 0
    pid: int = 0
    service: str = ""
    run: str = ""
    boot_id: str = ""
    started_wall_ns: int = 0
    anchors: tuple[Anchor, ...] = ()
    live: bool = False
    state: str = "exported"
    resource: tuple[tuple[str, str], ...] = ()
    unnamed_kinds: int = 0
    memory_rings: int = 0

    def __post_init__(self) -> None:
        if any(left > right for left, right in pairwise(self.anchors)):
            object.__setattr__(self, "anchors", tuple(sorted(self.anchors)))

    @property
    def is_copy(self) -> bool:
        """Whether this is what an export or a store holds, not the session's own files."""
        return self.state not in ("recording", "dead")

    def wall_ns(self, monotonic_ns: int) -> int | None:
        """Wall time of a monotonic moment by the nearest anchor; None without any anchor.

        Of two that are as near it is the earlier one. Costs O(log n) in the number of anchors.
        """
        if not self.anchors:
            return None
        at = bisect_left(self.anchors, monotonic_ns, key=lambda anchor: anchor.monotonic_ns)
        around = self.anchors[max(at - 1, 0) : at + 1]
        nearest = min(around, key=lambda anchor: abs(anchor.monotonic_ns - monotonic_ns))
        return nearest.wall_ns + monotonic_ns - nearest.monotonic_ns


@dataclass(frozen=True, slots=True)
class KindCounts:
    """How often one kind was called while it was on, by what became of the calls."""

    kind: str
    component: str
    recorded: int = 0
    sampled_out: int = 0
    throttled: int = 0
    below_minimum: int = 0
    rejected: int = 0
    nested: int = 0

    @property
    def called(self) -> int:
        """All calls while the kind was on."""
        kept = self.recorded + self.sampled_out + self.throttled
        return kept + self.below_minimum + self.rejected + self.nested


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSpan:
    """A span that has begun and not ended; `start_ns` is monotonic.

    A request whose id is too long for the table of open spans shows as `lost:` and its fingerprint.
    """

    name: str
    component: str
    span_id: int
    parent_span_id: int = 0
    start_ns: int
    request_id: str = ""
    trace_id: str = ""
    session: str = ""
    ring: int = -1


@dataclass(frozen=True, slots=True)
class RingLedger:
    """The counts of one ring: recorded = readable + lost + cleared + in flight.

    `ring` is REMOVED_RINGS in the ledger that stands for the rings of ended collectors which made
    room for newer ones. `owners` are the threads that wrote into it. `oldest_ns` and `newest_ns`
    are the monotonic times of the readable events, None if there are none.
    """

    session: str
    ring: int
    capacity: int
    owners: tuple[str, ...] = ()
    recorded: int = 0
    readable: int = 0
    lost: int = 0
    text_lost: int = 0
    truncated: int = 0
    in_flight: int = 0
    cleared: int = 0  # forgotten on request, by TraceCollector.clear()
    oldest_ns: int | None = None
    newest_ns: int | None = None
    per_kind: tuple[KindCounts, ...] = ()
    open_spans: tuple[OpenSpan, ...] = ()
    open_spans_unseen: int = 0  # that found the table of open spans full, up to now
    scattered: bool = False  # lost events may lie between readable ones, not before all of them

    @property
    def closes(self) -> bool:
        """Whether every recorded event is accounted for."""
        return self.recorded == self.readable + self.lost + self.cleared + self.in_flight


@dataclass(frozen=True, slots=True)
class GateChange:
    """From a monotonic moment on, a kind of a session was on or off, and recorded so.

    `rate` is the share of requests whose events are kept while it is on, exact to 30 bits;
    `minimum` the strength that events must reach, None where any will do.
    """

    session: str
    monotonic_ns: int
    kind: str
    on: bool
    rate: float = 1.0
    minimum: float | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a session that could not be read, wholly or in part, and what is wrong with it."""

    session: str
    file: str
    problem: str


@dataclass(frozen=True)
class Recording:
    """Everything a source contains at one moment; events are kept in order of their order_key.

    Where the events are only some of those that the source holds, `held` is how many these are by
    session, ring and type: so that nothing is taken for lost that was merely not asked for.
    `dropped_before_ns` is up to which wall time the source has dropped events by its retention.
    That cut requests and traces, of which later events are left: those of `cut_ids`, and maybe
    ones that began before `cut_before_ns`.
    Immutable; threads may share it. Putting events in order costs nothing if they already are.
    """

    events: tuple[TraceEvent, ...] = ()
    kinds: tuple[KindInfo, ...] = ()
    sessions: tuple[SessionInfo, ...] = ()
    rings: tuple[RingLedger, ...] = ()
    gate_changes: tuple[GateChange, ...] = ()
    damage: tuple[Damage, ...] = ()
    held: Mapping[tuple[str, int, str], int] | None = None
    dropped_before_ns: int | None = None
    cut_before_ns: int | None = None
    cut_ids: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        keys = [event.order_key for event in self.events]
        if any(left > right for left, right in pairwise(keys)):
            ordered = sorted(self.events, key=lambda event: event.order_key)
            object.__setattr__(self, "events", tuple(ordered))

    def session(self, name: str) -> SessionInfo | None:
        """The session of that name."""
        return self._sessions_by_name.get(name)

    def wall_ns(self, event: TraceEvent) -> int | None:
        """Wall time of an event by its session's nearest anchor; None where no anchor is known."""
        session = self.session(event.session)
        return session.wall_ns(event.timestamp.value_ns) if session else None

    @cached_property
    def _sessions_by_name(self) -> dict[str, SessionInfo]:
        return {session.name: session for session in self.sessions}
