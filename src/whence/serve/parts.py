"""What the app is built over: the store's questions, tokens, limits, and who owns the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from whence.export.openmetrics import Family
from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import BUILT_IN
from whence.serve.asking import Asking
from whence.serve.auth import Tokens
from whence.serve.connections import Crowd
from whence.serve.door import Traffic
from whence.serve.limits import Limits
from whence.serve.origins import Origins
from whence.serve.problem import Problem
from whence.serve.streams import Streams
from whence.serve.writing import Writing
from whence.watch.alerts.alerts import Alerts

__all__ = ["Parts"]


@dataclass(kw_only=True)
class Parts:
    """The parts of a server.

    `read_only` says why nothing may be written, "" where it may; `trouble` what does not work at
    the moment. `families` are further metrics.
    `streams` tell of new events, `writing` writes traces; `otlp` takes in
    what OpenTelemetry sends; `alerts` looks after rules; each is None where there is none.
    """

    asking: Asking
    tokens: Tokens
    limits: Limits = field(default_factory=Limits)
    origins: Origins = field(default_factory=Origins)
    traffic: Traffic = field(default_factory=Traffic)
    crowd: Crowd | None = None
    streams: Streams | None = None
    writing: Writing | None = None
    otlp: ASGIApp | None = None
    alerts: Alerts | None = None
    contracts: Sequence[Contract] = BUILT_IN
    read_only: Callable[[], str] = field(default_factory=lambda: _only_reads)
    trouble: Callable[[], str] = field(default_factory=lambda: str)
    families: Callable[[], Sequence[Family]] = tuple

    def need_writing(self) -> Writing:
        """What writes traces; Problem where there is none."""
        if self.writing is None:
            raise Problem(403, "read_only", self.read_only(), "write through the owner")
        return self.writing


def _only_reads() -> str:
    return "this server only reads"
