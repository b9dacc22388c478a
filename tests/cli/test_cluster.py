"""Commands that ask a ClickHouse cluster: --from clickhouse://."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

pytest.importorskip("pyarrow", reason="needs whence[store]")

from tests.peers.clickhouse import READER, WRITER
from tests.query.build import inference_chain, late_chain, recording
from tests.query.stores import stored
from whence.store.clickhouse.http import Client
from whence.store.clickhouse.shipper import Shipper
from whence.store.folder import FolderStore

pytestmark = pytest.mark.timeout(300)

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, client: Client) -> Path:
    """A store of two requests that is also in the cluster."""
    source = recording([*late_chain(), *inference_chain("req-9", 90, first_ticket=30)])
    path = stored(tmp_path / "store", source)
    Shipper(FolderStore(path), client).step()
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("why", "req-000412"),
        ("why",),
        ("chain", "req-9", "--json"),
        ("select", "--type", "admission_decision", "--json"),
        ("stats", "--json"),
    ],
    ids=" ".join,
)
def test_a_cluster_is_told_of_as_its_folder(
    words: tuple[str, ...], run: Run, folder: Path, url_of: Callable[..., str]
) -> None:
    """The same words but for the name of the source, by a user who may only read. R5.21 R5.11"""
    here = run(*words, "--from", folder)
    there = run(*words, "--from", url_of(user=READER))
    assert here.exit_code == there.exit_code, there.output
    assert READER[1] not in there.output
    strip = str.maketrans("", "", " '\n")  # words are quoted where shells need it
    shown = url_of(user=READER).replace(f":{READER[1]}", "")
    assert there.stdout.translate(strip).replace(shown, str(folder)) == here.stdout.translate(strip)


def test_what_is_not_there_is_told(run: Run, url_of: Callable[..., str]) -> None:
    """No tables, a wrong password, a wrong URL: one line, no password. R5.21"""
    empty = run("why", "--from", url_of())
    assert empty.exit_code != 0
    assert "no tables of whence" in empty.output
    wrong = run("why", "--json", "--from", url_of(user=("writer", "not-it")))
    assert "is refused" in json.loads(wrong.stdout)["message"]
    bad = run("why", "--from", "clickhouse://me:se/cret@host/db")
    assert bad.exit_code != 0
    for result in (empty, wrong, bad):
        assert "cret" not in result.output.replace("secret", "")
        assert WRITER[1] not in result.output
