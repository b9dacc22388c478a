"""Export requests on their way into a store: read, stored, and only then acknowledged."""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

from whence.model.errors import StoreBusy, StoreFull, StoreOwned
from whence.receive.inflate import TooLarge, UnknownEncoding, inflated
from whence.receive.otlp.json_in import protobuf_of
from whence.receive.otlp.replies import JSON, PROTOBUF, HttpReply, status, success
from whence.receive.otlp.requests import SIGNALS, OtlpLimits, Received, RequestReader
from whence.store.intake import Intake

__all__ = ["OtlpCounts", "OtlpIntake"]

INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE, INTERNAL = 3, 8, 14, 13
OWNED_S = 5.0
_PROTOBUFS = (PROTOBUF, "application/protobuf", "application/vnd.google.protobuf")


class OtlpCounts(NamedTuple):
    """What came, by this way, since the start; `requests` are those that were answered at all."""

    requests: int = 0
    records: int = 0  # spans, log records and data points
    rows: int = 0  # with the events inside of spans; duplicates among them
    duplicates: int = 0
    rejected: int = 0
    cut: int = 0
    failed: int = 0  # requests that were refused whole


class OtlpIntake:
    """Takes export requests in, from any thread; each call returns when its rows are durable.

    Signals are `traces`, `logs` and `metrics`. Requests are idempotent: see Intake.
    """

    def __init__(self, intake: Intake, limits: OtlpLimits | None = None) -> None:
        self._intake = intake
        self._reader = RequestReader(limits)
        self._lock = threading.Lock()
        self._counts = OtlpCounts()

    @property
    def limits(self) -> OtlpLimits:
        """What a request may hold."""
        return self._reader.limits

    @property
    def counts(self) -> OtlpCounts:
        """What came so far."""
        with self._lock:
            return self._counts

    def store(self, signal: str, message: bytes) -> Received:
        """Stores an ExportServiceRequest in protobuf, uncompressed.

        Raises TooLarge and ValueError for what must not be sent again, StoreBusy, StoreFull and
        StoreOwned for what may.
        """
        if len(message) > self.limits.body_bytes:
            self._count(failed=1)
            raise TooLarge(f"more than {self.limits.body_bytes} bytes")
        try:
            received = self._reader.read(signal, message)
            receipt = self._intake.put_all(received.parts)
        except Exception:
            self._count(failed=1)
            raise
        self._count(
            records=received.records,
            rows=sum(len(table) for table, _ in received.parts),
            duplicates=receipt.duplicates,
            rejected=received.rejected,
            cut=received.cut,
        )
        return received

    def receive(self, signal: str, body: bytes, content_type: str, encoding: str = "") -> HttpReply:
        """Answers `POST /v1/<signal>`: the whole of HTTP but the wire. Raises nothing.

        The answer is of the request's content type: JSON or protobuf.
        """
        kind = content_type.partition(";")[0].strip().lower()
        as_json = kind == JSON
        answered = JSON if as_json else PROTOBUF

        def refused(code: int, rpc: int, message: str, after_s: float | None = None) -> HttpReply:
            content = status(rpc, message, as_json=as_json)
            return HttpReply(
                code, content, answered, None if after_s is None else math.ceil(after_s)
            )

        if signal not in SIGNALS:
            return refused(404, 5, f"there is no signal {signal[:40]!r}")
        if not as_json and kind not in _PROTOBUFS:
            return refused(415, INVALID_ARGUMENT, f"Content-Type is {JSON} or {PROTOBUF}")
        try:
            if len(body) > self.limits.body_bytes:
                raise TooLarge(f"more than {self.limits.body_bytes} bytes")
            content = inflated(body, encoding, self.limits.body_bytes)
            received = self.store(signal, protobuf_of(signal, content) if as_json else content)
        except TooLarge as error:
            return refused(413, INVALID_ARGUMENT, str(error))
        except UnknownEncoding as error:
            return refused(415, INVALID_ARGUMENT, str(error))
        except StoreFull as error:
            return refused(503, UNAVAILABLE, str(error), error.retry_after_s)
        except StoreBusy as error:
            return refused(429, RESOURCE_EXHAUSTED, str(error), error.retry_after_s)
        except StoreOwned as error:
            return refused(503, UNAVAILABLE, str(error), OWNED_S)
        except ValueError as error:
            return refused(400, INVALID_ARGUMENT, str(error))
        except MemoryError:
            return refused(503, UNAVAILABLE, "there is no memory for it", OWNED_S)
        made = success(signal, received.rejected, received.reason, as_json=as_json)
        return HttpReply(200, made, answered)

    def _count(self, **more: int) -> None:
        with self._lock:
            counts = self._counts._replace(requests=self._counts.requests + 1)
            self._counts = counts._replace(
                **{name: getattr(counts, name) + by for name, by in more.items()}
            )
