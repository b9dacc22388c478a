"""Tells apart requests that bear one id in runs of which one ended before the other began."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from whence.model.recording import Recording, SessionInfo

__all__ = ["Reused", "reused_names"]

Reused = Mapping[tuple[str, str], str]  # (id, session) -> the name it goes by instead


def reused_names(recording: Recording) -> Reused:
    """New names for ids that a later run used again: "req-17 of run 9f0c"; often there are none.

    Programs that number their requests begin anew at every start. Runs that overlapped in time may
    have worked on one request together, and so may the processes of one run; what was recorded
    after all of a run's processes had fallen silent is another request. The newest keeps the id.
    Costs nothing in a recording of one run, and one pass over the events otherwise.
    """
    if len({session.run for session in recording.sessions}) < 2:
        return {}
    lives = _lives(recording)
    users: defaultdict[str, set[str]] = defaultdict(set)
    for event in recording.events:
        if event.session in lives:
            users[event.request_id or event.decision_chain_id].add(event.session)
    sessions = {session.name: session for session in recording.sessions}
    found: dict[tuple[str, str], str] = {}
    for owner, names in users.items():
        if owner and len(names) > 1:
            *older, _newest = _eras([sessions[name] for name in names], lives)
            for era in older:
                found |= {(owner, s.name): f"{owner} of run {era[0].run}" for s in era}
    return found


def _lives(recording: Recording) -> dict[str, tuple[int, int]]:
    """When each session began, and when it was last heard of, in wall time."""
    lives = {session.name: (session.started_wall_ns,) * 2 for session in recording.sessions}
    for event in recording.events:
        wall_ns = recording.wall_ns(event)
        if wall_ns is not None:
            begun_ns, until_ns = lives[event.session]
            if wall_ns > until_ns:
                lives[event.session] = begun_ns, wall_ns
    return lives


def _eras(
    sessions: Iterable[SessionInfo], lives: Mapping[str, tuple[int, int]]
) -> list[Sequence[SessionInfo]]:
    """Sessions that belong together, the oldest era first."""
    runs: defaultdict[str, list[SessionInfo]] = defaultdict(list)
    for session in sessions:
        runs[session.run].append(session)
    eras: list[list[SessionInfo]] = []
    until_ns = 0
    for run in sorted(runs.values(), key=lambda run: min(lives[s.name][0] for s in run)):
        if not eras or min(lives[s.name][0] for s in run) > until_ns:
            eras.append([])
        eras[-1].extend(run)
        until_ns = max([until_ns, *(lives[s.name][1] for s in run)])
    return list(eras)
