"""Where a page's text comes from: page, boxes, texts and the document they become, by their ids."""

from __future__ import annotations

from collections.abc import Sequence

import whence

__all__ = ["PageLineage"]

PAGES, BOXES, DOCUMENTS = 1, 2, 3  # streams
_EPOCH = 1
_MOST_BOXES = 1_000  # of a page: boxes are numbered across pages


class PageLineage:
    """The ids of one page, the `number`-th. For one thread at a time.

    A page begins a lineage; each box found on it is a frame of its own; a text has its box's id;
    the document is joined from all texts.
    """

    def __init__(self, line: whence.Lineage, number: int) -> None:
        self._line = line
        self._number = number
        self.page = line.root()
        self.boxes: Sequence[int] = ()
        line.frame(self.page, stream_id=PAGES, epoch=_EPOCH, seq=number, stage="scanner")

    def find_boxes(self, count: int) -> None:
        """So many boxes were found."""
        first = self._number * _MOST_BOXES
        self.boxes = [
            self._made([self.page], BOXES, first + index, "ocr_det") for index in range(count)
        ]

    def finish(self) -> int:
        """All texts are read: the document's id. 0 where there was nothing to read."""
        if not self.boxes:
            return 0
        return self._made(self.boxes, DOCUMENTS, self._number, "reader")

    def _made(self, parents: Sequence[int], stream_id: int, seq: int, stage: str) -> int:
        made = self._line.join(parents, stream_id=stream_id, epoch=_EPOCH, seq=seq)
        self._line.frame(made, stream_id=stream_id, epoch=_EPOCH, seq=seq, stage=stage)
        return made
