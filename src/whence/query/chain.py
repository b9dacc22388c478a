"""Finds the chain that the id of a request, chain, trace, span or event names, or a part of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from whence.model.errors import AmbiguousId, IdNotFound
from whence.model.event import TraceEvent
from whence.model.ids import parse_event_id
from whence.model.recording import Recording
from whence.model.span import is_trace_id
from whence.query.index import ChainKey, Index, as_index
from whence.query.words import clock_text, count_text, events_text, files_text

__all__ = [
    "NEAR_REACH",
    "Chain",
    "chain_of",
    "chains",
    "find_chain",
    "nearest_ids",
    "reconstruct_chain",
]

_SHOWN_CANDIDATES = 10
NEAR_REACH = 200  # ids compared by spelling on either side of where the text would stand
_SPAN_ID = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Chain:
    """All events of one request, of one decision chain within it, or of a trace without either.

    They are in order. `name` finds the chain again: the request, or request/chain, or the trace, or
    a lone event's id. `chain_id` is the request's id where the chain is the whole request, and the
    trace's where its events name neither request nor decision chain. `asked` is the event that was
    asked for, if one was. An event that names none of the three stands alone.
    """

    name: str
    request_id: str
    chain_id: str
    events: tuple[TraceEvent, ...]
    asked: TraceEvent | None = None


def reconstruct_chain(source: Recording | Index, name: str) -> tuple[TraceEvent, ...]:
    """The events of the request or decision chain of that very id, in order; empty if unknown.

    If runs one after the other used the id, it is the newest's.

    An event's id gives the chain of that event. Raises AmbiguousId where several requests have a
    decision chain of that id.
    """
    found = _exactly(as_index(source), name)
    return found.events if found else ()


def find_chain(source: Recording | Index, text: str) -> Chain:
    """The chain that the text names, wholly or by a unique beginning or end.

    Looked for in this order: a request's id, a decision chain's id ("REQUEST/CHAIN" where several
    requests use it) or a trace's, an event's id, a span's as 16 hexadecimal digits; then the
    beginning or end of each but the last in turn. A trace whose events all name a request leads to
    that request. Raises IdNotFound with the nearest ids, and AmbiguousId with the candidates.
    """
    index = as_index(source)
    found = _exactly(index, text)
    if found is None:
        text = text.strip().lstrip("…")
        found = _exactly(index, text) or _by_part(index, text)
    if found is None:
        raise IdNotFound(_not_found_sentence(index, text), nearest_ids(index, text))
    return found


def chain_of(source: Recording | Index, event: TraceEvent) -> Chain:
    """The chain that an event of the recording is in, with that event marked as asked for."""
    index = as_index(source)
    request, name = index.chain_key(event)
    for key in ((request, name), (request, request)):
        if found := index.chains.get(key):
            return _made(index, key, found, event)
    return Chain(event.event_id, "", "", (event,), event)


def chains(source: Recording | Index) -> Iterator[Chain]:
    """Every chain, in order of first appearance; no event is in two of them."""
    index = as_index(source)
    for key, positions in index.chains.items():
        yield _made(index, key, positions)


def nearest_ids(source: Recording | Index, text: str, limit: int = 3) -> tuple[str, ...]:
    """Request, chain and event ids that are spelled most like the text, the most alike first."""
    index = as_index(source)
    near: dict[str, None] = {}
    for names in (index.request_names, index.chain_names):
        near.update((name, None) for name in names.near(text, NEAR_REACH))
    for folded in index.event_names.near(text, NEAR_REACH):
        near.update((name, None) for name in index.event_spellings[folded])
    return tuple(difflib.get_close_matches(text, list(near), limit, cutoff=0.5))


def _made(
    index: Index, key: ChainKey, positions: Sequence[int], asked: TraceEvent | None = None
) -> Chain:
    events = index.at(positions)
    request_id = events[0].request_id
    whole = key[0] == key[1]
    chain_id = request_id if whole else events[0].decision_chain_id or events[0].trace_id
    return Chain(_key_name(key), request_id, chain_id, events, asked)


def _exactly(index: Index, text: str) -> Chain | None:
    if found := index.requests.get(text):
        return _made(index, (text, text), found)
    keys = index.chain_keys.get(text) or [
        key for key in _slash_keys(text) if key in index.named_chains
    ]
    if len(keys) > 1:
        raise _ambiguous(text, "decision chains", [_key_name(key) for key in keys])
    if keys:
        return _made(index, keys[0], index.named_chains[keys[0]])
    if text and (at := index.event_ids.get(text)) is not None:
        return chain_of(index, index.events[at])
    return _of_trace_or_span(index, text.lower())


def _of_trace_or_span(index: Index, text: str) -> Chain | None:
    """The chain of a trace or span by its whole id in hexadecimal digits, in lower case."""
    if is_trace_id(text):
        if found := index.named_chains.get(("", text)):
            return _made(index, ("", text), found)
        requests = index.trace_requests.get(text, ())
        if len(requests) > 1:
            raise _ambiguous(text, "requests", requests)
        return _made(index, (requests[0],) * 2, index.requests[requests[0]]) if requests else None
    if not _SPAN_ID.fullmatch(text):
        return None
    span_id = int(text, 16)
    if positions := index.spans.get(span_id):
        event = index.events[positions[0]]
        found_chain = chain_of(index, event)
        return found_chain if event.span else replace(found_chain, asked=None)
    span = index.open_spans.get(span_id)
    name = (span.request_id or span.trace_id) if span else ""
    return _exactly(index, name) if name else None


def _by_part(index: Index, text: str) -> Chain | None:
    if not text:
        return None
    if spelled := index.event_spellings.get(text.lower()):
        return _one_event(index, text, spelled)
    for what, names, part in (
        ("requests", index.request_names, text),
        ("decision chains", index.chain_names, text),
        ("traces", index.trace_names, text.lower()),
        ("events", index.event_names, text.lower()),
    ):
        found = names.matching(part)
        some = list(islice(found, _SHOWN_CANDIDATES))
        if len(some) == 1 and names is index.event_names:
            return _one_event(index, text, index.event_spellings[some[0]])
        if len(some) == 1:
            return _exactly(index, some[0])
        if some:
            raise _ambiguous(text, what, some, beyond=sum(1 for _ in found))
    return None


def _one_event(index: Index, text: str, spelled: Sequence[str]) -> Chain:
    """The chain of the event of that id, in whatever case the id was typed."""
    if len(spelled) > 1:
        raise _ambiguous(text, "events", spelled)
    return chain_of(index, index.events[index.event_ids[spelled[0]]])


def _ambiguous(text: str, what: str, some: Sequence[str], beyond: int = 0) -> AmbiguousId:
    count = len(some) + beyond
    shown = tuple(some[:_SHOWN_CANDIDATES])
    return AmbiguousId(f"{text!r} names {count} {what}: give more of the id", shown, count)


def _not_found_sentence(index: Index, text: str) -> str:
    sentence = f"nothing here is called {text!r}"
    if place := parse_event_id(text):
        key, number, ticket = place
        for session in index.recording.sessions:
            if session.key == key:
                sentence += f": event {ticket} of ring {number} in session {session.name}"
                return sentence + _fate(index, session.name, number, ticket)
    return sentence + _missed(index)


def _missed(index: Index) -> str:
    """What the recording lacks, among which anything may have been; empty if nothing."""
    leaking = [ring for ring in index.recording.rings if ring.lost]
    said = []
    if leaking:
        lost = sum(ring.lost for ring in leaking)
        were = "was" if lost == 1 else "were"
        rings = f"{count_text(len(leaking))} ring{'' if len(leaking) == 1 else 's'}"
        said.append(f"{events_text(lost)} {were} overwritten in {rings}")
    if damage := index.recording.damage:
        said.append(f"{files_text(len(damage))} cannot be read")
    if (before_ns := index.recording.dropped_before_ns) is not None:
        said.append(f"what is older than the retention was dropped, up to {clock_text(before_ns)}")
    if any(session.state == "filtered" for session in index.recording.sessions):
        said.append("this file was exported with a filter")
    among = "them" if len(said) == 1 and leaking else "what is not here"
    return f"; {', '.join(said)}; it may have been among {among}" if said else ""


def _fate(index: Index, session: str, number: int, ticket: int) -> str:
    place = session, number
    held = index.first_ticket(session, number)
    lost = any(ring.lost for ring in index.recording.rings if (ring.session, ring.ring) == place)
    if lost and (held is None or ticket < held):
        return " was lost: newer events overwrote it"
    return " is not in this recording"


def _slash_keys(text: str) -> Iterator[ChainKey]:
    for at, letter in enumerate(text):
        if letter == "/":
            yield text[:at], text[at + 1 :]


def _key_name(key: ChainKey) -> str:
    request, chain = key
    if not request or not chain or request == chain:
        return request or chain
    return f"{request}/{chain}"
