"""Opens what URLs mean, sinks and stores, each with its queue, where its last run left off."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from whence.collect.delivering import Delivering
from whence.collect.delivery import Delivery, Limits
from whence.collect.positions import Acknowledged
from whence.collect.sink import Sink
from whence.export.sinks import open_sink, scheme_of
from whence.model.errors import UnknownSink

if TYPE_CHECKING:
    from whence.store.folder import FolderStore

__all__ = ["is_store", "open_deliveries", "open_store", "open_targets", "resume"]

_STORE = "store:"


def is_store(url: str) -> bool:
    """Whether a URL means a folder store: store:PATH, a folder, or a path without a suffix."""
    if url.lower().startswith(_STORE):
        return True
    if "://" in url or scheme_of(url) != "file" or not url:
        return False
    return url.endswith("/") or os.path.isdir(url) or "." not in os.path.basename(url)


def open_store(url: str, words: str) -> FolderStore:
    """The store that a URL means, for this process to write to.

    Raises what FolderStore raises, and ImportError, which says what to install.
    """
    path = url[len(_STORE) :] if url.lower().startswith(_STORE) else url
    if not path:
        raise UnknownSink(f"{url}: name the folder: store:./traces")
    try:
        folder = importlib.import_module("whence.store.folder")
    except ImportError as error:
        raise ImportError(f"a store needs pyarrow: pip install 'whence[store]' ({error})") from None
    store: FolderStore = folder.FolderStore(path, write=True, words=words)
    return store


def open_targets(
    urls: Sequence[str],
    options: Mapping[str, Any],
    most_events: int | None = None,
    words: str = "a collector",
) -> list[Sink | FolderStore]:
    """The sinks and stores, in order; if one cannot be opened none stays open.

    Of the options a store takes `keep_days`, `keep_bytes` and `promote`.
    `most_events` is how many events one payload carries at most, where a sink's own bound is not
    less; `words` say to others who owns a store. Raises what open_sink() and open_store() raise,
    and UnknownSink for two of one name.
    """
    targets: list[Sink | FolderStore] = []
    try:
        for url in urls:
            target = open_store(url, words) if is_store(url) else open_sink(url, options)
            targets.append(target)
            if not isinstance(target, Sink):
                target.keep(days=options.get("keep_days"), size=options.get("keep_bytes"))
                target.promote(options.get("promote", ()))
            if most_events is not None and isinstance(target, Sink):
                target.most_events = min(target.most_events, most_events)
            if sum(other.name == target.name for other in targets) > 1:
                raise UnknownSink(f"{target.name} is named twice")
    except BaseException:
        for target in targets:
            target.close()
        raise
    return targets


def resume(
    targets: Sequence[Sink | FolderStore],
    known: Mapping[str, Acknowledged],
    limits: Limits | None = None,
    *,
    filtered: bool = False,
) -> list[Delivering]:
    """A delivery for each, beginning where `known` says that a sink had come to.

    A store knows by itself. `filtered` says that not every event is asked for.
    """
    deliveries: list[Delivering] = []
    for target in targets:
        if not isinstance(target, Sink):
            delivery = importlib.import_module("whence.store.delivery")
            deliveries.append(delivery.StoreDelivery(target, limits, filtered=filtered))
            continue
        if hasattr(target, "filtered"):  # it tells readers, who would take the rest for lost
            target.filtered = filtered
        start = known.get(target.name, Acknowledged())
        if start.token and (look_back := getattr(target, "resume", None)):
            look_back(start.token)
        elif not start.token:  # what is in the file by now is not of ours to come
            start = replace(start, token=getattr(target, "token", str)())
        deliveries.append(Delivery(target, limits, start))
    return deliveries


def open_deliveries(
    urls: Sequence[str],
    options: Mapping[str, Any],
    most_events: int | None = None,
    limits: Limits | None = None,
    *,
    filtered: bool = False,
) -> list[Delivering]:
    """Deliveries that remember nothing of former runs, but for stores, which do."""
    targets = open_targets(urls, options, most_events, "a collector in its own process")
    return resume(targets, {}, limits, filtered=filtered)
