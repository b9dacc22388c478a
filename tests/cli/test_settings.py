"""whence settings and repair --rebuild: what a store is told, and made anew from its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

pytest.importorskip("duckdb", reason="stores are asked with duckdb")

from tests.cli.test_stores import world
from tests.query.stores import fill, stored
from whence.store.folder import FolderStore
from whence.store.retention import Drop, without
from whence.store.shipped import told_shipped
from whence.store.upkeep import Upkeep

Run = Callable[..., Result]


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A store of some requests."""
    return stored(tmp_path / "traces", world(), segments=3)


def test_settings_are_shown_and_changed(run: Run, traces: Path) -> None:
    """R4.44 Limits and promoted attributes; nothing is changed without an option."""
    before = FolderStore(traces).manifest
    assert "without end" in run("settings", traces).output
    assert FolderStore(traces).manifest == before
    options = ("--keep-days", 14, "--keep-bytes", "5G", "--promote", "slack_ns", "--promote", "n")
    assert run("settings", traces, *options).exit_code == 0
    found = json.loads(run("settings", traces, "--demote", "n", "--json").output)
    assert found == {
        "keep_days": 14.0,
        "keep_bytes": 5 << 30,
        "promoted": ["slack_ns"],
        "ships_to": [],
    }
    assert run("settings", traces, "--promote", "no name").exit_code == 2


def test_a_place_that_is_left_is_not_waited_for(run: Run, traces: Path) -> None:
    """R4.44 Files that it has no copy of may go; one that nobody knows is refused."""
    reader = FolderStore(traces)
    reader.mark_shipped("clickhouse://old", [each.segment for each in reader.manifest.files[:1]])
    with FolderStore(traces, write=True) as store:
        upkeep = Upkeep(store)
        while "ships_to" not in store.manifest.settings:
            upkeep.step()
        assert store.manifest.files[0].shipped == ("clickhouse://old",)
        refused = run("settings", traces, "--leave", "clickhouse://old")
        assert refused.exit_code != 0  # while somebody else owns it
    assert run("settings", traces, "--leave", "clickhouse://new").exit_code == 2
    assert run("settings", traces, "--leave", "clickhouse://old").exit_code == 0
    manifest = FolderStore(traces).manifest
    assert manifest.settings["ships_to"] == []
    assert not any(each.shipped for each in manifest.files)
    assert not told_shipped(traces)


def test_a_manifest_is_made_anew_from_the_files(run: Run, traces: Path) -> None:
    """R4.44 What it has wrong of files is right again; settings and what is hidden stay."""
    with FolderStore(traces, write=True) as store:
        store.keep(days=7)
        right = store.manifest.files
        store.hide(["req-7"])
        Upkeep(store)._take_in()
        store.commit(replace(store.manifest, files=(right[0],)))
        keeping = [(traces / each.name).read_bytes() for each in right]
    for each, content in zip(right, keeping, strict=True):  # the next owner would sweep the others
        (traces / each.name).write_bytes(content)
    before = FolderStore(traces).manifest
    assert run("repair", traces, "--rebuild", "--dry-run").exit_code == 2
    result = run("repair", traces, "--rebuild")
    assert result.exit_code == 0
    assert "as asked" in result.output
    manifest = FolderStore(traces).manifest
    assert {each.name for each in manifest.files} == {each.name for each in right}
    assert manifest.generation > before.generation
    assert (manifest.settings, manifest.tombstones) == (before.settings, before.tombstones)
    assert manifest.store == before.store
    assert any("MANIFEST" in path.name for path in (traces / "quarantine").iterdir())


@pytest.mark.parametrize(
    ("reason", "cut"), [("size", ()), ("age", ("req-000409", "req-000412", "req-7"))]
)
def test_what_the_limits_took_is_expired_and_not_violated(
    run: Run, tmp_path: Path, reason: str, cut: tuple[str, ...]
) -> None:
    """R5.12 R4.32 Chains are unknown that reach back to what was dropped, or were cut by name."""
    path, source = tmp_path / "traces", world()
    opening = tuple(e for e in source.events if e.event_type == "admission_decision")
    others = tuple(e for e in source.events if e not in opening)
    with FolderStore(path, write=True) as store:
        fill(store, replace(source, events=opening))
        fill(store, replace(source, events=others))
    contract = tmp_path / "contracts.toml"
    contract.write_text(
        '[[contract]]\nname = "c"\nopens = "admission_decision"\n'
        '[[contract.require]]\ntype = "scheduling_decision"\ncount = "1+"\n'
    )
    asked = ("verify", "--contracts", contract, "--from", path, "--json")
    assert "expired" not in run(*asked).output
    with FolderStore(path, write=True) as store:
        gone = store.manifest.files[0]
        drop = Drop((gone,), reason, cut)
        store.exchange([gone], change=lambda manifest: without(manifest, drop))
    result = run(*asked)
    assert "expired" in result.output
    assert json.loads(result.output)["verdict"] != "incomplete"
    assert "expired" in run("why", "req-000409", "--contracts", contract, "--from", path).output
