"""The page that says why this is no general tracing library."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "why-not-a-tracing-library.md"


def test_the_page_gives_the_reasons_and_the_way_back() -> None:
    """Overhead, memory, schema, survival, exports, and the reverse integration. R1.59"""
    text = PAGE.read_text()
    for reason in ("**Cost.**", "**Bounded memory.**", "**A fixed schema.**", "**The end of"):
        assert reason in text
    for link in ("opentelemetry.md", "logging.md", "performance.md"):
        assert f"]({link})" in text
    assert "does better" in text
