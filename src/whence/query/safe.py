"""Makes recorded text harmless wherever it is shown: what could move or hide others is visible."""

from __future__ import annotations

import unicodedata

__all__ = ["safe"]

# Printable to Python, and yet blank on a terminal: fillers, and all that Unicode calls ignorable
# by default, such as variation selectors. Marks that show on their letter are not among them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159").union(
    *(map(chr, range(first, last + 1)) for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0F)))
)
_IGNORABLE_PLANE = range(0xE0000, 0xE1000)


def safe(text: str) -> str:
    """The text with all that could move, hide or recolour its surroundings made visible.

    Controls, formats (bidirectional ones among them), separators, variation selectors and others
    that nobody sees, private and unassigned characters and halves of surrogate pairs become
    escapes such as \\x1b or \\u202e, other spaces a plain space.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    number = ord(letter)
    if letter.isprintable() and letter not in _INVISIBLE and number not in _IGNORABLE_PLANE:
        return letter
    if unicodedata.category(letter) == "Zs":
        return " "
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
