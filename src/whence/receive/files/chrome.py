"""Chrome's trace events, Kineto's among them: spans, flows and all else, to the nanosecond."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from whence.model.errors import CorruptFile
from whence.model.event import SpanLink, TraceEvent
from whence.model.nested import whole
from whence.model.time import Duration, Timestamp
from whence.receive.files.json_parts import BadJson, loaded
from whence.receive.files.kept import OwnIds, kept, part_of, span_id_of, text_of, trace_id_of
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions, SourceFile
from whence.receive.files.times import ExactFloat

__all__ = ["chrome_events_of", "is_chrome_trace", "read_chrome"]

_US = 1_000
_FIRST_US, _LAST_US = 631_152_000_000_000, 4_102_444_800_000_000  # 1990 and 2100
_MOST_NS = 2**62
_CUT = re.compile(rb"[\s,]*\Z")
CHUNK_EVENTS = 10_000
_ASYNC_ENDS = {"b": "e", "S": "F"}


class _Part(NamedTuple):
    """One event of the file: where it stands, what it says, and when."""

    at: int
    said: dict[str, Any]
    ns: int

    @property
    def thread(self) -> tuple[str, str]:
        return str(self.said.get("pid", "")), str(self.said.get("tid", ""))

    @property
    def phase(self) -> str:
        return str(self.said["ph"])


class _Slice(NamedTuple):
    """A part that lasts, or stands alone: its end, the part that ended it, and what is around."""

    part: _Part
    ended_ns: int
    ended_by: _Part | None
    span: bool


def is_chrome_trace(found: Any) -> bool:
    """Whether a JSON value looks like such a file."""
    if isinstance(found, dict):
        return isinstance(found.get("traceEvents"), list)
    return (
        isinstance(found, list)
        and bool(found)
        and all(isinstance(each, dict) and "ph" in each for each in found[:20])
    )


def read_chrome(
    source: SourceFile, options: ReadOptions, report: FileReport
) -> Iterator[list[TraceEvent]]:
    """The events of a file: an object with `traceEvents`, or their list alone.

    A list whose end is missing, as programs that were killed leave it, is read as far as it goes.
    Raises CorruptFile for what is no JSON; with `strict` for the first event that is none, too.
    """
    found = _document(source, options, report)
    rest = dict(found) if isinstance(found, dict) else {}
    listed = rest.pop("traceEvents", None) if isinstance(found, dict) else found
    if not isinstance(listed, list):
        raise CorruptFile(f"{source.name} has no list of trace events")
    reader = _Reader(source, options, report, rest, isinstance(found, dict))
    chunk: list[TraceEvent] = []
    for event in reader.events(listed):
        chunk.append(event)
        if len(chunk) >= CHUNK_EVENTS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def chrome_events_of(events: list[TraceEvent]) -> Any:
    """The document that events were made from: the object, or the list alone."""
    parts: dict[int, dict[str, Any]] = {}
    rest: dict[str, Any] | None = None
    for event in events:
        said = whole(event.attributes)
        if said.get("import.part") == "trace":
            rest = part_of(event)
            continue
        parts[int(said["import.at"])] = part_of(event)
        if "import.end" in said:
            parts[int(said["import.end_at"])] = said["import.end"]
    listed = [parts[at] for at in sorted(parts)]
    return listed if rest is None else rest | {"traceEvents": listed}


def _document(source: SourceFile, options: ReadOptions, report: FileReport) -> Any:
    content = source.content.removeprefix(b"\xef\xbb\xbf")
    try:
        return loaded(content)
    except BadJson as error:
        cut = _CUT.sub(b"", content)
        if not options.strict and error.reason == "not-json" and cut[:1] in (b"[", b"{"):
            for end in (b"]", b"]}", b"}]", b"}]}"):
                try:
                    found = loaded(cut + end)
                except BadJson:
                    continue
                report.notes["its end was missing: read as far as it goes"] += 1
                return found
        raise CorruptFile(f"{source.name}: {error.reason}: {error}") from None


class _Reader:
    """Makes events of the parts of one file."""

    def __init__(
        self,
        source: SourceFile,
        options: ReadOptions,
        report: FileReport,
        rest: dict[str, Any],
        is_object: bool,
    ) -> None:
        self._source, self._options, self._report = source, options, report
        self._rest, self._is_object = rest, is_object
        self._ids = OwnIds(source.key, report)
        self._trace_id = trace_id_of(f"{source.key}/chrome")
        self._processes: dict[str, str] = {}

    def events(self, listed: list[Any]) -> Iterator[TraceEvent]:
        """All of them, in order of time, then of the file."""
        parts = self._parts(listed)
        slices = sorted(self._slices(parts), key=lambda s: (s.part.ns, -s.ended_ns, s.part.at))
        parents = _parents(slices)
        links = self._links(parts, slices)
        if self._is_object and (made := self._whole(slices[0].part.ns if slices else 0)):
            yield made
        before_ns = None
        for each in slices:
            event = self._event(each, parents.get(each.part.at, 0), links.get(each.part.at, ()))
            if event is None:
                continue
            self._report.see(event.timestamp.value_ns, before_ns)
            before_ns = event.timestamp.value_ns
            yield event

    # ---- reading

    def _parts(self, listed: list[Any]) -> list[_Part]:
        base_ns = self._base_ns(listed)
        found: list[_Part] = []
        untimed: list[tuple[int, dict[str, Any]]] = []
        for at, said in enumerate(listed):
            if not isinstance(said, dict) or not isinstance(said.get("ph"), str) or not said["ph"]:
                self._reject(at, "no-event", "it has no phase (ph)")
                continue
            self._report.shapes[f"ph {said['ph'][:10]}"] += 1
            if said["ph"] == "M":
                self._learn(said)
            if "ts" not in said:
                if said["ph"] != "M":
                    self._reject(at, "no-time", "it has no ts")
                else:
                    untimed.append((at, said))
                continue
            ns = _nanos(said["ts"])
            if ns is None or abs(ns + base_ns) > _MOST_NS:
                self._reject(at, "no-time", f"its ts is {str(said['ts'])[:40]!r}")
                continue
            found.append(_Part(at, said, ns + base_ns))
        first_ns = min((part.ns for part in found), default=base_ns)
        found += [_Part(at, said, first_ns) for at, said in untimed]
        return sorted(found, key=lambda part: part.at)

    def _base_ns(self, listed: list[Any]) -> int:
        """What stands between the file's own clock and wall time, as far as it says so."""
        base = self._rest.get("baseTimeNanoseconds")
        if isinstance(base, int) and not isinstance(base, bool) and abs(base) < _MOST_NS:
            self._report.times["microseconds after baseTimeNanoseconds"] += len(listed)
            return base
        metadata = self._rest.get("metadata")
        offset = metadata.get("clock-offset-since-epoch") if isinstance(metadata, dict) else None
        if offset is not None and (ns := _nanos(offset)) is not None:
            self._report.times["microseconds after clock-offset-since-epoch"] += len(listed)
            return ns
        times = [each["ts"] for each in listed if isinstance(each, dict) and _is_wall(each)]
        if times:
            self._report.times["microseconds since 1970, by their size"] += len(listed)
        else:
            self._report.times["microseconds of a clock of its own, counted from 1970"] += len(
                listed
            )
        return 0

    def _learn(self, said: Mapping[str, Any]) -> None:
        args = said.get("args")
        name = text_of(args.get("name")) if isinstance(args, dict) else ""
        if said.get("name") == "process_name" and name:
            self._processes[str(said.get("pid", ""))] = name

    # ---- what lasts

    def _slices(self, parts: list[_Part]) -> Iterator[_Slice]:
        """Parts that begin and end become one; all others stand for themselves."""
        ends = self._pairs(parts)
        ended = {part.at for part in ends.values()}
        for part in parts:
            if part.at in ended:
                continue
            end = ends.get(part.at)
            if end is not None:
                yield _Slice(part, max(part.ns, end.ns), end, True)
            elif part.phase == "X":
                yield _Slice(part, part.ns + self._lasted_ns(part), None, True)
            else:
                begins = part.phase in ("B", *_ASYNC_ENDS)
                if begins:
                    self._report.notes["a begin without an end"] += 1
                elif part.phase in ("E", *_ASYNC_ENDS.values()):
                    self._report.notes["an end without a begin: an event"] += 1
                yield _Slice(part, part.ns, None, begins)

    def _pairs(self, parts: list[_Part]) -> dict[int, _Part]:
        """By where a begin stands: its end. Ends close the last begin of their thread, or id."""
        found: dict[int, _Part] = {}
        open_ones: defaultdict[tuple[str, ...], list[_Part]] = defaultdict(list)
        for part in sorted(parts, key=lambda part: (part.ns, part.at)):
            phase = part.phase
            if phase in ("B", "E"):
                key: tuple[str, ...] = ("B", *part.thread)
            elif phase in _ASYNC_ENDS or phase in _ASYNC_ENDS.values():
                begin = phase if phase in _ASYNC_ENDS else {"e": "b", "F": "S"}[phase]
                key = (begin, *_async_id(part.said))
            else:
                continue
            if phase in ("B", *_ASYNC_ENDS):
                open_ones[key].append(part)
            elif open_ones[key]:
                found[open_ones[key].pop().at] = part
        return found

    def _lasted_ns(self, part: _Part) -> int:
        lasted = _nanos(part.said.get("dur", 0))
        if lasted is None or not 0 <= lasted < _MOST_NS:
            self._report.notes["a span whose dur is no length: 0"] += 1
            return 0
        return lasted

    def _links(self, parts: list[_Part], slices: list[_Slice]) -> dict[int, tuple[SpanLink, ...]]:
        """Flows: each step and end links what it lies in with what the step before lay in."""
        flows = [part for part in parts if part.phase in ("s", "t", "f")]
        if not flows:
            return {}
        around = _enclosing(slices, flows)
        found: defaultdict[int, tuple[SpanLink, ...]] = defaultdict(tuple)
        before: dict[tuple[str, ...], _Part] = {}
        for part in sorted(flows, key=lambda part: (part.ns, "stf".index(part.phase), part.at)):
            key = (str(part.said.get("cat", "")), str(part.said.get("name", "")), *_flow_id(part))
            if part.phase != "s" and key in before:
                source = around.get(before[key].at, before[key].at)
                target = around.get(part.at, part.at)
                told = {"flow": key[2], "name": key[1]}
                link = SpanLink(self._trace_id, self._span_id(source), _texts(told))
                found[target] = (*found[target], link)
                self._report.mapped["links from flows"] += 1
            before[key] = part
        return dict(found)

    # ---- making

    def _event(self, each: _Slice, parent: int, links: tuple[SpanLink, ...]) -> TraceEvent | None:
        part, end = each.part, each.ended_by
        own: dict[str, Any] = {"part": "event", "at": part.at}
        if end is not None:
            own |= {"end": end.said, "end_at": end.at}
        attributes = kept(part.said, "args", self._options.limits, self._report, **own)
        if attributes is None:
            self._reject(part.at, "too-much", "more fields, levels or text than are taken")
            return None
        name = text_of(part.said.get("name"), 10_000) or f"ph {part.phase}"
        process = str(part.said.get("pid", ""))
        where = text_of(part.said.get("cat")) or self._processes.get(process, "")
        self._report.mapped["component from cat" if part.said.get("cat") else "component"] += 1
        inside = self._span_id(parent - 1) if parent else 0
        return TraceEvent(
            event_id=self._ids.make(str(part.at)),
            event_type=name,
            component=text_of(where) or "chrome",
            timestamp=Timestamp(part.ns),
            duration=Duration(each.ended_ns - part.ns),
            attributes=attributes,
            request_id=self._source.run,
            trace_id=self._trace_id,
            span=each.span,
            span_id=self._span_id(part.at) if each.span else inside,
            parent_span_id=inside if each.span else 0,
            links=links,
        )

    def _whole(self, at_ns: int) -> TraceEvent | None:
        """What the file says besides its events."""
        attributes = kept(self._rest, None, self._options.limits, self._report, part="trace")
        if attributes is None:
            self._reject(-1, "too-much", "more fields, levels or text than are taken")
            return None
        self._report.see(at_ns, None)
        return TraceEvent(
            event_id=self._ids.make("trace"),
            event_type="chrome_trace",
            component="chrome",
            timestamp=Timestamp(at_ns),
            attributes=attributes,
            request_id=self._source.run,
            trace_id=self._trace_id,
        )

    def _span_id(self, at: int) -> int:
        return span_id_of(f"{self._source.key}/{at}")

    def _reject(self, at: int, reason: str, detail: str) -> None:
        where = f"$.traceEvents[{at}]" if at >= 0 else "$"
        if self._options.strict:
            raise CorruptFile(f"{self._source.name}: {where}: {reason}: {detail}")
        self._report.reject(where, reason, detail)


