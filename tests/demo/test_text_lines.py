"""One line of text: how it is put before the networks and how their answers are read."""

from __future__ import annotations

from itertools import pairwise

import pytest

pytest.importorskip("numpy")
pytest.importorskip("PIL")

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from whence.demo.text_lines import (
    alphabet,
    is_upside_down,
    prepare_line,
    read_text,
    rec_shape,
    steps_of,
)

CHARACTERS = alphabet("a\nb\nc\nä")


def probabilities(classes: list[int]) -> NDArray[np.float32]:
    """What a network would answer that is sure of one class in each step."""
    steps = np.full((len(classes), len(CHARACTERS)), 0.01, np.float32)
    steps[range(len(classes)), classes] = 0.9
    return steps


@given(
    st.text(alphabet="abcä ", max_size=12),
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), min_size=12, max_size=12),
)
def test_text_spread_over_steps_is_read_back(text: str, spread: list[tuple[int, int]]) -> None:
    """Characters held for some steps, with silence between, are read as themselves."""
    classes: list[int] = []
    for (here, after), (held, silent) in zip(pairwise([*text, ""]), spread, strict=False):
        classes += [CHARACTERS.index(here)] * held
        classes += [0] * (max(1, silent) if here == after else silent)
    answer, _ = read_text(probabilities(classes or [0]), CHARACTERS)
    assert answer == text


def test_silence_is_no_text_and_no_confidence() -> None:
    """Nothing but class 0 is the empty text with confidence 0."""
    assert read_text(probabilities([0, 0, 0]), CHARACTERS) == ("", 0.0)


def test_confidence_is_the_mean_over_the_characters_kept() -> None:
    """Repeated and silent steps do not count."""
    steps = probabilities([1, 1, 0, 2])
    steps[0, 1], steps[3, 2] = 0.8, 0.6
    text, confidence = read_text(steps, CHARACTERS)
    assert text == "ab"
    assert confidence == pytest.approx(0.7)


def test_alphabet_has_silence_first_and_a_space_last() -> None:
    """The metadata lists characters one per line; the network has two classes more."""
    assert CHARACTERS == ["", "a", "b", "c", "ä", " "]


def test_a_line_keeps_its_proportions_and_leaves_the_rest_empty() -> None:
    """A line is scaled to the input's height; what is right of it stays 0."""
    numbers = np.full((1, 3, 48, 192), 9, np.float32)
    prepare_line(Image.new("RGB", (50, 25), (255, 255, 255)), numbers)
    assert (numbers[..., :96] == 1).all()
    assert (numbers[..., 96:] == 0).all()


def test_a_line_too_long_is_squeezed() -> None:
    """A line longer than the input fills it from edge to edge."""
    numbers = np.zeros((1, 3, 48, 192), np.float32)
    prepare_line(Image.new("RGB", (900, 30), (0, 0, 0)), numbers)
    assert (numbers == -1).all()


def test_recognition_inputs_are_as_wide_as_the_line_but_at_least_320() -> None:
    """Width follows the line at 48 pixels of height, and the network answers every eighth pixel."""
    assert rec_shape(100, 50) == (1, 3, 48, 320)
    assert rec_shape(1000, 50) == (1, 3, 48, 960)
    assert steps_of(960) == 120


def test_a_line_is_turned_only_when_the_network_is_sure() -> None:
    """A probability above 0.9 turns the line."""
    assert is_upside_down(np.array([0.05, 0.95], np.float32))
    assert not is_upside_down(np.array([0.2, 0.8], np.float32))
