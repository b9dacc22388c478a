"""The interface itself: what it demands, what it leaves open, and what it does not import."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import whence.model
import whence.runtime
from whence.model.result import Result
from whence.runtime.backend import (
    BackendCapabilities,
    InspectableBackend,
    RuntimeBackend,
    WarmupMixin,
)
from whence.runtime.tensors import DType

# Reads ONNX files, so it is the one room that imports the graph library.
NEEDS_A_LIBRARY = {"whence.runtime.onnx_graph"}

MODULES = [
    module.name
    for package in (whence.model, whence.runtime)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    if module.name not in NEEDS_A_LIBRARY
]

IMPORT_ALONE = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_the_interface_demands_every_method() -> None:
    """R3.26 R3.27 R3.28 R3.29 R3.30 R3.31 R3.32 All methods are abstract, in both interfaces."""
    core = {"load", "unload", "execute", "capabilities", "is_loaded"}
    looking_in = {"estimate_memory", "estimate_lifetimes", "input_specs", "output_specs"}
    assert RuntimeBackend.__abstractmethods__ == core
    assert InspectableBackend.__abstractmethods__ == core | looking_in
    for interface in (RuntimeBackend, InspectableBackend):
        with pytest.raises(TypeError, match="abstract"):
            interface()  # type: ignore[abstract]


def test_warming_up_does_nothing_unless_a_backend_says_otherwise() -> None:
    """R3.32 The mixin's warm-up is good and needs no stream; the interface does not have it."""
    assert WarmupMixin().warmup() == WarmupMixin().warmup(stream=3) == Result.ok()
    assert not hasattr(RuntimeBackend, "warmup")


def test_capabilities_keep_what_they_are_given() -> None:
    """R3.25 All five are required and come back."""
    capabilities = BackendCapabilities(
        backend_name="mine",
        max_batch_size=8,
        supported_dtypes=frozenset({DType.Int8}),
        requires_pinned_memory=True,
        supports_async_execution=True,
    )
    assert (capabilities.backend_name, capabilities.max_batch_size) == ("mine", 8)
    assert capabilities.supported_dtypes == {DType.Int8}
    assert capabilities.requires_pinned_memory
    assert capabilities.supports_async_execution
    with pytest.raises(TypeError, match="missing"):
        BackendCapabilities("mine")  # type: ignore[call-arg]


@pytest.mark.parametrize("module", MODULES)
def test_each_module_can_be_imported_alone(module: str) -> None:
    """R3.45 No cycles, no numeric library, nothing for GPUs: types come without the rest."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE, module], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    heavy = {"numpy", "onnx", "onnxruntime", "torch", "cupy", "pycuda", "click", "rich"}
    assert not heavy & set(done.stdout.split())
