"""What the HTTP face has done, as metric families."""

from __future__ import annotations

from collections.abc import Iterator

from whence.export.openmetrics import Family, Sample, labels_of
from whence.serve.parts import Parts

__all__ = ["server_families"]


def server_families(parts: Parts) -> Iterator[Family]:
    """Requests, refusals, connections and questions, as of now."""
    traffic, asking = parts.traffic, parts.asking
    answers = tuple(
        Sample(labels_of(method=method, status=str(status)), count)
        for (method, status), count in sorted(traffic.answers.items())
    )
    yield Family("whence_http_requests", "counter", "Requests answered, by status.", answers)
    refused = tuple(
        Sample(labels_of(code=code), count) for code, count in sorted(traffic.refused.items())
    )
    yield Family("whence_http_problems", "counter", "Requests refused, by reason.", refused)
    help = "What all requests took."
    yield _one("whence_http_request_seconds", "counter", help, traffic.seconds, "seconds")
    yield _one("whence_http_requests_now", "gauge", "Requests under way.", traffic.now)
    help = "Room that bodies on their way take."
    yield _one("whence_http_body_bytes", "gauge", help, traffic.body_bytes, "bytes")
    if (crowd := parts.crowd) is not None:
        yield _one("whence_http_connections", "gauge", "Connections.", crowd.count)
        help = "Connections that there was no room for."
        yield _one("whence_http_connections_refused", "counter", help, crowd.refused)
        help = "Connections that took too long to send a request."
        yield _one("whence_http_connections_late", "counter", help, crowd.late)
    if (streams := parts.streams) is not None:
        yield _one(
            "whence_http_streams", "gauge", "Streams of new events that are open.", streams.now
        )
        help = "Events told to streams."
        yield _one("whence_http_streamed_events", "counter", help, streams.told)
    if (writing := parts.writing) is not None:
        yield _one("whence_writes", "counter", "Writes done or refused.", writing.done)
        yield _one("whence_writes_now", "gauge", "Writes under way.", writing.waiting)
    yield _one("whence_questions", "counter", "Questions asked of the store.", asking.asked)
    help = "What all questions took, their waiting included."
    yield _one("whence_question_seconds", "counter", help, asking.seconds, "seconds")
    help = "Questions that were ended before they had an answer."
    yield _one("whence_questions_ended", "counter", help, asking.ended_early)
    yield _one("whence_questions_now", "gauge", "Questions asked or waiting.", asking.waiting)


def _one(name: str, kind: str, help: str, value: int | float, unit: str = "") -> Family:
    return Family(name, kind, help, (Sample((), value),), unit)
