"""The sessions that events from outside are filed under: one for each kind of source and origin."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping

from whence.model.recording import SessionInfo
from whence.store.sessions import StoredSession

__all__ = ["OVERFLOW", "outside_session", "overflow_session"]

OVERFLOW = "whence.overflow"
_NAMESPACE = uuid.UUID("6f0d7d3e-2f0c-5c39-9a4e-8d5b1f6f9a10")


def outside_session(
    kind: str, resource: Mapping[str, str] | None = None, service: str = ""
) -> StoredSession:
    """The session of what a kind of source, such as `otlp`, sent of one resource.

    The same kind and resource give the same session, in every process and on every machine. Its
    run is the kind; it has no process, and its events have wall times only.
    """
    told = tuple(sorted((resource or {}).items()))
    made = uuid.uuid5(_NAMESPACE, json.dumps([kind, told], ensure_ascii=True))
    key = int.from_bytes(hashlib.blake2b(made.bytes, digest_size=6).digest(), "big") or 1
    info = SessionInfo(
        name=f"{kind}-{made.hex[:12]}",
        uuid=str(made),
        key=key,
        service=service,
        run=kind,
        state="stored",
        resource=told,
    )
    return StoredSession(info=info)


def overflow_session(kind: str) -> StoredSession:
    """Where events go whose resource would be one too many."""
    return outside_session(kind, {OVERFLOW: "true"})
