"""whence export: writes a recording, or a part of it, as a JSON file."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import click

from whence.cli.asked import filtered
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
from whence.query.words import count_text, events_text

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
    """Write a recording as one JSON file, or for OpenTelemetry.

    `whence why --from FILE` and the other commands read it again. The file holds the events in
    order of time, the kinds, the processes with their clocks, and the ledger. It appears whole
    or not at all; a compressed one is read again as it is. A file with filters says so inside: what
    it lacks is then never taken for not recorded. With --json, what was written is reported as
    JSON. Exits with 3 if a file of a session cannot be read: it is named on standard error and in
    the export, the rest is written.

    With --format otlp-jsonl, lines of OTLP's JSON are written: FILE with .logs and .traces in its
    name, since each signal has a file; on standard output the log records come first. Sessions
    can be written so, export files cannot.

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
    recording, events, words = filtered(choice, picked)
    left_out = 0 if choice.is_store else len(recording.events) - len(events)
    written = replace(recording, events=events)
    if output == "-":
        require_output()
        write_recording_to(sys.stdout.buffer, written, time.time_ns(), filtered=words, codec=codec)
    else:
        write_recording(output, written, time.time_ns(), filtered=words, codec=codec)
        if as_json:
            print_json({"path": output, "events": len(events), "left_out": left_out})
        else:
            more = f", {count_text(left_out)} left out ({words})" if left_out else ""
            print_lines([line(safe(f"{output}: {events_text(len(events))}{more}"))])
    print_lines(damage_lines(recording.damage), err=True)
    context.exit(INCOMPLETE if recording.damage else 0)
