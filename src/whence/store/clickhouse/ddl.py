"""The tables of ClickHouse, as statements for each node, and which version of them is there."""

from __future__ import annotations

from whence.model.errors import ClusterError, UnsupportedFormat
from whence.store.clickhouse.http import UNKNOWN_DATABASE, Client
from whence.store.clickhouse.place import Place

__all__ = ["COLUMNS", "VERSION", "check", "create", "statements"]

VERSION = 1
SIGN = "whence events, version "  # the comment of a node's table says which version it is

# A DateTime ends in 2106, and past its end a TTL deletes everything: events count as of 2065 at
# most, and are kept for 10,000 days at most, which together end in 2092.
LATEST_S = 3_000_000_000
MOST_DAYS = 10_000

# As many inserts back a repeated one is known by its token; beyond, by its rows.
KNOWN_INSERTS = 10_000

_NAME = "LowCardinality(String)"
_NUMBER = "Int64 CODEC(Delta, ZSTD(1))"
_PLAIN = "Int64 CODEC(ZSTD(1))"
_TEXT = "String CODEC(ZSTD(1))"
_MAYBE = "Nullable(String) CODEC(ZSTD(1))"

# Every column of a segment in its order, with its type here; `segment` is which one brought it.
COLUMNS: dict[str, str] = {
    "ts_ns": _NUMBER,
    "offset_ns": _PLAIN,
    "session": _PLAIN,
    "ring": "Int32 CODEC(ZSTD(1))",
    "ticket": _NUMBER,
    "event_type": _NAME,
    "component": _NAME,
    "model_id": _NAME,
    "request_id": _TEXT,
    "decision_chain_id": _MAYBE,
    "trace_hi": _PLAIN,
    "trace_lo": _PLAIN,
    "span_id": _PLAIN,
    "parent_span_id": _PLAIN,
    "span": "Bool",
    "lineage_id": _PLAIN,
    "severity": "Int32 CODEC(ZSTD(1))",
    "status": _NAME,
    "status_message": _MAYBE,
    "duration_ns": _NUMBER,
    "decision": "Bool",
    "rationale": _TEXT,
    "weight": "Float64 CODEC(ZSTD(1))",
    "event_id": _MAYBE,
    "caused_by": _MAYBE,
    "options": _MAYBE,
    "links": _MAYBE,
    "text_lost": "Bool",
    "truncated": "Bool",
    "attr_int": f"Map({_NAME}, Int64)",
    "attr_num": f"Map({_NAME}, Float64)",
    "attr_str": f"Map({_NAME}, String)",
    "attr_bool": f"Map({_NAME}, Bool)",
    "attr_uint": f"Map({_NAME}, Int64)",
}

_INDEXES = (
    "INDEX by_request request_id TYPE bloom_filter(0.001) GRANULARITY 1",
    "INDEX by_chain decision_chain_id TYPE bloom_filter(0.001) GRANULARITY 1",
    "INDEX by_trace trace_lo TYPE bloom_filter(0.001) GRANULARITY 1",
    "INDEX by_lineage lineage_id TYPE bloom_filter(0.001) GRANULARITY 1",
)


def statements(place: Place) -> tuple[str, ...]:
    """What makes the tables on one node; said again they change nothing.

    Each node has tables of its own, `events_local`, `sessions_local` and `hidden_local`. Of a
    cluster each also has `events`, `sessions` and `hidden`, which stand for those of all shards:
    events of one request are on one shard. Nothing is asked of Keeper, so each node must be told
    by itself.
    """
    database = f"`{place.database}`"
    columns = [f"{name} {kind}" for name, kind in COLUMNS.items()]
    body = ", ".join([*columns, f"segment {_NAME}", *_INDEXES])
    made = [
        f"CREATE DATABASE IF NOT EXISTS {database}",
        f"CREATE TABLE IF NOT EXISTS {database}.events_local ({body}) ENGINE = MergeTree "
        "PARTITION BY toDate(intDiv(ts_ns, 1000000000), 'UTC') "
        f"ORDER BY ts_ns{_ttl(place)} "
        f"SETTINGS non_replicated_deduplication_window = {KNOWN_INSERTS}, "
        f"ttl_only_drop_parts = 1 COMMENT '{SIGN}{VERSION}'",
        f"CREATE TABLE IF NOT EXISTS {database}.sessions_local (uuid String, key Int64, "
        "name String, document String CODEC(ZSTD(3)), version Int64) "
        "ENGINE = ReplacingMergeTree(version) ORDER BY uuid",
        f"CREATE TABLE IF NOT EXISTS {database}.hidden_local (request String, trace_hi Int64, "
        "trace_lo Int64) ENGINE = ReplacingMergeTree ORDER BY (request, trace_hi, trace_lo)",
    ]
    if place.retention_days is not None:
        made.append(
            f"ALTER TABLE {database}.events_local MODIFY{_ttl(place)} "
            "SETTINGS materialize_ttl_after_modify = 0"
        )
    if place.cluster:
        made += [
            f"CREATE TABLE IF NOT EXISTS {database}.{table} AS {database}.{table}_local "
            f"ENGINE = Distributed(`{place.cluster}`, {database}, {table}_local, "
            f"cityHash64({column}))"
            for table, column in (
                ("events", "request_id"),
                ("sessions", "uuid"),
                ("hidden", "request"),
            )
        ]
    return tuple(made)


def create(client: Client) -> None:
    """Makes the tables on every host that the place names, where they are not there yet.

    Where they are, no right to make any is needed. Raises UnsupportedFormat where a newer whence
    made them, ClusterDenied where the user may not make any, ClusterUnavailable where a host does
    not answer.
    """
    for host in range(len(client.place.hosts)):
        if not check(client, host) or client.place.retention_days is not None:
            for statement in statements(client.place):
                client.command(statement, host=host)


def check(client: Client, host: int | None = None) -> bool:
    """Whether the tables are there, on the host of that number or on any that answers.

    Raises UnsupportedFormat for those of another version.
    """
    try:
        found = client.rows(
            "SELECT name, comment FROM system.tables WHERE database = {database:String} "
            "AND has({names:Array(String)}, name)",
            {"database": client.place.database, "names": _names(client.place)},
            host=host,
        )
    except ClusterError as error:
        if error.code == UNKNOWN_DATABASE:
            return False
        raise
    comments = dict(found)
    if "events_local" not in comments:
        return False
    version = str(comments["events_local"]).removeprefix(SIGN)
    if version == str(VERSION):
        return len(found) == len(_names(client.place))
    where = client.place.name
    if not version.isdecimal():
        raise UnsupportedFormat(f"{where}: its table events_local is not one of whence's")
    advice = "read it with a newer whence" if int(version) > VERSION else "it must be made anew"
    raise UnsupportedFormat(
        f"{where}: its tables are of version {version}, this whence knows {VERSION}; {advice}"
    )


def _names(place: Place) -> list[str]:
    """The tables that a node has."""
    local = ["events_local", "sessions_local", "hidden_local"]
    return [*local, "events", "sessions", "hidden"] if place.cluster else local


def _ttl(place: Place) -> str:
    if place.retention_days is None:
        return ""
    days = min(place.retention_days, MOST_DAYS)
    moment = f"least(greatest(intDiv(ts_ns, 1000000000), 0), {LATEST_S})"
    return f" TTL toDateTime({moment}, 'UTC') + INTERVAL {days} DAY DELETE"
