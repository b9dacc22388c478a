"""One cluster of three real nodes for all tests of a process, with a database for each test."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.peers.clickhouse import CLUSTER, WRITER, Node, nodes, settle

if TYPE_CHECKING:  # whence itself is imported only once WHENCE_DIR is set
    from whence.store.clickhouse.http import Client

_numbers = itertools.count()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Three nodes, the shards of one cluster; tests may kill them."""
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else tmp_path_factory.getbasetemp()
    with (
        tempfile.TemporaryDirectory(prefix="whence-clickhouse-", dir=base) as folder,
        nodes(3, Path(folder) / "nodes") as started,
    ):
        yield started


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
