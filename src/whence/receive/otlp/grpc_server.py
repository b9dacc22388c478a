"""OTLP over gRPC: the three services' Export, answered when what was sent is durable."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from whence.model.errors import StoreBusy, StoreOwned
from whence.receive.otlp.intake import OWNED_S, OtlpIntake
from whence.receive.otlp.replies import retry_info, status_with_retry, success

__all__ = ["GrpcServer"]

_SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_UNAVAILABLE = 14


class GrpcServer:
    """Serves one address with so many threads. Messages are passed on as bytes, and read natively.

    What is too large is INVALID_ARGUMENT: real clients send RESOURCE_EXHAUSTED again. What may
    come again is UNAVAILABLE, with the delay in both trailers that clients look at.
    """

    def __init__(
        self,
        intake: OtlpIntake,
        address: str,
        *,
        workers: int = 8,
        most_requests: int = 32,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        most_bytes = 4 * intake.limits.body_bytes
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="whence-otlp")
        self._server = grpc.server(
            self._pool,
            maximum_concurrent_rpcs=most_requests,
            options=[
                ("grpc.max_receive_message_length", most_bytes),
                ("grpc.so_reuseport", 0),
            ],
        )
        for signal, service in _SERVICES.items():
            handler = grpc.unary_unary_rpc_method_handler(_exporter(intake, signal))
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
            )
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)

    def start(self) -> None:
        """Serves from now on, in threads of its own."""
        self._server.start()

    def stop(self, grace_s: float = 5.0) -> None:
        """Takes no more calls, and lets those under way end for at most that long."""
        self._server.stop(grace_s).wait(grace_s + 1.0)
        self._pool.shutdown(wait=False)


def _exporter(intake: OtlpIntake, signal: str) -> Callable[[bytes, Any], bytes]:
    def export(message: bytes, context: Any) -> bytes:
        try:
            received = intake.store(signal, message)
        except (StoreBusy, StoreOwned, MemoryError) as error:
            delay_s = getattr(error, "retry_after_s", OWNED_S)
            said = str(error) or "there is no memory for it"
            context.set_trailing_metadata(
                (
                    ("google.rpc.retryinfo-bin", retry_info(delay_s)),
                    ("grpc-status-details-bin", status_with_retry(_UNAVAILABLE, said, delay_s)),
                )
            )
            context.abort(grpc.StatusCode.UNAVAILABLE, said)
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return success(signal, received.rejected, received.reason)

    return export
