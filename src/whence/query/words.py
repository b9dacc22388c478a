"""Puts times, sizes, counts and recorded fields into words, by whole-number arithmetic."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from datetime import datetime

from whence.model.cognitive import code_name
from whence.model.event import AttributeValue, TraceEvent

__all__ = [
    "bytes_text",
    "can_be_typed",
    "chains_text",
    "clock_text",
    "command_text",
    "count_text",
    "duration_text",
    "event_sentence",
    "events_text",
    "field_sentence",
    "files_text",
    "label_text",
    "listed",
    "offset_text",
    "offset_unit",
    "part_text",
    "sampled_text",
    "share_text",
    "value_text",
]

_LONGEST_TYPED = 60
_UNITS = (("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000))
_SUFFIXES = frozenset({"ns", "us", "ms", "s", "bytes", "hz", "tokens"})


def duration_text(ns: int) -> str:
    """A length of time to four figures or so: 850 ns, 12.3 us, 8.4 ms, 46.8 s, 2 min 3 s."""
    if ns < 0:
        return f"-{duration_text(-ns)}"
    if ns < 1_000:
        return f"{ns} ns"
    for unit, size in _UNITS:
        tenths = _rounded(ns * 10, size)
        if tenths < (600 if unit == "s" else 10_000):
            return f"{_tenths(tenths)} {unit}"
    seconds = _rounded(ns, 1_000_000_000)
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"


def offset_unit(longest_ns: int) -> str:
    """The unit in which offsets up to that length are best told apart: us, ms or s."""
    if 0 < longest_ns < 1_000_000:
        return "us"
    return "ms" if longest_ns < 10_000_000_000 else "s"


def part_text(part_ns: int, whole_ns: int) -> str:
    """A length of time beside another it is part of: 46.8 of 40.0 ms, 950.0 us of 1.2 s."""
    (part, unit), (whole, whole_unit) = (
        duration_text(ns).rsplit(" ", 1) for ns in (part_ns, whole_ns)
    )
    return f"{part}{'' if unit == whole_unit else f' {unit}'} of {whole} {whole_unit}"


def offset_text(ns: int, unit: str) -> str:
    """An offset with its sign in that unit: +31.6 ms."""
    sign = "-" if ns < 0 else "+"
    return f"{sign}{_tenths(_rounded(abs(ns) * 10, dict(_UNITS)[unit]))} {unit}"


def bytes_text(count: int) -> str:
    """A size in memory: 640 bytes, 62.5 KB, 512 MB, where a KB is 1,024 bytes."""
    size, unit = 1, "bytes"
    for name in ("KB", "MB", "GB", "TB"):
        if abs(count) < size * 1_024:
            break
        size, unit = size * 1_024, name
    if unit == "bytes" or count % size == 0:
        return f"{count // size:,} {unit}"
    tenths = _rounded(abs(count) * 10, size)
    return f"{'-' if count < 0 else ''}{_tenths(tenths)} {unit}"


def count_text(count: int) -> str:
    """A count with thousands marked: 12,480."""
    return f"{count:,}"


def events_text(count: int) -> str:
    """A count of events: 1 event, 41 events."""
    return f"{count_text(count)} event{'' if count == 1 else 's'}"


def files_text(count: int) -> str:
    """A count of files: 1 file, 2 files."""
    return f"{count_text(count)} file{'' if count == 1 else 's'}"


def chains_text(count: int) -> str:
    """A count of chains: 1 chain, 12,480 chains."""
    return f"{count_text(count)} chain{'' if count == 1 else 's'}"


def can_be_typed(name: str) -> bool:
    """Whether a command with this name in it is worth showing."""
    return 0 < len(name) <= _LONGEST_TYPED and name.isprintable()


def command_text(verb: str, name: str, options: Iterable[str] = ()) -> str:
    """The command to type; a name that looks like an option goes behind the end of the options."""
    words = [shlex.quote(word) for word in options]
    named = [shlex.quote(name)] if name else []
    words = [*words, "--", *named] if name.startswith("-") else [*named, *words]
    return " ".join(["whence", verb, *words])


def clock_text(
    wall_ns: int | None, today: datetime | None = None, *, always_dated: bool = False
) -> str:
    """A wall time in the local zone to the millisecond, with its date unless that is today."""
    if wall_ns is None:
        return ""
    seconds, rest_ns = divmod(wall_ns, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds)
    except (OverflowError, OSError, ValueError):
        return f"{wall_ns} ns"
    text = f"{moment:%H:%M:%S}.{rest_ns // 1_000_000:03d}"
    if not always_dated and moment.date() == (today or datetime.now()).date():
        return text
    return f"{moment:%Y-%m-%d} {text}"


def share_text(part: int, whole: int) -> str:
    """part / whole in per cent, rounded down so that only all of them are 100 %."""
    if whole <= 0:
        return "none"
    hundredths = part * 10_000 // whole
    if hundredths == 10_000:
        return "100 %"
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def sampled_text(events: Iterable[TraceEvent]) -> str:
    """At which rates events were sampled, by their weights: "sampled at 10 %: tick, tock".

    Empty where each stands for itself alone.
    """
    types: dict[str, dict[str, None]] = {}
    for event in events:
        if event.weight != 1:
            types.setdefault(f"{100 / event.weight:.4g} %", {})[event.event_type] = None
    return "; ".join(f"sampled at {rate}: {', '.join(names)}" for rate, names in types.items())


def value_text(name: str, value: AttributeValue) -> str:
    """A recorded value in words; names that end in _ns or _bytes are read as what they say."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if name.endswith("_ns"):
            return duration_text(value)
        if name.endswith("_bytes"):
            return bytes_text(value)
        unit = name.rpartition("_")[2]
        return f"{count_text(value)} {unit}" if unit in _SUFFIXES and "_" in name else str(value)
    if isinstance(value, float):
        return _number_text(name, value)
    return value


def label_text(name: str) -> str:
    """A field's name without the unit that `value_text` puts behind the value."""
    stem, _, unit = name.rpartition("_")
    return stem if stem and unit in _SUFFIXES else name


def event_sentence(event: TraceEvent) -> str:
    """What an event says: how its span failed, then its rationale, else its duration and fields."""
    said = event.rationale.strip() or field_sentence(event)
    return ", ".join(part for part in (event.status_message, said) if part)


def field_sentence(event: TraceEvent) -> str:
    """What an event says without a rationale: its duration and its fields, in recorded order."""
    parts = []
    if event.duration.nanos:
        parts.append(f"took {duration_text(event.duration.nanos)}")
    for name, value in event.attributes.items():
        if name == "duration_ns" and event.duration.nanos == value:
            continue
        if code := code_name(event.event_type, name, value):
            value = code
        label = name if isinstance(value, bool | str) else label_text(name)
        parts.append(f"{label} {value_text(name, value)}")
    return ", ".join(parts)


def listed(names: Iterable[str], word: str = "and") -> str:
    """Names as a sentence has them: a, b and c."""
    *most, last = list(names) or [""]
    return f"{', '.join(most)} {word} {last}" if most else last


def _number_text(name: str, value: float) -> str:
    unit = name.rpartition("_")[2]
    if unit in _SUFFIXES and "_" in name:
        return f"{value:,.1f} {unit}"
    return f"{value:.4g}"


def _rounded(number: int, size: int) -> int:
    return (number + size // 2) // size


def _tenths(tenths: int) -> str:
    return f"{tenths // 10:,}.{tenths % 10}"
