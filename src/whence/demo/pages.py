"""Draws the pages that the demo reads: real pictures whose words are known."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

__all__ = ["LONGEST_LINE", "MOST_LINES", "Page", "draw_page", "tear", "words_read", "write_pages"]

_WIDTH = 480
_LINE_HEIGHT = 56
_MARGIN = 24
_FONT_SIZE = 24
_PAPERS = ((255, 255, 255), (250, 248, 240), (235, 242, 250))
_INKS = ((10, 10, 10), (20, 20, 80), (90, 10, 10))

MOST_LINES = 5
# Longer than any line that is drawn at random: the recognition network takes longest on it.
LONGEST_LINE = "Nothing is older than 31 days"

_WORDS = """
admitted answer arrival batch before better budget cause chain clock column complete decision
deferred earliest engine evidence example export figure forward frame ground harbour heavy
history holiday input journal kernel late ledger lesson letter machine margin measure memory
message minute missing model morning number office option order output paper picture pressure
question queue reader reason recorder record request result review ring runtime schedule second
selected session signal slack station summer system table thread ticket timer train value window
winter worker writer
""".split()  # noqa: SIM905 - a hundred quoted words would hide them


@dataclass(frozen=True, slots=True)
class Page:
    """A picture file and the lines that were drawn on it."""

    path: Path
    width: int
    height: int
    lines: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """Every word on the page, top to bottom."""
        return " ".join(self.lines).split()


def write_pages(folder: Path, count: int, rng: random.Random) -> list[Page]:
    """Draw `count` pages of two to five lines as PNG files; one line in eight is upside down."""
    return [_write_page(folder / f"page-{number:02d}.png", rng) for number in range(1, count + 1)]


def draw_page(
    lines: Sequence[str],
    *,
    upside_down: Sequence[int] = (),
    paper: tuple[int, int, int] = _PAPERS[0],
    ink: tuple[int, int, int] = _INKS[0],
) -> Image.Image:
    """A page with these lines; those whose index is in `upside_down` are turned by 180 degrees.

    The typeface is the one that Pillow brings, so pages are the same on every machine.
    """
    font = ImageFont.load_default(_FONT_SIZE)
    page = Image.new("RGB", (_WIDTH, _LINE_HEIGHT * len(lines) + _MARGIN), paper)
    for index, line in enumerate(lines):
        strip = Image.new("RGB", (_strip_width(font.getlength(line)), _LINE_HEIGHT), paper)
        ImageDraw.Draw(strip).text((4, 12), line, font=font, fill=ink)
        if index in upside_down:
            strip = strip.rotate(180)
        page.paste(strip, (_MARGIN, _MARGIN // 2 + index * _LINE_HEIGHT))
    return page


def tear(page: Page) -> None:
    """Cut the page's file in the middle, as an interrupted copy leaves it."""
    content = page.path.read_bytes()
    page.path.write_bytes(content[: len(content) // 2])


def words_read(page: Page, lines: Sequence[str]) -> int:
    """How many of the page's words stand in the lines read, each counted as often as drawn."""
    return sum((Counter(page.words) & Counter(" ".join(lines).split())).values())


def _write_page(path: Path, rng: random.Random) -> Page:
    lines = tuple(_line(rng) for _ in range(rng.randint(2, MOST_LINES)))
    turned = [index for index in range(len(lines)) if rng.random() < 1 / 8]
    picture = draw_page(lines, upside_down=turned, paper=rng.choice(_PAPERS), ink=rng.choice(_INKS))
    picture.save(path)
    return Page(path, picture.width, picture.height, lines)


def _line(rng: random.Random) -> str:
    words = rng.sample(_WORDS, 2)
    if rng.random() < 0.5:
        words.insert(rng.randrange(3), str(rng.randint(10, 999)))
    return " ".join(words).capitalize()


def _strip_width(text_width: float) -> int:
    return min(_WIDTH - _MARGIN, round(text_width) + 8)
