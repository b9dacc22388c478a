"""Finds the lines of text on a page: the input and the map of the OCR detection network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["Box", "find_boxes", "input_shape", "prepare_page"]

_STRIDE = 32  # the network halves the picture five times
_INK = 0.3  # a pixel of the map above this belongs to a line of text
_SURE = 0.5  # a box whose mean is below this is dropped
_GROWTH = 1.6  # the network draws the core of a line; this is how far it is grown back
_LEAST_SIDE = 3  # pixels; anything thinner is dirt


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle of page pixels, right and bottom exclusive, and how sure the map is."""

    left: int
    top: int
    right: int
    bottom: int
    score: float


def input_shape(width: int, height: int) -> tuple[int, int, int, int]:
    """The shape of the input for a page of this size: sides rounded to the network's stride."""
    return (1, 3, _rounded(height), _rounded(width))


def prepare_page(page: Image.Image, into: NDArray[np.float32]) -> None:
    """Fill `into` (shape [1, 3, h, w] from input_shape) with the page: blue first, -1 to 1."""
    _, _, height, width = into.shape
    pixels = np.asarray(page.convert("RGB").resize((width, height)), dtype=np.float32)
    np.copyto(into[0], pixels[:, :, ::-1].transpose(2, 0, 1))
    into *= 2 / 255
    into -= 1


def find_boxes(text_map: NDArray[np.float32], width: int, height: int) -> list[Box]:
    """The lines on a page of width x height, top to bottom, from the map [h, w] of probabilities.

    Boxes are upright: the demo's pages lie straight, though a line on them may be upside down.
    """
    map_height, map_width = text_map.shape
    across, down = width / map_width, height / map_height
    boxes = []
    for left, top, right, bottom in _islands(text_map > _INK):
        sides = (right - left, bottom - top)
        score = float(text_map[top:bottom, left:right].mean())
        if min(sides) < _LEAST_SIDE or score < _SURE:
            continue
        grow = _GROWTH * sides[0] * sides[1] / (2 * (sides[0] + sides[1]))
        boxes.append(
            Box(
                left=max(0, round((left - grow) * across)),
                top=max(0, round((top - grow) * down)),
                right=min(width, round((right + grow) * across)),
                bottom=min(height, round((bottom + grow) * down)),
                score=score,
            )
        )
    return sorted(boxes, key=lambda box: (box.top, box.left))


def _islands(mask: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """The rectangles (left, top, right, bottom) around the parts of a mask; corners connect."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, firsts = np.nonzero(edges == 1)
    pasts = np.nonzero(edges == -1)[1]
    runs = list(zip(rows.tolist(), firsts.tolist(), pasts.tolist(), strict=True))
    island = list(range(len(runs)))  # union-find over runs; the root is the island's first run
    start = 0  # the oldest run that can still touch: those of the row above
    for this, (row, first, past) in enumerate(runs):
        while runs[start][0] < row - 1:
            start += 1
        for other in range(start, this):
            if runs[other][0] == row:
                break
            if runs[other][1] <= past and first <= runs[other][2]:
                one, two = _root(island, other), _root(island, this)
                island[max(one, two)] = min(one, two)
    around: dict[int, tuple[int, int, int, int]] = {}
    for this, (row, first, past) in enumerate(runs):
        root = _root(island, this)
        left, top, right, _ = around.get(root, (first, row, past, row))
        around[root] = (min(left, first), top, max(right, past), row + 1)
    return list(around.values())


def _root(island: list[int], run: int) -> int:
    while island[run] != run:
        island[run] = run = island[island[run]]
    return run


def _rounded(side: int) -> int:
    return max(_STRIDE, round(side / _STRIDE) * _STRIDE)
