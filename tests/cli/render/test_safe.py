"""Safe text: what could harm a terminal is made visible, and cut and wrapped by cells."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from whence.cli.render.page import clock_text, table
from whence.cli.render.safe import clip, pad, safe, wrap

anything = st.text(st.characters(), max_size=80)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text: ü 広 😀", "plain text: ü 広 😀"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\r\nb\x00", "a\\x0d\\x0ab\\x00"),
        ("\x9b\x7f", "\\x9b\\x7f"),
        ("\u202eabc\u2069", "\\u202eabc\\u2069"),
        ("\u2028\ufeff\u200b", "\\u2028\\ufeff\\u200b"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\u00a0b\u3164", "a b\\u3164"),
        ("a\ufe0f\ufe00\u180b\u180f", "a\\ufe0f\\ufe00\\u180b\\u180f"),
        ("\u034f\u17b4\u17b5\U0001d159", "\\u034f\\u17b4\\u17b5\\U0001d159"),
        ("\U000e0100\U000e01ef", "\\U000e0100\\U000e01ef"),
        ("e\u0301 \u0e01\u0e49", "e\u0301 \u0e01\u0e49"),
    ],
)
def test_harmful_characters_are_escaped(text: str, shown: str) -> None:
    """R5.11 Controls, formats and unpaired surrogates are written out, all else stays."""
    assert safe(text) == shown


@given(anything)
def test_safe_text_is_printable_and_stays_so(text: str) -> None:
    """R5.11 Nothing that is left could move a cursor, and a second pass changes nothing."""
    assert safe(text).isprintable()
    assert safe(safe(text)) == safe(text)


@given(anything, st.integers(1, 30))
def test_clipped_text_fits(text: str, cells: int) -> None:
    """R5.11 Text that fits stays whole; other text ends with an ellipsis and fits."""
    shown = clip(text, cells)
    assert cell_len(shown) <= cells
    assert len(shown) <= 2 * cells
    if cell_len(safe(text)) <= cells and len(safe(text)) <= 2 * cells:
        assert shown == safe(text)
    else:
        assert shown.endswith("…")


@given(anything, st.integers(2, 30))
def test_wrapped_lines_fit_and_lose_nothing(text: str, cells: int) -> None:
    """R5.11 Every line fits; joined without spaces they hold every character there was."""
    lines = wrap(text, cells)
    assert lines
    assert all(cell_len(line) <= cells and line.isprintable() for line in lines)
    whole = "".join(safe(part) for part in text.expandtabs(4).replace("\r\n", "\n").split("\n"))
    assert "".join(lines).replace(" ", "") == whole.replace(" ", "")


def test_words_stay_whole_where_they_can() -> None:
    """R5.11 Lines break between words, and only a longer word is broken."""
    assert wrap("the least slack first", 10) == ["the least", "slack", "first"]
    assert wrap("abcdefghijkl mn", 5) == ["abcde", "fghij", "kl mn"]
    assert wrap("", 5) == [""]
    assert wrap("a\nb\n\n", 5) == ["a", "b"]


def test_padding_counts_cells() -> None:
    """R5.11 Wide characters take two cells in a column."""
    assert pad("広", 4) == "広  "
    assert pad("広", 4, right=True) == "  広"


def test_a_table_gives_way_on_the_left() -> None:
    """R5.11 Columns of text are cut so that the numbers stay on the page."""
    lines = table(("name", "count"), [("x" * 200, "12,480"), ("y", "7")])
    assert all(cell_len(line.plain) <= 100 for line in lines)
    assert lines[1].plain.endswith("…  12,480")
    assert lines[2].plain.endswith("     7")


def test_a_clock_shows_its_date_unless_it_is_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """R5.11 Wall times are local and to the millisecond; times out of range stay numbers."""
    wall_ns = 1_795_184_625_160_999_999
    moment = datetime.fromtimestamp(wall_ns // 10**9)
    assert clock_text(wall_ns, today=moment) == f"{moment:%H:%M:%S}.160"
    other = moment.replace(year=2030)
    assert clock_text(wall_ns, today=other) == f"{moment:%Y-%m-%d %H:%M:%S}.160"
    assert clock_text(2**62 * 10**6) == f"{2**62 * 10**6} ns"
    assert clock_text(None) == ""
