"""Keeps looking: each look reads the counters, the new events, and what became of both."""

from __future__ import annotations

from whence.collect.live import LiveSessions, Reading
from whence.model.event import TraceEvent
from whence.query.activity import Activity, Failures, activity_of

__all__ = ["LiveActivity"]


class LiveActivity:
    """What sessions do, as of the last look. One thread at a time.

    A look reads counters and headers, some 10 us a ring, and of each ring at most `most_events`
    of the events that are new, for those that went wrong.
    """

    def __init__(self, sessions: LiveSessions, most_events: int = 10_000) -> None:
        self.failures = Failures()
        self._sessions = sessions
        self._most_events = most_events
        self._before: Reading | None = None

    def look(self) -> Activity:
        """Looks now; rates are those since the last look, None at the first."""
        reading = self._sessions.read()
        batches, left_out = self._sessions.tails(self._most_events)
        kinds = [kind for session in reading.sessions for kind in session.kinds]
        self.failures.add(batches, kinds, left_out)
        found = activity_of(reading, self._before, self.failures.counts)
        self._before = reading
        return found

    def wall_ns(self, event: TraceEvent) -> int | None:
        """When an event happened by the wall clock; None if its session is gone."""
        for session in self._before.sessions if self._before else ():
            if session.info.name == event.session:
                return session.info.wall_ns(event.timestamp.value_ns)
        return None
