"""The collectors that keep positions beside the sessions: how far each is, and whether it runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from whence.collect.positions import Acknowledged, read_sinks
from whence.collect.sink_ledger import SinkLedger
from whence.model.recording import RingLedger, SessionInfo
from whence.ring.session_file import is_locked

__all__ = ["CollectorState", "SinkState", "collectors_in", "others_may_need"]

PATTERN = "collector-*.state"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkState:
    """One sink's account up to its acknowledged positions, and by how many events it is behind."""

    sink: str
    ledger: SinkLedger
    behind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorState:
    """A collector's state file; `running` says whether a process owns it now."""

    path: str
    running: bool
    sinks: tuple[SinkState, ...]


def collectors_in(
    bases: Iterable[Path], sessions: Sequence[SessionInfo], rings: Sequence[RingLedger]
) -> list[CollectorState]:
    """The collectors of these folders, and how far behind these rings each sink is."""
    uuids = {session.name: session.uuid for session in sessions}
    ends = {
        (uuids.get(ring.session, ""), ring.ring): ring.recorded - ring.in_flight
        for ring in rings
        if ring.ring >= 0
    }
    found = []
    for path in _state_files(bases):
        sinks = tuple(
            SinkState(sink=name, ledger=state.ledger, behind=_behind(state, ends))
            for name, state in read_sinks(path).items()
        )
        found.append(CollectorState(path=str(path), running=_is_owned(path), sinks=sinks))
    return found


def others_may_need(base: Path, own: Path | None, uuid: str, ends: Mapping[int, int]) -> bool:
    """Whether a collector that runs beside us has not come to the end of a session."""
    for path in _state_files([base]):
        if path == own or not _is_owned(path):
            continue
        for state in read_sinks(path).values():
            reached = state.positions.get(uuid, {})
            if any(reached.get(ring, 0) < end for ring, end in ends.items()):
                return True
    return False


def _state_files(bases: Iterable[Path]) -> list[Path]:
    return [path for base in bases for path in sorted(base.glob(PATTERN))]


def _behind(state: Acknowledged, ends: Mapping[tuple[str, int], int]) -> int:
    return sum(
        max(0, end - state.positions.get(uuid, {}).get(ring, 0))
        for (uuid, ring), end in ends.items()
    )


def _is_owned(path: Path) -> bool:
    try:
        handle = os.open(f"{path}.lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return is_locked(handle)
    finally:
        os.close(handle)
