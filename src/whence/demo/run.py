"""whence demo: options in, a recorded run of real models, an export and a report out."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from whence.demo.models import INSTALL_LINE, DemoNotInstalled, missing_packages
from whence.model.errors import WhenceError

__all__ = ["Options", "main", "run"]

_RING_SLOTS = 20_000  # a worker records ten events per request: 2,000 requests without a loss
_TEXT_BYTES = 2 << 20  # options and reasons take about half a KiB per request
_FAILED = 1
_USAGE = 2


@dataclass(frozen=True, slots=True)
class Options:
    """What can be asked of the demo. `requests` is the most pages and files that are planned."""

    requests: int = 1_000
    workers: int = 2
    seconds: float = 9.0
    output: Path = Path("whence-demo.json")
    seed: int = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo with command line arguments; returns the exit code.

    0: it ran and its export explains every decision; 1: it did not; 2: packages are missing.
    """
    options = _parse(argv)
    missing = missing_packages()
    if missing:
        print(
            f"The demo runs real models; not installed: {', '.join(missing)}. Install them with\n"
            f"    {INSTALL_LINE}",
            file=sys.stderr,
        )
        return _USAGE
    try:
        return run(options)
    except DemoNotInstalled as error:
        print(error, file=sys.stderr)
        return _USAGE
    except WhenceError as error:
        print(f"the demo stopped: {error}", file=sys.stderr)
        return _FAILED


def run(options: Options) -> int:
    """Play the load, export the recording, print the report. Needs the packages of [demo]."""
    # Imported here, because they import what may be missing.
    import whence
    from whence.cli.render.page import line, print_lines
    from whence.demo.cost import measure_cost
    from whence.demo.models import find_models
    from whence.demo.report import report_lines
    from whence.demo.stage import Stage

    models = find_models()
    session = whence.start(service="demo", ring_slots=_RING_SLOTS, text_bytes=_TEXT_BYTES)
    with tempfile.TemporaryDirectory(prefix="whence-demo-") as folder:
        played = Stage(
            folder=Path(folder),
            models=models,
            workers=options.workers,
            seconds=options.seconds,
            requests=options.requests,
            seed=options.seed,
            say=lambda text: print_lines([line((text, "dim"))]),
        ).play()
    whence.collector().export_json(options.output)
    cost = measure_cost()
    print_lines(report_lines(played, options.output, cost, session.name))
    return 0


def _parse(argv: Sequence[str] | None) -> Options:
    default = Options()
    parser = argparse.ArgumentParser(
        prog="whence demo",
        description="Run real models under the recorder: admission control, deadlines, bursts "
        "beyond what fits. Then explain a rejected and a late request from the export alone.",
    )
    add = parser.add_argument
    add(
        "--requests",
        type=_at_least(1),
        default=default.requests,
        metavar="N",
        help="plan at most N pages and files (default %(default)s)",
    )
    add(
        "--workers",
        type=_at_least(1),
        default=default.workers,
        metavar="N",
        help="threads that execute models (default %(default)s)",
    )
    add(
        "--seconds",
        type=_seconds,
        default=default.seconds,
        help="how long the planned load lasts (default %(default)s)",
    )
    add(
        "--output",
        type=Path,
        default=default.output,
        metavar="PATH",
        help="the JSON export (default %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=default.seed,
        metavar="N",
        help="of pages, files and arrivals (default %(default)s)",
    )
    return Options(**vars(parser.parse_args(argv)))


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("a load lasts more than 0 and at most 3600 seconds")
    return value
