"""What an ONNX graph needs, held against graphs that can be counted by hand or brute force."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from tests.conformance.backend import request_for, zeros
from tests.runtime.onnx_models import TensorProto, graph_file, node, value, weight
from whence.model.result import ErrorCode
from whence.runtime.lifetimes import TensorLifetime
from whence.runtime.onnx_backend import OnnxRuntimeBackend
from whence.runtime.onnx_graph import GraphNeeds, read_needs
from whence.runtime.tensors import DType, TensorSpec

ROW = 12  # bytes of a (1, 3) tensor of Float32


def not_measured(model: bytes, names: Sequence[str]) -> Mapping[str, int]:
    """For graphs whose sizes can all be inferred."""
    raise AssertionError(f"{names} had to be measured")


def spans(needs: GraphNeeds) -> dict[str, tuple[int, int]]:
    """First and last step by tensor."""
    return {life.name: (life.first_use, life.last_use) for life in needs.lifetimes}


def test_tensors_live_from_their_maker_to_their_last_reader(tmp_path: Path) -> None:
    """R3.32 Inputs live from the start, outputs to the end, the rest as long as it is read."""
    model = graph_file(
        tmp_path / "m.onnx",
        [
            node("Relu", ["x"], ["a"]),
            node("Neg", ["a"], ["early"]),
            node("Mul", ["a", "w"], ["b"]),
            node("Constant", [], ["c"], value_floats=[1.0, 2.0, 3.0]),
            node("Add", ["b", "c"], ["y"]),
        ],
        [value("x", [1, 3])],
        [value("y", [1, 3]), value("early", [1, 3])],
        [weight("w", [3])],
    )
    needs = read_needs(model, {}, not_measured)
    assert spans(needs) == {"x": (0, 0), "a": (0, 2), "early": (1, 3), "b": (2, 3), "y": (3, 3)}
    assert {life.size_bytes for life in needs.lifetimes} == {ROW}
    assert needs.weights_bytes == 12 + 12
    assert needs.memory_bytes() == needs.weights_bytes + 3 * ROW


OPERATIONS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12)


@given(OPERATIONS, st.randoms(use_true_random=False))
def test_lifetimes_agree_with_brute_force(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[int, int]], shuffle: Any
) -> None:
    """R3.32 For random graphs, steps are the nodes' and each tensor spans exactly its uses."""
    names = ["x"]
    nodes = []
    for left, right in operations:
        nodes.append(
            node("Add", [names[left % len(names)], names[right % len(names)]], [f"t{len(names)}"])
        )
        names.append(f"t{len(names)}")
    expected = {"x": (0, 0)}
    for name in names:
        steps = [
            step for step, each in enumerate(nodes) if name in each.input or name in each.output
        ]
        if name == names[-1]:
            steps.append(len(nodes) - 1)
        if name == "x":
            steps.append(0)
        expected[name] = (min(steps), max(steps))
    path = tmp_path_factory.mktemp("graph") / "m.onnx"
    graph_file(path, nodes, [value("x", [1, 3])], [value(names[-1], [1, 3])])
    needs = read_needs(path, {}, not_measured)
    assert spans(needs) == expected
    live = [
        sum(first <= step <= last for first, last in expected.values())
        for step in range(len(nodes))
    ]
    assert needs.memory_bytes() == max(live) * ROW
    shuffle.shuffle(nodes)
    graph_file(path, nodes, [value("x", [1, 3])], [value(names[-1], [1, 3])])
    _check_order(read_needs_of_unsorted(path), nodes)


def read_needs_of_unsorted(path: Path) -> dict[str, tuple[int, int]]:
    """Spans of a graph whose nodes stand in any order; shapes are not inferred for these."""
    return spans(read_needs(path, {}, lambda _, names: dict.fromkeys(names, ROW)))


