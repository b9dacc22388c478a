"""Metric families as OpenMetrics 1.0 text, or as the Prometheus text that came before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = [
    "OPENMETRICS",
    "PLAIN_TEXT",
    "Family",
    "Sample",
    "content_type_for",
    "labels_of",
    "render",
]

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN_TEXT = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value; labels in the order in which they are to be written."""

    labels: Labels
    value: int | float


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family. `name` is without `_total`; `type` is counter, gauge or info."""

    name: str
    type: str
    help: str
    samples: tuple[Sample, ...] = ()
    unit: str = ""  # the name ends with it


def render(families: Iterable[Family], content_type: str = OPENMETRICS) -> str:
    """The text of these families, those without samples left out.

    Labels whose values are empty are left out, as an empty value means the same. Text that is not
    UTF-8 has its odd parts replaced.
    """
    lines: list[str] = []
    for family in families:
        if family.samples:
            lines += _open_lines(family) if content_type == OPENMETRICS else _plain_lines(family)
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


def _open_lines(family: Family) -> Iterator[str]:
    yield f"# TYPE {family.name} {family.type}"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    yield f"# HELP {family.name} {_escaped(family.help, quotes=True)}"
    yield from _sample_lines(family)


def _plain_lines(family: Family) -> Iterator[str]:
    """The older format types the sample's name, and knows no info."""
    name = family.name + _SUFFIXES.get(family.type, "")
    yield f"# HELP {name} {_escaped(family.help)}"
    yield f"# TYPE {name} {'gauge' if family.type == 'info' else family.type}"
    yield from _sample_lines(family)


def _sample_lines(family: Family) -> Iterator[str]:
    name = family.name + _SUFFIXES.get(family.type, "")
    for sample in family.samples:
        pairs = ",".join(
            f'{label}="{_escaped(value, quotes=True)}"' for label, value in sample.labels if value
        )
        yield (
            f"{name}{{{pairs}}} {_number(sample.value)}"
            if pairs
            else (f"{name} {_number(sample.value)}")
        )


def _escaped(text: str, *, quotes: bool = False) -> str:
    valid = text.encode("utf-8", "replace").decode()
    escaped = valid.replace("\\", "\\\\").replace("\n", "\\n")
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
    """Labels in the order given."""
    return tuple(labels.items())
