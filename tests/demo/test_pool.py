"""The memory pool lends aligned tensors, counts what is in use, and uses buffers again."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from whence.demo.pool import ALIGNMENT, MemoryPool  # noqa: E402


def test_a_tensor_has_the_shape_and_type_asked_for_and_is_aligned() -> None:
    """Every tensor begins at a multiple of the alignment."""
    pool = MemoryPool()
    with pool.tensor((3, 5, 7), "float32", "ocr_det") as tensor:
        assert (tensor.shape, tensor.dtype) == ((3, 5, 7), np.float32)
        assert tensor.ctypes.data % ALIGNMENT == 0
        assert tensor.flags.writeable


def test_what_is_in_use_is_counted_per_model_and_given_back() -> None:
    """Tensors of one model add up while their blocks run, and not beyond."""
    pool = MemoryPool()
    with pool.tensor((100,), "float32", "a"), pool.counted(50, "a"), pool.counted(7, "b"):
        assert (pool.used_bytes("a"), pool.used_bytes("b")) == (450, 7)
    assert (pool.used_bytes("a"), pool.used_bytes("b")) == (0, 0)
    assert (pool.most_bytes("a"), pool.most_bytes("b")) == (450, 7)


def test_memory_is_given_back_when_the_block_fails() -> None:
    """A fault leaves nothing in use."""
    pool = MemoryPool()
    with pytest.raises(OSError, match="torn"), pool.tensor((4,), "int32", "a"):
        raise OSError("torn")
    assert pool.used_bytes("a") == 0


def test_a_buffer_given_back_is_lent_again() -> None:
    """Similar sizes share buffers, one borrower at a time."""
    pool = MemoryPool()
    with pool.tensor((1_000,), "float32", "a") as first:
        where = first.ctypes.data
        with pool.tensor((1_000,), "float32", "a") as second:
            assert second.ctypes.data != where
    with pool.tensor((900,), "float32", "b") as third:
        assert third.ctypes.data in (where, second.ctypes.data)
