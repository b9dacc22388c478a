"""The page on adopting whence: its steps stand in the order in which they can be taken."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "adopting.md").read_text()


def test_steps_go_from_the_recorder_to_production() -> None:
    """Core, then JSON and commands, integration, OTLP and Loki, and proof in production. R1.58"""
    steps = re.split(r"^## \d\. ", PAGE, flags=re.MULTILINE)[1:]
    words = ("whence.kind", "trace export", "OpenTelemetry", "Loki", "whence config")
    assert len(steps) == len(words)
    for step, word in zip(steps, words, strict=True):
        assert word in step
