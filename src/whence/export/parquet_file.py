"""Events as one Parquet file, in the columns of a store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from whence.store.columns import SCHEMA

__all__ = ["write_parquet"]

ROW_GROUP = 49_152


def write_parquet(file: BinaryIO, tables: Iterable[pa.Table]) -> None:
    """Writes tables of whence.store.columns one after the other. Raises OSError."""
    with pq.ParquetWriter(file, SCHEMA, compression="zstd", compression_level=1) as writer:
        for table in tables:
            writer.write_table(table.cast(SCHEMA), ROW_GROUP)
