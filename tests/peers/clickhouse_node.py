"""Runs one ClickHouse node in this process: python clickhouse_node.py LIBRARY FOLDER HTTP TCP.

FOLDER holds config.xml; a line written into its stop.fifo ends the node. The library is a whole
clickhouse-local, which listens once it is told to, and ends when its last query does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Listens until told to stop; a node never outlives the test that started it."""
    library, folder, http_port, tcp_port = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:5]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    stop = folder / "stop.fifo"
    if not stop.exists():
        os.mkfifo(stop)
    words = [
        "clickhouse",
        f"--config-file={folder / 'config.xml'}",
        f"--path={folder / 'data'}",
        "--listen_host=127.0.0.1",
        f"--http_port={http_port}",
        f"--tcp_port={tcp_port}",
        "--query=SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; "
        f"SELECT * FROM file('{stop}', 'LineAsString') FORMAT Null",
    ]
    clickhouse = ctypes.CDLL(library)
    clickhouse.chdb_query_cmdline.restype = ctypes.c_void_p
    clickhouse.chdb_result_error.restype = ctypes.c_char_p
    clickhouse.chdb_result_error.argtypes = [ctypes.c_void_p]
    arguments = (ctypes.c_char_p * len(words))(*[word.encode() for word in words])
    error = clickhouse.chdb_result_error(clickhouse.chdb_query_cmdline(len(words), arguments))
    sys.stdout.flush()
    os.write(2, error or b"")
    os._exit(1 if error else 0)


if __name__ == "__main__":
    main()
