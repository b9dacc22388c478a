"""Named dashboards: read from files, and refused by name where they make no sense."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from whence.traces.service import TraceService
from whence.watch.named_dashboards import NamedDashboard, read_dashboards


def test_dashboards_are_data(tmp_path: Path) -> None:
    """Named in TOML or JSON; the time is the newest so long, a day if not said. R4.46"""
    file = tmp_path / "dashboards.toml"
    file.write_text('[[dashboard]]\nname = "day"\nmetrics = ["error_rate"]\n')
    (day,) = read_dashboards(file)
    assert day == NamedDashboard(name="day", metrics=("error_rate",))
    other = tmp_path / "dashboards.json"
    other.write_text('{"dashboard": [{"name": "day", "metrics": ["error_rate"]}]}')
    assert read_dashboards(other) == (day,)
    assert day.range_ns(86_400_000_000_001) == (1, 86_400_000_000_001)


@pytest.mark.parametrize(
    "wrong",
    [
        '[[dashboard]]\nname = "x"\ncolour = 1\n',
        "dashboard = 3\n",
        "[[dashboard]]\n",
        '[[dashboard]]\nname = "x"\nmetrics = ["weather"]\n',
        '[[dashboard]]\nname = "x"\nmetrics = "error_rate"\n',
        '[[dashboard]]\nname = "x"\ngroup_by = "fortnight"\n',
        '[[dashboard]]\nname = "x"\nlast_s = 0\n',
        '[[dashboard]]\nname = "x"\n[[dashboard]]\nname = "x"\n',
    ],
)
def test_what_is_no_dashboard_is_refused(tmp_path: Path, wrong: str) -> None:
    """What is wrong is said."""
    file = tmp_path / "dashboards.toml"
    file.write_text(wrong)
    with pytest.raises(ValueError, match=r"dashboard"):
        read_dashboards(file)


def test_a_named_dashboard_shows_the_traces_of_its_time() -> None:
    """As the service's own dashboard does. R4.46 R4.47 R4.48"""
    with TraceService("memory", enable_metrics_collection=False) as traces:
        for number in range(4):
            with traces.trace("work") as t:
                if number == 3:
                    t.event("broken", level="error")
        traces.flush().unwrap()
        wanted = NamedDashboard(name="x", last_s=7_200, metrics=("error_rate",), group_by="15min")
        with traces._room.asking() as engine:
            found = wanted.read(engine, time.time_ns())
    assert (found.total_traces, found.success_rate, found.error_count) == (4, 1.0, 1)
    rates = [point.values["error_rate"] for point in found.timeseries]
    assert [rate for rate in rates if rate is not None][-1] in (0.25, 1.0)
    assert len(rates) in (8, 9)
