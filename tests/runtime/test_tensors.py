"""Tensors: sizes by checked arithmetic, and memory that is described but never copied."""

from __future__ import annotations

import array
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.runtime.tensors import DType, MemoryLayout, Tensor, TensorDescriptor, TensorSpec

shapes = st.lists(st.integers(0, 7), max_size=5).map(tuple)
dtypes = st.sampled_from(DType)


def test_each_type_has_its_size() -> None:
    """R3.19 The five base types and the three further ones, in bytes."""
    assert {dtype.name: dtype.itemsize for dtype in DType} == {
        "Float32": 4,
        "Float16": 2,
        "Int8": 1,
        "Int32": 4,
        "Bool": 1,
        "Int64": 8,
        "UInt8": 1,
        "Float64": 8,
    }


@given(shapes, dtypes)
def test_the_size_is_the_product_of_the_shape(shape: tuple[int, ...], dtype: DType) -> None:
    """R3.20 R3.44 Elements times bytes of one element; agrees with numpy."""
    size = TensorSpec("t", shape, dtype).size_bytes()
    assert size == math.prod(shape) * dtype.itemsize == np.zeros(shape, dtype.value).nbytes


def test_a_scalar_is_one_element_and_a_zero_dimension_none() -> None:
    """R3.20 R3.44 The empty shape takes one item, any zero takes nothing."""
    assert TensorDescriptor("s", (), DType.Float32).size_bytes() == 4
    assert TensorDescriptor("e", (5, 0, 7), DType.Float32).size_bytes() == 0


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ((-1,), ValueError),
        ((2, -3), ValueError),
        ((1.0,), TypeError),
        ((True,), TypeError),
        (("n",), TypeError),
        ((2**61,), OverflowError),
        ((2**40, 2**40), OverflowError),
    ],
)
def test_impossible_shapes_are_refused(shape: Any, error: type[Exception]) -> None:
    """R3.20 Negative, fractional and overflowing dimensions never make a description."""
    with pytest.raises(error):
        TensorSpec("t", shape, DType.Float32)


def test_the_largest_size_fits_63_bits() -> None:
    """R3.20 One byte less than 2**63 is still a size."""
    assert TensorSpec("t", (2**63 - 1,), DType.Int8).size_bytes() == 2**63 - 1


def test_open_dimensions_have_no_size() -> None:
    """R3.20 R3.21 A size is not guessed while a dimension is open, and such a tensor not made."""
    spec = TensorSpec("t", (None, 3), DType.Float32)
    assert not spec.is_concrete()
    with pytest.raises(ValueError, match="not fully known"):
        spec.size_bytes()
    with pytest.raises(ValueError, match="not fully known"):
        Tensor(spec, bytes(12))


@pytest.mark.parametrize(
    ("shape", "admitted"), [((1, 3), True), ((0, 3), True), ((3, 1), False), ((3,), False)]
)
def test_a_description_admits_shapes(shape: tuple[int, ...], admitted: bool) -> None:
    """R3.21 An open dimension admits any number, a fixed one only itself."""
    assert TensorSpec("t", (None, 3), DType.Float32).admits(shape) is admitted


def test_descriptor_and_spec_are_one_type() -> None:
    """R3.20 R3.21 The two names describe the same, row-major unless said otherwise."""
    assert TensorDescriptor is TensorSpec
    spec = TensorSpec("image", (1, 3, 4, 4), DType.Float32, MemoryLayout.NCHW)
    assert (spec.name, spec.shape, spec.dtype) == ("image", (1, 3, 4, 4), DType.Float32)
    assert spec.layout is MemoryLayout.NCHW
    assert TensorSpec("t", (), DType.Bool).layout is MemoryLayout.RowMajor
    assert [layout.name for layout in MemoryLayout] == ["RowMajor", "ColumnMajor", "NCHW", "NHWC"]


@pytest.mark.parametrize("wrong", [{"name": 1}, {"dtype": "f"}, {"layout": "NCHW"}])
def test_a_description_of_wrong_types_is_refused(wrong: dict[str, Any]) -> None:
    """R3.21 Name, type and layout are what they claim to be."""
    given = {"name": "t", "shape": (), "dtype": DType.Bool, "layout": MemoryLayout.NHWC}
    with pytest.raises(TypeError, match="expected a"):
        TensorSpec(**given | wrong)


@given(shapes, dtypes)
def test_a_tensor_shows_the_memory_it_was_given(shape: tuple[int, ...], dtype: DType) -> None:
    """R3.22 Data, size and description come back; the bytes are those of the array."""
    values = np.ones(shape, dtype.value)
    spec = TensorSpec("t", shape, dtype)
    tensor = Tensor(spec, values)
    assert tensor.spec() is spec
    assert tensor.shape == shape
    assert tensor.size_bytes() == tensor.data().nbytes == values.nbytes
    assert bytes(tensor.data()) == values.tobytes()


def test_the_memory_is_not_copied() -> None:
    """R3.22 What changes in the owner's memory shows in the tensor, and the other way round."""
    owner = bytearray(8)
    tensor = Tensor(TensorSpec("t", (2,), DType.Int32), owner)
    owner[0] = 7
    tensor.data()[4] = 9
    assert np.frombuffer(tensor.data(), np.int32).tolist() == [7, 9]
    assert owner[4] == 9


def test_read_only_memory_stays_read_only() -> None:
    """R3.22 Bytes cannot be changed through a tensor."""
    assert Tensor(TensorSpec("t", (2,), DType.Int8), b"ab").data().readonly


@pytest.mark.parametrize("size", [11, 13, 0])
def test_memory_of_another_size_is_refused(size: int) -> None:
    """R3.22 The bytes must be as many as the description says."""
    with pytest.raises(ValueError, match=f"takes 12 bytes, the data has {size}"):
        Tensor(TensorSpec("t", (3,), DType.Float32), bytes(size))


def test_typed_memory_of_another_type_is_refused() -> None:
    """R3.22 Floats are not taken for integers of the same size; plain bytes are taken for any."""
    spec = TensorSpec("t", (3,), DType.Float32)
    assert Tensor(spec, bytes(12)).size_bytes() == 12
    assert Tensor(spec, array.array("f", [1, 2, 3])).size_bytes() == 12
    for other in (np.zeros(3, np.int32), np.zeros(3, ">f4"), array.array("I", [1, 2, 3])):
        with pytest.raises(ValueError, match="elements are"):
            Tensor(spec, other)


@pytest.mark.parametrize(
    "values", [np.zeros((4, 3), "f")[::2], np.zeros((3, 2), "f").T, np.zeros((2, 6), "f")[:, ::2]]
)
def test_memory_with_holes_or_in_another_order_is_refused(values: Any) -> None:
    """R3.21 R3.22 The elements must lie one after the other, in C order."""
    with pytest.raises(ValueError, match="not one block"):
        Tensor(TensorSpec("t", (2, 3), DType.Float32), values)


def test_a_column_major_tensor_takes_the_transpose() -> None:
    """R3.21 R3.22 Its memory holds the columns one after the other."""
    spec = TensorSpec("t", (2, 3), DType.UInt8, MemoryLayout.ColumnMajor)
    values = np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert bytes(Tensor(spec, values.T).data()) == bytes([0, 3, 1, 4, 2, 5])


def test_what_is_no_buffer_is_refused() -> None:
    """R3.22 Lists and texts have no memory to show."""
    for wrong in ([1.0], "abcd", None):
        with pytest.raises(TypeError):
            Tensor(TensorSpec("t", (1,), DType.Float32), wrong)  # type: ignore[arg-type]
