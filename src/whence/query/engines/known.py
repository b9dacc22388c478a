"""What a store or a cluster knows of the sessions whose events it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from whence.model.recording import Damage, KindInfo, Recording
from whence.query.engines.asked_page import place_of
from whence.query.engines.declared_order import in_declared_order
from whence.query.engines.session_names import SessionNames
from whence.query.engines.shapes import Order, Page
from whence.query.sql.filters import signed
from whence.query.sql.statement import Statement, is_storable
from whence.store.columns import events_of
from whence.store.sessions import StoredSession

__all__ = ["Known", "held_sql", "leaking", "without_events"]


class Known:
    """The sessions by the key that rows hold, and what questions need of them."""

    def __init__(self, sessions: Mapping[int, StoredSession]) -> None:
        self.sessions = sessions
        self.names = SessionNames({key: each.info.name for key, each in sessions.items()})

    @property
    def kinds(self) -> Iterator[KindInfo]:
        """What all sessions declared."""
        return (kind for each in self.sessions.values() for kind in each.kinds)

    @property
    def decisions(self) -> list[str]:
        """The kinds that were declared to be decisions."""
        decisions = (kind.name for kind in self.kinds if kind.decision)
        return sorted({name for name in decisions if is_storable(name)})

    def keys_of(self, name: str | None) -> list[int]:
        """The keys of the sessions of that name."""
        return [key for key, each in self.sessions.items() if each.info.name == name]

    def of(self, names: set[str] | None) -> list[StoredSession]:
        """What is known of these sessions, or of all."""
        return [e for e in self.sessions.values() if names is None or e.info.name in names]

    def page(self, table: pa.Table, limit: int, order: Order) -> Page:
        """The page of these rows; one more than `limit` says that another page follows."""
        shown = table.slice(0, limit)
        events = in_declared_order(events_of(shown, self.names), self.kinds)
        more = len(table) > limit and bool(events)
        key = place_of(table.slice(limit - 1, 1), order) if more else None
        return Page(events, tuple(shown.column("ts_ns").to_pylist()), key)


def without_events(
    stored: Sequence[StoredSession],
    damage: Sequence[Damage] = (),
    dropped_before_ns: int | None = None,
) -> Recording:
    """A recording of these sessions that holds all but their events."""
    return Recording(
        kinds=tuple(kind for each in stored for kind in each.kinds),
        sessions=tuple(each.info for each in stored),
        rings=tuple(ring for each in stored for ring in each.rings),
        gate_changes=tuple(change for each in stored for change in each.gate_changes),
        damage=tuple(damage),
        dropped_before_ns=dropped_before_ns,
    )


def leaking(recording: Recording) -> list[str]:
    """The sessions that lost events."""
    return sorted({ring.session for ring in recording.rings if ring.lost})


def held_sql(statement: Statement, source: str, keys: Sequence[int]) -> str:
    """How many events of these sessions, one at least, are stored, by session, ring and type."""
    wanted = ", ".join(statement.integer(signed(key)) for key in keys)
    return (
        f"SELECT session, ring, event_type, count(*) FROM {source}"
        f" WHERE session IN ({wanted}) GROUP BY session, ring, event_type"
    )
