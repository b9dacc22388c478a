"""Real networks read drawn pages: lines found, turned upright and recognised, word by word."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

for package in ("numpy", "PIL", "onnxruntime"):
    pytest.importorskip(package)

import whence  # noqa: E402
from tests.own_events import OwnEvents  # noqa: E402
from whence.demo.engines import Engines, ModelNotLoaded  # noqa: E402
from whence.demo.jobs import Task  # noqa: E402
from whence.demo.lineage import PageLineage  # noqa: E402
from whence.demo.models import DemoNotInstalled, ModelFile, find_models, read_metadata  # noqa: E402
from whence.demo.pages import Page, draw_page, tear, words_read, write_pages  # noqa: E402
from whence.demo.pool import MemoryPool  # noqa: E402
from whence.demo.tasks import FindLines, PageReading  # noqa: E402
from whence.demo.text_lines import alphabet  # noqa: E402
from whence.demo.worker import execute  # noqa: E402
from whence.model.lineage_events import LineageFrame, LinkPart, lineage_of  # noqa: E402

try:
    MODELS = find_models()
except DemoNotInstalled as missing:
    pytest.skip(str(missing), allow_module_level=True)


class Reader:
    """Reads pages step by step as the workers do, one task after the other."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.pool = MemoryPool()
        self.characters = alphabet(read_metadata(MODELS["ocr_rec"], "character"))

    def __call__(self, page: Page, lineage: PageLineage | None = None) -> PageReading:
        reading = PageReading(page, self.characters, period_ns=1_000, lineage=lineage)
        tasks: list[Task] = [FindLines(reading)]
        while tasks:
            follow_ups = execute(tasks.pop(0), self.engines, self.pool, "page", 0, 0)
            tasks += [follow_up.task for follow_up in follow_ups]
        return reading


@pytest.fixture(scope="module")
def read() -> Iterator[Reader]:
    with Engines(MODELS) as engines:
        yield Reader(engines)


def save(lines: list[str], folder: Path, **how: object) -> Page:
    picture = draw_page(lines, **how)  # type: ignore[arg-type]
    picture.save(folder / "page.png")
    return Page(folder / "page.png", picture.width, picture.height, tuple(lines))


def test_drawn_pages_are_read_word_by_word(read: Reader, tmp_path: Path) -> None:
    """Of the words on eight drawn pages at least 80 % are recognised exactly."""
    pages = write_pages(tmp_path, 8, random.Random(7))
    readings = [read(page) for page in pages]
    right = sum(
        words_read(page, reading.texts) for page, reading in zip(pages, readings, strict=True)
    )
    drawn = sum(len(page.words) for page in pages)
    assert drawn >= 40
    assert right >= 0.8 * drawn
    assert all(reading.complete for reading in readings)


def test_a_line_upside_down_is_turned_and_read(read: Reader, tmp_path: Path) -> None:
    """The direction network sees it, and the text comes out upright, in its place."""
    lines = ["Earliest deadline first", "Nothing is lost twice", "Answer the question why"]
    reading = read(save(lines, tmp_path, upside_down=[1]))
    assert reading.texts == lines


def test_a_document_leads_back_to_its_page(
    read: Reader, tmp_path: Path, recorded: OwnEvents
) -> None:
    """R2.33 R2.34: the page is a root, each box a frame made from it, the document their join."""
    line = whence.Lineage(node_id=7)
    reading = read(save(["First line", "Second line"], tmp_path), PageLineage(line, 4))
    assert reading.lineage is not None
    told = [lineage_of(event) for event in recorded()]
    links = {each.lineage_id: each for each in told if isinstance(each, LinkPart)}
    frames = {each.lineage_id: each for each in told if isinstance(each, LineageFrame)}
    boxes = links[reading.document].parents
    assert boxes == tuple(reading.lineage.boxes)
    assert [links[box].parents for box in boxes] == [(reading.lineage.page,)] * 2
    assert [frames[each].stage for each in (reading.lineage.page, *boxes, reading.document)] == [
        "scanner",
        "ocr_det",
        "ocr_det",
        "reader",
    ]
    assert all(links[each][1:4] == frames[each][1:4] for each in links)


def test_an_empty_page_has_no_lines(read: Reader, tmp_path: Path) -> None:
    """No text is no line, and that is a complete reading."""
    reading = read(save([], tmp_path))
    assert reading.lines_found == 0
    assert reading.complete


def test_a_torn_page_cannot_be_read(read: Reader, tmp_path: Path) -> None:
    """A file cut in the middle raises OSError, which the runtime records as a fault."""
    page = save(["Cut in the middle"], tmp_path)
    tear(page)
    with pytest.raises(OSError, match="truncated"):
        read(page)


def test_words_are_counted_as_often_as_they_were_drawn() -> None:
    """A word read twice but drawn once counts once."""
    page = Page(Path("page.png"), 1, 1, ("to be or", "not to be"))
    assert words_read(page, ["to be", "or not"]) == 4
    assert words_read(page, ["to to to be"]) == 3


def test_models_are_those_that_the_packages_ship() -> None:
    """Each is a file inside an installed package, whose version is known."""
    assert set(MODELS) == {"magika", "ocr_det", "ocr_cls", "ocr_rec"}
    assert all(model.path.is_file() and model.version for model in MODELS.values())


def test_a_file_that_is_no_model_says_so(tmp_path: Path) -> None:
    """Loading fails with the file's name and leaves nothing loaded."""
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    with (
        pytest.raises(ModelNotLoaded, match=r"bad\.onnx"),
        Engines({"bad": ModelFile("bad", bad, "none", "0")}),
    ):
        pass
