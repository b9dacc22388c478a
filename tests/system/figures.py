"""Prints the figures of a stress run, each beside its target, and remembers failures."""

from __future__ import annotations

__all__ = ["Figures"]


class Figures:
    """One line a figure: name, target, result, PASS or FAIL. `status` is for sys.exit()."""

    def __init__(self) -> None:
        self.status = 0

    def line(self, name: str, target: str, result: str, passed: bool) -> None:
        """Prints one figure."""
        print(f"{name:70} {target:>12} {result:>48}  {'PASS' if passed else 'FAIL'}", flush=True)
        self.status |= not passed
