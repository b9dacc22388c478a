"""Where a context was entered, so that leaving undoes each entry in its own place."""

from __future__ import annotations

from types import TracebackType

from whence import _native
from whence._native import Context

__all__ = ["Entries"]


class Entries:
    """The leaving half of a context manager that tasks and threads may enter many times."""

    def __init__(self) -> None:
        self._entries: list[Context] = []

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # By value, not by token: a token is refused in another task's context.
        for at in range(len(self._entries) - 1, -1, -1):
            if _native.leave(self._entries[at]):
                del self._entries[at]
                return
        # Left in a context that never entered it (a generator closed by another task), which
        # keeps what it has.
