"""whence export: writes a recording, or a part of it, as a file: JSON, CSV, Parquet or OTLP."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import click

from whence.cli.asked import filtered, in_pieces
from whence.cli.export_table import export_csv, export_parquet
from whence.cli.filters import Picked
from whence.cli.render.ledger import damage_lines
from whence.cli.render.page import line, print_json, print_lines, require_output
from whence.cli.render.safe import safe
from whence.cli.sources import Choice, source_options
from whence.cli.verb import INCOMPLETE, Verb, json_option
from whence.cli.wider_filters import wider_filter_options
from whence.export.codec import codec_of
from whence.export.json_export import write_recording, write_recording_to
from whence.query.engines.declared_order import in_declared_order
from whence.query.words import count_text, events_text

if TYPE_CHECKING:
    from whence.export.codec import Codec
    from whence.model.event import TraceEvent
    from whence.model.recording import Recording

__all__ = ["export"]


@click.command(cls=Verb)
@source_options
@wider_filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "csv", "parquet", "otlp-jsonl"]),
    default="json",
    show_default=True,
    help="The file's format.",
)
@click.option(
    "--output",
    "-o",
    default="-",
    metavar="FILE",
    help="Where to; - is standard output, the default.",
)
@click.option(
    "--compress",
    type=click.Choice(["gzip", "zstd"]),
    help="Compress it; without this option as the file's suffix says: .gz or .zst.",
)
@click.option(
    "--columns",
    type=click.Choice(["basic", "all"]),
    default="basic",
    show_default=True,
    help="Of csv: timestamp_ns, event_type, model_id, request_id and a payload, or all there are.",
)
@click.option(
    "--spreadsheet",
    is_flag=True,
    help="Of csv: put ' before texts that spreadsheets would run as formulas.",
)
@json_option
@click.pass_context
def export(
    context: click.Context,
    choice: Choice,
    picked: Picked,
    form: str,
    output: str,
    compress: str | None,
    columns: str,
    spreadsheet: bool,
    as_json: bool,
) -> None:
    """Write events as a file: JSON, CSV, Parquet, or OpenTelemetry's.

    JSON is read again by `whence why --from FILE` and the other commands. The file holds the
    events in order of time, of a store by the wall clock, the kinds, the processes with their
    clocks, and the ledger. It appears whole or not at all; a compressed one is read again as it is.
    A file with filters says so inside: what it lacks is then never taken for not recorded. With
    --json, what was written is reported as JSON. Exits with 3 if a file of a session cannot be
    read: it is named on standard error and in the export, the rest is written.

    A store may have any number of events: they are read and written some at a time.

    With --format otlp-jsonl, lines of OTLP's JSON are written: FILE with .logs and .traces in its
    name, since each signal has a file; on standard output the log records come first. Sessions
    can be written so, export files and stores cannot.

    csv is for other tools and not read again: recorded texts stand in it exactly as they are, so
    open one that strangers wrote to with --spreadsheet only. parquet has the columns of a store.
    """
    suffixes = {"gzip": ".gz", "zstd": ".zst"}
    codec, _ = codec_of(f"export{suffixes[compress]}" if compress else output)
    if form == "otlp-jsonl":
        from whence.cli.export_otlp import export_otlp

        context.exit(export_otlp(choice, picked, output, codec, as_json))
    if form == "csv":
        every = columns == "all"
        code = export_csv(
            choice, picked, output, codec, as_json, everything=every, spreadsheet=spreadsheet
        )
        context.exit(code)
    if form == "parquet":
        context.exit(export_parquet(choice, picked, output, codec, as_json))
    left_out = 0
    if choice.is_store:
        with in_pieces(choice, picked) as (recording, pieces):
            events = chain.from_iterable(
                in_declared_order(piece.events(), recording.kinds) for piece in pieces
            )
            count = _write(output, recording, events, picked.words, codec)
    else:
        recording, picked_events, words = filtered(choice, picked)
        left_out = len(recording.events) - len(picked_events)
        count = _write(output, recording, picked_events, words, codec)
    if output != "-" and as_json:
        print_json({"path": output, "events": count, "left_out": left_out})
    elif output != "-":
        more = f", {count_text(left_out)} left out ({words})" if left_out else ""
        print_lines([line(safe(f"{output}: {events_text(count)}{more}"))])
    print_lines(damage_lines(recording.damage), err=True)
    context.exit(INCOMPLETE if recording.damage else 0)


def _write(
    output: str,
    recording: Recording,
    events: Iterable[TraceEvent],
    words: str,
    codec: Codec | None,
) -> int:
    """How many events were written."""
    count = 0

    def counted() -> Iterator[TraceEvent]:
        nonlocal count
        for event in events:
            count += 1
            yield event

    now_ns = time.time_ns()
    if output == "-":
        require_output()
        file = sys.stdout.buffer
        write_recording_to(file, recording, now_ns, filtered=words, codec=codec, events=counted())
    else:
        write_recording(output, recording, now_ns, filtered=words, codec=codec, events=counted())
    return count
