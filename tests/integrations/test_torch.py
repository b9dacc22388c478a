"""Traced torch modules: against torch where it is installed, and a stand-in with its hooks."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.own_events import OwnEvents
from whence.integrations.torch import trace_module


class Removable:
    """What registering a hook gives."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away."""
        self._hooks.remove(self._hook)


class Module:
    """As torch.nn.Module calls its hooks, those with always_call after an exception, too."""

    def __init__(self, **parts: Module) -> None:
        self.parts = parts
        self.before: list[Any] = []
        self.after: list[Any] = []

    def register_forward_pre_hook(self, hook: Any) -> Removable:
        """Before forward()."""
        self.before.append(hook)
        return Removable(self.before, hook)

    def register_forward_hook(self, hook: Any, *, always_call: bool = False) -> Removable:
        """After forward()."""
        assert always_call
        self.after.append(hook)
        return Removable(self.after, hook)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This one and all in it."""
        yield prefix, self
        for name, part in self.parts.items():
            yield from part.named_modules(f"{prefix}.{name}" if prefix else name)

    def __call__(self, *inputs: Any) -> Any:
        for hook in list(self.before):
            hook(self, inputs)
        try:
            result = self.forward(*inputs)
        except Exception:
            for hook in list(self.after):
                hook(self, inputs, None)
            raise
        for hook in list(self.after):
            hook(self, inputs, result)
        return result

    def forward(self, x: Any) -> Any:
        """One after the other."""
        for part in self.parts.values():
            x = part(x)
        return x


class Failing(Module):
    """Raises."""

    def forward(self, x: Any) -> Any:
        """Always."""
        raise ValueError("no such shape")


class Tensor:
    """Has a type and a shape, and must not be kept."""

    dtype = "torch.float32"
    shape = (2, 3)


def names(recorded: OwnEvents) -> list[object]:
    """The modules of the spans, in order of their beginning."""
    return [event.attributes["module"] for event in recorded()]


def test_a_stand_in_is_traced_to_the_depth_wanted(recorded: OwnEvents) -> None:
    """Names, classes, shapes and the tree; nothing after remove(). R5.20"""
    net = Module(first=Module(), second=Module(deep=Module()))
    with trace_module(net, depth=1, name="net"):
        net(Tensor())
    net(Tensor())
    outer, first, second = recorded()
    assert [e.attributes["module"] for e in (outer, first, second)] == [
        "net",
        "net.first",
        "net.second",
    ]
    assert outer.attributes["input.0"] == "float32[2, 3]"
    assert first.parent_span_id == second.parent_span_id == outer.span_id
    assert net.before == net.after == []
    with trace_module(net, depth=-1):
        net(Tensor())
    assert "Module.second.deep" in names(recorded)


def test_a_failing_stand_in_ends_all_its_spans(recorded: OwnEvents) -> None:
    """The exception closes the spans from the inside out, and goes on. R5.20"""
    net = Module(bad=Failing())
    with trace_module(net, name="net"), pytest.raises(ValueError, match="no such shape"):
        net(Tensor())
    assert [e.status_message for e in recorded()] == ["ValueError: no such shape"] * 2


def test_no_tensor_is_kept(recorded: OwnEvents) -> None:
    """Inputs are collected as soon as the program lets go of them. R5.20"""
    net = Module(part=Module())
    handle = trace_module(net)
    tensor = Tensor()
    gone = weakref.ref(tensor)
    net(tensor)
    del tensor
    gc.collect()
    assert gone() is None
    handle.remove()


def test_what_has_no_hooks_is_refused() -> None:
    """A plain function is no module. R5.20"""
    with pytest.raises(TypeError, match="takes a torch module"):
        trace_module(len)


def test_real_modules_are_traced(recorded: OwnEvents) -> None:
    """torch itself: nested modules, a failing pass, and hooks that are gone afterwards. R5.20"""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    nn = torch.nn
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 2)))
    with trace_module(net, depth=-1, name="net"):
        net(torch.zeros(3, 4))
        with pytest.raises(RuntimeError, match="shapes"):
            net(torch.zeros(3, 5))
    net(torch.zeros(3, 4))
    events = recorded()
    assert [e.attributes["module"] for e in events] == [
        "net",
        "net.0",
        "net.1",
        "net.2",
        "net.2.0",
        "net",
        "net.0",
    ]
    assert events[0].attributes["input.0"] == "float32[3, 4]"
    assert [e.status for e in events[-2:]] == ["error", "error"]
    assert not net._forward_hooks
    assert not net._forward_pre_hooks
