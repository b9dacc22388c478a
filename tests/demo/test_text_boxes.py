"""Lines of text are found on the detection network's map without an imaging library."""

from __future__ import annotations

from itertools import product

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("PIL")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from PIL import Image  # noqa: E402

from whence.demo.text_boxes import _islands, find_boxes, input_shape, prepare_page  # noqa: E402

masks = st.integers(1, 12).flatmap(
    lambda width: st.lists(
        st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=12
    )
)


def islands_by_flooding(mask: list[list[bool]]) -> set[tuple[int, int, int, int]]:
    """The oracle: walk from each pixel to its eight neighbours until nothing is left."""
    left = {(y, x) for y, row in enumerate(mask) for x, ink in enumerate(row) if ink}
    found = set()
    while left:
        island, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            island.add((y, x))
            for dy, dx in product((-1, 0, 1), repeat=2):
                if (y + dy, x + dx) in left:
                    left.remove((y + dy, x + dx))
                    edge.append((y + dy, x + dx))
        ys, xs = {y for y, _ in island}, {x for _, x in island}
        found.add((min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    return found


@given(masks)
def test_islands_are_those_that_flooding_finds(mask: list[list[bool]]) -> None:
    """Joining runs row by row finds the same connected parts as walking pixel by pixel."""
    assert set(_islands(np.array(mask))) == islands_by_flooding(mask)


def test_boxes_are_grown_scaled_to_the_page_and_ordered_from_top_to_bottom() -> None:
    """Two cores on a map of half the page's size give two larger boxes in page pixels."""
    text_map = np.zeros((100, 200), np.float32)
    text_map[60:70, 20:120] = 0.9
    text_map[10:20, 40:140] = 0.8
    upper, lower = find_boxes(text_map, 400, 200)
    # 1.6 * area / circumference: 1.6 * 1,000 / 220 = 7.3 map pixels to each side
    assert (upper.left, upper.top, upper.right, upper.bottom) == (65, 5, 295, 55)
    assert (lower.left, lower.top, lower.right, lower.bottom) == (25, 105, 255, 155)
    assert upper.score == pytest.approx(0.8)


def test_specks_and_doubtful_boxes_are_dropped() -> None:
    """What is thinner than three pixels, or of a mean below one half, is no line of text."""
    text_map = np.zeros((64, 64), np.float32)
    text_map[10:12, 5:60] = 0.9
    text_map[30:45, 5:60] = 0.4
    assert find_boxes(text_map, 64, 64) == []


def test_boxes_stay_on_the_page() -> None:
    """A line that fills the page is not grown beyond its edges."""
    (box,) = find_boxes(np.ones((32, 64), np.float32), 64, 32)
    assert (box.left, box.top, box.right, box.bottom) == (0, 0, 64, 32)


def test_a_page_becomes_numbers_from_minus_one_to_one_blue_first() -> None:
    """Sides are rounded to multiples of 32, channels are reversed, 0..255 becomes -1..1."""
    assert input_shape(480, 304) == (1, 3, 320, 480)
    numbers = np.empty(input_shape(40, 20), np.float32)
    assert numbers.shape == (1, 3, 32, 32)
    prepare_page(Image.new("RGB", (40, 20), (255, 0, 51)), numbers)
    blue, green, red = numbers[0, :, 0, 0].tolist()
    assert (blue, green, red) == (pytest.approx(-0.6), -1.0, 1.0)
