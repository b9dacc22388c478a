"""Tiny ONNX models, made where they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

__all__ = ["TensorProto", "graph_file", "node", "value", "weight"]

node = helper.make_node
Value = onnx.ValueInfoProto


def value(
    name: str, shape: Sequence[int | str | None] | None, kind: int = TensorProto.FLOAT
) -> Value:
    """An input or output; a text or None leaves a dimension open."""
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name: str, shape: Sequence[int]) -> onnx.TensorProto:
    """An initializer of ones."""
    count = 1
    for size in shape:
        count *= size
    return helper.make_tensor(name, TensorProto.FLOAT, shape, [1.0] * count)


def graph_file(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    weights: Sequence[onnx.TensorProto] = (),
    metadata: dict[str, str] | None = None,
    **model: Any,
) -> Path:
    """Write a model of this graph and return its path."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs, weights)
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
        ir_version=9,
        **model,
    )
    helper.set_model_props(made, metadata or {})
    onnx.save(made, path)
    return path
