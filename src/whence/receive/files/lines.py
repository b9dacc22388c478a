"""Events one a line, in the dialects of agents' logs: what each field becomes, and back again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from whence.model.errors import CorruptFile
from whence.model.event import AttributeValue, TraceEvent
from whence.model.nested import CUT, flat, whole
from whence.model.severity import Severity
from whence.model.span import is_trace_id
from whence.model.time import Duration, Timestamp
from whence.receive.files.json_parts import BadJson, loaded
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions, SourceFile
from whence.receive.files.times import ExactFloat, Moment, moment_of

__all__ = ["DIALECTS", "dialect_of", "line_of", "read_lines"]

DIALECTS = (("event_type", "timestamp"), ("type", "ts"), ("event", "timestamp"))
"""The fields of type and time by which lines are told apart, in the order in which they count."""

_OTHERS = (("event_type", "ts"), ("event", "ts"), ("type", "timestamp"))
OWN = "import."  # before the names of what is kept besides the fields of the line
_GIVEN = "import.given."
_SHAPE, _TIME, _LINE, _TOP = "import.shape", "import.time", "import.line", "import.top"
CHUNK_EVENTS = 10_000
_MOST_ID = 200  # characters; a longer one is data

_REQUESTS = ("run_id", "request_id", "trace_id", "session_id")
_CHAINS = ("decision_chain_id", "chain_id")
_COMPONENTS = ("component", "agent_id", "source", "service", "actor")
_MODELS = ("model_id", "model")
_WHY = ("rationale", "reason", "message")
_PARENTS = ("parent_event_id", "caused_by", "parent_id")
_IDS = ("event_id", "id")
_LASTED = {"duration_ns": 1, "duration_us": 10**3, "duration_ms": 10**6, "duration_s": 10**9}
_MOST_NS = 2**63 - 1


class _Line(NamedTuple):
    """A line taken apart. `said` are the fields with those of `data` among them."""

    number: int
    shape: str
    event_type: str
    type_name: str
    time: Any
    time_name: str
    said: dict[str, Any]
    top: tuple[str, ...]
    own_id: str
    digest: bytes


def dialect_of(found: Any) -> tuple[str, str] | None:
    """The names of type and time in a line's object, if it has a pair of them."""
    if not isinstance(found, dict):
        return None
    for type_name, time_name in (*DIALECTS, *_OTHERS):
        named = found.get(type_name)
        time = found.get(time_name)
        if isinstance(named, str) and named and isinstance(time, str | int | float):
            return type_name, time_name
    return None


def read_lines(
    source: SourceFile, options: ReadOptions, report: FileReport
) -> Iterator[list[TraceEvent]]:
    """The events of a file, some thousands at a time, in its order.

    Lines that cannot be taken are counted in the report; with `strict` the first one raises
    CorruptFile. Goes through the file twice: what names a run may stand anywhere in it.
    """
    names = _Names(source, report)
    for _, text in _texts(source.content):
        try:
            names.see(_line(0, text, options))
        except BadJson:
            continue
    reader = _Reader(source, options, report, names)
    chunk: list[TraceEvent] = []
    for number, text in _texts(source.content):
        report.lines += 1
        if not text.strip():
            report.blank += 1
            continue
        try:
            event = reader.event(_line(number, text, options))
        except BadJson as error:
            if options.strict:
                what = f"{source.name}, line {number}: {error.reason}: {error}"
                raise CorruptFile(what) from None
            report.reject(f"line {number}", error.reason, str(error))
            continue
        if event is not None:
            chunk.append(event)
        if len(chunk) >= CHUNK_EVENTS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def line_of(event: TraceEvent) -> dict[str, Any]:
    """The object that stood in the line an event was made from: all of it, in no certain order."""
    said = whole(event.attributes)
    shape, time = str(said.pop(_SHAPE)), said.pop(_TIME)
    type_name, time_name, *nested = shape.split("+")
    top = said.pop(_TOP, [])
    said.pop(_LINE, None)
    fields = {name.removeprefix(_GIVEN): value for name, value in said.items()}
    found: dict[str, Any] = {type_name: event.event_type, time_name: time}
    if not nested:
        return found | fields
    outside = {name.removeprefix("line."): fields.pop(name) for name in top if name in fields}
    return found | outside | {"data": fields}


