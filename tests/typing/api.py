"""Calls that mypy --strict must accept with these types, and calls that it must refuse.

An expected refusal is a `type: ignore` with its code: were the call accepted, mypy would report
the comment as unused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_type

from whence.model.builder import TraceEventBuilder
from whence.model.event import Option, TraceEvent
from whence.model.ids import ModelID, parse_event_id
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.model.result import Error, ErrorCode, Result
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp
from whence.runtime.backend import InspectableBackend, RuntimeBackend
from whence.runtime.budget import ResourceBudget
from whence.runtime.execution import execute_timed
from whence.runtime.lifetimes import TensorLifetime
from whence.runtime.onnx_backend import OnnxRuntimeBackend
from whence.runtime.requests import ExecutionRequest, ExecutionResult
from whence.runtime.tensors import DType, Tensor, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def times(moment: Timestamp, length: Duration) -> None:
    """Moments and lengths mix only where that means something."""
    assert_type(moment - moment, Duration)
    assert_type(moment - length, Timestamp)
    assert_type(moment + length, Timestamp)
    assert_type(length + length, Duration)
    assert_type(length - length, Duration)
    assert_type(length * 2, Duration)
    assert_type(2 * length, Duration)
    assert_type(length / 2, Duration)
    assert_type(length.to_millis(), int)
    assert_type(Timestamp.now(), Timestamp)
    Duration(1.5)  # type: ignore[arg-type]
    Duration()  # type: ignore[call-arg]
    Duration.from_seconds(0.5)  # type: ignore[arg-type]
    length * 0.5  # type: ignore[operator]
    length / 0.5  # type: ignore[operator]
    length / length  # type: ignore[operator]
    moment + moment  # type: ignore[operator]
    moment + 5  # type: ignore[operator]
    assert moment < length  # type: ignore[operator]
    moment.value_ns = 5  # type: ignore[misc]


def events(moment: Timestamp) -> None:
    """An event needs type, component and time, by keyword."""
    event = TraceEvent(event_type="t", component="c", timestamp=moment)
    assert_type(event.duration, Duration)
    assert_type(event.model_id, str)
    assert_type(event.options, tuple[Option, ...])
    TraceEvent(event_type="t", timestamp=moment)  # type: ignore[call-arg]
    TraceEvent(component="c", timestamp=moment)  # type: ignore[call-arg]
    TraceEvent(event_type="t", component="c")  # type: ignore[call-arg]
    TraceEvent("t", component="c", timestamp=moment)  # type: ignore[call-arg]
    TraceEvent(event_type="t", component="c", timestamp=5)  # type: ignore[arg-type]
    TraceEvent(event_type="t", component="c", timestamp=moment, severity=1)  # type: ignore[arg-type]
    TraceEvent(event_type="t", component="c", timestamp=moment, request="r")  # type: ignore[call-arg]
    TraceEvent(event_type="t", component="c", timestamp=moment, model_id=ModelID("m"))
    event.rationale = "x"  # type: ignore[misc]
    event.attributes["a"] = 1  # type: ignore[index]
    Option()  # type: ignore[call-arg]
    Option("ocr", {"slack_ns": "8"})  # type: ignore[dict-item]


def builders() -> None:
    """Each step takes its own type and gives the builder back."""
    builder = TraceEventBuilder().with_type("t").with_component("c").with_model(ModelID("m"))
    assert_type(builder, TraceEventBuilder)
    assert_type(builder.with_model("m").with_severity(Severity.Error).build(), TraceEvent)
    builder.with_severity("Error")  # type: ignore[arg-type]
    builder.with_timestamp(5)  # type: ignore[arg-type]
    builder.with_attribute("a")  # type: ignore[call-arg]
    builder.with_attribute("a", None)  # type: ignore[arg-type]


def queries(event: TraceEvent, recording: Recording) -> None:
    """Filters have types, and unknown ones are refused."""
    assert_type(TraceQuery(model_id=ModelID("m")).matches(event), bool)
    assert_type(recording.wall_ns(event), int | None)
    assert_type(parse_event_id(""), tuple[int, int, int] | None)
    TraceQuery(start=5)  # type: ignore[arg-type]
    TraceQuery(min_severity="Error")  # type: ignore[arg-type]
    TraceQuery(model="m")  # type: ignore[call-arg]


def results(number: Result[int], failure: Error) -> None:
    """A result carries its value's type through every step."""
    assert_type(Result.ok(), Result[None])
    assert_type(Result.ok(3), Result[int])
    assert_type(number.value(), int)
    assert_type(number.unwrap(), int)
    assert_type(number.error, Error)
    assert_type(number.map(str), Result[str])
    assert_type(number.and_then(lambda value: Result.ok([value])), Result[list[int]])
    assert_type(number.or_else(lambda error: Result.ok(error.message)), Result[int | str])
    failed: Result[int] = Result.err(failure)
    text: Result[str] = number  # type: ignore[assignment]
    Result.err("no")  # type: ignore[arg-type]
    Error("NotFound", "no")  # type: ignore[arg-type]
    Error(ErrorCode.NotFound)  # type: ignore[call-arg]
    number.map(lambda value: value.upper())  # type: ignore[attr-defined]
    number.and_then(lambda value: value)  # type: ignore[arg-type, return-value]
    del failed, text


