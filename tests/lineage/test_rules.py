"""TraceLink's rules: each has a test that names it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.own_events import OwnEvents
from whence.lineage import (
    Frame,
    FrameDescriptor,
    TracedConsumer,
    enable_tracing,
)

TESTS = Path(__file__).resolve().parents[1]


class Stream:
    """Frames of one stream, given to whoever reads."""

    stream_id, epoch, attached = 3, 1, None

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def publish(self, payload: str, *, trace_id: int = 0) -> int:
        seq = len(self.frames)
        self.frames.append(Frame(FrameDescriptor(3, 1, seq, trace_id=trace_id), payload))
        return seq

    def read(self) -> Frame | None:
        return self.frames.pop(0) if self.frames else None


def test_every_rule_is_named_by_a_test() -> None:
    """R2.2: rules 1 to 31, by their numbers."""
    named = {
        int(number)
        for path in TESTS.rglob("test_*.py")
        for number in re.findall(r"\bTL-(\d+)\b", path.read_text(encoding="utf-8"))
    }
    assert set(range(1, 32)) - named == set()


def test_untraced_frames_leave_no_rows(recorded: OwnEvents) -> None:
    """R2.24 R2.34 TL-19 TL-29: a stream without tracing records nothing; with it, every frame."""
    stream, seen = Stream(), list[int]()
    reader = TracedConsumer(stream, lambda frame: seen.append(frame.trace_id))
    stream.publish("untraced")
    assert reader.read() is not None
    assert (reader.untraced, seen, recorded()) == (1, [], [])
    made = enable_tracing(stream, node_id=7).publish("traced")
    assert reader.read() is not None
    assert (reader.untraced, seen) == (1, [made.trace_id])
    assert recorded.one().lineage_id == made.trace_id
