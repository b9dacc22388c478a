"""Events as OTLP requests: log records for what happened, spans for what lasted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from whence.export.conventions import RESOURCE, native_table
from whence.model.recording import SessionInfo
from whence.model.version import __version__

if TYPE_CHECKING:
    from whence._native import Batch

__all__ = ["LOGS", "MOST_ATTRIBUTES", "TRACES", "OtlpRequest", "otlp_requests", "resource_of"]

LOGS = "logs"
TRACES = "traces"
SIGNALS = ("both", LOGS, TRACES)
MOST_ATTRIBUTES = 128  # OpenTelemetry's own limit; what is beyond it is counted as dropped
_NO_LIMIT = 2**62


class OtlpRequest(NamedTuple):
    """The body of one export request: its signal, its bytes, and how many events it holds."""

    signal: str
    body: bytes
    events: int


def otlp_requests(
    batch: Batch,
    sessions: Mapping[str, SessionInfo],
    *,
    as_json: bool = False,
    signals: str = "both",
    most_bytes: int = _NO_LIMIT,
    most_events: int = _NO_LIMIT,
    most_attributes: int = MOST_ATTRIBUTES,
) -> list[OtlpRequest]:
    """The batch as ExportLogsServiceRequests and ExportTraceServiceRequests, in that order.

    Spans and events with a duration become spans, all others log records; `signals` "logs" makes
    all of them log records, "traces" leaves out those that are no spans. Each request stays
    within `most_bytes` and `most_events`, unless one event alone is larger. Of each event's own
    attributes `most_attributes` are written. The same events give the same bytes. About 0.4 us an
    event, without the GIL; ValueError for another `signals`.
    """
    found = batch.otlp(
        _table(),
        {name: (resource_of(info), _anchors(info)) for name, info in sessions.items()},
        as_json=as_json,
        signals=signals,
        most_bytes=most_bytes,
        most_events=most_events,
        most_attributes=most_attributes,
    )
    return [OtlpRequest(*request) for request in found]


def resource_of(session: SessionInfo) -> dict[str, int | float | bool | str]:
    """A session's resource attributes; what OTEL_RESOURCE_ATTRIBUTES said of it goes first."""
    known: dict[str, int | float | bool | str] = {
        RESOURCE["service"]: session.service or "unknown_service",
        RESOURCE["uuid"]: session.uuid,
        RESOURCE["pid"]: session.pid,
        RESOURCE["name"]: session.name,
        RESOURCE["run"]: session.run,
        "telemetry.sdk.name": "whence",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": __version__,
    }
    given = dict(session.resource)
    given.pop(RESOURCE["service"], None)  # the session's service was chosen knowing it
    return {name: value for name, value in (known | given).items() if value not in ("", 0)}


def _anchors(session: SessionInfo) -> list[tuple[int, int]]:
    return [(anchor.monotonic_ns, anchor.wall_ns) for anchor in session.anchors]


@cache
def _table() -> dict[str, Any]:
    return native_table()
