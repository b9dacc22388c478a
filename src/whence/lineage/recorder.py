"""What writes lineage into the session's rings: said from above, as this room knows no recorder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from whence.model.lineage_events import LineageFrame, LineageWindow

__all__ = ["Recorder", "record_with", "recorder"]


class Recorder(Protocol):
    """Records what was checked already; "" where it did, else why not. Never waits or raises."""

    def record_link(
        self, lineage_id: int, stream_id: int, epoch: int, seq: int, parents: Sequence[int], /
    ) -> str:
        """A frame's parents."""
        ...

    def record_window(self, window: LineageWindow, /) -> str:
        """A window of frames."""
        ...

    def record_frame(self, frame: LineageFrame, /) -> str:
        """A frame."""
        ...


def record_with(load: Callable[[], Recorder]) -> None:
    """Says where the recorder comes from: called once it is needed."""
    global _load
    _load = load


def recorder() -> Recorder:
    """The recorder of this process."""
    global _recorder
    if _recorder is None:
        _recorder = _load()
    return _recorder


def _nobody() -> Recorder:
    raise RuntimeError("import whence")


_load: Callable[[], Recorder] = _nobody
_recorder: Recorder | None = None
