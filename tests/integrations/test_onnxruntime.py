"""Traced ONNX Runtime sessions, against the real library."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.own_events import OwnEvents
from whence.emit.request import request
from whence.integrations.onnxruntime import trace_session

np = pytest.importorskip("numpy", reason="numpy is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture
def session(tmp_path: Path) -> Any:
    """A session that doubles a matrix of three columns."""
    helper = onnx.helper
    shape = ["rows", 3]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "doubler.onnx"
    path.write_bytes(model.SerializeToString())
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_each_run_is_a_span(session: Any, recorded: OwnEvents) -> None:
    """Model, providers, types and shapes; results and all other members as before. R5.20"""
    traced = trace_session(session)
    with request("req-onnx"):
        (result,) = traced.run(None, {"x": np.ones((2, 3), np.float32)})
    assert result.sum() == 12
    assert traced.get_inputs()[0].name == "x"
    assert trace_session(traced) is traced
    event = recorded.one()
    assert event.span
    assert (event.event_type, event.component) == ("onnx_run", "onnxruntime")
    assert event.request_id == "req-onnx"
    assert dict(event.attributes) == {
        "model": "doubler",
        "providers": "CPUExecutionProvider",
        "input.x": "float32[2, 3]",
    }


def test_a_run_that_fails_ends_its_span_and_goes_on(session: Any, recorded: OwnEvents) -> None:
    """The exception is the library's own. R5.20"""
    with pytest.raises(Exception, match="rank"):
        trace_session(session, model="named").run(None, {"x": np.ones(3, np.float32)})
    event = recorded.one()
    assert event.status == "error"
    assert event.attributes["model"] == "named"
    assert event.attributes["input.x"] == "float32[3]"


def test_the_other_ways_to_run_are_spans_too(session: Any, recorded: OwnEvents) -> None:
    """With OrtValues, with an IO binding, and asynchronously. R5.20"""
    traced = trace_session(session)
    x = np.ones((1, 3), np.float32)
    value = ort.OrtValue.ortvalue_from_numpy(x)
    (y,) = traced.run_with_ort_values(None, {"x": value})
    assert y.numpy().sum() == 6

    binding = traced.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y")
    traced.run_with_iobinding(binding)
    assert binding.copy_outputs_to_cpu()[0].sum() == 6

    done = threading.Event()
    answers: list[Any] = []

    def answered(results: Any, given: Any, error: str) -> None:
        answers.append((results, given, error))
        done.set()

    traced.run_async(None, {"x": x}, answered, "mine")
    assert done.wait(30)
    assert answers[0][1:] == ("mine", "")
    shapes = [event.attributes.get("input.x", "") for event in recorded()]
    assert shapes == ["tensor(float)[1, 3]", "", "float32[1, 3]"]
