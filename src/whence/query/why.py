"""Answers why: the verdict on a chain, where its time went, its story and its gaps, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from whence.model.errors import IdNotFound
from whence.model.event import Option, TraceEvent
from whence.model.names import canonical
from whence.model.recording import OpenSpan, Recording
from whence.model.severity import Severity
from whence.query.chain import Chain, chain_of, find_chain
from whence.query.contracts.causes import CRASHED, NOT_RECORDED, OPEN, Cause, Causes
from whence.query.contracts.check import ChainCheck, ChainReport
from whence.query.contracts.completeness import contract_for
from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import BUILT_IN
from whence.query.contracts.finding import Finding
from whence.query.critical_path import PathPart, critical_path
from whence.query.from_to import FromTo, from_to
from whence.query.index import Index, as_index
from whence.query.outcome import NO_OUTCOME, Outcome, outcome_of, went_wrong
from whence.query.spans import SpanTree, open_state, parent_of
from whence.query.told import Told, is_told, told_of, told_sentence, untold
from whence.query.words import (
    can_be_typed,
    command_text,
    duration_text,
    event_sentence,
    events_text,
    sampled_text,
)

__all__ = ["Answer", "StoryRow", "TimeShare", "story", "why"]

_MOST_NEXT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeShare:
    """How much of a chain's time went where: "waiting", "executing" or "other"."""

    name: str
    duration_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryRow:
    """One event of the story.

    `offset_ns` counts from the chain's first event or open span. `sentence` is the event's
    rationale, or its fields in words. `options` has the chosen one first, then the others as
    recorded. `asked` marks the event that was asked for, `wrong` those that say something went
    wrong. `pid` is the process's where several worked on the chain, else 0. `depth` is how many
    spans of the chain lie around it. A row that is `open` is a span that had begun and not ended;
    one that is `told` is an outcome that somebody told later.
    """

    offset_ns: int
    event_type: str
    component: str
    sentence: str
    severity: str
    event_id: str
    options: tuple[Option, ...] = ()
    asked: bool = False
    wrong: bool = False
    pid: int = 0
    depth: int = 0
    duration_ns: int = 0
    span: bool = False
    open: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Why a request went as it did.

    `name` finds the chain again. `wall_ns` is when it began, None without a known clock;
    `service`, `pid` and `session` are those of the process that began it, empty where unknown.
    `event_count` is the whole chain's; the story may have been asked for in part.
    `time_went` is empty unless dispatch or execution were recorded. `reports` hold the chain, or
    each of the request's chains, against the contract that covers it; there are none where no
    contract does. `gaps` is everything missing or wrong, the optional last. `next_commands` are
    worth typing next. `complete` is whether nothing is known to be missing. `told` are the outcomes
    that somebody told of it later. `sampled` says in words of which of its events only a share was
    recorded, "" if of none. `critical_path` says which spans its length rests on.
    """

    name: str
    request_id: str
    chain_id: str
    model_id: str
    outcome: Outcome
    wall_ns: int | None
    service: str
    pid: int
    session: str
    other_processes: int
    time_went: tuple[TimeShare, ...]
    event_count: int
    story: tuple[StoryRow, ...]
    reports: tuple[ChainReport, ...]
    gaps: tuple[Finding, ...]
    next_commands: tuple[str, ...]
    complete: bool
    told: tuple[Told, ...] = ()
    sampled: str = ""
    critical_path: tuple[PathPart, ...] = ()
    lineage: tuple[FromTo, ...] = ()
    """The frames that its events bear: what they came from, and what was made of them."""

    def _repr_html_(self) -> str:
        """For notebooks: the same words, without scripts."""
        from whence.query.page import answer_page

        return answer_page(self)


def why(
    source: Recording | Index,
    text: str | None = None,
    contracts: Sequence[Contract] = BUILT_IN,
    *,
    strict: bool = False,
    source_words: Sequence[str] | None = (),
    check_words: Sequence[str] = (),
    among: Callable[[TraceEvent], bool] | None = None,
) -> Answer:
    """Explain the chain that the text names, by default the newest that went wrong.

    What the text may be, and the errors it raises, are those of `find_chain`; IdNotFound also for
    a recording without events. Without a text and without trouble, the newest decision is
    explained. `source_words` are repeated in every next command: the options that name the source.
    None stands for one that cannot be read again, and then there are no commands. `check_words`
    are repeated in those that check a chain. `among` says which events are asked for: without a
    text the one to explain is chosen from them, with one the story has no others; the verdict, the
    times and the gaps are the whole chain's.
    """
    index = as_index(source)
    if text is None:
        chain, told = _default_chain(index, among), None
    else:
        chain, told = find_chain(index, text), among
    reports = tuple(_reports(index, chain, contracts, strict))
    gaps = [finding for report in reports for finding in report.findings]
    if not reports:
        gaps = list(_gaps_without_contract(index, chain))
    gaps += _span_gaps(index, chain)
    gaps += _cause_gaps(index, chain)
    gaps.sort(key=lambda finding: finding.optional)
    own = untold(chain.events)
    first = own[0]
    session = index.recording.session(first.session)
    complete = all(gap.optional for gap in gaps)
    line = from_to(index, chain.events)
    commands: Iterable[str] = ()
    if source_words is not None:
        commands = _next_commands(index, chain, complete, source_words, check_words, line)
    return Answer(
        name=chain.name,
        request_id=chain.request_id,
        chain_id=chain.chain_id,
        model_id=next((event.model_id for event in chain.events if event.model_id), ""),
        outcome=_outcome(chain, gaps),
        wall_ns=index.recording.wall_ns(first),
        service=session.service if session else "",
        pid=session.pid if session else 0,
        session=first.session,
        other_processes=len({event.session for event in own}) - 1,
        time_went=_time_went(index, own),
        event_count=len(chain.events),
        story=story(index, chain, told),
        reports=reports,
        gaps=tuple(gaps),
        next_commands=tuple(commands),
        complete=complete,
        told=_told(index, chain.events),
        critical_path=critical_path(index, chain.events),
        sampled=sampled_text(chain.events),
        lineage=line,
    )


def _told(index: Index, events: Sequence[TraceEvent]) -> tuple[Told, ...]:
    own = untold(events)
    begun_ns = None if is_told(own[0]) else index.time_ns(own[0])
    return tuple(told_of(index.recording, events, begun_ns, map(index.time_ns, events)))


def _default_chain(index: Index, among: Callable[[TraceEvent], bool] | None) -> Chain:
    newest_decision: TraceEvent | None = None
    newest_wrong: TraceEvent | None = None
    events = index.at(range(len(index.events)))
    if among is not None:
        events = tuple(event for event in events if among(event))
    for event in reversed(events):
        decision = index.is_decision(event)
        if (decision or any(index.chain_key(event))) and went_wrong(event):
            return replace(chain_of(index, event), asked=None)
        if decision and newest_decision is None:
            newest_decision = event
        if newest_wrong is None and went_wrong(event):
            newest_wrong = event
    if not index.events:
        raise IdNotFound(
            "nothing is recorded here; whence ls lists all processes, --from names one"
        )
    if not events:
        raise IdNotFound("no event here is what was asked for")
    return replace(chain_of(index, newest_decision or newest_wrong or events[-1]), asked=None)


def _reports(
    index: Index, chain: Chain, contracts: Sequence[Contract], strict: bool
) -> Iterator[ChainReport]:
    causes = Causes(index)
    for events in _parts(index, chain):
        contract = contract_for(events, contracts, index)
        if contract:
            yield ChainCheck(events, contract, index, causes).report(strict)


def _parts(index: Index, chain: Chain) -> Iterator[tuple[TraceEvent, ...]]:
    """The chain itself, or each chain of a request that has several."""
    keys = {index.chain_key(event) for event in chain.events}
    found = [index.chains[key] for key in index.chains.keys() & keys]
    if len(found) < 2:
        yield chain.events
        return
    for positions in sorted(found, key=min):
        yield index.at(positions)


def _gaps_without_contract(index: Index, chain: Chain) -> Iterator[Finding]:
    own = untold(chain.events)
    if is_told(own[0]):
        elsewhere = "it may be in another run; --all reads every one"
        cause = Cause(kind=NOT_RECORDED, sentence=elsewhere)
        yield Finding(kind="missing", member="", sentence="the request itself", causes=(cause,))
        return
    causes = Causes(index).of_losses_since(own)
    if causes:
        sentence = "events of this chain may be missing"
        yield Finding(kind="missing", member="", sentence=sentence, causes=causes)


def _span_gaps(index: Index, chain: Chain) -> Iterator[Finding]:
    """Spans that the process took with it, and spans that others lie in and that are nowhere."""
    tree = SpanTree(index, chain.events)
    for span in tree.open:
        session = index.recording.session(span.session)
        if session is not None and not session.live:
            cause = Cause(kind=CRASHED, sentence=open_state(session), session=span.session)
            sentence = f"the end of {span.name}"
            yield Finding(kind="missing", member=span.name, sentence=sentence, causes=(cause,))
    for span_id, inside in tree.missing(chain.events).items():
        sentence = f"span {span_id:016x}, around {events_text(len(inside))}"
        causes = Causes(index).of_lost_span(inside)
        yield Finding(kind="missing", member="", sentence=sentence, causes=causes, optional=True)


def _cause_gaps(index: Index, chain: Chain) -> Iterator[Finding]:
    """Events that those of the chain name as their cause, and that are nowhere."""
    told: set[str] = set()
    for event in chain.events:
        cause = event.caused_by
        if cause and cause not in told and not index.is_known(cause):
            told.add(cause)
            yield Finding(
                kind="missing",
                member="",
                sentence=f"the cause of {event.event_type}, {cause}",
                causes=Causes(index).of_lost_event(cause, [event]),
                event_ids=(event.event_id,),
                optional=True,
            )


def _outcome(chain: Chain, gaps: Sequence[Finding]) -> Outcome:
    """What the events record; without that, whether the chain's end is still to come or never; and
    where nothing tells that, what somebody told later."""
    recorded = outcome_of(chain.events)
    if recorded.word != NO_OUTCOME:
        return recorded
    for cause in (cause for gap in gaps for cause in gap.causes):
        if cause.kind in (CRASHED, OPEN):
            return Outcome(word="UNFINISHED:", detail=cause.kind, wrong=cause.kind == CRASHED)
    if told := [event for event in chain.events if is_told(event)]:
        return Outcome(word="TOLD:", detail=told_sentence(told[-1]))
    return recorded


def _time_went(index: Index, events: Sequence[TraceEvent]) -> tuple[TimeShare, ...]:
    """Waiting until dispatch, executing, and the rest; nothing if neither was recorded."""
    types = [canonical(event.event_type) for event in events]
    moments = [index.time_ns(event) for event in events]
    times = dict(zip(types, moments, strict=True))  # the last of each type
    begun_ns = index.time_ns(events[0])
    started_ns = times.get("execution_started")
    ended_ns = times.get("execution_completed", times.get("fault_recorded"))
    if started_ns is None:
        missed_ns = times.get("deadline_miss")
        waited = () if missed_ns is None else (_share("waiting", missed_ns - begun_ns),)
        return waited
    chosen = [at for name, at in zip(types, moments, strict=True) if name == "scheduling_decision"]
    waited_ns = max((at for at in chosen if at <= started_ns), default=started_ns) - begun_ns
    if ended_ns is None:
        return (_share("waiting", waited_ns),)
    executed_ns = ended_ns - started_ns
    other_ns = ended_ns - begun_ns - waited_ns - executed_ns
    return (
        _share("waiting", waited_ns),
        _share("executing", executed_ns),
        _share("other", other_ns),
    )


def _share(name: str, duration_ns: int) -> TimeShare:
    return TimeShare(name=name, duration_ns=duration_ns)


def story(
    index: Index, chain: Chain, among: Callable[[TraceEvent], bool] | None = None
) -> tuple[StoryRow, ...]:
    """The chain's events as rows, in order; of some events only, if `among` says which."""
    tree = SpanTree(index, chain.events)
    opened_ns = [index.moment_ns(span.session, span.start_ns) for span in tree.open]
    own = untold(chain.events)
    begun_ns = min([index.time_ns(own[0]), *(opened_ns if among is None else ())])
    sessions = {event.session: index.recording.session(event.session) for event in own}
    pids = {name: info.pid for name, info in sessions.items() if info and len(sessions) > 1}
    rows = [
        StoryRow(
            offset_ns=index.time_ns(event) - begun_ns,
            event_type=event.event_type,
            component=event.component,
            sentence=_sentence(event),
            severity=event.severity.name,
            event_id=event.event_id,
            options=tuple(sorted(event.options, key=lambda option: not option.chosen)),
            asked=event is chain.asked,
            wrong=went_wrong(event),
            pid=pids.get(event.session, 0),
            depth=tree.depth(parent_of(event)),
            duration_ns=event.duration.nanos,
            span=event.span,
            told=is_told(event),
        )
        for event in chain.events
        if among is None or among(event)
    ]
    if among is None:
        for span in tree.open:
            _insert(rows, _open_row(index, tree, span, begun_ns))
    return tuple(rows)


