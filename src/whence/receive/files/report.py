"""What became of a file that was imported: how it was mapped, what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["MOST_LISTED", "FileReport", "Flaw", "Rejected"]

MOST_LISTED = 1_000  # of what was rejected; all of it is counted
MOST_NAMES = 200


class Rejected(NamedTuple):
    """A line, or a part of a document, that was not taken: `where` it stands and why."""

    where: str
    reason: str
    detail: str


class Flaw(NamedTuple):
    """What is wrong with a part that was taken as it is, by its path."""

    where: str
    what: str


@dataclass(slots=True)
class FileReport:
    """Counts of one file. `mapped` says which field became which column, `kept` how many fields
    stayed attributes under their own names, `times` how the unit of times was decided."""

    file: str
    format: str = ""
    nbytes: int = 0
    sha256: str = ""
    session: str = ""
    lines: int = 0
    blank: int = 0
    events: int = 0
    stored: int = 0
    duplicates: int = 0
    repeated: int = 0
    out_of_order: int = 0
    ties: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    error: str = ""
    shapes: Counter[str] = field(default_factory=Counter)
    mapped: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    times: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    flawed: int = 0
    flaws: list[Flaw] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def rejections(self) -> int:
        """How much was not taken."""
        return self.reasons.total()

    def reject(self, where: str, reason: str, detail: str) -> None:
        """Counts what is not taken; the first thousand are listed."""
        self.reasons[reason] += 1
        if len(self.rejected) < MOST_LISTED:
            self.rejected.append(Rejected(where, reason, detail[:200]))

    def flaw(self, where: str, what: str) -> None:
        """Counts what is wrong with something that is taken all the same."""
        self.flawed += 1
        if len(self.flaws) < MOST_LISTED:
            self.flaws.append(Flaw(where, what[:200]))

    def keep(self, name: str, times: int = 1) -> None:
        """Counts a field that stays an attribute; beyond two hundred names all others together."""
        known = name in self.kept or len(self.kept) < MOST_NAMES
        self.kept[name if known else "(others)"] += times

    def see(self, moment_ns: int, before_ns: int | None) -> None:
        """Counts an event at that moment, after one of the file that was at `before_ns`."""
        self.events += 1
        if before_ns is not None:
            self.ties += moment_ns == before_ns
            self.out_of_order += moment_ns < before_ns
        if self.first_ns is None or moment_ns < self.first_ns:
            self.first_ns = moment_ns
        if self.last_ns is None or moment_ns > self.last_ns:
            self.last_ns = moment_ns

    def plain(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        found: dict[str, Any] = {
            "file": self.file,
            "format": self.format,
            "bytes": self.nbytes,
            "sha256": self.sha256,
            "session": self.session,
            "lines": self.lines,
            "blank": self.blank,
            "events": self.events,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "repeated_in_file": self.repeated,
            "rejected": self.rejections,
            "flawed": self.flawed,
            "out_of_order": self.out_of_order,
            "ties": self.ties,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
        }
        for name in ("shapes", "mapped", "kept", "times", "requests", "notes", "reasons"):
            found[name] = dict(getattr(self, name).most_common(MOST_NAMES))
        found["rejections"] = [each._asdict() for each in self.rejected]
        found["flaws"] = [each._asdict() for each in self.flaws]
        return found | ({"error": self.error} if self.error else {})

    def lines_of_text(self) -> Iterator[str]:
        """The same in lines for people."""
        if self.error:
            yield f"{self.file}: {self.error}"
            return
        yield (
            f"{self.file}: {self.format}, {self.events} events, {self.stored} stored, "
            f"{self.duplicates} stored before, {self.repeated} repeated in it, "
            f"{self.rejections} rejected"
        )
        for title, counts in (
            ("shapes", self.shapes),
            ("mapped", self.mapped),
            ("kept as data", self.kept),
            ("times", self.times),
            ("requests", self.requests),
            ("notes", self.notes),
        ):
            if counts:
                shown = [f"{name} ({count})" for name, count in counts.most_common(12)]
                more = [f"{len(counts) - 12} more"] if len(counts) > 12 else []
                yield f"  {title}: {', '.join([*shown, *more])}"
        if self.out_of_order or self.ties:
            yield (
                f"  order: {self.out_of_order} before the one above them, sorted by time; "
                f"{self.ties} at the same moment, in the file's order"
            )
        yield from (f"  {each.where} {each.what}" for each in self.flaws[:10])
        if self.flawed > 10:
            yield f"  and {self.flawed - 10} flaws more"
        for each in self.rejected[:10]:
            yield f"  {each.where}: {each.reason}: {each.detail}"
        if self.rejections > 10:
            yield f"  and {self.rejections - 10} more that were rejected"
