"""One cluster of three real nodes for all tests of a process, with a database for each test."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from _pytest.runner import runtestprotocol

from tests.peers.clickhouse import CLUSTER, WRITER, Node, nodes, settle

if TYPE_CHECKING:  # whence itself is imported only once WHENCE_DIR is set
    from whence.store.clickhouse.http import Client

_numbers = itertools.count()
_started: list[Node] = []


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Three nodes, the shards of one cluster; tests may kill them."""
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else tmp_path_factory.getbasetemp()
    with (
        tempfile.TemporaryDirectory(prefix="whence-clickhouse-", dir=base) as folder,
        nodes(3, Path(folder) / "nodes") as started,
    ):
        _started[:] = started
        yield started


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A test that failed while a node aborted by itself runs once more, and that is told."""
    if "cluster" not in getattr(item, "fixturenames", ()):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    before = _aborts()
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(each.failed for each in reports) and (aborts := _aborts()[len(before) :]):
        why = f"{item.nodeid} runs again: a ClickHouse node aborted by itself, {aborts[-1]}"
        item.user_properties.append(("runs_again", why))
        if terminal := item.config.pluginmanager.get_plugin("terminalreporter"):
            terminal.write_line(f"\n{why}")
        item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _aborts() -> list[str]:
    for node in _started:
        node.check()
    return [why for node in _started for why in node.aborts]


@pytest.fixture
def shards(cluster: list[Node]) -> list[Node]:
    """The nodes of the cluster, all of them running."""
    settle(cluster)
    return cluster


@pytest.fixture
def url_of(shards: list[Node]) -> Callable[..., str]:
    """url_of() names a new database of the cluster, url_of(count=1, cluster="") of one node."""
    database = f"whence_{next(_numbers)}"

    def url(
        user: tuple[str, str] = WRITER, count: int = 3, cluster: str = CLUSTER, more: str = ""
    ) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in shards[:count])
        name, password = (quote(word, safe="") for word in user)
        tail = "&".join(([f"cluster={cluster}"] if cluster else []) + ([more] if more else []))
        return f"clickhouse://{name}:{password}@{hosts}/{database}{'?' if tail else ''}{tail}"

    return url


@pytest.fixture
def client(url_of: Callable[..., str]) -> Iterator[Client]:
    """Asks the test's database, which has no tables yet."""
    from whence.store.clickhouse.http import Client
    from whence.store.clickhouse.place import read_place

    asks = Client(read_place(url_of(), environ={}))
    yield asks
    asks.close()