def _check_order(found: dict[str, tuple[int, int]], nodes: Sequence[onnx.NodeProto]) -> None:
    steps = {each.output[0]: found[each.output[0]][0] for each in nodes}
    assert sorted(steps.values()) == list(range(len(nodes)))
    for each in nodes:
        for name in each.input:
            if name in steps:
                assert steps[name] < steps[each.output[0]] <= found[name][1]


def test_bodies_read_what_they_take_from_outside(tmp_path: Path) -> None:
    """R3.32 A tensor that only the body of an If reads lives until that If."""
    branches = {
        f"{side}_branch": helper.make_graph(
            [node("Neg", ["a"], [f"{side}_out"]), node("Mul", [f"{side}_out", "k"], [f"{side}_y"])],
            side,
            [],
            [value(f"{side}_y", [1, 3])],
            [weight("k", [3])],
        )
        for side in ("then", "else")
    }
    model = graph_file(
        tmp_path / "if.onnx",
        [
            node("Relu", ["x"], ["a"]),
            node("Relu", ["x"], ["b"]),
            node("If", ["condition"], ["c"], **branches),
            node("Add", ["b", "c"], ["y"]),
        ],
        [value("x", [1, 3]), value("condition", [], TensorProto.BOOL)],
        [value("y", [1, 3])],
    )
    needs = read_needs(model, {}, not_measured)
    assert spans(needs) == {
        "x": (0, 1),
        "condition": (0, 2),
        "a": (0, 2),
        "b": (1, 3),
        "c": (2, 3),
        "y": (3, 3),
    }
    assert needs.weights_bytes == 24


def test_functions_are_counted_as_the_nodes_they_stand_for(tmp_path: Path) -> None:
    """R3.32 A model's own functions are unfolded first."""
    twice = helper.make_function(
        "own",
        "Twice",
        ["p"],
        ["q"],
        [node("Neg", ["p"], ["m"]), node("Neg", ["m"], ["q"])],
        [helper.make_opsetid("", 17)],
    )
    model = graph_file(
        tmp_path / "f.onnx",
        [node("Twice", ["x"], ["y"], domain="own")],
        [value("x", [1, 3])],
        [value("y", [1, 3])],
        functions=[twice],
    )
    needs = read_needs(model, {}, not_measured)
    assert len(needs.lifetimes) == 3
    assert needs.memory_bytes() == 2 * ROW


def test_an_initializer_that_is_also_listed_as_an_input_is_a_weight(tmp_path: Path) -> None:
    """R3.32 Older files list their weights among the inputs; they are counted once."""
    model = graph_file(
        tmp_path / "old.onnx",
        [node("Mul", ["x", "w"], ["y"])],
        [value("x", [1, 3]), value("w", [3])],
        [value("y", [1, 3])],
        [weight("w", [3])],
    )
    needs = read_needs(model, {}, not_measured)
    assert set(spans(needs)) == {"x", "y"}
    assert needs.weights_bytes == 12


def test_a_graph_without_nodes_needs_its_input(tmp_path: Path) -> None:
    """R3.32 An input that is handed through is there for the one step there is."""
    model = graph_file(tmp_path / "n.onnx", [], [value("x", [1, 3])], [value("x", [1, 3])])
    needs = read_needs(model, {}, not_measured)
    assert needs.lifetimes == (TensorLifetime("x", ROW, 0, 0),)


def test_sizes_that_cannot_be_inferred_are_measured(tmp_path: Path) -> None:
    """R3.32 Where a shape depends on values, one run on zeros tells the bytes."""
    model = graph_file(
        tmp_path / "nonzero.onnx",
        [
            node("Not", ["x"], ["inverse"]),
            node("NonZero", ["inverse"], ["indices"]),
            node("Cast", ["indices"], ["y"], to=TensorProto.FLOAT),
        ],
        [value("x", [2, 3], TensorProto.BOOL)],
        [value("y", [2, "found"])],
    )
    backend = OnnxRuntimeBackend()
    assert backend.load(model).is_ok()
    sizes = {life.name: life.size_bytes for life in backend.estimate_lifetimes().value()}
    # all six zeros are found: 2 x 6 indices, of 8 and then of 4 bytes
    assert sizes == {"x": 6, "inverse": 6, "indices": 96, "y": 48}


