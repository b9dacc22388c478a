"""whence export: writes a recording, or a part of it, as a JSON file."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import click

from whence.cli.filters import Picked, filter_options
from whence.cli.render.ledger import damage_lines
from whence.cli.render.page import line, print_json, print_lines, require_output
from whence.cli.render.safe import safe
from whence.cli.sources import Choice, source_options
from whence.cli.verb import INCOMPLETE, Verb, json_option
from whence.export.codec import codec_of
from whence.export.json_export import write_recording, write_recording_to
from whence.query.words import count_text, events_text

__all__ = ["export"]


@click.command(cls=Verb)
@source_options
@filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "otlp-jsonl"]),
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
@json_option
@click.pass_context
def export(
    context: click.Context,
    choice: Choice,
    picked: Picked,
    form: str,
    output: str,
    compress: str | None,
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
    """
    suffixes = {"gzip": ".gz", "zstd": ".zst"}
    codec, _ = codec_of(f"export{suffixes[compress]}" if compress else output)
    if form == "otlp-jsonl":
        from whence.cli.export_otlp import export_otlp

        context.exit(export_otlp(choice, picked, output, codec, as_json))
    recording = choice.recording()
    picked.warn(recording.kinds, recording.events)
    events = picked.of(recording)
    left_out = len(recording.events) - len(events)
    filtered = picked.words if left_out else ""
    written = replace(recording, events=events)
    if output == "-":
        require_output()
        write_recording_to(
            sys.stdout.buffer, written, time.time_ns(), filtered=filtered, codec=codec
        )
    else:
        write_recording(output, written, time.time_ns(), filtered=filtered, codec=codec)
        if as_json:
            print_json({"path": output, "events": len(events), "left_out": left_out})
        else:
            more = f", {count_text(left_out)} left out ({filtered})" if left_out else ""
            print_lines([line(safe(f"{output}: {events_text(len(events))}{more}"))])
    print_lines(damage_lines(recording.damage), err=True)
    context.exit(INCOMPLETE if recording.damage else 0)