def models() -> None:
    """A model's id is not a text, and a text is not a model's id."""
    assert_type(ModelID("m").to_string(), str)
    ModelID()  # type: ignore[call-arg]
    ModelID(5)  # type: ignore[arg-type]
    text: str = ModelID("m")  # type: ignore[assignment]
    model: ModelID = "m"  # type: ignore[assignment]
    assert ModelID("m") < "n"  # type: ignore[operator]
    del text, model


def budgets() -> None:
    """Every limit is required, and each has its type."""
    assert_type(ResourceBudget.default_budget().validation_error(), str)
    ResourceBudget()  # type: ignore[call-arg]
    ResourceBudget(1, 2)  # type: ignore[call-arg]
    ResourceBudget(1, 2, 3)  # type: ignore[arg-type]
    ResourceBudget(1.0, 2, Duration(3))  # type: ignore[arg-type]


def tensors(spec: TensorSpec, values: NDArray[np.float32]) -> None:
    """Any buffer is memory; nothing else is."""
    tensor = Tensor(spec, values)
    assert_type(Tensor(spec, b"1234").data(), memoryview)
    assert_type(tensor.shape, tuple[int, ...])
    assert_type(spec.shape, tuple[int | None, ...])
    Tensor(spec)  # type: ignore[call-arg]
    Tensor(spec, [1.0])  # type: ignore[arg-type]
    Tensor(spec, "1234")  # type: ignore[arg-type]
    TensorSpec("x", (1, 2))  # type: ignore[call-arg]
    TensorSpec("x", (1, 2), "f")  # type: ignore[arg-type]
    TensorSpec("x", (1.0,), DType.Float32)  # type: ignore[arg-type]


def requests(tensor: Tensor, moment: Timestamp) -> None:
    """A request has all its parts, and a model is named by its id."""
    ExecutionRequest(ModelID("m"), "req-1", (tensor,), moment, moment)
    ExecutionRequest("m", "req-1", (tensor,), moment, moment)  # type: ignore[arg-type]
    ExecutionRequest(ModelID("m"), "req-1", (tensor,), moment)  # type: ignore[call-arg]
    ExecutionRequest(ModelID("m"), "req-1", (tensor,), moment, 5)  # type: ignore[arg-type]
    ExecutionResult(ModelID("m"), "req-1", (tensor,), 5, True)  # type: ignore[arg-type]


def backends(backend: OnnxRuntimeBackend, request: ExecutionRequest) -> None:
    """What backends return is a result, which cannot be taken for its value."""
    assert_type(backend.load("m.onnx"), Result[None])
    assert_type(backend.load(Path("m.onnx")), Result[None])
    assert_type(backend.execute(request), Result[ExecutionResult])
    assert_type(backend.estimate_memory(), Result[int])
    assert_type(backend.estimate_lifetimes(), Result[list[TensorLifetime]])
    assert_type(execute_timed(backend, request).value().actual_latency, Duration)
    del backend.execute(request).output_tensors  # type: ignore[attr-defined]
    backend.execute()  # type: ignore[call-arg]
    backend.load(5)  # type: ignore[arg-type]
    execute_timed(backend, request, clock=5)  # type: ignore[arg-type]
    OnnxRuntimeBackend(1)  # type: ignore[call-arg]
    RuntimeBackend()  # type: ignore[abstract]
    InspectableBackend()  # type: ignore[abstract]
