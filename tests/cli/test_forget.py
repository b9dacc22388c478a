"""whence forget, and the limits of stores: what is gone is not seen, and said to be gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result

pytest.importorskip("duckdb", reason="stores are asked with duckdb")

from tests.cli.test_stores import world
from tests.query.stores import stored
from tests.store.test_retention import filled
from whence.store.folder import FolderStore
from whence.store.retention import Drop, without

Run = Callable[..., Result]


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A store of some requests."""
    return stored(tmp_path / "traces", world(), segments=3)


def requests(run: Run, path: Path) -> set[str]:
    """The requests of all events, as select tells."""
    found = json.loads(run("select", "--json", "--limit", 1000, "--from", path).output)
    return {event["request_id"] for event in found["events"]}


def test_a_forgotten_request_is_in_no_answer(run: Run, traces: Path) -> None:
    """R5.24 Without an owner the command rewrites the files itself, and deletes the old ones."""
    before = {path.name for path in (traces / "events").rglob("*.parquet")}
    result = run("forget", "req-7", "--from", traces)
    assert result.exit_code == 0
    assert "will not be seen again; no file has them any more" in result.output
    assert "req-7" in requests(run, stored(traces.with_name("other"), world()))
    assert "req-7" not in requests(run, traces)
    assert run("why", "req-7", "--from", traces).exit_code == 4
    files = list((traces / "events").rglob("*.parquet"))
    assert {path.name for path in files} != before
    assert not any("req-7" in str(pq.read_table(path).to_pylist()) for path in files)


def test_with_an_owner_it_is_hidden_and_the_owner_does_the_rest(run: Run, traces: Path) -> None:
    """R5.24 The owner is named."""
    with FolderStore(traces, write=True, words="whence collect") as store:
        found = json.loads(run("forget", "req-7", "--json", "--from", traces).output)
        assert found["hidden"] == ["req-7"]
        assert "whence collect" in found["owner"]
        assert "req-7" not in requests(run, traces)
        store.purge()
        assert [each["request"] for each in store.manifest.tombstones] == ["req-7"]


def test_a_wrong_id_hides_nothing(run: Run, traces: Path) -> None:
    """Neither a part of an id nor one that is not there."""
    for wrong in (["req"], ["nobody"], ["--trace", "a" * 32], ["req-7", "nobody"]):
        result = run("forget", *wrong, "--from", traces)
        assert result.exit_code == 4, wrong
    assert "req-7" in requests(run, traces)
    assert run("forget", "req-7", "--from", traces.with_name("none")).exit_code != 0


def test_answers_say_what_the_retention_took(run: Run, traces: Path) -> None:
    """R5.24 A question that reaches back further, and an id that may have been there."""
    with FolderStore(traces, write=True) as store:
        first = min(store.manifest.files, key=lambda each: each.min_ts)
        drop = Drop((first,), "age")
        store.exchange([first], change=lambda manifest: without(manifest, drop))
    result = run("why", "nobody", "--from", traces)
    assert result.exit_code == 4
    assert "older than the retention" in result.output
    told = run("select", "--since", "2020-01-01", "--from", traces)
    assert "older than the retention and were dropped" in told.stderr
    assert "retention" not in run("select", "--from", traces).output


def test_collecting_sets_the_limits_of_a_store(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R5.24 They hold from then on, for every owner."""
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "sessions"))
    filled(tmp_path / "traces")
    to: list[Any] = ["collect", "--once", "--to", f"{tmp_path}/traces"]
    assert run(*to, "--keep-days", 14, "--keep-bytes", "50G").exit_code == 0
    settings = FolderStore(tmp_path / "traces").manifest.settings
    assert (settings["keep_days"], settings["keep_bytes"]) == (14, 50 << 30)
    assert run(*to, "--keep-bytes", "0").exit_code == 0
    assert FolderStore(tmp_path / "traces").manifest.settings["keep_bytes"] == 0
    refused = run("collect", "--once", "--to", tmp_path / "x.ndjson", "--keep-days", 1)
    assert refused.exit_code == 2
