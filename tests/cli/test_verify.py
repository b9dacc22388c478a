"""whence verify: what it prints, what it exits with, and that it agrees with whence why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from rich.cells import cell_len

from tests.cli.room import Room
from tests.query.build import at_ms, event, inference_chain, ledger, recording, session
from tests.query.test_verify import many
from whence.cli.render.page import clock_text
from whence.model.recording import Recording

Run = Callable[..., Result]
Export = Callable[[Recording], Path]

FAILED = """\
inference  1,248 chains  1,239 complete (99.27 %)  FAILED
   6  no execution_completed, fault_rec…  crashed        pid 4711 ended after 14:25:49
  ?3  no scheduling_decision              possibly lost  ring 3 overwrote 41 events, up to 14:23:45
41 events were overwritten; whole chains may be among them
First: whence why req-900 --from FILE
"""


def lossy_recording() -> Recording:
    """Many chains: six without an end, and three that lack what a ring may have lost."""
    lacking = dict.fromkeys(range(900, 906), "execution_completed")
    lacking |= dict.fromkeys(range(3), "scheduling_decision")
    events = many(1248, lacking)
    lost = ledger(events, 3, {"scheduling_decision": 41}, oldest_ns=at_ms(250))
    return recording(events, rings=[ledger(events), lost])


def test_the_verdict_is_printed_in_100_columns(
    run: Run, export: Export, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """R5.12 R5.16 A line a contract, then what its chains lack and why, then where to look."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("whence.cli.render.verification.clock_text", _time_of_day)
    export(lossy_recording()).rename("FILE")
    found = run("verify", "--from", "FILE")
    assert found.output == FAILED
    assert max(map(cell_len, found.output.splitlines())) <= 100
    assert found.exit_code == 1


def test_complete_chains_exit_with_0(run: Run, export: Export) -> None:
    """R5.12 One line, and that is all."""
    found = run("verify", "--from", export(recording(many(3))))
    assert (found.exit_code, found.output) == (
        0,
        "inference  3 chains  3 complete (100 %)  complete\n",
    )


def test_unknown_is_not_violated_unless_strict(run: Run, export: Export) -> None:
    """R5.12 R5.16 What may be lost passes; --strict fails it, and hands that on to why."""
    events = many(2, {1: "scheduling_decision"})
    path = export(
        recording(events, rings=[ledger(events), ledger(events, 3, {"scheduling_decision": 1})])
    )
    found = run("verify", "--from", path)
    assert found.exit_code == 0
    assert "1 complete (50.00 %)  unknown" in found.output
    strict = run("verify", "--from", path, "--strict")
    assert strict.exit_code == 1
    assert "FAILED" in strict.output
    assert re.search(r"First: whence why req-1 --from \S+ --strict\n", strict.output)


def test_what_it_says_first_why_says_too(run: Run, export: Export) -> None:
    """R5.12 The command at the end leads to a chain that why calls incomplete as well."""
    path = export(recording(many(3, {1: "scheduling_decision"})))
    found = run("verify", "--from", path)
    words = found.output.splitlines()[-1].removeprefix("First: whence ").split()
    told = run(*words)
    assert told.exit_code == 3
    assert "no scheduling_decision (not recorded)" in told.output


def test_nothing_to_verify_exits_with_4(run: Run, export: Export) -> None:
    """R5.12 Neither no chain at all nor only others pass for complete."""
    found = run("verify", "--from", export(recording([event("tick")])))
    assert found.exit_code == 4
    assert "nothing to verify: 1 chain is not covered by inference, approvals" in found.output
    empty = run("verify", "--from", export(recording([])))
    assert empty.exit_code == 4
    assert "there is no chain here" in empty.output


