"""Opens the sinks that URLs mean, each with its queue, where its last run left off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from whence.collect.delivery import Delivery, Limits
from whence.collect.positions import Acknowledged
from whence.collect.sink import Sink
from whence.export.sinks import open_sink
from whence.model.errors import UnknownSink

__all__ = ["open_deliveries", "open_sinks", "resume"]


def open_sinks(
    urls: Sequence[str], options: Mapping[str, Any], most_events: int | None = None
) -> list[Sink]:
    """The sinks, in order; if one cannot be opened none stays open.

    `most_events` is how many events one payload carries at most, where a sink's own bound is not
    less. Raises what open_sink() raises, and UnknownSink for two sinks of one name.
    """
    sinks: list[Sink] = []
    try:
        for url in urls:
            sink = open_sink(url, options)
            sinks.append(sink)
            if most_events is not None:
                sink.most_events = min(sink.most_events, most_events)
            if sum(other.name == sink.name for other in sinks) > 1:
                raise UnknownSink(f"{sink.name} is named twice")
    except BaseException:
        for sink in sinks:
            sink.close()
        raise
    return sinks


def resume(
    sinks: Sequence[Sink], known: Mapping[str, Acknowledged], limits: Limits | None = None
) -> list[Delivery]:
    """A delivery for each sink, beginning where `known` says that it had come to."""
    deliveries = []
    for sink in sinks:
        start = known.get(sink.name, Acknowledged())
        if start.token and (look_back := getattr(sink, "resume", None)):
            look_back(start.token)
        elif not start.token:  # what is in the file by now is not of ours to come
            start = replace(start, token=getattr(sink, "token", str)())
        deliveries.append(Delivery(sink, limits, start))
    return deliveries


def open_deliveries(
    urls: Sequence[str],
    options: Mapping[str, Any],
    most_events: int | None = None,
    limits: Limits | None = None,
) -> list[Delivery]:
    """Deliveries that remember nothing of former runs."""
    return resume(open_sinks(urls, options, most_events), {}, limits)
