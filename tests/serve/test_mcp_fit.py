"""Answers for agents: as many bytes as allowed, the small whole, what is cut told of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.serve.mcp.fit import LEAST_BYTES, fitted, json_text, size_of

TEXTS = st.text(max_size=4) | st.builds(
    lambda text, count: text * count, st.text(min_size=1, max_size=4), st.integers(0, 3_000)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(TEXTS, inner, max_size=10),
    max_leaves=60,
)


@given(st.dictionaries(st.sampled_from(["story", "gaps", "name", "times"]), VALUES))
def test_every_answer_fits_and_what_fits_is_left_alone(answer: dict[str, Any]) -> None:
    """Whatever the values: no more bytes than allowed, valid JSON, whole where it fits. R5.23"""
    found = fitted(answer, LEAST_BYTES, "ask for less")
    assert size_of(found) <= LEAST_BYTES
    assert json.loads(json_text(found)) == found
    if size_of(answer) + 14 <= LEAST_BYTES:
        assert found == answer
    if "left_out" in found:
        assert found["narrow"] == "ask for less"
        assert all(0 <= cut["shown"] < cut["of"] for cut in found["left_out"])
    else:
        assert found == answer


def test_a_long_list_loses_its_last_rows_and_small_things_stay() -> None:
    """The verdict stays whole, the story is cut at its end, and both counts are told. R5.23"""
    answer = {"name": "req-1", "story": [{"n": n, "text": "x" * 50} for n in range(1_000)]}
    found = fitted(answer, 8_000, "rows")
    (cut,) = found["left_out"]
    assert found["name"] == "req-1"
    assert found["story"] == answer["story"][: cut["shown"]]
    assert (cut["what"], cut["of"], cut["unit"]) == ("story", 1_000, "rows")
    assert size_of(found) > 5_000


def test_what_was_cut_twice_is_told_once_with_the_whole_count() -> None:
    """Rows that a question left out and rows that did not fit are one sum. R5.23"""
    rows = ["x" * 100] * 100
    said = [{"what": "story", "shown": 100, "of": 7_000, "unit": "rows"}]
    found = fitted({"story": rows, "left_out": said}, 5_000, "rows")
    (cut,) = found["left_out"]
    assert (cut["shown"], cut["of"]) == (len(found["story"]), 7_000)
    assert cut["shown"] < 100


@given(st.text())
def test_no_letter_that_nobody_sees_is_in_the_json_itself(text: str) -> None:
    """Formats, tags and private letters are escapes, and read back as they were. R5.23"""
    found = json_text([text])
    assert json.loads(found) == [text]
    assert not any(0xE0000 <= ord(letter) <= 0xE0FFF for letter in found)
    assert not set(found) & {"\u202e", "\u200b", "\u2066", "\u00ad", "\ufeff", "\x1b", "\ud800"}


def test_room_for_nothing_is_refused() -> None:
    """Below the least size no answer is made. R5.23"""
    with pytest.raises(ValueError, match="at least"):
        fitted({}, 10, "")
