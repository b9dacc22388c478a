"""Tells apart requests that bear one id in runs of which one ended before the other began."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from whence.model.recording import Recording, SessionInfo
from whence.query.told import is_told

__all__ = ["Reused", "reused_names"]

Reused = Mapping[tuple[str, str], str]  # (id, session) -> the name it goes by instead


def reused_names(recording: Recording) -> Reused:
    """New names for ids that a later run used again: "req-17 of run 9f0c"; often there are none.

    Programs that number their requests begin anew at every start. Runs that overlapped in time may
    have worked on one request together, and so may the processes of one run; what was recorded
    after all of a run's processes had fallen silent is another request. The newest keeps the id.
    Whoever told only what became of a request speaks of that of its own run, else of the newest
    that had begun by then.
    Costs nothing in a recording of one run, and one pass over the events otherwise.
    """
    if len({session.run for session in recording.sessions}) < 2:
        return {}
    lives = _lives(recording)
    users: defaultdict[str, set[str]] = defaultdict(set)
    tellers: defaultdict[str, dict[str, int]] = defaultdict(dict)  # and when they spoke last
    for event in recording.events:
        if event.session in lives:
            owner = event.request_id or event.decision_chain_id
            if is_told(event):
                begun_ns = lives[event.session][0]
                tellers[owner][event.session] = recording.wall_ns(event) or begun_ns
            else:
                users[owner].add(event.session)
    sessions = {session.name: session for session in recording.sessions}
    found: dict[tuple[str, str], str] = {}
    for owner, names in users.items():
        if owner and len(names) > 1:
            eras = _eras([sessions[name] for name in names], lives)
            *older, _newest = eras
            for era in older:
                found |= {(owner, s.name): f"{owner} of run {era[0].run}" for s in era}
            for teller, at_ns in tellers[owner].items() if older else ():
                if teller not in names:
                    era = _spoken_of(eras, sessions[teller].run, at_ns, lives)
                    if era is not _newest:
                        found[owner, teller] = f"{owner} of run {era[0].run}"
    return found


def _spoken_of(
    eras: Sequence[Sequence[SessionInfo]],
    run: str,
    at_ns: int,
    lives: Mapping[str, tuple[int, int]],
) -> Sequence[SessionInfo]:
    """The era of the teller's own run, else the newest that had begun by then.

    An outcome opens no era of its own.
    """
    own = [era for era in eras if any(session.run == run for session in era)]
    if own:
        return own[-1]
    begun = [era for era in eras if min(lives[s.name][0] for s in era) <= at_ns]
    return begun[-1] if begun else eras[0]


def _lives(recording: Recording) -> dict[str, tuple[int, int]]:
    """When each session began, and when it was last heard of, in wall time."""
    lives = {session.name: (session.started_wall_ns,) * 2 for session in recording.sessions}
    for event in recording.events:
        wall_ns = recording.wall_ns(event)
        if wall_ns is not None:
            begun_ns, until_ns = lives[event.session]
            if wall_ns > until_ns:
                lives[event.session] = begun_ns, wall_ns
    for ring in recording.rings:  # the recording may hold only some events
        session = recording.session(ring.session)
        wall_ns = session.wall_ns(ring.newest_ns) if session and ring.newest_ns else None
        if session is not None and wall_ns is not None:
            begun_ns, until_ns = lives[session.name]
            lives[session.name] = begun_ns, max(until_ns, wall_ns)
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