def test_weights_beside_the_file_are_counted_and_measured_with(tmp_path: Path) -> None:
    """R3.32 External weights count with their size, and a measuring run finds them."""
    path = graph_file(
        tmp_path / "m.onnx",
        [node("Mul", ["x", "w"], ["a"]), node("NonZero", ["a"], ["y"])],
        [value("x", [1, 3])],
        [value("y", [2, "n"], TensorProto.INT64)],
        [onnx.numpy_helper.from_array(np.ones(3, np.float32), "w")],
    )
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (tmp_path / "w.bin").stat().st_size == 12
    backend = OnnxRuntimeBackend()
    assert backend.load(path).is_ok()
    assert backend.estimate_memory().value() == 12 + 2 * ROW


def test_fixed_shapes_follow_from_the_inputs(tmp_path: Path) -> None:
    """R3.32 A convolution's tensors have the sizes that really come out for these shapes."""
    model = graph_file(
        tmp_path / "conv.onnx",
        [
            node("Conv", ["x", "w"], ["c"], strides=[2, 2]),
            node("Relu", ["c"], ["r"]),
            node("GlobalAveragePool", ["r"], ["y"]),
        ],
        [value("x", ["n", 3, "h", "w_"])],
        [value("y", ["n", 4, 1, 1])],
        [weight("w", [4, 3, 3, 3])],
    )
    backend = OnnxRuntimeBackend()
    backend.load(model)
    backend.execute(request_for(zeros(TensorSpec("x", (2, 3, 9, 11), DType.Float32))))
    sizes = {life.name: life.size_bytes for life in backend.estimate_lifetimes().value()}
    hidden = 2 * 4 * 4 * 5 * 4
    assert sizes == {"x": 2 * 3 * 9 * 11 * 4, "c": hidden, "r": hidden, "y": 2 * 4 * 4}


@pytest.mark.parametrize("package", ["magika", "rapidocr"])
def test_the_sizes_of_real_models_are_those_a_run_makes(package: str) -> None:
    """R3.32 Inferred or measured, every tensor's bytes are what ONNX Runtime really makes."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"the models of {package} are not installed")
    (folder,) = found.submodule_search_locations
    for path in sorted(Path(folder).rglob("*.onnx")):
        (argument,) = onnxruntime.InferenceSession(path).get_inputs()
        # Open dimensions are batch, height and width; these nets halve the latter five times.
        sizes = zip(argument.shape, (1, 3, 64, 96), strict=False)
        shape = tuple(size if isinstance(size, int) else chosen for size, chosen in sizes)
        given = {argument.name: np.zeros(shape, "i" if "int32" in argument.type else "f")}
        run = partial(bytes_made_by_a_run, given)
        needs = read_needs(path, {argument.name: shape}, run)
        told = {life.name: life.size_bytes for life in needs.lifetimes}
        model = onnx.load(path)
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in told)
        assert told == run(model.SerializeToString(), list(told))


def bytes_made_by_a_run(
    given: dict[str, np.ndarray[Any, Any]], model: bytes, names: Sequence[str]
) -> dict[str, int]:
    """What ONNX Runtime gives for these names, in bytes."""
    outputs = onnxruntime.InferenceSession(model).run(list(names), given)
    return {name: output.nbytes for name, output in zip(names, outputs, strict=True)}


def test_what_cannot_be_read_comes_back_as_an_error(tmp_path: Path) -> None:
    """R3.32 R3.46 A file that vanished or changed after load fails the estimate only."""
    path = graph_file(
        tmp_path / "m.onnx", [node("Neg", ["x"], ["y"])], [value("x", [1])], [value("y", [1])]
    )
    backend = OnnxRuntimeBackend()
    backend.load(path)
    path.unlink()
    assert backend.estimate_memory().error.code is ErrorCode.BackendError
    assert backend.is_loaded()
