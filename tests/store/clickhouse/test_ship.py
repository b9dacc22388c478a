"""whence ship, as people call it, against a real cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("pyarrow", reason="needs whence[store]")

from tests.peers.clickhouse import Node, settle
from tests.store.clickhouse.segments import events
from whence.cli.main import cli
from whence.store.clickhouse.http import Client
from whence.store.folder import FolderStore

pytestmark = pytest.mark.timeout(300)


def run(*words: object) -> Result:
    """Runs `whence`."""
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of a store with some events."""
    folder = tmp_path / "store"
    with FolderStore(folder, write=True, words="a test") as filled:
        filled.append(events(0, 1_000))
    return folder


def test_a_store_is_shipped_once_by_one_command(
    store: Path,
    url_of: Callable[..., str],
    client: Client,
) -> None:
    """It says how much was sent; said again, it sends nothing. R5.21"""
    result = run("ship", store, "--to", url_of(), "--once")
    assert result.exit_code == 0, result.output
    assert "1 segments are in clickhouse://writer@127.0.0.1" in result.output
    assert "1000 events were sent" in result.output
    again = run("ship", store, "--to", url_of(), "--once", "--json")
    assert json.loads(again.output)["events_sent"] == 0
    assert client.rows(f"SELECT count() FROM {client.place.events}") == [[1_000]]
    assert "pass" not in result.output + again.output


def test_what_cannot_be_shipped_is_told(
    store: Path,
    tmp_path: Path,
    url_of: Callable[..., str],
) -> None:
    """A wrong password, a folder that is no store, a URL that is none. R5.21"""
    url = url_of(user=("writer", "wrong"))
    refused = run("ship", store, "--to", url, "--once")
    assert refused.exit_code == 1
    assert "user 'writer' is refused" in refused.output
    assert "wrong" not in refused.output
    assert run("ship", tmp_path, "--to", url_of(), "--once").exit_code == 1
    assert run("ship", store, "--to", "loki://host").exit_code == 2
    assert run("ship", "--to", url_of()).exit_code == 2


def test_the_statements_for_a_node_can_be_had() -> None:
    """For those who make tables themselves; nobody is asked for it. R5.21"""
    result = run("ship", "--to", "clickhouse://nobody@nowhere/db?cluster=c", "--ddl")
    assert result.exit_code == 0
    assert result.output.count("CREATE TABLE IF NOT EXISTS `db`.") == 6
    assert "cityHash64(request_id)" in result.output


def test_it_follows_until_it_is_told_to_end(
    store: Path,
    url_of: Callable[..., str],
    client: Client,
    shards: list[Node],
) -> None:
    """What is appended is shipped, a shard that was away included; SIGTERM ends it. R5.21"""
    shards[1].kill()
    command = [sys.executable, "-m", "whence", "ship", str(store), "--to", url_of(), "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert process.stderr is not None
        assert "trying again" in process.stderr.readline()
        settle(shards)
        with FolderStore(store, write=True, words="a test") as filled:
            filled.append(events(1_000, 500))
        assert "ships again" in process.stderr.readline()
        end_s = time.monotonic() + 60
        while client.rows(f"SELECT count() FROM {client.place.events}") != [[1_500]]:
            assert time.monotonic() < end_s
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert json.loads(output)["events_sent"] == 1_500
