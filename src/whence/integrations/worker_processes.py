"""Uncaught exceptions of multiprocessing's workers, which no hook of Python's ever sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, TracebackType
from typing import Any

__all__ = ["watch_workers"]

MODULE = "multiprocessing.process"

Told = Callable[[type[BaseException] | None, BaseException | None, TracebackType | None, str], None]


def watch_workers(tell: Told) -> None:
    """Calls `tell` with what ends a worker, and where; the exception then goes on.

    A program that never imports multiprocessing pays for one more entry of sys.meta_path.
    """
    present = sys.modules.get(MODULE)
    if present is not None:
        _wrap(present, tell)
    else:
        sys.meta_path.insert(0, _WhenImported(tell))


class _WhenImported:
    """Finds the module where it always is, and wraps it once it is there."""

    def __init__(self, tell: Told) -> None:
        self._tell = tell

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As importlib asks every finder."""
        if name != MODULE:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        execute = loader.exec_module

        def execute_and_wrap(module: ModuleType) -> None:
            execute(module)
            _wrap(module, self._tell)

        loader.exec_module = execute_and_wrap
        return spec


def _wrap(module: ModuleType, tell: Told) -> None:
    process: Any = getattr(module, "BaseProcess", None)
    before = getattr(process, "_bootstrap", None)
    if before is None:
        return

    def bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
        run = self.run

        def run_and_tell() -> None:
            try:
                run()
            except Exception as error:
                tell(type(error), error, error.__traceback__, f"process {self.name}")
                raise

        self.run = run_and_tell
        return before(self, *args, **kwargs)

    process._bootstrap = bootstrap
