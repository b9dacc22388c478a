"""Records, reads back and exports a few events with whatever whence is installed."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import whence


@whence.kind(component="Smoke", decision=True, rationale="Chose {n}")
def smoke_decision(n: int) -> None: ...


def main() -> int:
    """Exit 0 when every event comes back."""
    with whence.request("smoke"):
        for n in range(1_000):
            smoke_decision(n)

    collector = whence.TraceCollector(buffer_size=10)
    for n in range(25):
        collector.record_now("tick", "Smoke", f"tick {n}")
    assert collector.size() == 10

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.json"
        collector.export_json(str(path))
        events = json.loads(path.read_text())["events"]
    assert [event["rationale"] for event in events] == [f"tick {n}" for n in range(15, 25)]
    print(f"recorded and read back on Python {sys.version.split()[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
