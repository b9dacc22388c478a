"""The benchmarks take what they promise and print it; no time is judged here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.apps import AppRun

ROOT = Path(__file__).resolve().parents[2]


def test_recording_and_being_off_are_measured_and_printed(
    run_app: Callable[..., AppRun],
) -> None:
    """R1.13 R1.17 R1.19 Each has a figure, and the P99 and the export theirs."""
    run = run_app(f"""
        import itertools, sys
        sys.path.insert(0, {str(ROOT)!r})
        from benchmarks import absolute, emit
        from benchmarks.figure import TARGETS
        print(*(measure.name for measure in emit.measures() if measure.name in TARGETS), sep="|")
        for what, target, result in itertools.islice(absolute.lines(), 2):
            print(what, target, result, sep="|")
    """)
    names, *lines = (line.split("|") for line in run.stdout.splitlines())
    assert {"T1 emit", "T1 kind", "T2 emit", "T2 kind", "T3", "T12"} <= set(names)
    assert [line[:2] for line in lines] == [
        ["typed event, P99 of the distance of consecutive stamps", "< 100 ns"],
        ["export_json of 10,000 events, file and fsync included", "< 5 ms"],
    ]
    assert lines[0][2].endswith(" ns")
    assert lines[1][2].endswith(" ms")
