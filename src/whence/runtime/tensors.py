"""Tensors without a numeric library: a checked description over any buffer, never copied."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, cast

from whence.model.time import INT64_MAX

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["DType", "MemoryLayout", "Tensor", "TensorDescriptor", "TensorSpec"]


class DType(Enum):
    """The type of one element; the value is its format in the buffer protocol and for numpy."""

    Float32 = "f"
    Float16 = "e"
    Int8 = "b"
    Int32 = "i"
    Bool = "?"
    Int64 = "q"
    UInt8 = "B"
    Float64 = "d"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return struct.calcsize(f"={self.value}")


class MemoryLayout(Enum):
    """How elements lie in memory. NCHW and NHWC are row-major and say what the four axes mean."""

    RowMajor = "RowMajor"
    ColumnMajor = "ColumnMajor"
    NCHW = "NCHW"
    NHWC = "NHWC"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a tensor is: its name, shape, element type and layout.

    Dimensions are ints >= 0; None stands for one that each request decides. The empty shape is a
    scalar. Raises TypeError or ValueError for other dimensions and OverflowError if the tensor
    would take more bytes than 63 bits count.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: DType
    layout: MemoryLayout = MemoryLayout.RowMajor

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        for wanted, value in ((str, self.name), (DType, self.dtype), (MemoryLayout, self.layout)):
            if not isinstance(value, wanted):
                raise TypeError(f"expected a {wanted.__name__}, not {value!r}")
        for size in self.shape:
            if isinstance(size, bool) or not isinstance(size, int | None):
                raise TypeError(f"a dimension of {self.name!r} must be an int, not {size!r}")
            if size is not None and size < 0:
                raise ValueError(f"a dimension of {self.name!r} is negative: {self.shape}")
        if self.is_concrete() and self.size_bytes() > INT64_MAX:
            raise OverflowError(f"{self.name!r} of shape {self.shape} does not fit 63 bits")

    def is_concrete(self) -> bool:
        """Whether every dimension is known."""
        return None not in self.shape

    def admits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape is of this description."""
        return len(shape) == len(self.shape) and all(
            wanted is None or wanted == size for wanted, size in zip(self.shape, shape, strict=True)
        )

    def size_bytes(self) -> int:
        """Bytes of the whole tensor; ValueError if a dimension is left to the request."""
        return math.prod(_concrete_shape(self)) * self.dtype.itemsize


class _Array(Protocol):
    """A numpy array, which only type checkers of Python 3.12 and later know to be a buffer."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


# The same description under the name that schedulers and planners use.
TensorDescriptor = TensorSpec


class Tensor:
    """A description over memory that somebody else owns: bytes, bytearray, a numpy array.

    `data` is anything with the buffer protocol whose memory is one block in C order; it is not
    copied, and stays referenced. ValueError if the description leaves a dimension open, the
    number of bytes differs from `spec.size_bytes()`, the memory has holes, or its elements are
    typed and of another type (plain bytes are taken for any type). For ColumnMajor the block
    holds the elements in column-major order: pass the array's transpose.
    Threads may share a tensor as far as they may share its memory.
    """

    __slots__ = ("_data", "_spec")

    def __init__(self, spec: TensorSpec, data: ReadableBuffer | _Array) -> None:
        self._spec = spec
        self._data = _flat_bytes(spec, memoryview(cast("ReadableBuffer", data)))

    def spec(self) -> TensorSpec:
        """The description."""
        return self._spec

    def data(self) -> memoryview:
        """The memory as bytes, without a copy; writable if the owner's is."""
        return self._data

    def size_bytes(self) -> int:
        """Bytes of the memory."""
        return self._data.nbytes

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, of which every dimension is known."""
        return _concrete_shape(self._spec)

    def __repr__(self) -> str:
        return f"Tensor({self._spec!r}, {self.size_bytes()} bytes)"


def _concrete_shape(spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a description without open dimensions; ValueError if there is one."""
    shape = tuple(size for size in spec.shape if size is not None)
    if len(shape) != len(spec.shape):
        raise ValueError(f"the shape of {spec.name!r} is not fully known: {spec.shape}")
    return shape


_UNTYPED = frozenset("Bc")
# The C types of 8 bytes are named differently from platform to platform.
_SAME_FORMAT = {"l": "q" if struct.calcsize("l") == 8 else "i"}


def _flat_bytes(spec: TensorSpec, view: memoryview) -> memoryview:
    if view.nbytes != spec.size_bytes():
        raise ValueError(
            f"{spec.name!r} of shape {spec.shape} takes {spec.size_bytes()} bytes, "
            f"the data has {view.nbytes}"
        )
    element = view.format.lstrip("@=<") or view.format
    if element not in _UNTYPED and _SAME_FORMAT.get(element, element) != spec.dtype.value:
        raise ValueError(
            f"{spec.name!r} is {spec.dtype.name}, the data's elements are {view.format!r}"
        )
    if not view.c_contiguous:
        raise ValueError(f"the data of {spec.name!r} is not one block in C order; copy it first")
    # A view with a zero in its shape cannot be cast, and has nothing to show.
    return view.cast("B") if view.nbytes else memoryview(b"")
