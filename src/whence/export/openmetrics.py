"""Metric families as OpenMetrics 1.0 text, or as the Prometheus text that came before it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

__all__ = [
    "OPENMETRICS",
    "PLAIN_TEXT",
    "Exemplar",
    "Family",
    "Sample",
    "content_type_for",
    "labels_of",
    "render",
    "visible",
]

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN_TEXT = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One of the measurements behind a value: what it belongs to, and when it was."""

    labels: Labels
    value: int | float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One value; labels in the order in which they are to be written.

    `suffix` is what stands behind the family's name, such as _bucket; "" for what its type has.
    """

    labels: Labels
    value: int | float
    suffix: str = ""
    exemplar: Exemplar | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family. `name` is without `_total`.

    `type` is counter, gauge, info, histogram or summary; of the last two each sample says by its
    suffix what it is.
    """

    name: str
    type: str
    help: str
    samples: tuple[Sample, ...] = ()
    unit: str = ""  # the name ends with it


def render(
    families: Iterable[Family],
    content_type: str = OPENMETRICS,
    spell: Callable[[str], str] = str,
) -> str:
    """The text of these families, those without samples left out.

    Labels whose values are empty are left out, as an empty value means the same. All text is made
    visible(); `spell` may change each line of a value further, for where it will be looked at.
    """
    lines: list[str] = []
    for family in families:
        if family.samples:
            of_kind = _open_lines if content_type == OPENMETRICS else _plain_lines
            lines += of_kind(family, spell)
    if content_type == OPENMETRICS:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def content_type_for(accept: str) -> str:
    """What to answer a scraper that accepts this: OpenMetrics 1.0 where it takes that."""
    for offer in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        wanted = dict(part.split("=", 1) for part in parameters if "=" in part)
        known = wanted.get("version", "1.0.0") in ("1.0.0", "0.0.1")
        refused = wanted.get("q", "1") in ("0", "0.0")
        if kind == "application/openmetrics-text" and known and not refused:
            return OPENMETRICS
    return PLAIN_TEXT


_SUFFIXES = {"counter": "_total", "info": "_info"}


def _open_lines(family: Family, spell: Callable[[str], str]) -> Iterator[str]:
    yield f"# TYPE {family.name} {family.type}"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    yield f"# HELP {family.name} {_escaped(family.help, spell, quotes=True)}"
    yield from _sample_lines(family, spell, exemplars=True)


def _plain_lines(family: Family, spell: Callable[[str], str]) -> Iterator[str]:
    """The older format types the sample's name, and knows no info."""
    name = family.name + _SUFFIXES.get(family.type, "")
    yield f"# HELP {name} {_escaped(family.help, spell)}"
    yield f"# TYPE {name} {'gauge' if family.type == 'info' else family.type}"
    yield from _sample_lines(family, spell)


def _sample_lines(
    family: Family, spell: Callable[[str], str], *, exemplars: bool = False
) -> Iterator[str]:
    for sample in family.samples:
        name = family.name + (sample.suffix or _SUFFIXES.get(family.type, ""))
        pairs = _pairs(sample.labels, spell)
        line = f"{name}{{{pairs}}}" if pairs else name
        line += f" {_number(sample.value)}"
        if exemplars and (of := sample.exemplar):
            line += f" # {{{_pairs(of.labels, spell)}}} {_number(of.value)} {of.wall_s:.3f}"
        yield line


def _pairs(labels: Labels, spell: Callable[[str], str]) -> str:
    return ",".join(
        f'{label}="{_escaped(value, spell, quotes=True)}"' for label, value in labels if value
    )


def _escaped(text: str, spell: Callable[[str], str], *, quotes: bool = False) -> str:
    parts = [spell(visible(part)).replace("\\", "\\\\") for part in text.split("\n")]
    escaped = "\\n".join(parts)
    return escaped.replace('"', '\\"') if quotes else escaped


def _number(value: int | float) -> str:
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def labels_of(**labels: str) -> Labels:
    """Labels in the order given, each value visible()."""
    return tuple((label, visible(value)) for label, value in labels.items())


def visible(text: str) -> str:
    """The text with controls, foreign ends of lines and halves of surrogates made escapes.

    A reader that knows more ends of lines than \\n would take a value apart there. \\n stays: the
    format has an escape for it.
    """
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub(_spelt, text)


_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _spelt(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
