"""initialize_trace_module(): both faces of one trace service, by one call."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from whence.traces.asynchronous import AsyncTraceService
from whence.traces.service import TraceService

__all__ = ["TraceModule", "initialize_trace_module"]


@dataclass(frozen=True, slots=True)
class TraceModule:
    """One trace service, for threads and for asyncio; both see the same traces."""

    service: TraceService
    async_service: AsyncTraceService

    def close(self) -> None:
        """Stores the rest, and gives back what is held."""
        self.service.close()

    def __enter__(self) -> Self:
        """The module itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes."""
        self.close()


def initialize_trace_module(
    data_source: str | os.PathLike[str] = "./traces", **options: Any
) -> TraceModule:
    """Opens a trace service; takes what TraceService takes, and raises what it raises."""
    service = TraceService(data_source, **options)
    return TraceModule(service, AsyncTraceService(service=service))
