"""OpenTelemetry into whence: a tracer provider, a span processor and exporters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.integrations.otel.exporters import LogExporter, SpanExporter, SpanProcessor
    from whence.integrations.otel.provider import Tracer, TracerProvider

__all__ = ["LogExporter", "SpanExporter", "SpanProcessor", "Tracer", "TracerProvider"]

_NEEDS_THE_SDK = ("LogExporter", "SpanExporter", "SpanProcessor")


def __getattr__(name: str) -> Any:
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'whence.otel' has no attribute {name!r}")
    room = "exporters" if name in _NEEDS_THE_SDK else "provider"
    try:
        found = getattr(importlib.import_module(f"whence.integrations.otel.{room}"), name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise ModuleNotFoundError(
            "whence.otel needs OpenTelemetry: pip install 'whence[otel]'", name=error.name
        ) from None
    globals()[name] = found
    return found
