"""whence.verify: what it takes for a source and for contracts, and what it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

import whence
from tests.query.build import inference_chain, recording
from whence.export.json_export import write_recording
from whence.model.errors import ContractError
from whence.query.contracts.declared import BUILT_IN, INFERENCE
from whence.query.index import Index
from whence.verification import contracts_of


def test_recordings_files_and_collectors_are_sources(tmp_path: Path) -> None:
    """R5.12 One answer, wherever the events come from."""
    source = recording(inference_chain())
    path = tmp_path / "run.json"
    write_recording(path, source, 7)

    class Holder:
        def recording(self) -> whence.TraceCollector:
            return source  # type: ignore[return-value]

    for given in (source, Index(source), Holder(), path, str(path), [source], iter([source])):
        found = whence.verify(given)  # type: ignore[arg-type]
        assert isinstance(found, whence.Verification)
        assert (found.verdict, found.contracts[0].chains) == ("complete", 1)


def test_a_collector_is_verified() -> None:
    """R5.12 What a program holds in a ring of its own, without a file being read."""
    ring = whence.TraceCollector(100)
    contract = whence.Contract("pairs", "first", (whence.End("second"),))
    ring.record_now("first", "Test", request_id="req-1")
    assert whence.verify(ring, contract).verdict == "unknown"
    assert whence.verify(ring, contract, ended=True).verdict == "incomplete"
    assert whence.verify(ring, contract, strict=True).ok is False
    ring.record_now("second", "Test", request_id="req-1")
    assert whence.verify(ring, contract).verdict == "complete"


@pytest.mark.parametrize("source", [5, [5], object()])
def test_what_is_no_source_is_refused(source: object) -> None:
    """R5.12 TypeError says what there is."""
    with pytest.raises(TypeError, match="source"):
        whence.verify(source)  # type: ignore[arg-type]


def test_contracts_go_by_value_name_or_file(tmp_path: Path) -> None:
    """R5.12 One or several, in their order."""
    path = tmp_path / "contracts.toml"
    path.write_text('[[contract]]\nname = "ticks"\nopens = "tick"\n')
    ticks = whence.Contract("ticks", "tick")
    assert whence.load_contracts(path) == (ticks,)
    assert contracts_of(None) == BUILT_IN
    for given in ("inference", INFERENCE, ["inference"]):
        assert contracts_of(given) == (INFERENCE,)  # type: ignore[arg-type]
    assert contracts_of([path, "inference", ticks]) == (ticks, INFERENCE, ticks)
    assert contracts_of(str(path)) == (ticks,)


def test_an_unknown_contract_is_refused_with_the_known_ones() -> None:
    """R5.12 A misspelled name is no contract that covers nothing."""
    with pytest.raises(ContractError, match="built in are inference, approvals"):
        contracts_of("inferense")