def _texts(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines by number, without their ends; a byte order mark is none of the first."""
    at = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    number = 1
    while at < len(content):
        end = content.find(b"\n", at)
        end = len(content) if end < 0 else end
        yield number, content[at:end]
        at = end + 1
        number += 1


def _line(number: int, text: bytes, options: ReadOptions) -> _Line:
    """Takes a line apart. Raises BadJson."""
    text = text.strip()
    if len(text) > options.limits.line_bytes:
        raise BadJson("too-long", f"{len(text)} bytes, of {options.limits.line_bytes} allowed")
    found = loaded(text) if text else None
    if not isinstance(found, dict):
        raise BadJson("no-object", f"{type(found).__name__} instead of an object")
    names = dialect_of(found)
    if names is None:
        raise BadJson("no-type-or-time", f"its fields are {', '.join(map(str, found))[:150]}")
    type_name, time_name = names
    fields = {name: value for name, value in found.items() if name not in names}
    shape = f"{type_name}+{time_name}"
    top: tuple[str, ...] = ()
    data = fields.get("data")
    if isinstance(data, dict):
        del fields["data"]
        outside = {_outside_name(name, data): value for name, value in fields.items()}
        if clash := outside.keys() & data.keys():
            raise BadJson("names-clash", f"{min(clash)[:60]!r} stands in it and in data")
        shape, top, fields = f"{shape}+data", tuple(outside), {**outside, **data}
    return _Line(
        number,
        shape,
        found[type_name],
        type_name,
        found[time_name],
        time_name,
        fields,
        top,
        next((own for name in _IDS if (own := _id_text(found.get(name)))), ""),
        hashlib.blake2b(text, digest_size=16).digest(),
    )


def _id_text(value: Any) -> str:
    """An id as text; "" for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return ""
    return text if len(text) <= _MOST_ID else ""


class _Names:
    """Which runs, requests, traces and chains a file names, so that each event gets its own.

    Of a name with one value in the whole file, all events are of that. Where there are several, an
    event that says none is of the last one before it.
    """

    def __init__(self, source: SourceFile, report: FileReport) -> None:
        self._source, self._report = source, report
        self._first: dict[str, str] = {}
        self._several: set[str] = set()
        self._last: dict[str, str] = {}
        self.ids: set[str] = set()

    def see(self, line: _Line) -> None:
        """Learns the names of a line, in the first pass."""
        if line.own_id:
            self.ids.add(line.own_id)
        for name in (*_REQUESTS, *_CHAINS):
            if (text := _id_text(_field(line.said, name))) and self._first.setdefault(
                name, text
            ) != text:
                self._several.add(name)

    def request(self, line: _Line) -> str:
        """The run, request, trace or session that an event is of; else the file."""
        for name in _REQUESTS:
            if text := self._named(name, line, inherited=True):
                self._report.mapped[f"request_id from {name}"] += 1
                return text
        self._report.mapped["request_id from the file"] += 1
        return self._source.run

    def chain(self, line: _Line) -> str:
        """The decision chain of an event, where the file has such."""
        for name in _CHAINS:
            if text := self._named(name, line, inherited=False):
                self._report.mapped[f"decision_chain_id from {name}"] += 1
                return text
        return ""

    def trace(self, line: _Line, request: str) -> str:
        """The trace of an event: the id itself where it is one, else one made from the name."""
        text = self._named("trace_id", line, inherited=True)
        plain = text.replace("-", "").lower()
        if text and is_trace_id(plain):
            self._report.mapped["trace_id from trace_id"] += 1
            return plain
        made = hashlib.blake2b(f"import\0{text or request}".encode(), digest_size=16).hexdigest()
        self._report.mapped[f"trace_id made from {'trace_id' if text else 'request_id'}"] += 1
        return made

    def _named(self, name: str, line: _Line, *, inherited: bool) -> str:
        if name not in self._first:
            return ""
        if text := _id_text(_field(line.said, name)):
            self._last[name] = text
            return text
        if not inherited:
            return ""
        if name not in self._several:
            return self._first[name]
        self._report.notes[f"without {name}: taken for that of the line before"] += 1
        return self._last.get(name, self._first[name])


class _Reader:
    """Makes events of lines, in the second pass."""

    def __init__(
        self, source: SourceFile, options: ReadOptions, report: FileReport, names: _Names
    ) -> None:
        self._source, self._options = source, options
        self._report, self._names = report, names
        self._known: dict[str, bytes] = {}
        self._before_ns: int | None = None

    def event(self, line: _Line) -> TraceEvent | None:
        """The event of a line; None for one that stands in the file before. Raises BadJson."""
        moment = self._moment(line)
        attributes = self._attributes(line)
        event_type = _text(line.event_type, "its type")
        event_id = self._event_id(line)
        if event_id is None:
            return None
        request = self._names.request(line)
        said = line.said
        rationale = self._first_of(said, _WHY, "rationale")
        event = TraceEvent(
            event_id=event_id,
            event_type=event_type,
            component=self._first_of(said, _COMPONENTS, "component") or "imported",
            timestamp=Timestamp(moment.ns),
            duration=self._duration(said),
            model_id=self._first_of(said, _MODELS, "model_id"),
            request_id=request,
            rationale=rationale,
            severity=self._severity(said),
            attributes=attributes,
            decision_chain_id=self._names.chain(line),
            caused_by=self._parent(said),
            decision=bool(rationale) and event_type.lower().endswith("decision"),
            trace_id=self._names.trace(line, request),
        )
        self._count(line, moment, request)
        return event

    def _moment(self, line: _Line) -> Moment:
        try:
            return moment_of(line.time, self._options.unit, self._options.zone)
        except ValueError as error:
            raise BadJson("no-time", f"{line.time_name}: {error}") from None

    def _attributes(self, line: _Line) -> dict[str, AttributeValue]:
        limits = self._options.limits
        renamed: dict[str, Any] = {_SHAPE: line.shape, _LINE: line.number, _TIME: line.time}
        if line.top:
            renamed[_TOP] = list(line.top)
        for name, value in line.said.items():
            renamed[_kept_name(name)] = value
        found = flat(
            renamed,
            most_depth=limits.depth,
            most_bytes=2 * limits.line_bytes,
            most_names=limits.names,
        )
        if CUT in found:
            what = f"more than {limits.names} fields, {limits.depth} levels or a name too long"
            raise BadJson("too-much", what)
        return found

    def _event_id(self, line: _Line) -> str | None:
        key = self._source.key
        if not line.own_id:
            return f"{key}:{line.number}"
        own = f"{key}/{line.own_id}"
        made, times = own, 1
        while (known := self._known.get(made)) is not None:
            if known == line.digest:
                self._report.repeated += 1
                self._report.notes["the same line again, with its id: taken once"] += 1
                return None
            times += 1
            made = f"{own}#{times}"
        if times > 1:
            self._report.notes["an id that another line of the file has: numbered"] += 1
        self._known[made] = line.digest
        return made

    def _first_of(self, said: Mapping[str, Any], names: Sequence[str], column: str) -> str:
        for name in names:
            value = _field(said, name)
            if isinstance(value, str) and value.strip():
                try:
                    value.encode()
                except UnicodeEncodeError:
                    continue
                self._report.mapped[f"{column} from {name}"] += 1
                return value
        return ""

    def _severity(self, said: Mapping[str, Any]) -> Severity:
        for name in ("severity", "level"):
            value = _field(said, name)
            if isinstance(value, str) and value:
                try:
                    found = Severity.from_name(value)
                except ValueError:
                    self._report.notes[f"{name} {value[:20]!r} is none of ours: Info"] += 1
                    continue
                self._report.mapped[f"severity from {name}"] += 1
                return found
        return Severity.Info

    def _duration(self, said: Mapping[str, Any]) -> Duration:
        for name, unit_ns in _LASTED.items():
            value = _field(said, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                continue
            nanos = value * unit_ns if isinstance(value, int) else value * float(unit_ns)
            if nanos <= _MOST_NS / 2:
                self._report.mapped[f"duration_ns from {name}"] += 1
                return Duration(round(nanos))
        return Duration(0)

    def _parent(self, said: Mapping[str, Any]) -> str:
        for name in _PARENTS:
            if text := _id_text(_field(said, name)):
                self._report.mapped[f"caused_by from {name}"] += 1
                return f"{self._source.key}/{text}" if text in self._names.ids else text
        return ""

    def _count(self, line: _Line, moment: Moment, request: str) -> None:
        report = self._report
        report.see(moment.ns, self._before_ns)
        self._before_ns = moment.ns
        report.shapes[line.shape] += 1
        report.times[moment.how] += 1
        report.mapped[f"event_type from {line.type_name}"] += 1
        report.mapped[f"timestamp from {line.time_name}"] += 1
        if line.own_id:
            report.mapped["event_id from its own, behind the file's key"] += 1
        if request in report.requests or len(report.requests) < 1_000:
            report.requests[request] += 1
        if moment.finer:
            report.notes["a time finer than nanoseconds: the rest is in import.time alone"] += 1
        for name, value in line.said.items():
            report.keep(name)
            if isinstance(value, ExactFloat) and value.is_rounded:
                report.notes["a number that 64 bits do not hold exactly: rounded"] += 1


def _field(said: Mapping[str, Any], name: str) -> Any:
    """A field by its name, or one of the line that stands in data, too."""
    return said.get(name, said.get(f"line.{name}"))


def _outside_name(name: str, data: Mapping[str, Any]) -> str:
    """What a field of the line is called among those of its data."""
    return f"line.{name}" if name in data or name.startswith("line.") else name


def _kept_name(name: str) -> str:
    return _GIVEN + name if name.startswith(OWN) else name


def _text(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadJson("not-unicode", f"{what} is half of a surrogate pair") from None
    return text
