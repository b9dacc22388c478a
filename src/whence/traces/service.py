"""TraceService: traces with a lifecycle, recorded and asked in process; every call answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from whence.model.errors import AlreadyStarted, BudgetExceeded
from whence.model.query import TraceQuery
from whence.model.trace import Event, EventLevel, Trace, TraceType
from whence.query.chain import Chain
from whence.query.engines.engine import Engine
from whence.query.engines.traces import TraceFilter
from whence.query.why import Answer
from whence.traces.answers import answering
from whence.traces.asked import asked_of, filter_of, interval_of
from whence.traces.exports import ExportedTraces, export_file
from whence.traces.handle import OpenTrace
from whence.traces.questions import (
    ErrorsAnswer,
    PerformanceAnswer,
    Statistics,
    TracesAnswer,
    chain_of_trace,
    ended_before,
    errors,
    performance,
    statistics,
    traces_page,
    why_trace,
)
from whence.traces.recording import TraceRecording, one_row, text_of, trace_id_of
from whence.traces.whole import rows_of, whole_trace, whole_traces
from whence.watch.dashboards import USUAL, Dashboard, dashboard
from whence.watch.listeners import Listener

if TYPE_CHECKING:
    from whence.traces.measuring import MetricsAnswer
    from whence.watch.metrics.collecting import MetricsCollection
    from whence.watch.metrics.registry import Registry

__all__ = ["TraceService"]

DAY_NS = 86_400_000_000_000
IDS_AT_ONCE = 1_000
TOLD_EVERY = 100
T = TypeVar("T")


class TraceService(TraceRecording):
    """Traces, kept in a folder that any process may read, asked by whoever has the folder.

    `data_source` is a folder, "memory" or clickhouse://HOST/DATABASE, which is only read; `options`
    are those of TraceOptions. Raises what opening it does: AlreadyStarted where this process keeps
    another folder, NotAStore, TypeError and ValueError for options that make no sense. After that
    nothing raises: each call answers with a Result, whose `error` says what is wrong. Reads see all
    that was written before. Any thread. `clock` is wall time in nanoseconds.
    """

    def trace(
        self,
        name: str = "",
        *,
        type: TraceType | str = TraceType.CUSTOM,
        context_id: str = "",
        **more: Any,
    ) -> OpenTrace:
        """`with traces.trace("Project workflow", context_id="ctx-1") as t: t.event("step", n=1)`.

        The trace is completed at the end of the block, or failed by an exception, which is raised
        again. Inside it is the ambient trace: kinds and spans recorded there belong to it. `more`
        is what create_trace() takes.
        """
        return OpenTrace(self, name, trace_type=type, context_id=context_id, **more)

    @answering
    def get_trace_by_id(self, trace_id: str) -> Trace:
        """The trace with its events, as it is now. NotFound for one that there is not.

        BudgetExceeded for one of more events than `max_events`.
        """
        trace_id = trace_id_of(trace_id)
        return self._ask(lambda engine: self._whole_trace(engine, trace_id))

    @answering
    def query_traces(
        self,
        /,
        filter: Mapping[str, Any] | None = None,
        aggregation: Mapping[str, Any] | None = None,
        pagination: Mapping[str, Any] | None = None,
        **flat: Any,
    ) -> TracesAnswer:
        """A page of traces, and figures of all that match.

        Filter, aggregation and pagination are given apart, as one object with these three members,
        or, but for the aggregation, flat: `query_traces(status="failed", page=2, limit=50)`.
        docs/traces.md names all filters. InvalidArgument for one that there is not.
        """
        asked = asked_of(filter, aggregation, pagination, flat, self._clock())
        return self._ask(lambda engine: traces_page(engine, asked))

    @answering
    def search(self, /, q: str, **flat: Any) -> TracesAnswer:
        """Traces with that text in their name, description or messages. Not empty."""
        if not text_of("q", q).strip():
            raise ValueError("q: name the text to look for")
        asked = asked_of({"q": q}, None, None, flat, self._clock())
        return self._ask(lambda engine: traces_page(engine, asked))

    @answering
    def statistics(self, /, time_range: object = None, **filters: Any) -> Statistics:
        """All traces that started in that time, or match, in figures."""
        wanted = filter_of({"time_range": time_range, **filters}, self._clock())
        return self._ask(lambda engine: statistics(engine, wanted))

    @answering
    def errors(self, time_range: object = None, limit: int = 20) -> ErrorsAnswer:
        """What went wrong in that time: traces, events, and the commonest types of them."""
        return self._ask(lambda engine: errors(engine, time_range, limit, self._clock()))

    @answering
    def performance(self, time_range: object = None, limit: int = 20) -> PerformanceAnswer:
        """The traces that lasted longest, and the durations of each type."""
        return self._ask(lambda engine: performance(engine, time_range, limit, self._clock()))

    @answering
    def chain(self, trace_id: str) -> Chain:
        """All events of the trace, or of the request that all of them name, in order."""
        trace_id = trace_id_of(trace_id)
        return self._ask(lambda engine: chain_of_trace(engine, trace_id))

    @answering
    def why(self, trace_id: str) -> Answer:
        """What explains the trace, as `whence why` does."""
        trace_id = trace_id_of(trace_id)
        return self._ask(lambda engine: why_trace(engine, trace_id))

    @answering
    def delete_trace(self, trace_id: str) -> None:
        """Hides a trace from every question at once, for good; its bytes go later. NotFound."""
        trace_id = trace_id_of(trace_id)
        self._ask_stored(lambda engine: one_row(engine, trace_id))
        self._room.hide([trace_id])
        self._lives.forget(trace_id)

    @answering
    def cleanup(self, older_than_days: float) -> int:
        """Hides all traces that ended before that many days ago; how many. 0 is all that ended.

        Those that are active stay. A call that fails has hidden some of them, maybe.
        """
        if isinstance(older_than_days, bool) or not isinstance(older_than_days, int | float):
            raise TypeError(f"older_than_days is a number, not {older_than_days!r}")
        if not 0 <= older_than_days < 100_000:
            raise ValueError(f"older_than_days is 0 or more, not {older_than_days}")
        before_ns = self._clock() - round(older_than_days * DAY_NS)
        gone = self._ask_stored(lambda engine: ended_before(engine, before_ns))
        for first in range(0, len(gone), IDS_AT_ONCE):
            self._room.hide(gone[first : first + IDS_AT_ONCE])
        for each in gone:
            self._lives.forget(each)
        return len(gone)

    @answering
    def export_traces(
        self,
        /,
        filter: Mapping[str, Any] | None = None,
        format: str = "json",
        compression: str | None = None,
        include_events: bool = True,
        include_metrics: bool = False,
        *,
        progress: Callable[[int, int], object] | None = None,
        cancel: threading.Event | None = None,
        **flat: Any,
    ) -> ExportedTraces:
        """Writes the traces that match into a file of its own, which appears when it is whole.

        `format` is json, csv or parquet, `compression` gzip or None. The file's name is made here;
        it lies in the option `export_folder`, else in `exports` in the store's folder. `progress`
        is told now and then how many traces are written, and of how many. Once `cancel` is set the
        answer is BudgetExceeded, and there is no file. InvalidArgument for a format that there is
        not.
        """
        wanted = filter_of({**(filter or {}), **flat}, self._clock())
        folder = self._export_folder()
        self._ask(lambda engine: None)  # has what was written before stored
        traces = self._each(wanted, include_events or include_metrics, progress, cancel)
        return export_file(
            folder,
            traces,
            format,
            compression,
            include_events=include_events,
            include_metrics=include_metrics,
        )

    @property
    def metrics(self) -> Registry:
        """Where a program makes metrics of its own: `traces.metrics.gauge("load").set(0.5)`.

        Raises AlreadyStarted if `enable_metrics_collection` is off.
        """
        return self._collecting().registry

    @answering
    def get_metrics(
        self, time_range: object = "1h", metric_types: Sequence[str] | None = None
    ) -> MetricsAnswer:
        """What was measured in that time, of these sorts or all, and the newest readings.

        Conflict if `enable_metrics_collection` is off.
        """
        from whence.traces.measuring import MetricsAnswer, metrics_of

        collection = self._collecting()
        wanted = self.options.metrics_config.metric_types if metric_types is None else metric_types
        since_ns, until_ns = self._whole_interval(time_range)
        history = self._ask(lambda engine: metrics_of(engine, (since_ns, until_ns), wanted))
        return MetricsAnswer(history, collection.latest)

    @answering
    def get_dashboard_data(
        self,
        time_range: object = "24h",
        metrics: Sequence[str] = USUAL,
        group_by: str = "hour",
    ) -> Dashboard:
        """A summary of the traces that began in that time, and their figures bucket by bucket."""
        since_ns, until_ns = self._whole_interval(time_range)
        return self._ask(lambda engine: dashboard(engine, since_ns, until_ns, metrics, group_by))

    @answering
    def add_event_listener(
        self,
        callback: Callable[[Event], object],
        *,
        event_type: str | Sequence[str] | None = None,
        level: str | None = None,
        trace_id: str | None = None,
        component: str | None = None,
        name: str = "",
    ) -> Listener:
        """Calls back for each event of a trace that is stored from now on, whoever recorded it.

        `level` is the least one. Each listener has a thread and a queue of its own: what it raises
        is counted, what it is too slow for is dropped and counted (`counts`). A second or so after
        the event. Conflict if `enable_real_time_monitoring` is off.
        """
        if not self.options.enable_real_time_monitoring:
            raise AlreadyStarted("the service was made with enable_real_time_monitoring=False")
        query = TraceQuery(
            event_type=event_type,
            component=component,
            trace_id=None if trace_id is None else trace_id_of(trace_id),
            min_severity=None if level is None else EventLevel(level).severity,
        )
        return self._watching.add(callback, query, name)

    @answering
    def remove_event_listener(self, listener: Listener) -> bool:
        """No call begins any more; whether the one under way, if there is one, has ended."""
        return listener.remove()

    def _collecting(self) -> MetricsCollection:
        if self._collection is None:
            raise AlreadyStarted("the service was made with enable_metrics_collection=False")
        return self._collection

    def _whole_interval(self, time_range: object) -> tuple[int, int]:
        """Both ends of a time, of which the first must be given."""
        now_ns = self._clock()
        since_ns, until_ns = interval_of(time_range, now_ns)
        if since_ns is None:
            raise ValueError("time_range: from when on?")
        return since_ns, now_ns if until_ns is None else until_ns

    def _export_folder(self) -> Path:
        if self.options.export_folder is not None:
            return Path(self.options.export_folder)
        if self._room.folder is None:
            raise ValueError(f"{self.name} is no folder: give the option export_folder")
        return self._room.folder / "exports"

    def _each(
        self,
        wanted: TraceFilter,
        events: bool,
        progress: Callable[[int, int], object] | None,
        cancel: threading.Event | None,
    ) -> Iterator[Trace]:
        """The traces that match, with their events if these are wanted."""

        def ask(question: Callable[[Engine], T]) -> T:
            with self._room.asking() as engine:
                return question(engine)

        total = [0]
        rows = rows_of(ask, wanted, lambda count: total.__setitem__(0, count))
        most = self.options.event_config.max_events
        done = told = 0
        for trace in whole_traces(ask, rows, most, events=events):
            if cancel is not None and cancel.is_set():
                raise BudgetExceeded("the export was cancelled")
            yield trace
            done += 1
            if progress is not None and done - told >= TOLD_EVERY:
                progress(done, total[0])
                told = done
        if progress is not None and (done > told or not done):
            progress(done, total[0])

    def _whole_trace(self, engine: Engine, trace_id: str) -> Trace:
        row = one_row(engine, trace_id)
        return whole_trace(engine, row, self.options.event_config.max_events)
