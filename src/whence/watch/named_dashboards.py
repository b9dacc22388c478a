"""Dashboards by name, as data: what each is of, out of a TOML or JSON file."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from whence.query.engines.engine import Engine
from whence.query.engines.shapes import UNLIMITED, Budget
from whence.watch.dashboards import USUAL, Dashboard, bucket_of, check_metrics, dashboard

__all__ = ["NamedDashboard", "read_dashboards"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDashboard:
    """The newest so many seconds, what is measured in them, and by which buckets.

    Raises ValueError for metrics or buckets that there are not, and an empty name or time.
    """

    name: str
    title: str = ""
    last_s: float = 86_400.0
    metrics: tuple[str, ...] = USUAL
    group_by: str = "hour"

    def __post_init__(self) -> None:
        if isinstance(self.metrics, str) or not isinstance(self.name, str) or not self.name:
            raise ValueError("a dashboard has a name, and a list of metrics")
        object.__setattr__(self, "metrics", tuple(self.metrics))
        if isinstance(self.last_s, bool | str) or not self.last_s > 0:
            raise ValueError(f"dashboard {self.name}: last_s is more than nothing")
        try:
            check_metrics(self.metrics)
            bucket_of(self.group_by)
        except ValueError as error:
            raise ValueError(f"dashboard {self.name}: {error}") from None

    def range_ns(self, now_ns: int) -> tuple[int, int]:
        """The wall time that it is of, now."""
        return now_ns - int(self.last_s * 1e9), now_ns

    def read(self, engine: Engine, now_ns: int, budget: Budget = UNLIMITED) -> Dashboard:
        """What it shows now. Raises what the engine does."""
        return dashboard(engine, *self.range_ns(now_ns), self.metrics, self.group_by, budget)


def read_dashboards(path: str | os.PathLike[str]) -> tuple[NamedDashboard, ...]:
    """The dashboards in a TOML file ([[dashboard]] tables), or a JSON one ({"dashboard": [...]}).

    Raises ValueError for what is none, and for a name that is there twice; OSError.
    """
    file = Path(path)
    text = file.read_text(encoding="utf-8")
    found = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    tables = found.get("dashboard") if isinstance(found, dict) else None
    if not isinstance(tables, list):
        raise ValueError(f"{file.name} has no dashboards: [[dashboard]] begins one")
    made = tuple(_dashboard(each) for each in tables)
    if len({each.name for each in made}) != len(made):
        raise ValueError("a dashboard's name is there twice")
    return made


def _dashboard(table: Any) -> NamedDashboard:
    if not isinstance(table, Mapping):
        raise ValueError("a dashboard is a table")
    known = {each.name for each in fields(NamedDashboard)}
    if unknown := sorted(map(str, table.keys() - known)):
        raise ValueError(f"{unknown[0]!r} is nothing that a dashboard has")
    if "name" not in table:
        raise ValueError("a dashboard has a name")
    return NamedDashboard(**table)
