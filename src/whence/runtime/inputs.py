"""Whether the tensors of a request are those that a model takes."""

from __future__ import annotations

from collections.abc import Sequence

from whence.runtime.tensors import Tensor, TensorSpec

__all__ = ["what_is_wrong_with"]


def what_is_wrong_with(tensors: Sequence[Tensor], specs: Sequence[TensorSpec]) -> str:
    """A sentence on the first tensor that is missing, unknown, repeated or of another form.

    Empty if the tensors are exactly those described, in any order.
    """
    described = {spec.name: spec for spec in specs}
    seen: set[str] = set()
    for tensor in tensors:
        given = tensor.spec()
        wanted = described.get(given.name)
        if wanted is None:
            return f"the model has no input {given.name!r}; it takes {_names(specs)}"
        if given.name in seen:
            return f"input {given.name!r} is given twice"
        seen.add(given.name)
        if given.dtype is not wanted.dtype:
            return f"input {given.name!r} is {given.dtype.name}; it must be {wanted.dtype.name}"
        if not wanted.admits(tensor.shape):
            return f"input {given.name!r} has shape {tensor.shape}; it must be {wanted.shape}"
    missing = [spec for spec in specs if spec.name not in seen]
    return f"input {_names(missing)} is missing" if missing else ""


def _names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(repr(spec.name) for spec in specs) or "none"
