"""Prints what became of the events that were collected: a line for every sink."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from whence.cli.render.ledger import damage_lines
from whence.cli.render.page import line
from whence.cli.render.safe import safe
from whence.collect.collectors import CollectorState
from whence.collect.delivering import Delivering
from whence.collect.sink_ledger import SinkLedger
from whence.model.recording import Damage
from whence.query.words import count_text, events_text

__all__ = ["collected_lines", "collected_plain", "collector_lines"]

_PARTS = ("filtered", "refused", "expired", "queued")


def collected_lines(
    deliveries: Sequence[Delivering], reaped: Sequence[str], damage: Sequence[Damage]
) -> Iterator[Text]:
    """The ledger of each sink, the sessions removed, the files that could not be read."""
    for delivery in deliveries:
        ledger = delivery.ledger()
        yield line((safe(delivery.name), "bold"))
        yield line(f"    {_sum(ledger)}")
        for reason, count in sorted(ledger.reasons.items()):
            yield line(safe(f"    {count_text(count)}: {reason}"))
        if delivery.trouble:
            yield line(safe(f"    last: {delivery.trouble}"))
    if reaped:
        dead = f"{count_text(len(reaped))} dead session{'s' if len(reaped) > 1 else ''}"
        yield line(f"Removed {dead}, delivered everywhere.")
    yield from damage_lines(damage)


def collector_lines(collectors: Sequence[CollectorState]) -> Iterator[Text]:
    """The collectors that keep positions here: what each sink acknowledged, how far it lags."""
    for collector in collectors:
        yield line()
        state = "running" if collector.running else "not running"
        yield line((safe(f"Collector {Path(collector.path).name}, {state}"), "bold"))
        for sink in collector.sinks:
            behind = f"{events_text(sink.behind)} behind" if sink.behind else "up to date"
            yield line(safe(f"    {sink.sink}: {behind}; {_sum(sink.ledger)}"))


def _sum(ledger: SinkLedger) -> str:
    """The sum in words, parts that are 0 left out but for the delivered."""
    parts = [f"{count_text(ledger.delivered)} delivered"]
    parts += [
        f"{count_text(getattr(ledger, part))} {part}" for part in _PARTS if getattr(ledger, part)
    ]
    lost = f"; {count_text(ledger.lost)} lost before" if ledger.lost else ""
    return f"{events_text(ledger.read)} read = {' + '.join(parts)}{lost}"


def collected_plain(
    deliveries: Sequence[Delivering], reaped: Sequence[str], damage: Sequence[Damage]
) -> dict[str, Any]:
    """The same for machines."""
    return {
        "sinks": [
            {"sink": each.name, **each.ledger().plain(), "closes": each.ledger().closes}
            for each in deliveries
        ],
        "removed": list(reaped),
        "damage": list(damage),
    }
