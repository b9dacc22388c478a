"""Tells a file's type from its bytes: the input and the verdict of the model magika."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FileTypeModel", "FileVerdict"]

_WHITESPACE = b" \t\n\r\x0b\x0c"


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What a file is: its label, and the model's confidence in it from 0 to 1."""

    label: str
    score: float


class FileTypeModel:
    """What lies beside model.onnx: how bytes become its input, how its scores become a label.

    The model sees the first and the last `beg_size` and `end_size` bytes of a file without the
    white space around them, padded with a token that is no byte. Immutable after construction.
    """

    def __init__(self, model: Path) -> None:
        """Read the public configuration beside `model`; OSError or KeyError if it is not there."""
        config = _read_json(model.with_name("config.min.json"))
        if config["mid_size"] or config["use_inputs_at_offsets"]:
            raise ValueError(f"{model} takes inputs that this demo does not prepare")
        self._beg_size: int = config["beg_size"]
        self._end_size: int = config["end_size"]
        self._block_bytes: int = config["block_size"]
        self._padding: int = config["padding_token"]
        self._least_bytes: int = config["min_file_size_for_dl"]
        self._labels: list[str] = config["target_labels_space"]
        self._thresholds: dict[str, float] = config["thresholds"]
        self._threshold: float = config["medium_confidence_threshold"]
        self._renamed: dict[str, str] = config["overwrite_map"]
        types = _read_json(model.parents[2] / "config" / "content_types_kb.min.json")
        self._is_text = {label: bool(about["is_text"]) for label, about in types.items()}

    @property
    def input_size(self) -> int:
        """How many numbers the model takes for one file."""
        return self._beg_size + self._end_size

    @property
    def label_count(self) -> int:
        """How many scores the model gives for one file."""
        return len(self._labels)

    def prepare(self, path: Path, into: NDArray[np.int32]) -> FileVerdict | None:
        """Fill `into` (shape [1, input_size]) from the file, or give the verdict at once.

        Empty files and those of a few bytes are decided without the model. Raises OSError.
        """
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(min(size, self._block_bytes))
            file.seek(max(0, size - self._block_bytes))
            tail = file.read(self._block_bytes)
        if not size:
            return FileVerdict("empty", 1.0)
        first = head.lstrip(_WHITESPACE)[: self._beg_size]
        if size < self._least_bytes or len(first) < self._least_bytes:
            return FileVerdict("txt" if _is_utf8(head) else "unknown", 1.0)
        last = tail.rstrip(_WHITESPACE)[-self._end_size :]
        # [first ...padding][padding... last]
        into.fill(self._padding)
        into[0, : len(first)] = list(first)
        into[0, self.input_size - len(last) :] = list(last)
        return None

    def verdict(self, scores: NDArray[np.float32]) -> FileVerdict:
        """The label of one row of scores; below the label's threshold only text or unknown."""
        best = int(scores.argmax())
        seen, score = self._labels[best], float(scores[best])
        label = self._renamed.get(seen, seen)
        if score < self._thresholds.get(seen, self._threshold):
            label = "txt" if self._is_text[label] else "unknown"
        return FileVerdict(label, score)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content
