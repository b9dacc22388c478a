"""torch: every forward pass of a module, and of the modules in it, is a span."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from whence import _native
from whence.integrations.plain_values import Plain, safe_text

__all__ = ["ModuleTrace", "trace_module"]

COMPONENT = "torch"
MOST_INPUTS = 16


def trace_module(module: Any, *, depth: int = 1, name: str = "") -> ModuleTrace:
    """Every forward pass of the module becomes a span `forward`; remove() ends that.

    `depth` is how far into the module: 0 itself alone, 1 also its direct children, and so on; -1 is
    all of them. Each span has the module's place (`name`, by default the class, then as in
    `named_modules`), its class, and the types and shapes of its inputs. No tensor is kept or read.
    A forward pass that raises ends its span, with the exception. A span lasts as long as the call:
    on a GPU that is the time to queue the work, not to do it. Some 10 us a module and pass, most of
    it torch's own for hooks. Modules that torch compiled may not call them. Raises TypeError for
    what has no forward hooks.
    """
    if not hasattr(module, "register_forward_hook"):
        raise TypeError(f"trace_module takes a torch module, not {type(module).__name__}")
    return ModuleTrace(module, depth, name or type(module).__name__)


class ModuleTrace:
    """The hooks that make spans, until remove() or the end of a `with` block."""

    def __init__(self, module: Any, depth: int, name: str) -> None:
        self._open = threading.local()  # .stack: (module, span) of this thread's running passes
        self._handles: list[Any] = []
        try:
            for place, part in _parts(module, depth):
                said: dict[str, Plain] = {
                    "module": f"{name}.{place}" if place else name,
                    "class": type(part).__name__,
                }
                self._handles.append(part.register_forward_pre_hook(self._before(said)))
                self._handles.append(part.register_forward_hook(self._after, always_call=True))
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Take the hooks away; passes that run end without a further span."""
        while self._handles:
            self._handles.pop().remove()

    def __enter__(self) -> ModuleTrace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    def _before(self, said: dict[str, Plain]) -> Callable[[Any, Any], None]:
        def before(module: Any, inputs: Any) -> None:
            values = dict(said)
            for at, value in enumerate(inputs[:MOST_INPUTS]):
                values[f"input.{at}"] = _shape_of(value)
            span = _native.begin_span("forward", COMPONENT, values)
            span.__enter__()
            self._stack().append((id(module), span))

        return before

    def _after(self, module: Any, inputs: Any, output: Any) -> None:
        """Also after an exception, which is then the one being handled."""
        stack = self._stack()
        error = sys.exc_info()[1] if output is None else None
        while stack:
            of, span = stack.pop()
            span.__exit__(type(error) if error is not None else None, error, None)
            if of == id(module):  # else one whose hook never came
                return

    def _stack(self) -> list[tuple[int, _native.Span]]:
        try:
            found: list[tuple[int, _native.Span]] = self._open.stack
        except AttributeError:
            found = self._open.stack = []
        return found


def _parts(module: Any, depth: int) -> Iterator[tuple[str, Any]]:
    for place, part in module.named_modules():
        level = place.count(".") + 1 if place else 0
        if depth < 0 or level <= depth:
            yield place, part


def _shape_of(value: Any) -> str:
    """Such as float32[1, 3, 224, 224]."""
    try:
        return f"{safe_text(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    except Exception:  # a list, a dict, None
        return type(value).__qualname__
