"""What this test process has recorded so far."""

from __future__ import annotations

from collections.abc import Sequence

import whence
from whence.model.event import TraceEvent

__all__ = ["chain_of"]


def chain_of(request_id: str) -> Sequence[TraceEvent]:
    """The events of a request, in order."""
    return whence.collector().reconstruct_decision_chain(request_id)