def _sentence(event: TraceEvent) -> str:
    return f"told later: {told_sentence(event)}" if is_told(event) else event_sentence(event)


def _open_row(index: Index, tree: SpanTree, span: OpenSpan, begun_ns: int) -> StoryRow:
    session = index.recording.session(span.session)
    start_ns = index.moment_ns(span.session, span.start_ns)
    sentence = open_state(session)
    seen_ns = (index.newest_ns or start_ns) - start_ns
    if seen_ns > 0:
        sentence += f", after {duration_text(seen_ns)} at least"
    dead = session is not None and not session.live
    return StoryRow(
        offset_ns=start_ns - begun_ns,
        event_type=span.name,
        component=span.component,
        sentence=sentence,
        severity=(Severity.Warning if dead else Severity.Info).name,
        event_id="",
        wrong=dead,
        depth=tree.depth(span.parent_span_id),
        span=True,
        open=True,
    )


def _insert(rows: list[StoryRow], row: StoryRow) -> None:
    """Before what began with it or after it: an open span is around what is deeper."""
    at = next(
        (
            number
            for number, other in enumerate(rows)
            if (other.offset_ns, other.depth) >= (row.offset_ns, row.depth)
        ),
        len(rows),
    )
    rows.insert(at, row)


def _next_commands(
    index: Index,
    chain: Chain,
    complete: bool,
    source_words: Sequence[str],
    check_words: Sequence[str],
    line: Sequence[FromTo] = (),
) -> Iterator[str]:
    """Chains that this one names as its cause or its blocker, then the ways to see more."""
    checked = (*source_words, *check_words)
    named: dict[str, None] = {}
    for event in chain.events:
        texts = [value for value in event.attributes.values() if isinstance(value, str)]
        for text in (event.caused_by, *texts):
            own = text in (chain.request_id, chain.chain_id)
            known = text in index.requests or text in index.chain_keys
            if can_be_typed(text) and not own and known:
                named[text] = None
    if is_told(untold(chain.events)[0]) and not source_words:
        yield command_text("why", chain.name, ("--all", *check_words))
    for text in list(named)[:_MOST_NEXT]:
        yield command_text("why", text, checked)
    for one in line[:1]:
        yield command_text("lineage", str((one.after or one.before)[-1].lineage_id), source_words)
    if not complete:
        yield command_text("stats", "", source_words)
    name = chain.name if can_be_typed(chain.name) else chain.events[0].event_id or chain.name
    trace = chain.events[0].trace_id
    rest = index.trace_requests.get(trace) or chain.name != trace  # of its trace, in other chains
    if not chain.request_id and trace and rest:
        yield command_text("chain", name, (*source_words, "--related"))
    yield command_text("why", name, (*checked, "--json"))
