"""What came in from outside, as figures: by OpenTelemetry, and through the store's intake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whence.export.openmetrics import Family, Sample
from whence.receive.otlp.intake import OtlpCounts
from whence.store.intake import Intake

__all__ = ["intake_families", "otlp_families"]

_OTLP_HELP = {
    "requests": "OTLP requests that were answered.",
    "records": "Spans, log records and data points that came.",
    "rows": "Events that they became, duplicates among them.",
    "duplicates": "Events that were stored already.",
    "rejected": "Records that were refused.",
    "cut": "Values that were cut to what an event may hold.",
    "failed": "OTLP requests that were refused whole.",
}
_INTAKE_HELP = {
    "stored": "Events from outside that were stored.",
    "duplicates": "Events from outside that were stored already.",
    "overflowed": "Events from outside of more resources than a session each is kept for.",
    "refused": "Events from outside that were never taken.",
    "commits": "Commits of what came from outside.",
}


def otlp_families(counts: Sequence[OtlpCounts]) -> Iterator[Family]:
    """The sums of several ways that OpenTelemetry comes by."""
    for name, help in _OTLP_HELP.items():
        value = sum(getattr(each, name) for each in counts)
        yield Family(f"whence_otlp_{name}", "counter", help, (Sample((), value),))


def intake_families(intake: Intake) -> Iterator[Family]:
    """What the intake did, and what waits in it."""
    counts = intake.counts
    for name, help in _INTAKE_HELP.items():
        yield Family(f"whence_intake_{name}", "counter", help, (Sample((), getattr(counts, name)),))
    waiting = (Sample((), intake.queued_bytes),)
    help = "What came from outside and waits for its commit."
    yield Family("whence_intake_queued_bytes", "gauge", help, waiting, "bytes")
