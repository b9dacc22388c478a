"""Traces of the multi-agent protocol, version 2: checked, and taken apart into spans and events."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from whence.model.errors import CorruptFile
from whence.model.event import TraceEvent
from whence.model.names import OWN_COMPONENT, TRACE_ENDED, TRACE_STARTED
from whence.model.nested import whole
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp
from whence.receive.files.json_parts import BadJson, loaded
from whence.receive.files.kept import OwnIds, kept, part_of, span_id_of, text_of, trace_id_of
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions, SourceFile
from whence.receive.files.times import moment_of

__all__ = ["is_protocol_trace", "read_protocol", "traces_of"]

_EVENT_TYPE = re.compile(r"[a-z][a-z0-9]*(?:[._][a-z0-9]+)*")
_STATUSES = ("pending", "running", "completed", "failed", "cancelled")
_SEGMENT_STATUSES = (*_STATUSES, "skipped")
_ENDED = ("completed", "failed", "cancelled")
_NEEDED = {"meta": dict, "trace_id": str, "context_id": str, "root_span": dict, "status": str}
_NEEDED_OF_SEGMENTS = {"segment_id": str, "label": str, "status": str}
_NEEDED_OF_EVENTS = {"event_id": str, "event_type": str, "timestamp": (str, int, float)}
_LAST_NS = 2**63 - 1


def is_protocol_trace(found: Any) -> bool:
    """Whether a JSON value looks like such a trace."""
    return (
        isinstance(found, dict)
        and "trace_id" in found
        and ("root_span" in found or "segments" in found)
    )


def read_protocol(
    source: SourceFile, options: ReadOptions, report: FileReport
) -> Iterator[list[TraceEvent]]:
    """The events of a file that holds one trace, a list of them, or one a line.

    A trace without an id or any time is rejected, and so are segments and events that are no
    objects; all else that is wrong is told with its path and taken as it is. With `strict` the
    first flaw raises CorruptFile.
    """
    ids = OwnIds(source.key, report)
    for path, found in _documents(source, report):
        yield from _Trace(source, options, report, ids, path).events(found)


def traces_of(events: list[TraceEvent]) -> list[dict[str, Any]]:
    """The traces that events were made from, whole, in the order of the file."""
    places: dict[int, dict[str, Any]] = {}
    lists: dict[int, list[str]] = {}
    segments: dict[int, list[tuple[int, Any]]] = {}
    inner: dict[int, list[tuple[int, Any]]] = {}
    for event in events:
        said = event.attributes
        part, number = said.get("import.part"), int(said.get("import.number", 0))
        at = int(said.get("import.at", 0))
        if part == "trace":
            places.setdefault(number, {}).update(part_of(event))
            lists[number] = whole(said)["import.lists"]
        elif part == "root_span":
            places.setdefault(number, {})["root_span"] = part_of(event)
        elif part == "segment":
            segments.setdefault(number, []).append((at, part_of(event)))
        elif part == "event":
            inner.setdefault(number, []).append((at, part_of(event)))
    for number, found in places.items():
        for name, parts in (("segments", segments), ("events", inner)):
            if number in parts or name in lists.get(number, ()):
                found[name] = [each for _, each in sorted(parts.get(number, ()), key=_first)]
    return [places[number] for number in sorted(places)]


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _documents(source: SourceFile, report: FileReport) -> Iterator[tuple[str, Any]]:
    try:
        found = loaded(source.content.removeprefix(b"\xef\xbb\xbf"))
    except BadJson as whole_error:
        lines = source.content.splitlines()
        if len(lines) < 2:
            raise CorruptFile(f"{source.name}: {whole_error.reason}: {whole_error}") from None
        for number, text in enumerate(lines, 1):
            report.lines += 1
            if not text.strip():
                report.blank += 1
                continue
            try:
                yield f"line {number}: $", loaded(text)
            except BadJson as error:
                report.reject(f"line {number}", error.reason, str(error))
        return
    if isinstance(found, list):
        yield from ((f"$[{at}]", each) for at, each in enumerate(found))
    else:
        yield "$", found


class _Trace:
    """Takes one trace apart."""

    def __init__(
        self,
        source: SourceFile,
        options: ReadOptions,
        report: FileReport,
        ids: OwnIds,
        path: str,
    ) -> None:
        self._source, self._options, self._report = source, options, report
        self._ids, self._path = ids, path
        self._name = self._trace_id = ""
        self._number = 0
        self._before_ns: int | None = None

    def events(self, found: Any) -> Iterator[list[TraceEvent]]:
        """Its events: the trace's beginning, its root span, segments, events and end."""
        if not isinstance(found, dict):
            self._reject("", "no-object", f"{type(found).__name__} instead of a trace")
            return
        self._check(found, _NEEDED, "")
        name = text_of(found.get("trace_id"))
        if not name:
            self._reject(".trace_id", "no-id", "a trace needs an id")
            return
        self._name, self._trace_id = name, trace_id_of(name)
        self._number = self._report.shapes["trace"]
        self._report.shapes["trace"] += 1
        self._status(found, _STATUSES, "")
        parts = self._parts(found, "segments"), self._parts(found, "events")
        span = self._times(found, *parts)
        if span is None:
            self._reject("", "no-time", "neither the trace nor any part of it says a time")
            return
        yield list(self._all(found, *parts, *span))

    def _all(
        self,
        found: Mapping[str, Any],
        segments: list[tuple[int, Any]],
        events: list[tuple[int, Any]],
        start_ns: int,
        end_ns: int,
    ) -> Iterator[TraceEvent]:
        root = found.get("root_span")
        root = root if isinstance(root, dict) else {}
        root_name = text_of(root.get("span_id")) or f"{self._name}/root"
        root_id = span_id_of(root_name)
        rest = {
            name: value
            for name, value in found.items()
            if not (name == "root_span" and isinstance(value, dict))
            and not (name in ("segments", "events") and isinstance(value, list))
        }
        known = {
            text_of(each.get("segment_id")): span_id_of(text_of(each.get("segment_id")))
            for _, each in segments
        }
        if begun := self._began(found, rest, root, start_ns):
            yield begun
        lasted = max(0, end_ns - start_ns) if found.get("status") in _ENDED else 0
        if isinstance(found.get("root_span"), dict) and (
            made := self._span(
                root,
                "root_span",
                0,
                str(found.get("status")),
                start_ns,
                lasted,
                root_id,
                self._root_parent(root),
            )
        ):
            yield made
        for at, each in segments:
            if made := self._segment(each, at, start_ns, root_id, known):
                yield made
        for at, each in events:
            if made := self._event(each, at, start_ns, root_id, known):
                yield made
        if found.get("status") in _ENDED:
            yield self._ended(str(found["status"]), found, start_ns, end_ns)

    # ---- parts

    def _began(
        self, found: Mapping[str, Any], rest: Mapping[str, Any], root: Mapping[str, Any], at_ns: int
    ) -> TraceEvent | None:
        lists = [name for name in ("segments", "events") if isinstance(found.get(name), list)]
        attributes = kept(
            rest, None, self._options.limits, self._report,
            part="trace", number=self._number, lists=lists,
        )  # fmt: skip
        if attributes is None:
            self._reject("", "too-much", "more fields, levels or text than are taken")
            return None
        inner = root.get("attributes")
        name = text_of(inner.get("name")) if isinstance(inner, dict) else ""
        attributes |= {
            "trace_name": name or self._name,
            "trace_type": "custom",
            "context_id": text_of(found.get("context_id")),
        }
        self._see(at_ns, TRACE_STARTED)
        return TraceEvent(
            event_id=self._ids.make(f"{self._name}/started"),
            event_type=TRACE_STARTED,
            component=OWN_COMPONENT,
            timestamp=Timestamp(at_ns),
            attributes=attributes,
            trace_id=self._trace_id,
            request_id=self._name,
        )

    def _ended(
        self, status: str, found: Mapping[str, Any], start_ns: int, end_ns: int
    ) -> TraceEvent:
        if "finished_at" not in found:
            self._report.notes["a trace that says no end: that of its last part"] += 1
        self._see(max(start_ns, end_ns), TRACE_ENDED)
        return TraceEvent(
            event_id=self._ids.make(f"{self._name}/ended"),
            event_type=TRACE_ENDED,
            component=OWN_COMPONENT,
            timestamp=Timestamp(max(start_ns, end_ns)),
            duration=Duration(max(0, end_ns - start_ns)),
            severity=Severity.Error if status == "failed" else Severity.Info,
            attributes={"trace_status": status, "import.part": "end"},
            trace_id=self._trace_id,
            request_id=self._name,
        )

    def _segment(
        self, each: dict[str, Any], at: int, start_ns: int, root_id: int, known: Mapping[str, int]
    ) -> TraceEvent | None:
        where = f".segments[{at}]"
        self._check(each, _NEEDED_OF_SEGMENTS, where)
        self._status(each, _SEGMENT_STATUSES, where)
        own = text_of(each.get("segment_id")) or f"{self._name}/segment-{at}"
        parent_name = text_of(each.get("parent_segment_id"))
        parent = known.get(parent_name, root_id) if parent_name else root_id
        if parent_name and (parent_name not in known or parent_name == own):
            parent = root_id
            self._flaw(f"{where}.parent_segment_id", "names no other segment of the trace")
        begin_ns = self._moment(each, "started_at", where)
        if begin_ns is None:
            self._report.notes["a segment that says no start: that of its trace"] += 1
        begin_ns = start_ns if begin_ns is None else begin_ns
        end_ns = self._moment(each, "finished_at", where)
        lasted = 0 if end_ns is None else end_ns - begin_ns
        if lasted < 0:
            self._flaw(f"{where}.finished_at", "is before its start")
        return self._span(
            each, "segment", at, str(each.get("status")), begin_ns, max(0, lasted),
            span_id_of(own), parent,
        )  # fmt: skip

    def _span(
        self,
        each: dict[str, Any],
        part: str,
        at: int,
        status: str,
        begin_ns: int,
        lasted_ns: int,
        span_id: int,
        parent: int,
    ) -> TraceEvent | None:
        attributes = kept(
            each, "attributes", self._options.limits, self._report,
            part=part, at=at, number=self._number,
        )  # fmt: skip
        if attributes is None:
            self._reject(f".{part}[{at}]", "too-much", "more than is taken")
            return None
        inner = each.get("attributes")
        called = text_of(inner.get("name")) if isinstance(inner, dict) else ""
        label = text_of(each.get("label")) or called or part
        own = text_of(each.get("segment_id")) or text_of(each.get("span_id")) or f"{part}-{at}"
        self._see(begin_ns, part)
        return TraceEvent(
            event_id=self._ids.make(f"{self._name}/{own}"),
            event_type=label,
            component=self._component(each),
            timestamp=Timestamp(begin_ns),
            duration=Duration(lasted_ns),
            severity=Severity.Error if status == "failed" else Severity.Info,
            attributes=attributes,
            request_id=self._name,
            trace_id=self._trace_id,
            span=True,
            span_id=span_id,
            parent_span_id=0 if parent == span_id else parent,
            status={"completed": "ok", "failed": "error"}.get(status, ""),
        )

    def _event(
        self, each: dict[str, Any], at: int, start_ns: int, root_id: int, known: Mapping[str, int]
    ) -> TraceEvent | None:
        where = f".events[{at}]"
        self._check(each, _NEEDED_OF_EVENTS, where)
        event_type = text_of(each.get("event_type"), 10_000)
        if event_type and not _EVENT_TYPE.fullmatch(event_type):
            self._flaw(f"{where}.event_type", f"{event_type[:40]!r} is no name of the protocol")
        if "trace_id" in each and each["trace_id"] != self._name:
            self._flaw(f"{where}.trace_id", "is another trace's")
        moment_ns = self._moment(each, "timestamp", where)
        if moment_ns is None:
            self._report.notes["an event that says no time: that of its trace"] += 1
        attributes = kept(
            each, "data", self._options.limits, self._report,
            part="event", at=at, number=self._number,
        )  # fmt: skip
        if attributes is None:
            self._reject(where, "too-much", "more than is taken")
            return None
        data = each.get("data")
        said = data if isinstance(data, dict) else {}
        within = known.get(text_of(said.get("segment_id") or each.get("segment_id")), root_id)
        at_ns = start_ns if moment_ns is None else moment_ns
        self._see(at_ns, "event")
        why = said.get("rationale") or said.get("reason")
        rationale = why if isinstance(why, str) and text_of(why, len(why)) else ""
        return TraceEvent(
            event_id=self._ids.make(text_of(each.get("event_id")) or f"{self._name}/event-{at}"),
            event_type=event_type or "event",
            component=self._component(each),
            timestamp=Timestamp(at_ns),
            attributes=attributes,
            rationale=rationale,
            request_id=self._name,
            trace_id=self._trace_id,
            span_id=within,
            decision=bool(rationale.strip()) and event_type.endswith("decision"),
        )

    # ---- what they have in common

    def _parts(self, found: Mapping[str, Any], name: str) -> list[tuple[int, Any]]:
        parts = found.get(name, [])
        if not isinstance(parts, list):
            self._flaw(f".{name}", f"is {type(parts).__name__} instead of a list")
            return []
        for at, each in enumerate(parts):
            if not isinstance(each, dict):
                self._reject(f".{name}[{at}]", "no-object", f"{type(each).__name__} instead of one")
        return [(at, each) for at, each in enumerate(parts) if isinstance(each, dict)]

    def _times(
        self,
        found: Mapping[str, Any],
        segments: list[tuple[int, Any]],
        events: list[tuple[int, Any]],
    ) -> tuple[int, int] | None:
        """From when until when the trace went, as far as anything says so."""
        start_ns = self._moment(found, "started_at", "")
        end_ns = self._moment(found, "finished_at", "")
        all_of = [
            moment
            for parts, names in (
                (segments, ("started_at", "finished_at")),
                (events, ("timestamp",)),
            )
            for _, each in parts
            for name in names
            if (moment := self._moment(each, name, None)) is not None
        ]
        if start_ns is None:
            if not all_of and end_ns is None:
                return None
            self._report.notes["a trace that says no start: that of its first part"] += 1
            start_ns = min([*all_of, *([] if end_ns is None else [end_ns])])
        if end_ns is None:
            end_ns = max([start_ns, *all_of])
        elif end_ns < start_ns:
            self._flaw(".finished_at", "is before its start")
        return start_ns, end_ns

    def _moment(self, each: Mapping[str, Any], name: str, where: str | None) -> int | None:
        if each.get(name) is None:
            return None
        try:
            moment = moment_of(each[name], self._options.unit, self._options.zone)
        except ValueError as error:
            if where is not None:
                self._flaw(f"{where}.{name}", str(error))
            return None
        if where is not None:
            self._report.times[moment.how] += 1
        return moment.ns

    def _root_parent(self, root: Mapping[str, Any]) -> int:
        name = text_of(root.get("parent_span_id"))
        return span_id_of(name) if name else 0

    def _component(self, each: Mapping[str, Any]) -> str:
        data = each.get("data")
        data = data if isinstance(data, dict) else {}
        for found in (each.get("source"), each.get("component"), data.get("agent_id")):
            if text := text_of(found):
                return text
        return "imported"

    def _see(self, moment_ns: int, part: str) -> None:
        self._report.see(moment_ns, self._before_ns)
        self._before_ns = moment_ns
        self._report.shapes[part] += 1

    def _status(self, each: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
        status = each.get("status")
        if isinstance(status, str) and status not in allowed:
            self._flaw(f"{where}.status", f"{status[:40]!r} is none of {', '.join(allowed)}")

    def _check(self, each: Mapping[str, Any], needed: Mapping[str, Any], where: str) -> None:
        for name, kind in needed.items():
            if name not in each:
                self._flaw(f"{where}.{name}", "is missing")
            elif not isinstance(each[name], kind) or each[name] == "":
                self._flaw(f"{where}.{name}", f"is {type(each[name]).__name__}, or empty")

    def _flaw(self, where: str, what: str) -> None:
        path = f"{self._path}{where}"
        if self._options.strict:
            raise CorruptFile(f"{self._source.name}: {path} {what}")
        self._report.flaw(path, what)

    def _reject(self, where: str, reason: str, detail: str) -> None:
        if self._options.strict:
            raise CorruptFile(f"{self._source.name}: {self._path}{where}: {reason}: {detail}")
        self._report.reject(f"{self._path}{where}", reason, detail)
