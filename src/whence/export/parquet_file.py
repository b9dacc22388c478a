"""Events as one Parquet file, in the columns of a store."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["write_parquet"]

ROW_GROUP = 49_152


def write_parquet(file: BinaryIO, table: pa.Table) -> None:
    """Writes a table of whence.store.columns. Raises OSError."""
    pq.write_table(table, file, row_group_size=ROW_GROUP, compression="zstd", compression_level=1)
