"""Every engine answers the same questions alike: over memory, a folder, and ClickHouse."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb", reason="stores are asked with duckdb")
pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

from tests.conformance.lineage import LineageConformance
from tests.conformance.questions import QuestionsConformance
from tests.query.stores import fill
from whence.model.recording import Recording
from whence.query.engines.cluster import ClusterEngine
from whence.query.engines.engine import Engine
from whence.query.engines.folder import FolderEngine
from whence.query.engines.memory_store import MemoryEngine
from whence.store.clickhouse import ddl
from whence.store.clickhouse.cluster_store import ClusterStore
from whence.store.clickhouse.http import Client
from whence.store.folder import FolderStore
from whence.store.manifest import Manifest
from whence.store.memory import MemoryStore
from whence.store.promoted import promoted_names


class TestMemory(QuestionsConformance, LineageConformance):
    """A store in memory."""

    @contextmanager
    def over(self, source: Recording, segments: int = 2) -> Iterator[Engine]:
        store = MemoryStore()
        fill(store, source, segments)
        yield MemoryEngine(store)


class TestFolder(QuestionsConformance, LineageConformance):
    """A store in a folder."""

    @contextmanager
    def over(self, source: Recording, segments: int = 2) -> Iterator[Engine]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store"
            with FolderStore(path, write=True) as store:
                fill(store, source, segments)
            with FolderEngine(path, threads=1) as engine:
                yield engine


class TestFolderWithOwnColumns(QuestionsConformance, LineageConformance):
    """A folder whose attributes have columns of their own: in some files these, in others those."""

    every = 2
    turns = (
        ("n", "share", "admitted", "phase"),
        ("n",),
        (),
        ("status", "share", "deadline_met", "slack_ns", "utilisation"),
    )

    @contextmanager
    def over(self, source: Recording, segments: int = 2) -> Iterator[Engine]:
        turns = cycle(self.turns)

        class ByTurns(FolderStore):
            def append(self, *args: Any, **options: Any) -> Manifest:
                self.promote(next(turns), demote=promoted_names(self.manifest))
                return super().append(*args, **options)

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store"
            with ByTurns(path, write=True) as store:
                fill(store, source, segments)
            with FolderEngine(path, threads=1) as engine:
                yield engine


class TestCluster(QuestionsConformance, LineageConformance):
    """Three shards of ClickHouse, or a skip where its library is not."""

    pytestmark = pytest.mark.timeout(900)
    every = 4

    @pytest.fixture(autouse=True)
    def _client(self, client: Client) -> None:
        self.client = client

    @contextmanager
    def over(self, source: Recording, segments: int = 2) -> Iterator[Engine]:
        client = self.client
        ddl.create(client)
        for host in range(len(client.place.hosts)):
            for table in ("events_local", "sessions_local"):
                client.command(f"TRUNCATE TABLE `{client.place.database}`.{table}", host=host)
        fill(ClusterStore(client), source, segments)
        yield ClusterEngine(client)
