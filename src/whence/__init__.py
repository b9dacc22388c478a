"""whence: a flight recorder for inference runtimes and AI agents.

    import whence

    @whence.kind(component="Scheduler", decision=True, rationale="Selected {model}")
    def scheduling_decision(model: str, slack_ns: int) -> None: ...

    with whence.request("req-17"):
        scheduling_decision("ocr_rec", 8_400_000)

Then `whence why`. Importing this module imports nothing heavy; names that producers do not need
are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from whence._native import Context
from whence._native import Span as span
from whence.emit.fields import F32, U8, U32, U64, Strength
from whence.emit.kind import Kind, kind
from whence.emit.recorder import Session, keep_stores_with, prepare, session, start
from whence.emit.request import current, request
from whence.lineage.recorder import record_with
from whence.model.errors import WhenceError
from whence.model.option import Option
from whence.model.severity import Severity
from whence.model.version import __version__ as __version__

if TYPE_CHECKING:
    from whence.background_collector import BackgroundCollector
    from whence.emit.cognitive import CognitiveTracer
    from whence.emit.config import ExportFormat, TracingConfig
    from whence.emit.context import carry, patch_threads, use
    from whence.emit.outcome import outcome
    from whence.emit.w3c import environment, extract, inject
    from whence.lineage.line import Lineage
    from whence.model.builder import TraceEventBuilder
    from whence.model.cognitive import CognitiveEvent, InterferenceType, PrimingType
    from whence.model.event import TraceEvent
    from whence.model.ids import ModelID, RequestIDGenerator
    from whence.model.query import TraceQuery
    from whence.model.result import Error, ErrorCode, Result
    from whence.model.store_settings import StoreSettings
    from whence.model.time import Duration, Timestamp
    from whence.query.audit import AuditTrail
    from whence.query.contracts.contract import Contract, End, Guard, Requirement
    from whence.query.contracts.declared import load_contracts
    from whence.query.contracts.verify import Verification
    from whence.query.metrics import MetricsAggregator
    from whence.trace_collector import EventView, TraceCollector, collector
    from whence.traces.service import TraceService
    from whence.verification import verify

__all__ = [
    "F32",
    "U8",
    "U32",
    "U64",
    "AuditTrail",
    "BackgroundCollector",
    "CognitiveEvent",
    "CognitiveTracer",
    "Context",
    "Contract",
    "Duration",
    "End",
    "Error",
    "ErrorCode",
    "EventView",
    "ExportFormat",
    "Guard",
    "InterferenceType",
    "Kind",
    "Lineage",
    "MetricsAggregator",
    "ModelID",
    "Option",
    "PrimingType",
    "RequestIDGenerator",
    "Requirement",
    "Result",
    "Session",
    "Severity",
    "Strength",
    "Timestamp",
    "TraceCollector",
    "TraceEvent",
    "TraceEventBuilder",
    "TraceQuery",
    "TraceService",
    "TracingConfig",
    "Verification",
    "WhenceError",
    "carry",
    "collector",
    "current",
    "environment",
    "extract",
    "inject",
    "kind",
    "load_contracts",
    "outcome",
    "patch_threads",
    "request",
    "session",
    "span",
    "start",
    "use",
    "verify",
]

_LATER = {
    "AuditTrail": "whence.query.audit",
    "BackgroundCollector": "whence.background_collector",
    "CognitiveEvent": "whence.model.cognitive",
    "CognitiveTracer": "whence.emit.cognitive",
    "Contract": "whence.query.contracts.contract",
    "Duration": "whence.model.time",
    "End": "whence.query.contracts.contract",
    "Error": "whence.model.result",
    "ErrorCode": "whence.model.result",
    "EventView": "whence.trace_collector",
    "ExportFormat": "whence.emit.config",
    "Guard": "whence.query.contracts.contract",
    "InterferenceType": "whence.model.cognitive",
    "Lineage": "whence.lineage.line",
    "MetricsAggregator": "whence.query.metrics",
    "ModelID": "whence.model.ids",
    "PrimingType": "whence.model.cognitive",
    "RequestIDGenerator": "whence.model.ids",
    "Requirement": "whence.query.contracts.contract",
    "Result": "whence.model.result",
    "Timestamp": "whence.model.time",
    "TraceCollector": "whence.trace_collector",
    "TraceEvent": "whence.model.event",
    "TraceEventBuilder": "whence.model.builder",
    "TraceQuery": "whence.model.query",
    "TraceService": "whence.traces.service",
    "TracingConfig": "whence.emit.config",
    "Verification": "whence.query.contracts.verify",
    "carry": "whence.emit.context",
    "collector": "whence.trace_collector",
    "environment": "whence.emit.w3c",
    "extract": "whence.emit.w3c",
    "inject": "whence.emit.w3c",
    "load_contracts": "whence.query.contracts.declared",
    "outcome": "whence.emit.outcome",
    "patch_threads": "whence.emit.context",
    "use": "whence.emit.context",
    "verify": "whence.verification",
}


def __getattr__(name: str) -> Any:
    if name == "collector":  # the module of that name must not shadow the function
        return importlib.import_module("whence.trace_collector").collector
    if name == "otel":  # a module, which asks for OpenTelemetry when its names are used
        return importlib.import_module("whence.otel")
    if name not in _LATER:
        raise AttributeError(f"module 'whence' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


def _keep_store(folder: str, words: str, settings: StoreSettings) -> None:
    importlib.import_module("whence.background_store").keep(folder, words, settings)


def _lineage_recorder() -> Any:
    return importlib.import_module("whence.emit.lineage")


keep_stores_with(_keep_store)
record_with(_lineage_recorder)
prepare()