def _nanos(value: Any) -> int | None:
    """Microseconds as nanoseconds, exactly; None for what is no number of that size."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(value.text if isinstance(value, ExactFloat) else str(value))
        return int((number * _US).to_integral_value()) if number.adjusted() < 30 else None
    except (ArithmeticError, ValueError):
        return None


def _is_wall(said: Mapping[str, Any]) -> bool:
    ts = said.get("ts")
    return isinstance(ts, int | float) and _FIRST_US <= ts < _LAST_US


def _async_id(said: Mapping[str, Any]) -> tuple[str, ...]:
    id2 = said.get("id2")
    if isinstance(id2, dict) and "local" in id2:
        number = f"{said.get('pid', '')}/{id2['local']}"
    elif isinstance(id2, dict):
        number = str(id2.get("global", ""))
    else:
        number = str(said.get("id", ""))
    return str(said.get("cat", "")), str(said.get("scope", "")), number


def _flow_id(part: _Part) -> tuple[str, ...]:
    return (str(part.said.get("id", part.said.get("bind_id", ""))),)


def _parents(slices: list[_Slice]) -> dict[int, int]:
    """By where a part stands: one more than where the span around it on its thread does."""
    found: dict[int, int] = {}
    stacks: defaultdict[tuple[str, str], list[_Slice]] = defaultdict(list)
    for each in slices:
        if each.part.phase not in ("X", "B", "i", "I"):
            continue
        stack = stacks[each.part.thread]
        while stack and (stack[-1].ended_ns < each.ended_ns or stack[-1].ended_ns <= each.part.ns):
            stack.pop()
        if stack:
            found[each.part.at] = stack[-1].part.at + 1
        if each.span:
            stack.append(each)
    return found


def _enclosing(slices: list[_Slice], flows: list[_Part]) -> dict[int, int]:
    """By where a step of a flow stands: where the innermost span around it on its thread does.

    An end without the binding point "e" belongs to the next span that begins on its thread.
    """
    found: dict[int, int] = {}
    spans: defaultdict[tuple[str, str], list[_Slice]] = defaultdict(list)
    steps: defaultdict[tuple[str, str], list[_Part]] = defaultdict(list)
    for each in slices:
        if each.part.phase in ("X", "B"):
            spans[each.part.thread].append(each)
    for part in flows:
        steps[part.thread].append(part)
    for thread, asked in steps.items():
        stack: list[_Slice] = []
        waiting: list[_Part] = []
        coming = iter(spans.get(thread, ()))
        following = next(coming, None)
        for part in sorted(asked, key=lambda part: (part.ns, part.at)):
            while following is not None and following.part.ns <= part.ns:
                at_ns = following.part.ns
                found.update((step.at, following.part.at) for step in waiting)
                waiting.clear()
                while stack and stack[-1].ended_ns <= at_ns:
                    stack.pop()
                stack.append(following)
                following = next(coming, None)
            while stack and stack[-1].ended_ns < part.ns:
                stack.pop()
            if (
                part.phase == "f"
                and part.said.get("bp") != "e"
                and not (stack and stack[-1].part.ns == part.ns)
            ):
                waiting.append(part)
            elif stack:
                found[part.at] = stack[-1].part.at
        if following is not None:
            found.update((step.at, following.part.at) for step in waiting)
    return found


def _texts(told: Mapping[str, str]) -> dict[str, str]:
    """The texts without what is no Unicode."""
    return {name: text.encode(errors="replace").decode() for name, text in told.items()}
