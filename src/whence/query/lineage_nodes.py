"""What is known of lineage ids: when, which stage, whose process, which decisions; or nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from whence.model.event import TraceEvent
from whence.model.lineage_events import (
    LineageFrame,
    LineageWindow,
    LinkPart,
    LinkSet,
    lineage_of,
    whole_sets,
)
from whence.model.names import LINEAGE_TYPES
from whence.query.contracts.causes import LOST, NOT_RECORDED, UNSURE, Cause, Causes
from whence.query.index import Index
from whence.query.words import clock_text, event_sentence

__all__ = ["LineageDecision", "LineageNode", "described", "short_ids", "unknown_causes"]

_LEAST_DIGITS = 4
_NOWHERE = (
    "nothing here tells of it: a root of which no more was told, "
    "or made by a process that is not recorded here"
)
_EPOCH_2015_MS = 1_420_070_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageDecision:
    """An event that bears a lineage id: a decision, or another one."""

    event_id: str
    event_type: str
    component: str
    request_id: str
    sentence: str
    decision: bool
    wall_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageNode:
    """One lineage id and what is known of it.

    `what` is "root", "frame", "join" or "window", "unknown" where no event bears the id; then
    `causes` say why, as far as that can be known. `wall_ns` is when the first event that bears it
    happened; `service`, `host`, `pid` and `session` are those of its process. `stage` and `status`
    are what was told of the frame, `place` is where it or the window lies, in words. `made_of` is
    of how many parents a join was told, of which `missing_parts` parts of the set are not there.
    `versions` is how many sets told of it differ in frame or parents: more than one where two
    processes mint with the same node id. `decisions` are the events tied to it, decisions first;
    `events` counts all that bear it.
    """

    lineage_id: int
    depth: int = 0
    what: str = "unknown"
    wall_ns: int | None = None
    service: str = ""
    host: str = ""
    pid: int = 0
    session: str = ""
    stage: str = ""
    status: str = ""
    place: str = ""
    made_of: int = 0
    missing_parts: int = 0
    versions: int = 0
    events: int = 0
    decisions: tuple[LineageDecision, ...] = ()
    causes: tuple[Cause, ...] = ()

    @property
    def known(self) -> bool:
        """Whether an event bears the id."""
        return self.what != "unknown"

    @property
    def may_be_missing(self) -> bool:
        """Whether something that bears the id may have been recorded, and is not here."""
        return any(cause.kind in UNSURE for cause in self.causes)


def described(index: Index, ids: Mapping[int, int]) -> dict[int, LineageNode]:
    """What the events tell of these ids, by id; their values are depths."""
    events: defaultdict[int, list[TraceEvent]] = defaultdict(list)
    for event in index.events:
        if event.lineage_id in ids:
            events[event.lineage_id].append(event)
    return {
        each: _node(index, each, depth, sorted(events[each], key=index.time_ns))
        for each, depth in ids.items()
    }


def unknown_causes(index: Index, causes: Causes, lineage_id: int, child: int) -> tuple[Cause, ...]:
    """Why nothing tells of a parent: what the recording says that it lacks, and no more than that.

    `child` is the id that names it. At least one cause.
    """
    named = [e for e in index.events if e.lineage_id == child]
    if not named:
        return (Cause(kind=NOT_RECORDED, sentence=_NOWHERE),)
    first = min(named, key=index.time_ns)
    found = causes.of_absence(
        LINEAGE_TYPES, [first], earliest_ns=None, latest_ns=index.time_ns(first), tail=False
    )
    said = [each for each in found if each.kind != NOT_RECORDED]
    before_ns = index.recording.dropped_before_ns
    made_ns = _made_ns(lineage_id, index.recording.wall_ns(first))
    if before_ns is not None and (made_ns is None or made_ns < before_ns):
        sentence = f"what is older than {clock_text(before_ns, always_dated=True)} was dropped"
        if made_ns is not None:
            made = clock_text(made_ns, always_dated=True)
            sentence += f"; the id says {made}, if it counts from 1970"
        said.append(Cause(kind=LOST, sentence=sentence, end_ns=before_ns))
    return tuple(said) or (Cause(kind=NOT_RECORDED, sentence=_NOWHERE),)


def short_ids(ids: Collection[int]) -> dict[int, str]:
    """The end of each id that none of the others has, of four digits at least: …7118."""
    texts = {each: str(each) for each in ids}
    digits = _LEAST_DIGITS
    longest = max(map(len, texts.values()), default=0)
    while digits < longest and len({text[-digits:] for text in texts.values()}) < len(texts):
        digits += 1
    return {
        each: text if len(text) <= digits else f"…{text[-digits:]}" for each, text in texts.items()
    }


def _node(index: Index, lineage_id: int, depth: int, events: Sequence[TraceEvent]) -> LineageNode:
    if not events:
        return LineageNode(lineage_id=lineage_id, depth=depth)
    parts: list[LinkPart] = []
    frame: LineageFrame | None = None
    window: LineageWindow | None = None
    for event in events:
        try:
            value = lineage_of(event)
        except (ValueError, TypeError):
            continue
        if isinstance(value, LinkPart):
            parts.append(value)
        elif isinstance(value, LineageWindow):
            window = window or value
        elif isinstance(value, LineageFrame):
            frame = frame or value
    sets = whole_sets(parts)
    first = events[0]
    session = index.recording.session(first.session)
    resource = dict(session.resource) if session else {}
    what = "join" if sets else "window" if window else "frame" if frame else "root"
    return LineageNode(
        lineage_id=lineage_id,
        depth=depth,
        what=what,
        wall_ns=index.recording.wall_ns(first),
        service=session.service if session else "",
        host=resource.get("host.name", ""),
        pid=session.pid if session else 0,
        session=first.session,
        stage=frame.stage if frame else "",
        status=frame.status if frame else "",
        place=_place(frame, window, sets[0] if sets else None),
        made_of=len({parent for each in sets for parent in each.parents}),
        missing_parts=sum(each.missing for each in sets),
        versions=_versions(parts),
        events=len(events),
        decisions=tuple(_tied(index, events)),
    )


def _versions(parts: Sequence[LinkPart]) -> int:
    """How many different sets there are at least. A bridge changes the stream of a set, and how a
    set is parted depends on who recorded it: neither makes another of it."""
    told: defaultdict[tuple[int, int], set[tuple[int, int, tuple[int, ...]]]] = defaultdict(set)
    for each in parts:
        told[each.parts, each.part].add((each.epoch, each.seq, each.parents))
    return max(map(len, told.values()), default=0)


def _tied(index: Index, events: Sequence[TraceEvent]) -> list[LineageDecision]:
    tied = [event for event in events if event.event_type not in LINEAGE_TYPES]
    tied.sort(key=lambda event: not index.is_decision(event))
    return [
        LineageDecision(
            event_id=event.event_id,
            event_type=event.event_type,
            component=event.component,
            request_id=event.request_id,
            sentence=event_sentence(event),
            decision=index.is_decision(event),
            wall_ns=index.recording.wall_ns(event),
        )
        for event in tied
    ]


def _place(frame: LineageFrame | None, window: LineageWindow | None, link: LinkSet | None) -> str:
    if window is not None:
        if window.seq_start is not None:
            bounds = f"frames {window.seq_start} to {window.seq_end}"
        else:
            bounds = f"{clock_text(window.t_start_ns)} to {clock_text(window.t_end_ns)}"
        return f"stream {window.stream_id}, epoch {window.epoch}, {bounds}"
    told = frame or link
    if told is None:
        return ""
    return f"stream {told.stream_id}, epoch {told.epoch}, frame {told.seq}"


def _made_ns(lineage_id: int, child_ns: int | None) -> int | None:
    """When an id was minted, if that is laid out as usual and not later than its child."""
    made_ms = lineage_id >> 22
    if child_ns is None or not _EPOCH_2015_MS <= made_ms <= child_ns // 1_000_000 + 1_000:
        return None
    return made_ms * 1_000_000
