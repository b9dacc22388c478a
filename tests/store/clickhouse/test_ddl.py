"""The tables on real nodes: made twice they are as made once, and versions are kept apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

pytest.importorskip("pyarrow", reason="needs whence[store]")

import pyarrow as pa

from tests.peers.clickhouse import READER
from tests.store.clickhouse.segments import segment
from whence.model.errors import UnsupportedFormat
from whence.store.clickhouse import ddl
from whence.store.clickhouse.http import Client
from whence.store.clickhouse.inserts import Inserts
from whence.store.clickhouse.place import read_place
from whence.store.columns import SCHEMA

pytestmark = pytest.mark.timeout(600)


def told(client: Client) -> list[list[str]]:
    """The tables of the test's database on one node, as the node tells them."""
    return client.rows(
        "SELECT name, engine_full, comment FROM system.tables "
        "WHERE database = {database:String} ORDER BY name",
        {"database": client.place.database},
    )


def test_every_column_of_a_segment_has_its_column() -> None:
    """In the same order, of a type that holds every value of it. R5.21"""
    types = {
        "int64": "Int64",
        "int32": "Int32",
        "double": "Float64",
        "bool": "Bool",
        "string": "String",
        "dictionary<values=string, indices=int32, ordered=0>": "LowCardinality(String)",
    }
    wanted = {}
    for field in SCHEMA:
        if pa.types.is_map(field.type):
            value = types[str(field.type.item_type)]
            wanted[field.name] = f"Map(LowCardinality(String), {value})"
        else:
            kind = types[str(field.type)]
            wanted[field.name] = f"Nullable({kind})" if field.nullable else kind
    assert list(ddl.COLUMNS) == SCHEMA.names
    assert {name: kind.partition(" CODEC")[0] for name, kind in ddl.COLUMNS.items()} == wanted


def test_tables_are_made_on_every_node_and_stay(client: Client) -> None:
    """Node by node, without Keeper; rows live through it. R5.21"""
    ddl.create(client)
    before = told(client)
    Inserts(client).put(*segment("S1", 0, 500))
    ddl.create(client)
    assert told(client) == before
    assert [name for name, _, _ in before] == [
        "events",
        "events_local",
        "hidden",
        "hidden_local",
        "sessions",
        "sessions_local",
    ]
    assert "cityHash64(request_id)" in before[0][1]
    assert client.rows(f"SELECT count() FROM {client.place.events}") == [[500]]
    counted = client.rows(
        "SELECT count() FROM clusterAllReplicas({cluster:Identifier}, system.tables) "
        "WHERE database = {database:String}",
        {"cluster": client.place.cluster, "database": client.place.database},
    )
    assert counted == [[3 * len(before)]]


def test_who_may_only_insert_needs_no_right_to_make_tables(
    client: Client, url_of: Callable[..., str]
) -> None:
    """Tables that are there are not made again. R5.21"""
    ddl.create(client)
    reader = Client(read_place(url_of(user=READER), environ={}))
    ddl.create(reader)
    reader.close()


def test_one_node_is_enough(url_of: Callable[..., str]) -> None:
    """Without a cluster there are the node's own tables alone. R5.21"""
    client = Client(read_place(url_of(count=1, cluster=""), environ={}))
    ddl.create(client)
    arrival, content = segment("S1", 0, 100)
    assert Inserts(client).put(arrival, content) == 100
    assert Inserts(client).put(arrival, content) == 0
    assert client.rows(f"SELECT count() FROM {client.place.events}") == [[100]]
    assert [name for name, _, _ in told(client)] == [
        "events_local",
        "hidden_local",
        "sessions_local",
    ]
    client.close()


@pytest.mark.parametrize("version", ["2", "17"])
def test_tables_of_a_newer_version_are_left_alone(client: Client, version: str) -> None:
    """Neither read nor written: it says which versions meet. R5.21"""
    ddl.create(client)
    table = f"`{client.place.database}`.events_local"
    client.command(f"ALTER TABLE {table} MODIFY COMMENT '{ddl.SIGN}{version}'", host=0)
    with pytest.raises(UnsupportedFormat, match=f"version {version}, this whence knows 1"):
        ddl.check(client)
    with pytest.raises(UnsupportedFormat):
        ddl.create(client)


def test_a_strange_table_of_that_name_is_left_alone(client: Client) -> None:
    """Somebody else's `events_local` is nothing to write to. R5.21"""
    database = client.place.database
    client.command(f"CREATE DATABASE {database}", host=0)
    client.command(f"CREATE TABLE {database}.events_local (a Int8) ENGINE = Memory", host=0)
    with pytest.raises(UnsupportedFormat, match="not one of whence's"):
        ddl.check(client)


@pytest.mark.parametrize("days", [36_500, 10**8])
def test_a_long_retention_deletes_nothing(client: Client, days: int) -> None:
    """A DateTime ends in 2106: what would be kept beyond is kept, not deleted at once. R5.21"""
    place = replace(client.place, retention_days=days)
    keeping = Client(place)
    ddl.create(keeping)
    ddl.create(keeping)
    Inserts(keeping).put(*segment("S1", 0, 300))
    far = segment("S2", 10**9, 300, step_ns=3_000_000_000)  # beyond the end of DateTime
    Inserts(keeping).put(*far)
    for host in range(3):
        table = f"`{place.database}`.events_local"
        keeping.command(f"OPTIMIZE TABLE {table} FINAL", host=host)
        keeping.command(f"ALTER TABLE {table} MATERIALIZE TTL SETTINGS mutations_sync=2", host=host)
    assert keeping.rows(f"SELECT count() FROM {place.events}") == [[600]]
    keeping.close()


def test_a_short_retention_deletes_what_is_older(client: Client) -> None:
    """The day of the test's events is long over when they are kept for one day. R5.21"""
    ddl.create(client)
    Inserts(client).put(*segment("S1", -(10**9), 300, step_ns=1_000_000))  # twelve days before
    keeping = Client(replace(client.place, retention_days=1))
    ddl.create(keeping)
    for host in range(3):
        table = f"`{client.place.database}`.events_local"
        keeping.command(f"ALTER TABLE {table} MATERIALIZE TTL SETTINGS mutations_sync=2", host=host)
        keeping.command(f"OPTIMIZE TABLE {table} FINAL", host=host)
    assert keeping.rows(f"SELECT count() FROM {client.place.events}") == [[0]]
    keeping.close()
