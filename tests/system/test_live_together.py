"""Streaming, correlation, compression and dual logging, of one program, at one time."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.apps import output_of

PROGRAM = """
import logging, sys, whence
from whence.integrations.logging import mirror
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(levelname)s %(message)s")

@whence.kind(component="Agent", decision=True, rationale="Called {tool}")
def tool_chosen(tool: str) -> None: ...

@whence.kind(component="Agent")
def tool_returned(tool: str, ok: bool) -> None: ...

chosen = mirror(tool_chosen)
with whence.request("req-a"), whence.span("step", component="Agent"):
    chosen("search")
with whence.request("req-b"):
    tool_returned("search", True)
"""


def whence(folder: Path, *words: str) -> str:
    """What a command prints."""
    return output_of("-m", "whence", *words, whence_dir=folder)


def test_one_recording_streams_relates_and_exports_while_it_is_logged(
    whence_dir: Path, tmp_path: Path
) -> None:
    """Each of the optional faces shows the very same events. R1.45 R1.46 R1.47 R1.48 R1.56"""
    assert output_of("-c", PROGRAM, whence_dir=whence_dir) == "DEBUG tool_chosen tool=search\n"

    streamed = whence(whence_dir, "trace", "stream", "--format", "json").splitlines()
    ids = {json.loads(line)["event_id"] for line in streamed}
    assert len(ids) == 3

    out = tmp_path / "all.json.gz"
    whence(whence_dir, "trace", "export", "--format", "json", "--output", str(out))
    exported = json.loads(gzip.decompress(out.read_bytes()))["events"]
    assert {event["event_id"] for event in exported} == ids

    (decision,) = (e["event_id"] for e in exported if e["event_type"] == "tool_chosen")
    answer = json.loads(whence(whence_dir, "chain", decision, "--related", "--json"))
    (span,) = (e for e in exported if e["event_type"] == "step")
    assert span["event_id"] in json.dumps(answer)
