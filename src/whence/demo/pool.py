"""The memory pool: aligned tensors per model, used again, each alloc and free recorded."""

from __future__ import annotations

import itertools
import math
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from whence.demo import events

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ALIGNMENT", "MemoryPool"]

ALIGNMENT = 64  # bytes; a cache line, and enough for every vector load


class MemoryPool:
    """Lends memory for tensors. Thread-safe; a buffer belongs to one borrower at a time.

    Limits are the scheduler's: it dispatches no request whose model has no room for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: defaultdict[int, list[NDArray[np.uint8]]] = defaultdict(list)
        self._numbers = itertools.count(1)
        self._used_bytes: Counter[str] = Counter()
        self._most_bytes: Counter[str] = Counter()

    @contextmanager
    def tensor(self, shape: tuple[int, ...], dtype: str, model: str) -> Iterator[NDArray[Any]]:
        """Memory for one tensor, uninitialised, while the block runs."""
        size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        buffer = self._borrow(size_bytes)
        try:
            with self.counted(size_bytes, model):
                yield buffer[:size_bytes].view(dtype).reshape(shape)
        finally:
            with self._lock:
                self._idle[buffer.nbytes].append(buffer)

    @contextmanager
    def counted(self, size_bytes: int, model: str) -> Iterator[None]:
        """Account for a tensor whose memory the runtime allocates, while the block runs."""
        with self._lock:
            number = next(self._numbers)
            self._used_bytes[model] += size_bytes
            self._most_bytes[model] = max(self._most_bytes[model], self._used_bytes[model])
        events.alloc(number, size_bytes, ALIGNMENT, model)
        try:
            yield
        finally:
            with self._lock:
                self._used_bytes[model] -= size_bytes
            events.free(number, size_bytes, ALIGNMENT, model)

    def used_bytes(self, model: str) -> int:
        """What the model's tensors hold now."""
        return self._used_bytes[model]

    def most_bytes(self, model: str) -> int:
        """The most that the model's tensors held at one time."""
        return self._most_bytes[model]

    def _borrow(self, size_bytes: int) -> NDArray[np.uint8]:
        # Sizes are rounded up to powers of two, so that tensors of similar size share buffers.
        rounded = max(4096, 1 << (size_bytes - 1).bit_length())
        with self._lock:
            if self._idle[rounded]:
                return self._idle[rounded].pop()
        raw = np.empty(rounded + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        return raw[start : start + rounded]
