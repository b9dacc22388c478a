"""The four things that the models do here: name a file's type, and read a page in three steps."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from whence.demo import text_boxes, text_lines
from whence.demo.file_types import FileTypeModel, FileVerdict
from whence.demo.jobs import FollowUp
from whence.demo.lineage import PageLineage
from whence.demo.pages import Page
from whence.demo.text_boxes import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FindLines", "NameType", "PageReading", "ReadLine", "TurnLine"]

_FLOAT_BYTES = 4


class NameType:
    """magika: what type of content a file holds."""

    model = "magika"
    input_dtype = "int32"

    def __init__(self, path: Path, knowledge: FileTypeModel) -> None:
        self.path = path
        self._knowledge = knowledge
        self.input_shape: tuple[int, ...] = (1, knowledge.input_size)
        self.output_bytes = knowledge.label_count * _FLOAT_BYTES
        self.verdict: FileVerdict | None = None

    def prepare(self, into: NDArray[Any]) -> bool:
        """Fill in the file's first and last bytes; False if its size says enough."""
        self.verdict = self._knowledge.prepare(self.path, into)
        return self.verdict is None

    def finish(self, output: NDArray[Any] | None) -> Sequence[FollowUp]:
        """Keep the verdict."""
        if output is not None:
            self.verdict = self._knowledge.verdict(output[0])
        return ()

    def answer(self) -> str:
        """The file's name and its type."""
        return f"{self.path.name}: {self.verdict.label}" if self.verdict else ""

    def give_up(self) -> None:
        """Nobody waits for one file."""


class PageReading:
    """A page on its way: the lines found, and the text of those read. Thread-safe.

    With a `lineage` it is told where the text came from; `document` is the id it has in the end.
    """

    def __init__(
        self,
        page: Page,
        characters: Sequence[str],
        period_ns: int,
        lineage: PageLineage | None = None,
    ) -> None:
        self.page = page
        self.characters = characters
        self.period_ns = period_ns
        self.lineage = lineage
        self.document = 0
        self.lines_found: int | None = None
        self.lines_lost = 0
        self._texts: dict[int, str] = {}
        self._lock = threading.Lock()

    @property
    def texts(self) -> list[str]:
        """The lines read so far, top to bottom."""
        with self._lock:
            return [self._texts[index] for index in sorted(self._texts)]

    @property
    def complete(self) -> bool:
        """Whether every line that was found has been read."""
        return self.lines_found is not None and len(self.texts) == self.lines_found

    def find(self, count: int) -> None:
        """So many lines were found."""
        self.lines_found = count
        if self.lineage is not None:
            self.lineage.find_boxes(count)

    def lineage_of(self, index: int) -> int:
        """The id of a line, as a picture and as text; 0 without lineage."""
        return self.lineage.boxes[index] if self.lineage is not None else 0

    def put(self, index: int, text: str) -> None:
        """Keep the text of one line; with the last of them the document is whole."""
        with self._lock:
            self._texts[index] = text
            if self.lineage is not None and len(self._texts) == self.lines_found:
                self.document = self.lineage.finish()

    def lose_line(self) -> None:
        """Count a line whose request ended without an answer."""
        with self._lock:
            self.lines_lost += 1


class FindLines:
    """ocr_det: where on the page lines of text are. Calls for a TurnLine per line."""

    model = "ocr_det"
    input_dtype = "float32"

    def __init__(self, reading: PageReading) -> None:
        self.reading = reading
        page = reading.page
        self.input_shape: tuple[int, ...] = text_boxes.input_shape(page.width, page.height)
        self.output_bytes = math.prod(self.input_shape[2:]) * _FLOAT_BYTES
        self._picture: Image.Image | None = None

    def prepare(self, into: NDArray[Any]) -> bool:
        """Decode the page and fill in its pixels; OSError for a torn file."""
        with Image.open(self.reading.page.path) as file:
            self._picture = file.convert("RGB")  # a torn file raises OSError here
        text_boxes.prepare_page(self._picture, into)
        return True

    def finish(self, output: NDArray[Any] | None) -> Sequence[FollowUp]:
        """Cut out the lines found, each to be turned first."""
        if output is None or self._picture is None:
            return ()
        picture = self._picture
        boxes = text_boxes.find_boxes(output[0, 0], picture.width, picture.height)
        self.reading.find(len(boxes))
        return [
            FollowUp(
                TurnLine(self.reading, index, _cut(picture, box)),
                self.reading.period_ns // len(boxes),
                self.reading.lineage_of(index),
            )
            for index, box in enumerate(boxes)
        ]

    def answer(self) -> str:
        """The page's name and how many lines it has."""
        return f"{self.reading.page.path.name}: {self.reading.lines_found} lines"

    def give_up(self) -> None:
        """The page stays unread: its reading has no number of lines."""


class TurnLine:
    """ocr_cls: whether a line is upside down. Calls for a ReadLine of the line set upright."""

    model = "ocr_cls"
    input_dtype = "float32"

    def __init__(self, reading: PageReading, index: int, picture: Image.Image) -> None:
        self.reading = reading
        self._index = index
        self.picture = picture
        self._upside_down = False
        self.input_shape: tuple[int, ...] = text_lines.CLS_SHAPE
        self.output_bytes = 2 * _FLOAT_BYTES

    def prepare(self, into: NDArray[Any]) -> bool:
        """Fill in the beginning of the line."""
        text_lines.prepare_line(self.picture, into)
        return True

    def finish(self, output: NDArray[Any] | None) -> Sequence[FollowUp]:
        """Set the line upright, to be read next."""
        self._upside_down = output is not None and text_lines.is_upside_down(output[0])
        upright = self.picture.rotate(180) if self._upside_down else self.picture
        period_ns = self.reading.period_ns // max(1, self.reading.lines_found or 1)
        read_line = ReadLine(self.reading, self._index, upright)
        return [FollowUp(read_line, period_ns, self.reading.lineage_of(self._index))]

    def answer(self) -> str:
        """Which way up the line lay."""
        return "upside down" if self._upside_down else "upright"

    def give_up(self) -> None:
        """The page goes without this line."""
        self.reading.lose_line()


class ReadLine:
    """ocr_rec: the text of an upright line."""

    model = "ocr_rec"
    input_dtype = "float32"

    def __init__(self, reading: PageReading, index: int, picture: Image.Image) -> None:
        self.reading = reading
        self._index = index
        self._picture = picture
        self._text = ""
        self.input_shape: tuple[int, ...] = text_lines.rec_shape(picture.width, picture.height)
        self.output_bytes = (
            text_lines.steps_of(self.input_shape[3]) * len(reading.characters) * _FLOAT_BYTES
        )

    def prepare(self, into: NDArray[Any]) -> bool:
        """Fill in the line."""
        text_lines.prepare_line(self._picture, into)
        return True

    def finish(self, output: NDArray[Any] | None) -> Sequence[FollowUp]:
        """Hand the text to the page's reading."""
        if output is not None:
            self._text, _ = text_lines.read_text(output[0], self.reading.characters)
        self.reading.put(self._index, self._text)
        return ()

    def answer(self) -> str:
        """The text."""
        return self._text

    def give_up(self) -> None:
        """The page goes without this line."""
        self.reading.lose_line()


def _cut(page: Image.Image, box: Box) -> Image.Image:
    return page.crop((box.left, box.top, box.right, box.bottom))
