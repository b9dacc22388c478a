"""Reads an ONNX graph: its weights, and when each tensor of an execution is needed."""

from __future__ import annotations

import graphlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, inliner, shape_inference

from whence.runtime.lifetimes import TensorLifetime, peak_bytes

__all__ = ["GraphNeeds", "read_needs"]

# Runs a model once and tells how many bytes each of the named tensors took.
Measure = Callable[[bytes, Sequence[str]], Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class GraphNeeds:
    """Bytes of the weights, and the tensors that one execution makes or is given."""

    weights_bytes: int
    lifetimes: tuple[TensorLifetime, ...]

    def memory_bytes(self) -> int:
        """The weights and the most that is needed beside them at one step."""
        return self.weights_bytes + peak_bytes(self.lifetimes)


def read_needs(
    model_path: Path, input_shapes: Mapping[str, tuple[int, ...]], measure: Measure
) -> GraphNeeds:
    """What one execution on inputs of these shapes needs, by the graph as it is written.

    A step is a node in topological order. Inputs live from step 0 to their last reader, tensors
    between from their maker to their last reader, outputs to the last step. Sizes come from shape
    inference; those it cannot tell (foreign operators, shapes that depend on values) are measured.
    Tensors inside the bodies of If, Loop and Scan are not listed; what the bodies read from
    outside counts as read by their node. The runtime's own fusions may save memory beyond this.
    Raises what onnx and `measure` raise for files they cannot read or run. Cost: the file is
    parsed and its shapes are inferred, without reading external weights.
    """
    model = inliner.inline_local_functions(onnx.load(model_path, load_external_data=False))
    _fix_shapes(model, input_shapes)
    uses = _uses(model.graph)
    sizes = _sizes(model)
    unknown = [name for name in uses if name not in sizes]
    if unknown:
        sizes |= measure(_with_outputs(model, unknown), unknown)
    return GraphNeeds(
        weights_bytes=_weights_bytes(model.graph),
        lifetimes=tuple(
            TensorLifetime(name, sizes[name], first, last) for name, (first, last) in uses.items()
        ),
    )


def _fix_shapes(model: Any, input_shapes: Mapping[str, tuple[int, ...]]) -> None:
    for value in model.graph.input:
        if value.name in input_shapes:
            shape = value.type.tensor_type.shape
            shape.Clear()
            for size in input_shapes[value.name]:
                shape.dim.add().dim_value = size
    # Shapes written for open dimensions would contradict the ones fixed now.
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def _steps(graph: Any) -> list[Any]:
    """The nodes that compute, each after those whose outputs it reads."""
    nodes = [node for node in graph.node if node.op_type != "Constant"]
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    before = {
        index: {makers[name] for name in _reads(node) if name in makers}
        for index, node in enumerate(nodes)
    }
    if all(maker < index for index, awaited in before.items() for maker in awaited):
        return nodes
    return [nodes[index] for index in graphlib.TopologicalSorter(before).static_order()]


def _reads(node: Any) -> Iterator[str]:
    """Names the node reads, those its bodies take from outside included."""
    yield from (name for name in node.input if name)
    for body in _bodies(node):
        own = {value.name for value in [*body.input, *body.initializer]}
        own.update(tensor.values.name for tensor in body.sparse_initializer)
        own.update(name for inner in body.node for name in inner.output)
        yield from (name for inner in body.node for name in _reads(inner) if name not in own)
        yield from (value.name for value in body.output if value.name not in own)


def _bodies(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _uses(graph: Any) -> dict[str, tuple[int, int]]:
    """First and last step of every tensor that is no weight."""
    weights = {tensor.name for tensor in graph.initializer}
    steps = _steps(graph)
    last_step = max(len(steps) - 1, 0)
    uses = {value.name: (0, 0) for value in graph.input if value.name not in weights}
    for step, node in enumerate(steps):
        for name in _reads(node):
            if name in uses:
                uses[name] = (uses[name][0], step)
        uses.update((name, (step, step)) for name in node.output if name)
    for value in graph.output:
        if value.name in uses:
            uses[value.name] = (uses[value.name][0], last_step)
    return uses


def _weights_bytes(graph: Any) -> int:
    """Bytes of all initializers and Constants, those inside bodies included."""
    total = sum(map(_tensor_bytes, graph.initializer))
    total += sum(map(_sparse_bytes, graph.sparse_initializer))
    for node in graph.node:
        if node.op_type == "Constant":
            total += sum(map(_constant_bytes, node.attribute))
        total += sum(map(_weights_bytes, _bodies(node)))
    return total


def _constant_bytes(attribute: Any) -> int:
    if attribute.HasField("t"):
        return _tensor_bytes(attribute.t)
    if attribute.HasField("sparse_tensor"):
        return _sparse_bytes(attribute.sparse_tensor)
    texts = [attribute.s, *attribute.strings]
    numbers = 4 * (len(attribute.floats) + attribute.HasField("f"))
    numbers += 8 * (len(attribute.ints) + attribute.HasField("i"))
    return int(numbers) + sum(map(len, texts))


def _sparse_bytes(sparse: Any) -> int:
    return _tensor_bytes(sparse.values) + _tensor_bytes(sparse.indices)


def _tensor_bytes(tensor: Any) -> int:
    if tensor.data_type == onnx.TensorProto.STRING:
        return sum(map(len, tensor.string_data))
    return int(math.prod(tensor.dims)) * _item_bytes(tensor.data_type)


def _item_bytes(element_type: int) -> int:
    return int(helper.tensor_dtype_to_np_dtype(element_type).itemsize)


def _sizes(model: Any) -> dict[str, int]:
    """Bytes of the tensors whose shape can be inferred."""
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        sized = tensor.elem_type not in (onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING)
        known = tensor.HasField("shape") and all(
            size.HasField("dim_value") for size in tensor.shape.dim
        )
        if sized and known:
            shape = [size.dim_value for size in tensor.shape.dim]
            sizes[value.name] = math.prod(shape) * _item_bytes(tensor.elem_type)
    return sizes


def _with_outputs(model: Any, names: Sequence[str]) -> bytes:
    """The model with these tensors among its outputs, so that a run shows them."""
    shown = {value.name for value in model.graph.output}
    for name in names:
        if name not in shown:
            model.graph.output.add().name = name
    content: bytes = model.SerializeToString()
    return content
