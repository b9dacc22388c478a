"""Reads one line of text: inputs and answers of the OCR direction and recognition networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = [
    "CLS_SHAPE",
    "alphabet",
    "is_upside_down",
    "prepare_line",
    "read_text",
    "rec_shape",
    "steps_of",
]

CLS_SHAPE = (1, 3, 48, 192)  # the direction network sees the line's beginning, 48 pixels high
_REC_HEIGHT = 48
_REC_LEAST_WIDTH = 320
_SURE_OF_TURN = 0.9


def rec_shape(width: int, height: int) -> tuple[int, int, int, int]:
    """The shape of the recognition input for a line of this size: 48 high, at least 320 wide."""
    return (1, 3, _REC_HEIGHT, max(_REC_LEAST_WIDTH, _width_at(_REC_HEIGHT, width, height)))


def steps_of(rec_width: int) -> int:
    """How many steps the recognition network answers for an input of this width."""
    return rec_width // 8  # it halves the width three times


def prepare_line(line: Image.Image, into: NDArray[np.float32]) -> None:
    """Fill `into` (shape [1, 3, h, w]) with the line, left-aligned: blue first, -1 to 1, 0 beyond.

    A line longer than `into` is squeezed.
    """
    _, _, height, width = into.shape
    used = min(width, _width_at(height, line.width, line.height))
    pixels = np.asarray(line.convert("RGB").resize((used, height)), dtype=np.float32)
    into.fill(0)
    np.copyto(into[0, :, :, :used], pixels[:, :, ::-1].transpose(2, 0, 1))
    into[0, :, :, :used] *= 2 / 255
    into[0, :, :, :used] -= 1


def is_upside_down(directions: NDArray[np.float32]) -> bool:
    """Whether the line must be turned, from the two probabilities (upright, turned by 180)."""
    return bool(directions[1] > _SURE_OF_TURN)


def alphabet(character_metadata: str) -> list[str]:
    """The characters by class, from the list in the model's metadata; class 0 means nothing."""
    return ["", *character_metadata.splitlines(), " "]


def read_text(steps: NDArray[np.float32], characters: Sequence[str]) -> tuple[str, float]:
    """The text and the mean confidence, from probabilities [steps, classes] (CTC, best path).

    A class repeated in neighbouring steps is one character; class 0 separates and is silent.
    """
    best = steps.argmax(axis=1)
    kept = best != 0
    kept[1:] &= best[1:] != best[:-1]
    if not kept.any():
        return "", 0.0
    text = "".join(characters[index] for index in best[kept].tolist())
    return text, float(steps.max(axis=1)[kept].mean())


def _width_at(new_height: int, width: int, height: int) -> int:
    return max(1, math.ceil(width * new_height / max(1, height)))
