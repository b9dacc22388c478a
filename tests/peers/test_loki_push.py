"""What we push is read by Loki's own Go package, where a Go toolchain can be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers.go_program import build
from whence.export.loki_message import push_request, quoted_labels

cramjam = pytest.importorskip("cramjam", reason="needs whence[loki]")
SOURCE = Path(__file__).with_name("loki_push")

pytestmark = [
    pytest.mark.skipif(not os.environ.get("WHENCE_PEERS"), reason="set WHENCE_PEERS=1 to build it"),
    pytest.mark.skipif(shutil.which("go") is None, reason="no Go toolchain"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of loki_push/, built with modules from the module proxy."""
    return build(SOURCE, tmp_path_factory.mktemp("loki") / "loki_push")


def test_lokis_own_package_reads_our_request(reader: Path) -> None:
    """Streams, times to the nanosecond, lines and structured metadata come back equal. R1.43"""
    labels = {"service_name": 'a"\\\n', "level": "info"}
    entries = [
        (1_700_000_000_123_456_789, "line \x00 é", {"request_id": "req-1", "pid": "7"}),
        (1_700_000_000_000_000_000, "", {}),
    ]
    body = bytes(cramjam.snappy.compress_raw(push_request([(quoted_labels(labels), entries)])))
    said = subprocess.run([reader], input=body, capture_output=True, check=True).stdout
    written = '{level="info", service_name="a\\"\\\\\\n"}'
    assert json.loads(said) == [
        {"Labels": written, "Nanos": nanos, "Line": line, "Metadata": metadata}
        for nanos, line, metadata in entries
    ]
