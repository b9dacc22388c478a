"""Opens the sink of ClickHouse, or says what is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whence.collect.sink import Sink

__all__ = ["open_clickhouse_sink"]


def open_clickhouse_sink(url: str, options: Mapping[str, Any]) -> Sink:
    """The sink of clickhouse://user@host:8123/database; clickhouses:// is TLS.

    Raises ValueError for a URL that is wrong, ImportError where pyarrow is not installed.
    """
    try:
        from whence.store.clickhouse.sink import ClickHouseSink
    except ImportError as error:
        raise ImportError(
            f"ClickHouse takes Parquet, which needs pyarrow: pip install 'whence[store]' ({error})"
        ) from None
    from whence.store.clickhouse.http import Client
    from whence.store.clickhouse.place import read_place

    return ClickHouseSink(Client(read_place(url, options)))
