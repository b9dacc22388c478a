"""Starting this process's session, and what it says of itself."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from whence import _native
from whence.model.errors import AlreadyStarted
from whence.model.names import DECISION_TYPES
from whence.model.store_settings import StoreSettings, checked_promoted
from whence.ring import byte_cap

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from whence.emit.config import TracingConfig

__all__ = [
    "Session",
    "describe",
    "join_run",
    "keep_stores_with",
    "prepare",
    "session",
    "start",
    "text_bytes",
]

DEFAULT_RING_SLOTS = 10_000
DEFAULT_TEXT_BYTES = 256 << 10
_FEW_SLOTS = 16
MAX_RING_SLOTS = 1 << 24  # 1 GiB of slots a thread
# Old sessions that one process removes at its start, a few ms each; later ones go on with it.
MOST_REMOVED = 16
MIN_TEXT_BYTES = 4096  # an event may take a quarter: enough for the largest field image
MAX_TEXT_BYTES = 1 << 30


class Session(NamedTuple):
    """This process's session; `path` is None when it is in memory only (`trouble` says why).

    `unrecorded` counts the events that not even memory could be had for, up to now,
    `unnamed_kinds` the kinds that the dictionary had no room for (events of theirs are called
    unknown-kind-N), `memory_rings` the rings that end with this process.
    """

    name: str
    path: Path | None
    uuid: str
    key: int
    run: int
    trouble: str
    unrecorded: int = 0
    unnamed_kinds: int = 0
    memory_rings: int = 0


def start(
    service: str | None = None,
    *,
    ring_slots: int | None = None,
    text_bytes: int = DEFAULT_TEXT_BYTES,
    strict: bool | None = None,
    config: TracingConfig | None = None,
    store: str | os.PathLike[str] | None = None,
    keep_days: float | None = None,
    keep_bytes: int | None = None,
    promote: Collection[str] = (),
) -> Session:
    """Starts recording with these settings; without it the first event starts with the defaults.

    `service` is how this process is called, else $WHENCE_SERVICE, $OTEL_SERVICE_NAME, service.name
    in $OTEL_RESOURCE_ATTRIBUTES or the script's name. Each thread gets a ring of `ring_slots`
    events of 64 bytes (the config's ring size, else 10,000) and `text_bytes` of text. `config` says
    which types are recorded, at which rate, and how collectors shall export them; left out,
    $WHENCE_CONFIG says it. With `strict=False` refused events, such as a decision without a
    rationale or a field of the wrong type, are counted as rejected and do not raise; left out,
    $WHENCE_STRICT=0 says so. `store` is a folder that keeps what this process records, and all
    others that name it: a thread in one of them collects, and another takes over at its end. It
    gives up whole days that are older than `keep_days`, and the oldest beyond `keep_bytes`; 0 is
    without end, and left out, the store's limits stay as they are. Attributes to `promote` get
    columns of their own in it, beside those that have one already.

    Raises AlreadyStarted when a session exists and these settings come too late, ValueError for
    sizes out of range. Makes a folder and files: about a millisecond. Any thread.
    """
    config = config or _config_from_environment()
    if ring_slots is None:
        ring_slots = (config.ring_buffer_size if config else 0) or DEFAULT_RING_SLOTS
    if not 1 <= ring_slots <= MAX_RING_SLOTS:
        raise ValueError(f"ring_slots must be from 1 to {MAX_RING_SLOTS:,}, not {ring_slots}")
    if not MIN_TEXT_BYTES <= text_bytes <= MAX_TEXT_BYTES:
        raise ValueError(
            f"text_bytes must be from {MIN_TEXT_BYTES:,} to {MAX_TEXT_BYTES:,}, not {text_bytes}"
        )
    settings = StoreSettings(keep_days, keep_bytes, checked_promoted(promote))
    if any(limit is not None and not limit >= 0 for limit in (keep_days, keep_bytes)):
        raise ValueError("keep_days and keep_bytes must be 0 or more")
    if store is None and settings != StoreSettings():
        raise ValueError("keep_days, keep_bytes and promote go with a store")
    kept = None if store is None else os.path.realpath(store)
    configured = _native.configure(
        description=_description(service, config, store=kept),
        ring_slots=ring_slots,
        text_bytes=text_bytes // 8 * 8,
    )
    if not configured:
        raise AlreadyStarted(
            "a session exists already; call start() before the first event and the first span"
        )
    global _text_bytes
    _text_bytes = text_bytes // 8 * 8
    if config is not None:
        config.apply()
    if strict is not None:
        _native.set_strict(strict)
    if kept is not None:
        _keep_store(kept, service or _script(), settings)
    return _as_session(_native.start())


def keep_stores_with(keep: Callable[[str, str, StoreSettings], object]) -> None:
    """Says what keeps a store, which this floor does not know: called with its folder, with words
    for whose it is, and with what is asked of it."""
    global _keep_store
    _keep_store = keep


def _nobody(folder: str, words: str, settings: StoreSettings) -> None:
    raise RuntimeError("import whence, and call whence.start()")


_keep_store: Callable[[str, str, StoreSettings], object] = _nobody


def text_bytes() -> int:
    """How many bytes of text each thread's ring holds."""
    return _text_bytes


_text_bytes = DEFAULT_TEXT_BYTES


def session() -> Session | None:
    """This process's session, None before its first event. A forked child has one of its own."""
    present = _native.session()
    return _as_session(present) if present is not None else None


def prepare(service: str | None = None) -> None:
    """Tells the native core what a session says of itself; runs at import, with no `service`."""
    _native.configure(description=_description(service), run=_run_from_environment())
    if os.environ.get("WHENCE_CONFIG"):
        _obey_environment(service)
    _native.set_hooks(_on_session, _on_full, DECISION_TYPES)
    _native.set_strict(os.environ.get("WHENCE_STRICT", "1") != "0")
    if any(name in os.environ for name in ("TRACEPARENT", "BAGGAGE", "WHENCE_REQUEST")):
        from whence.emit.w3c import from_environment  # only few processes are told a context

        _native.set_process_context(from_environment(os.environ))


def describe(service: str, attributes: dict[str, str]) -> bool:
    """Calls the session to come by that name, where the environment gives it none, and adds
    resource attributes to it. False: there is a session already."""
    named = os.environ.get("WHENCE_SERVICE") or service or None
    return _native.configure(
        description=_description(named, _config_from_environment(), attributes)
    )


def join_run(run: str, service: str) -> bool:
    """Makes the session to come a small one of that run, in hexadecimal, of a process that adds
    little to it. False, and nothing changed: there is a session already."""
    try:
        number = int(run, 16)
    except ValueError:  # of an export that others wrote
        number = 0
    return _native.configure(
        description=_description(service, None),
        run=number if 0 < number < 2**64 else 0,
        ring_slots=_FEW_SLOTS,
    )


def _as_session(found: _native.SessionDict) -> Session:
    from pathlib import Path  # 4 ms that `import whence` does without

    path = Path(found["path"]) if found["on_disk"] else None
    return Session(
        found["name"],
        path,
        found["uuid"],
        found["key"],
        found["run"],
        found["trouble"],
        found["unrecorded"],
        found["unnamed_kinds"],
        found["memory_rings"],
    )


def _config_from_environment(*, tell: bool = False) -> TracingConfig | None:
    """$WHENCE_CONFIG. A bad one is told of at import, and does not stop the program."""
    if not os.environ.get("WHENCE_CONFIG"):
        return None
    from whence.emit.config import TracingConfig

    try:
        return TracingConfig.from_environment()
    except (OSError, ValueError, TypeError) as error:
        if tell:
            print(f"whence: $WHENCE_CONFIG is left aside: {error}", file=sys.stderr)
        return None


def _obey_environment(service: str | None) -> None:
    """For programs that never call start(), and for kinds declared before they do."""
    config = _config_from_environment(tell=True)
    if config is not None:
        slots = config.ring_buffer_size or DEFAULT_RING_SLOTS
        _native.configure(description=_description(service, config), ring_slots=slots)
        config.apply()


def _script() -> str:
    """The program's own name; of `python -m package`, the package's."""
    folder, name = os.path.split(sys.argv[0] if sys.argv else "")
    if name == "-m" and name in sys.orig_argv[:-1]:  # the package is being imported
        return sys.orig_argv[sys.orig_argv.index(name) + 1]
    return os.path.basename(folder) or name if name == "__main__.py" else name


def _description(
    service: str | None,
    config: TracingConfig | None = None,
    more: dict[str, str] | None = None,
    store: str | None = None,
) -> str:
    """The JSON in the session file: at most 3,840 bytes, else attributes are left out."""
    attributes = _resource_attributes(os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    attributes |= more or {}
    name = (
        service
        or os.environ.get("WHENCE_SERVICE")
        or os.environ.get("OTEL_SERVICE_NAME")
        or attributes.get("service.name")
        or _script()
        or "python"
    )
    text: dict[str, object] = {
        "service": name[:256],
        "script": (sys.argv[0] if sys.argv else "")[:1024],
        "python": sys.version.split()[0],
        "host": os.uname().nodename,
    }
    if config is not None:
        text["export_batch_size"] = config.export_batch_size
        text["export_interval_ms"] = config.export_interval_ms
        text["export_format"] = config.export_format.value
    if store is not None:
        text["store"] = store
    whole = json.dumps(text | {"attributes": attributes})
    return whole if len(whole) <= 3840 else json.dumps(text)


def _resource_attributes(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _run_from_environment() -> int:
    """$WHENCE_RUN (hexadecimal) makes processes that were started together one run."""
    text = os.environ.get("WHENCE_RUN") or "0"
    try:
        run = int(text, 16)
    except ValueError:
        run = -1
    if 0 <= run < 2**64:
        return run
    byte_cap.tell_once(
        f"WHENCE_RUN={text!r} is no hexadecimal number of 64 bits; this is a run of its own"
    )
    return 0


def _on_session() -> None:
    """Makes room for the session that has just appeared, if need be.

    The first event waits for this, so what reads sessions is imported only when some must go.
    """
    present = _native.session()
    if present is not None and byte_cap.wants_clearing(os.path.dirname(present["path"])):
        _on_full(os.path.dirname(present["path"]))


def _on_full(base: str) -> None:
    """Removes old sessions from `base`, where there is too much of them or no room for ours."""
    # Half imported: by a thread that clears already, or by one that this forked child lacks, for
    # whose import it would wait for ever.
    if getattr(getattr(sys.modules.get("whence.ring.reap"), "__spec__", None), "_initializing", 0):
        return
    from pathlib import Path

    from whence.ring.reap import enforce_byte_cap

    enforce_byte_cap(Path(base), most=MOST_REMOVED)
