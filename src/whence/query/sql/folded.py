"""Rows folded to one for each trace: only what is asked of it is worked out."""

from __future__ import annotations

from whence.model.names import TRACE_ENDED, TRACE_STARTED
from whence.query.engines.folded_traces import ENDINGS
from whence.query.sql.filters import IS_ERROR
from whence.query.sql.statement import Statement

__all__ = ["HAS_ID", "Folded"]

HAS_ID = "(trace_hi <> 0 OR trace_lo <> 0)"
_IS_ROOT = "(span AND parent_span_id = 0)"
_LATEST = 2**63 - 1


class Folded:
    """What may be said of a trace, over the rows that rows() gives: as folded() tells of events.

    Each member is an expression; the columns that it needs are in rows() from then on. Reading
    attributes costs most, so that what is said in them is asked for by name.
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self._columns: dict[str, str] = {}
        self._starts = f"event_type = {statement.text(TRACE_STARTED)}"
        self._ends = f"event_type = {statement.text(TRACE_ENDED)}"
        self._own = f"NOT ({self._starts} OR {self._ends})"

    def rows(self, source: str, also: str) -> str:
        """A row for each trace that has a row in the source of which `also` holds."""
        columns = [f"{value} AS {name}" for name, value in self._columns.items()]
        chosen = ", ".join(["trace_hi", "trace_lo", *columns])
        where = f"{HAS_ID} AND {also}"
        return f"SELECT {chosen} FROM {source} WHERE {where} GROUP BY trace_hi, trace_lo"

    @property
    def starts(self) -> str:
        """How many rows say that it began."""
        return self._count("starts", self._starts)

    @property
    def ends(self) -> str:
        """How many rows say that it ended."""
        return self._count("ends", self._ends)

    @property
    def roots(self) -> str:
        """How many spans have none around them."""
        return self._count("roots", _IS_ROOT)

    @property
    def events(self) -> str:
        """How many there are, those two left out that begin and end it."""
        return self._count("events", self._own)

    @property
    def errors(self) -> str:
        """How many events are errors."""
        return self._count("errors", f"{self._own} AND {IS_ERROR}")

    @property
    def has_errors(self) -> str:
        """Whether one of its events is an error, or it failed."""
        return f"({self.errors} > 0 OR {self.status} = {self.statement.text('failed')})"

    @property
    def weight(self) -> str:
        """How many traces it stands for."""
        return self._column("weight", "min(weight)")

    @property
    def sessions(self) -> str:
        """A list of keys."""
        return self._column("sessions", self.statement.dialect.each_once("session"))

    @property
    def called(self) -> str:
        """What the first root is called, if there is one."""
        return self._first("called", "event_type", _IS_ROOT)

    @property
    def started(self) -> str:
        """When it did."""
        begun = self._column("begun", f"min(CASE WHEN {self._starts} THEN ts_ns END)")
        first = self._column("first", "min(ts_ns)")
        return f"CASE WHEN {self.starts} > 0 THEN {begun} ELSE {first} END"

    @property
    def ended(self) -> str:
        """When it did, if it is not active: within 64 bits."""
        end = self._column("end", f"min(CASE WHEN {self._ends} THEN ts_ns END)")
        latest = self.statement.integer(_LATEST)
        over = f"CASE WHEN ts_ns > {latest} - duration_ns THEN {latest} ELSE ts_ns + duration_ns"
        lasted = f"CASE WHEN span AND duration_ns > 0 THEN {over} END ELSE ts_ns END"
        last = self._column("last", f"max({lasted})")
        return f"CASE WHEN {self.ends} > 0 THEN {end} ELSE {last} END"

    @property
    def measured(self) -> str:
        """The duration that its end tells; 0 of one that tells none."""
        lasted = self._first("lasted", "duration_ns", self._ends)
        return f"CASE WHEN {self.ends} > 0 THEN {lasted} ELSE 0 END"

    @property
    def lasted(self) -> str:
        """How long it did, as a wide integer; -1 while it is active."""
        wide = self.statement.dialect.integer_to_wide
        length = f"{wide(f'({self.ended})')} - {wide(f'({self.started})')}"
        return (
            f"CASE WHEN {self._is_active} THEN {wide('-1')}"
            f" WHEN {self.measured} > 0 THEN {wide(f'({self.measured})')}"
            f" WHEN {length} > 0 THEN {length} ELSE {wide('0')} END"
        )

    @property
    def status(self) -> str:
        """As TraceRow says."""
        s = self.statement
        completed, failed, active = (s.text(each) for each in ("completed", "failed", "active"))
        said = self._said("ending", "trace_status", self._ends)
        endings = ", ".join(map(s.text, ENDINGS))
        return (
            f"CASE WHEN {self.ends} > 0"
            f" THEN CASE WHEN {said} IN ({endings}) THEN {said} ELSE {completed} END"
            f" WHEN {self._is_active} THEN {active}"
            f" WHEN {self._has_failed} THEN {failed} ELSE {completed} END"
        )

    @property
    def name(self) -> str:
        """What its beginning or its root calls it."""
        return (
            f"CASE WHEN {self.starts} > 0 THEN {self.said('trace_name')}"
            f" WHEN {self.roots} > 0 THEN {self.called} ELSE '' END"
        )

    def said(self, name: str) -> str:
        """A text that its beginning says, if there is one."""
        return self._said(f"said_{name}", name, self._starts)

    def told(self, name: str) -> str:
        """The same; '' if there is none."""
        return f"CASE WHEN {self.starts} > 0 THEN {self.said(name)} ELSE '' END"

    def at_level(self, rank: int) -> str:
        """How many events have this severity."""
        return self._count(f"level_{rank}", f"{self._own} AND severity = {rank}")

    def rationales_with(self, part: str) -> str:
        """How many rows have that text in their rationale."""
        return self._count("told", self.statement.dialect.contains("rationale", part))

    @property
    def _is_active(self) -> str:
        """Begun and not ended, or in spans of which the root is to come and none failed."""
        waits = f"{self._inside} > 0 AND {self._broken} = 0"
        open_span = f"({self.roots} = 0 AND {waits})"
        return f"({self.ends} = 0 AND ({self.starts} > 0 OR {open_span}))"

    @property
    def _has_failed(self) -> str:
        """Where nobody began or ended it."""
        broke = self._first("broke", "CASE WHEN status = 'error' THEN 1 ELSE 0 END", _IS_ROOT)
        wrong = self._count("wrong", IS_ERROR)
        return (
            f"CASE WHEN {self.roots} > 0 THEN {broke}"
            f" WHEN {self._inside} > 0 THEN {self._broken} ELSE {wrong} END > 0"
        )

    @property
    def _inside(self) -> str:
        return self._count("inside", "span OR span_id <> 0")

    @property
    def _broken(self) -> str:
        return self._count("broken", "status = 'error'")

    def _said(self, name: str, attribute: str, where: str) -> str:
        return self._first(
            name, f"coalesce({self.statement.attribute('str', attribute)}, '')", where
        )

    def _first(self, name: str, value: str, where: str) -> str:
        return self._column(name, self.statement.dialect.first(value, where))

    def _count(self, name: str, where: str) -> str:
        return self._column(name, self.statement.dialect.count_if(where))

    def _column(self, name: str, value: str) -> str:
        """Not the name of a column of events: these would be hidden."""
        self._columns[f"t_{name}"] = value
        return f"t_{name}"
