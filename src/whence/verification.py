"""verify() for Python: takes what programs have at hand, a collector, a recording or a path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Protocol

from whence.model.errors import ContractError
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import BUILT_IN, known_contracts, load_contracts
from whence.query.contracts.verify import Verification
from whence.query.contracts.verify import verify as hold
from whence.query.index import Index

__all__ = ["Contracts", "Held", "Source", "contracts_of", "recordings_of", "verify"]


class Held(Protocol):
    """What holds events and shows all of them: a TraceCollector, or whence.collector()."""

    def recording(self) -> Recording:
        """Everything held now."""


Source = Recording | Index | Held | str | PathLike[str] | Iterable[Recording] | None
Contracts = Contract | str | PathLike[str] | Iterable["Contract | str | PathLike[str]"] | None


def verify(
    source: Source = None,
    contracts: Contracts = None,
    *,
    strict: bool = False,
    ended: bool = False,
) -> Verification:
    """Hold every chain of a source to the contract that covers it, as `whence verify` does.

    `source` is a TraceCollector, `whence.collector()`, a recording, several of these that hold
    their chains whole, or where to read: a pid, a session's name or folder, or an export file.
    Without one it is what this process has recorded. `contracts` are Contract values, names of
    built-in contracts and paths of TOML files, one or several; without them, the built-in ones.
    With `strict`, what may be lost, off or still to come counts as missing. With `ended`, nothing
    more is to come: a chain that is open is incomplete.

    Raises ContractError for contracts that make no sense, and the errors of reading a source.
    Reading costs about 8 us an event, checking about 100 us a chain.
    """
    return hold(recordings_of(source), contracts_of(contracts), strict=strict, ended=ended)


def contracts_of(contracts: Contracts) -> tuple[Contract, ...]:
    """The contracts that values, names and paths stand for, in their order."""
    if contracts is None:
        return BUILT_IN
    if isinstance(contracts, str | PathLike | Contract):
        return tuple(_named(contracts))
    return tuple(found for contract in contracts for found in _named(contract))


def recordings_of(source: Source) -> Iterable[Recording | Index]:
    """What the source holds now, read when it is asked for."""
    if source is None:
        from whence.trace_collector import collector

        return [collector().recording()]
    if isinstance(source, Recording | Index):
        return [source]
    if isinstance(source, str | PathLike):
        path = os.fspath(source)
        return _stored(path) if _is_store(path) else [_read(path)]
    if callable(read := getattr(source, "recording", None)):
        return [read()]
    if isinstance(source, Iterable):
        return _checked(source)
    raise TypeError(
        "a source is a TraceCollector, whence.collector(), a Recording or several, or a path,"
        f" not {type(source).__name__}"
    )


def _named(contract: Contract | str | PathLike[str]) -> Iterable[Contract]:
    if isinstance(contract, Contract):
        return (contract,)
    if not isinstance(contract, str) or contract.endswith(".toml"):
        return load_contracts(contract)
    found = [known for known in known_contracts() if known.name == contract]
    if not found:
        names = ", ".join(known.name for known in known_contracts())
        raise ContractError(
            f"no contract is called {contract!r}; built in are {names}, and files end in .toml"
        )
    return found


def _read(source: str) -> Recording:
    path = Path(source)
    if path.is_file() and not path.name.startswith("ring-"):
        from whence.receive.json_export import read_json_export

        return read_json_export(path)
    from whence.collect.sessions import find_sessions, read_recording

    return read_recording(find_sessions(source))


def _is_store(source: str) -> bool:
    return any((Path(source) / name).is_file() for name in ("MANIFEST", "MANIFEST.previous"))


def _stored(source: str) -> Iterator[Recording]:
    from whence.query.engines.folder import FolderEngine

    with FolderEngine(source) as engine:
        yield from engine.whole_chains(TraceQuery())


def _checked(source: Iterable[Recording]) -> Iterator[Recording]:
    for piece in source:
        if not isinstance(piece, Recording):
            raise TypeError(f"several sources are Recordings, not {type(piece).__name__}")
        yield piece
