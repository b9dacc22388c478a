"""Prints what the demo did, read from its export, and explains a rejected and a late request."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.text import Text

from whence.cli.render.answer import answer_lines
from whence.cli.render.page import line, table
from whence.cli.render.safe import clip, safe
from whence.demo.cost import RecordingCost
from whence.demo.jobs import Ended
from whence.demo.pages import words_read
from whence.demo.stage import Played
from whence.demo.summary import Summary, summarise
from whence.query.contracts.completeness import Share, completeness_share
from whence.query.contracts.declared import INFERENCE
from whence.query.index import Index
from whence.query.why import why
from whence.query.words import bytes_text, count_text, duration_text
from whence.receive.json_export import read_json_export

__all__ = ["report_lines"]

_LABEL = 12  # cells of the labels
_MOST_NAME_CELLS = 26  # of the export, so that lines keep to 100


def report_lines(played: Played, export: Path, cost: RecordingCost, session: str) -> Iterator[Text]:
    """The report in lines of at most 100 cells; the export is read, not the running recorder."""
    index = Index(read_json_export(export))
    summary = summarise(index)
    yield line()
    yield from _requests(played, summary)
    yield line()
    yield from _figures(played, summary, completeness_share(index, INFERENCE), export, cost)
    yield from _explained(index, summary, export)
    yield line()
    yield from _next(summary, export, session)


def _requests(played: Played, summary: Summary) -> Iterator[Text]:
    header = ["model", "budget", "worst", "memory", "streams", "asked", *(e.value for e in Ended)]
    rows = [
        [
            model,
            duration_text(profile.wcet_ns),
            duration_text(summary.worst_ns[model]) if model in summary.worst_ns else "-",
            bytes_text(profile.budget.memory_limit_bytes),
            str(profile.budget.stream_limit),
            count_text(sum(summary.ended.get((model, ended), 0) for ended in Ended)),
            *(count_text(summary.ended.get((model, ended), 0)) for ended in Ended),
        ]
        for model, profile in played.profiles.items()
    ]
    totals = [count_text(summary.total(ended)) for ended in Ended]
    rows.append(["all", "", "", "", "", count_text(summary.requests), *totals])
    yield from table(header, rows)
    if disagreeing := _disagreements(played.ended, summary):
        yield line((f"The runtime's own counts differ: {disagreeing}", "bold red"))


def _figures(
    played: Played, summary: Summary, share: Share, export: Path, cost: RecordingCost
) -> Iterator[Text]:
    pages = [reading for reading in played.readings if reading.complete]
    right = sum(words_read(reading.page, reading.texts) for reading in pages)
    drawn = sum(len(reading.page.words) for reading in pages)
    yield _figure(
        "Answers",
        f"{count_text(played.files_named)} files named; {len(pages)} of {len(played.readings)} "
        f"pages read to the end, {count_text(right)} of their {count_text(drawn)} words rightly",
    )
    kinds = ", ".join(f"{count_text(n)} {word}" for word, n in _by_verdict(summary.decisions))
    yield _figure("Decisions", f"{count_text(sum(summary.decisions.values()))}: {kinds}")
    yield _figure(
        "Recorded",
        f"{count_text(summary.recorded)} events in {summary.rings} rings, "
        f"{count_text(summary.lost)} lost; {count_text(summary.events)} in "
        f"{clip(export.name, _MOST_NAME_CELLS)} "
        f"({bytes_text(export.stat().st_size)})",
    )
    yield _figure(
        "Complete",
        f"{share.text} of {count_text(share.decisions)} decisions reconstructible with their "
        "rationale from the export alone",
        "bold green" if share.reconstructible == share.decisions else "bold red",
    )
    for name in share.first_flaws:
        yield _figure("", f"not complete: {safe(name)}", "red")
    whole = duration_text(cost.of_ns(summary.recorded, summary.choices))
    yield _figure(
        "Cost",
        f"{cost.small_ns:.0f} ns per event of two fields, {cost.choice_ns:.0f} ns per decision "
        f"with four options,",
    )
    yield _figure(
        "",
        f"{cost.empty_ns:.0f} ns per empty Python function; recording took about {whole} of "
        f"{duration_text(played.duration_ns)}",
    )
    yield _figure(
        "",
        f"(medians of {cost.rounds} x {cost.calls} calls each, loop included, in this process "
        "after the run)",
        "dim",
    )
    if played.extra_bursts:
        seen = played.ended.get(Ended.Rejected) and played.ended.get(Ended.Late)
        outcome = "until requests were rejected and late" if seen else "and still none was late"
        bursts = "1 burst" if played.extra_bursts == 1 else f"{played.extra_bursts} bursts"
        yield _figure("Load", f"{bursts} more than planned, {outcome}")


def _explained(index: Index, summary: Summary, export: Path) -> Iterator[Text]:
    for name, word in ((summary.rejected, "rejected"), (summary.late, "late")):
        yield line()
        if not name:
            yield line(
                (f"No request was {word} this time; try --seed or more --seconds.", "yellow")
            )
            continue
        yield line((f"$ whence why {name} --from {safe(shlex.quote(str(export)))}", "bold"))
        yield from answer_lines(why(index, name, source_words=("--from", str(export))))


def _next(summary: Summary, export: Path, session: str) -> Iterator[Text]:
    """Commands that mean this run later too, when others have recorded since."""
    example = summary.late or summary.rejected or "ID"
    source = safe(shlex.quote(str(export)))
    yield line(("The recording outlives this process. Ask it:", "bold"))
    for command in (
        f"whence why {example} --session {safe(session)}",
        f"whence stats --session {safe(session)}",
        f"whence why {example} --from {source}",
        f"whence chain {example} --from {source}",
        "whence ls",
    ):
        yield line(f"  {command}")


def _figure(label: str, text: str, style: str = "") -> Text:
    return line((label.ljust(_LABEL), "bold"), (text, style))


def _by_verdict(decisions: Mapping[str, int]) -> list[tuple[str, int]]:
    order = ("Admitted", "Rejected", "Selected", "Deferred", "Dropped")
    return [(word.lower(), decisions.get(word, 0)) for word in order]


def _disagreements(counted: Mapping[Ended, int], summary: Summary) -> str:
    """Where what the runtime counted differs from what its recording says; empty if nowhere."""
    return ", ".join(
        f"{ended.value} {counted.get(ended, 0)} instead of {summary.total(ended)}"
        for ended in Ended
        if counted.get(ended, 0) != summary.total(ended)
    )
