"""What a test recorded, and whether its chains are complete: the half of the pytest plugin here."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from whence.collect.local_since import LocalSince
from whence.emit.recorder import session
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import known_contracts, load_contracts
from whence.query.contracts.verdict_words import verification_text
from whence.query.contracts.verify import Verification
from whence.query.contracts.verify import verify as hold
from whence.query.why import Answer
from whence.query.why import why as explain
from whence.verification import Contracts, contracts_of

__all__ = ["Recorded"]


class Recorded:
    """What this process records from a moment on, such as the beginning of a test.

    `contracts_file` declares contracts beside the built-in ones. Any thread may ask.
    """

    def __init__(self, contracts_file: str | PathLike[str] | None = None) -> None:
        self._since = LocalSince()
        self._file = contracts_file

    @property
    def events(self) -> tuple[TraceEvent, ...]:
        """The events recorded so far, in order of time."""
        return self.recording().events

    def recording(self) -> Recording:
        """The events with their kinds, session and ledgers, which count these events alone."""
        return self._since.recording()

    def verify(self, *contracts: Contracts, strict: bool = False) -> Verification:
        """Hold the chains to contracts, by default to all; one that is open is incomplete."""
        chosen = [found for given in contracts for found in self._chosen(given)]
        return hold(self.recording(), chosen or self._known(), strict=strict, ended=True)

    def why(self, name: str | None = None) -> Answer:
        """What `whence why` tells of a request, a chain or an event recorded since."""
        return explain(self.recording(), name, self._known(), source_words=None)

    def failure(self, *contracts: Contracts, strict: bool = False) -> str:
        """What is wrong with the chains recorded since, in lines; empty if nothing is."""
        found = self.verify(*contracts, strict=strict)
        if found.ok or not found.contracts:
            return ""
        present = session()
        words = ("--session", present.name) if present and present.path else None
        return verification_text(found, words)

    def _known(self) -> Sequence[Contract]:
        return known_contracts(load_contracts(self._file) if self._file else ())

    def _chosen(self, given: Contracts) -> Sequence[Contract]:
        return [known for known in self._known() if known.name == given] or contracts_of(given)