def test_a_contract_of_the_users_is_verified(run: Run, export: Export, tmp_path: Path) -> None:
    """R5.12 --contracts adds contracts; a file that cannot be understood exits with 2."""
    contracts = tmp_path / "contracts.toml"
    contracts.write_text('[[contract]]\nname = "ticks"\nopens = "tick"\nends = ["tock"]\n')
    events = [event("tick", 0, ticket=0), event("tock", 1, ticket=1)]
    path = export(recording(events))
    found = run("verify", "--from", path, "--contracts", contracts)
    assert (found.exit_code, found.output.split()[0]) == (0, "ticks")
    unused = run("verify", "--from", export(recording(many(2))), "--contracts", contracts)
    assert (unused.exit_code, unused.output.splitlines()[1:]) == (
        0,
        ['contract "ticks" covers no chain here'],
    )
    contracts.write_text("[[contract]]\n")
    assert run("verify", "--from", path, "--contracts", contracts).exit_code == 2


def test_filters_choose_the_chains(run: Run, export: Export) -> None:
    """R5.12 --last takes chains with an event in that time, and checks them whole."""
    path = export(recording(many(10, {1: "scheduling_decision"})))
    assert run("verify", "--from", path).exit_code == 1
    found = run("verify", "--from", path, "--last", "250ms")
    assert (found.exit_code, "3 chains" in found.output) == (0, True)
    assert run("verify", "--from", path, "--request", "req-1").exit_code == 1
    assert run("verify", "--from", path, "--model", "none").exit_code == 4


def test_json_holds_the_verdict_and_the_events_it_rests_on(run: Run, export: Export) -> None:
    """R5.12 Machines get the sums, the groups and each chain that is not complete, with ids."""
    path = export(lossy_recording())
    found = run("verify", "--from", path, "--json", "--limit", 2)
    data = json.loads(found.output)
    (verdict,) = data["contracts"]
    assert (data["verdict"], verdict["complete"], verdict["incomplete"]) == ("incomplete", 1239, 6)
    assert [flaw["name"] for flaw in verdict["flaws"]] == ["req-900", "req-901"]
    assert len(verdict["flaws"][0]["event_ids"]) == 3
    assert found.exit_code == 1


def test_live_sessions_are_verified(run: Run, room: Callable[..., Room]) -> None:
    """R5.12 R5.16 A chain of a running process is open, not broken."""
    room(recording(inference_chain()[:3], sessions=[session(live=True, state="recording")]))
    found = run("verify")
    assert found.exit_code == 0
    assert "still open" in found.output


def test_a_store_is_verified_like_its_export(run: Run, export: Export, tmp_path: Path) -> None:
    """R5.12 The same lines and exit codes from a store, with filters too."""
    pytest.importorskip("duckdb", reason="stores are asked with duckdb")
    pytest.importorskip("pyarrow", reason="stores are read with pyarrow")
    from tests.query.stores import stored

    source = recording(many(10, {1: "scheduling_decision", 8: "execution_completed"}))
    path, store = export(source), stored(tmp_path / "store", source, 2)
    for options in ((), ("--strict",), ("--last", "250ms"), ("--last", "50ms"), ("--model", "no")):
        of_file = run("verify", "--from", path, *options)
        of_store = run("verify", "--from", store, *options)
        assert of_store.exit_code == of_file.exit_code
        assert of_store.stdout.replace(str(store), "X") == of_file.stdout.replace(str(path), "X")
    codes = [run("verify", "--from", store, *words).exit_code for words in ((), ("--model", "no"))]
    assert codes == [1, 4]


def test_hostile_names_stay_on_their_line(run: Run, export: Export) -> None:
    """R5.12 What a program recorded cannot move or colour what is printed."""
    name = "req\x1b[2J\nFAILED"
    path = export(recording(inference_chain(name)[:3]))
    found = run("verify", "--from", path)
    assert "\x1b" not in found.output
    *_, first = found.output.splitlines()
    assert len(found.output.splitlines()) == 3
    told = run(*first.removeprefix("First: whence ").split())  # by an event's id
    assert told.exit_code == 3


def _time_of_day(wall_ns: int | None) -> str:
    """The clock without the date, which is shown unless it is today's."""
    return clock_text(wall_ns, always_dated=True).partition(" ")[2]
