"""What the log of gate changes tells: when a type was off, and when and how it was sampled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple

from whence import _native
from whence.model.event import TraceEvent
from whence.model.recording import GateChange
from whence.query.index import Index
from whence.ring.gates import threshold_of

__all__ = ["GateEra", "GateHistory"]

# The log has a change a moment after it was made: nothing is proved of what came that near to one.
_UNSURE_NS = 100_000_000


class GateEra(NamedTuple):
    """How the gate of one type stood in one session; None for an open end."""

    session: str
    start_ns: int | None
    end_ns: int | None
    on: bool
    rate: float
    minimum: float | None

    def touches(self, earliest_ns: int | None, latest_ns: int | None) -> bool:
        """Whether the era has a moment in common with the interval."""
        return not (_precedes(latest_ns, self.start_ns) or _precedes(self.end_ns, earliest_ns))

    def covers(self, earliest_ns: int | None, latest_ns: int | None) -> bool:
        """Whether the interval lies in the era for sure."""
        begun = self.start_ns is None or _precedes(self.start_ns + _UNSURE_NS, earliest_ns)
        lasts = self.end_ns is None or _precedes(latest_ns, self.end_ns - _UNSURE_NS)
        return begun and lasts

    def leaves_out(self, sample_value: int) -> bool:
        """Whether requests of that sampling value are left out."""
        return self.on and sample_value < threshold_of(self.rate)


class GateHistory:
    """The eras of every type's gate, on the recording's common clock. Threads may share it."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def off(self, event_type: str) -> list[GateEra]:
        """When the type was off."""
        return [era for era in self._eras.get(event_type, ()) if not era.on]

    def restricted(self, event_type: str) -> list[GateEra]:
        """When the type was on, but not every event of it was kept."""
        eras = self._eras.get(event_type, ())
        return [era for era in eras if era.on and (era.rate < 1 or era.minimum is not None)]

    def proves_left_out(
        self, event_type: str, value: int, earliest_ns: int | None, latest_ns: int | None
    ) -> bool:
        """Whether no process can have recorded the type in that interval for such a request.

        True only where every session that declares the type left it out all the time.
        """
        recording = self._index.recording
        declaring = {kind.session for kind in recording.kinds if kind.name == event_type}
        if "" in declaring:  # any of them may have
            declaring = {session.name for session in recording.sessions}
        leaving = {
            era.session
            for era in self.restricted(event_type)
            if era.leaves_out(value) and era.covers(earliest_ns, latest_ns)
        }
        return bool(declaring) and declaring <= leaving

    def keeps(self, event_type: str, value: int) -> bool:
        """Whether sampling, as far as it is known, can have taken no event of such a request."""
        eras = self.restricted(event_type)
        return bool(eras) and not any(era.leaves_out(value) for era in eras)

    @staticmethod
    def sample_value(chain: Sequence[TraceEvent]) -> int | None:
        """What the chain's request, or else its trace, is sampled by; None where it is not one."""
        ids: Collection[tuple[str, str]] = {(e.request_id, e.trace_id) for e in chain}
        requests = {request for request, _ in ids}
        if len(requests) != 1:
            return None
        (request,) = requests
        if request and not request.startswith("lost:"):
            try:
                return _native.sample_value(request)
            except UnicodeEncodeError:
                return None
        traces = {trace for _, trace in ids}
        (trace,) = traces if len(traces) == 1 else ("",)
        return None if request or not trace else (int(trace, 16) & 2**56 - 1) >> 26

    @cached_property
    def _eras(self) -> dict[str, list[GateEra]]:
        by_gate: defaultdict[tuple[str, str], list[GateChange]] = defaultdict(list)
        for change in self._index.recording.gate_changes:
            by_gate[change.session, change.kind].append(change)
        found: defaultdict[str, list[GateEra]] = defaultdict(list)
        for (session, kind), changes in by_gate.items():
            changes.sort(key=lambda change: change.monotonic_ns)
            first = changes[0]
            # A gate that is not plainly on has a record when it begins, so that before the first
            # record it was on; unless that one switched it on.
            on_at_first = not (first.on and first.rate == 1 and first.minimum is None)
            state: tuple[bool, float, float | None] = (on_at_first, 1.0, None)
            start_ns: int | None = None
            for change in changes:
                moment_ns = self._index.moment_ns(session, change.monotonic_ns)
                now = (change.on, change.rate, change.minimum)
                if now != state:
                    found[kind].append(GateEra(session, start_ns, moment_ns, *state))
                    start_ns, state = moment_ns, now
            found[kind].append(GateEra(session, start_ns, None, *state))
        return dict(found)


def _precedes(end_ns: int | None, start_ns: int | None) -> bool:
    return end_ns is not None and start_ns is not None and end_ns < start_ns
