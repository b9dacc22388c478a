"""Every store keeps the rules of stores: in memory, in a folder, and in ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb", reason="stores are asked with duckdb")
pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

from tests.conformance.store import StoreConformance, WholeStoreConformance
from tests.store.failing import CountingDisk, FailingDisk
from whence.collect.sink_ledger import SinkLedger
from whence.model.recording import SessionInfo
from whence.query.engines.cluster import ClusterEngine
from whence.query.engines.engine import Engine
from whence.query.engines.folder import FolderEngine
from whence.query.engines.memory_store import MemoryEngine
from whence.store.clickhouse.cluster_store import ClusterStore
from whence.store.clickhouse.http import Client
from whence.store.folder import FolderStore
from whence.store.memory import MemoryStore
from whence.store.store import Store, WholeStore


class TestMemoryStore(WholeStoreConformance):
    """A store that ends with the process."""

    @pytest.fixture
    def store(self) -> WholeStore:
        return MemoryStore()

    def engine_over(self, store: Any) -> Engine:
        return MemoryEngine(store)

    def test_a_column_of_another_type_is_refused(self, one: SessionInfo) -> None:
        """R4.64 What would not be found later is not taken."""
        store = MemoryStore("mine")
        table = self._table(one, range(3))
        at = table.schema.get_field_index("session")
        with pytest.raises(ValueError, match="int"):
            store.append(table.set_column(at, "session", [["x", "y", "z"]]))
        assert store.manifest.rows == 0


class TestFolderStore(WholeStoreConformance):
    """A folder of segments under one manifest."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[WholeStore]:
        with FolderStore(tmp_path / "store", write=True) as store:
            yield store

    def engine_over(self, store: Any) -> Engine:
        return FolderEngine(store.path, threads=1)

    def test_each_operation_may_fail(self, tmp_path: Path, one: SessionInfo) -> None:
        """R4.64 R4.62 Before or after: nothing in between, and the next append is taken."""
        disk = CountingDisk()
        with FolderStore(tmp_path / "counted", write=True, disk=disk) as store:
            before = len(disk.done)
            store.append(self._table(one, range(3)), {one.uuid: {0: 3}}, SinkLedger(read=3))
            operations = len(disk.done) - before
        assert operations > 8
        for number in range(1, operations + 1):
            failing = FailingDisk(-1)
            with FolderStore(tmp_path / f"store-{number}", write=True, disk=failing) as store:
                failing.at = len(failing.done) + number
                generation = store.manifest.generation
                with pytest.raises(OSError, match="No space"):
                    store.append(self._table(one, range(3)), {one.uuid: {0: 3}})
                failing.free()
                seen = store.snapshot().manifest
                moved = seen.generation > generation
                assert (seen.rows, dict(seen.positions)) == (
                    (3, {one.uuid: {0: 3}}) if moved else (0, {})
                )
                store.append(self._table(one, range(3)), {one.uuid: {0: 3}})
                assert store.is_durable
                assert store.snapshot().manifest.rows == 3


class TestClusterStore(StoreConformance):
    """ClickHouse: three shards, or a skip where its library is not."""

    pytestmark = pytest.mark.timeout(600)

    @pytest.fixture
    def store(self, client: Client) -> Store:
        return ClusterStore(client)

    def engine_over(self, store: Any) -> Engine:
        return ClusterEngine(Client(store._client.place))
