"""whence top: printed once, and on its screen with every key it offers."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import whence
from tests.apps import AppRun
from whence.cli.main import cli
from whence.cli.sources import Choice
from whence.cli.top import Top
from whence.collect.gates import read_gates

RunApp = Callable[..., AppRun]
HOSTILE = "evil\x1b[31m[red]\u202e"

ticked = whence.kind("top_ticked", component="Worker", n=int)
decided = whence.kind(
    "top_decided", component="Scheduler", decision=True, rationale="Selected {model}", model=str
)
failed = whence.kind(HOSTILE, component=HOSTILE, success=bool)


@pytest.fixture
def own() -> Top:
    """A top of this very process, which has recorded a failure."""
    with whence.request("req-[b]7"):
        decided("ocr_rec")
        failed(False)
        ticked(1)
    return Top(Choice(pid=os.getpid()))


def gate(event_type: str) -> tuple[bool, float]:
    """Whether a type of this process is on, and its rate, as its control page says."""
    session = whence.session()
    assert session is not None
    assert session.path is not None
    (found,) = (g for g in read_gates(session.path).kinds if g.event_type == event_type)
    return found.on, found.sample_rate


def test_once_prints_processes_types_and_failures(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a screen the same is printed once; names cannot harm the terminal. R5.9"""
    source = f"""
        import whence
        failed = whence.kind({HOSTILE!r}, component={HOSTILE!r}, success=bool)
        silent = whence.kind("never", component="x", n=int)
        with whence.request("req-1"):
            failed(False)
        """
    run = run_app(source, env={"WHENCE_SERVICE": HOSTILE})
    quiet = run_app("import whence; whence.kind('never', component='x', n=int); whence.start()")
    assert quiet.whence_dir == run.whence_dir
    monkeypatch.setenv("WHENCE_DIR", str(run.whence_dir))
    printed = CliRunner().invoke(cli, ["top", "--all", "--once", "--interval", "50ms"])
    assert printed.exit_code == 0, printed.output
    assert "0 of 2 processes live" in printed.output
    assert "dead, uncollected" in printed.output
    assert "evil\\x1b[31m[red]\\u202e" in printed.output
    assert "req-1" in printed.output
    assert not {"\x1b", "\u202e"} & set(printed.output)


def test_json_is_for_machines(run_app: RunApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers for time and counts, one object. R5.9"""
    run = run_app("import whence; whence.kind('tick', component='x', n=int)(1)")
    monkeypatch.setenv("WHENCE_DIR", str(run.whence_dir))
    printed = CliRunner().invoke(cli, ["top", "--json", "--interval", "50ms"])
    found = json.loads(printed.stdout)
    (process,) = found["activity"]["processes"]
    assert (process["recorded"], process["state"]) == (1, "dead, uncollected")
    assert found["activity"]["events_per_s"] == 0.0
    assert found["failures"] == []


def test_a_file_cannot_be_watched(run_app: RunApp) -> None:
    """An export or a ring file is told apart from a process. R5.9"""
    run = run_app("import whence; whence.kind('tick', component='x', n=int)(1)")
    ring = next(run.session_dir.glob("ring-*"))
    printed = CliRunner().invoke(cli, ["top", "--once", "--from", str(ring)])
    assert printed.exit_code == 1
    assert "whence stats reads a file" in printed.output


def test_nobody_to_watch_is_told(whence_dir: Path) -> None:
    """No session: exit code 4 and words. R5.9"""
    printed = CliRunner().invoke(cli, ["top", "--once"])
    assert printed.exit_code == 4
    assert "no sessions" in printed.output


@pytest.mark.parametrize("interval", ["1ms", "2h", "soon"])
def test_an_interval_must_make_sense(interval: str) -> None:
    """Too short, too long or no length is a usage error. R5.9"""
    assert CliRunner().invoke(cli, ["top", "--interval", interval]).exit_code == 2


def test_types_are_switched_and_sampled_in_the_running_process(own: Top) -> None:
    """The change is in the control page at once; decisions are not sampled. R5.9 R1.35"""
    own.look()
    assert own.set_on("top_ticked", False) == "top_ticked is off in 1 process"
    assert not ticked.on
    assert own.set_on("top_ticked", True) == "top_ticked is on in 1 process"
    assert own.set_rate("top_ticked", 0.5) == "top_ticked is sampled at 0.5 in 1 process"
    assert gate("top_ticked") == (True, 0.5)
    own.set_rate("top_ticked", 1.0)
    with pytest.raises(ValueError, match="decision"):
        own.set_rate("top_decided", 0.5)
    assert own.set_on("nobody_declares_this", False).endswith("in 0 processes")


def on_screen(own: Top, act: Callable[..., Awaitable[None]]) -> None:
    """Runs the screen without a terminal and lets `act` press keys."""
    pytest.importorskip("textual", reason="needs whence[cli]")
    from whence.cli.top_view import TopView

    async def run() -> None:
        view = TopView(own, interval_s=3600.0)
        async with view.run_test(size=(140, 40)) as pilot:
            await pilot.pause()
            await act(view, pilot)

    asyncio.run(run())


async def settled(pilot: Any, holds: Callable[[], bool]) -> None:
    """Waits until it holds, 20 seconds at most."""
    for _ in range(400):
        if holds():
            return
        await pilot.pause(0.05)
    raise AssertionError("it never came to hold")


def shown(view: Any) -> str:
    """All cells of the three tables and the line above them."""
    tables = [view.query_one(f"#{name}") for name in ("processes", "kinds", "failures")]
    rows = [
        " ".join(map(str, table.get_row_at(n))) for table in tables for n in range(table.row_count)
    ]
    return "\n".join(rows)


def test_the_screen_shows_what_the_model_found(own: Top) -> None:
    """Processes, types and failures are there; hostile names are escaped text. R5.9"""

    async def act(view: Any, pilot: Any) -> None:
        text = shown(view)
        assert f"{os.getpid()}" in text
        assert "recording" in text
        assert "top_ticked Worker" in text
        assert "req-[b]7 Selected ocr_rec" in text
        assert "evil\\x1b[31m[red]\\u202e" in text

    on_screen(own, act)


def select(view: Any, name: str) -> None:
    """Puts the cursor of the event types on a name."""
    kinds = view._model.found.kinds
    at = [kind.event_type for kind in kinds].index(name)
    view.query_one("#kinds").move_cursor(row=at, animate=False)


def test_e_and_d_switch_the_selected_type(own: Top) -> None:
    """d switches off, e on; the cursor stays on its row. R5.9"""

    async def act(view: Any, pilot: Any) -> None:
        select(view, "top_ticked")
        await pilot.press("d")
        assert not ticked.on
        assert view._selected_kind().event_type == "top_ticked"
        await pilot.press("e")
        assert ticked.on

    on_screen(own, act)


def test_a_sample_rate_changes_only_when_confirmed(own: Top) -> None:
    """- asks for half; n leaves it, y does it; decisions are refused without a question. R5.9"""
    from textual.screen import ModalScreen

    async def act(view: Any, pilot: Any) -> None:
        select(view, "top_ticked")
        await pilot.press("minus", "n")
        assert gate("top_ticked") == (True, 1.0)
        await pilot.press("minus", "y")
        await settled(pilot, lambda: gate("top_ticked") == (True, 0.5))
        await pilot.press("plus", "y")
        await settled(pilot, lambda: gate("top_ticked") == (True, 1.0))
        select(view, "top_decided")
        await pilot.press("minus")
        assert not isinstance(view.screen, ModalScreen)

    on_screen(own, act)


def test_enter_says_why_and_escape_goes_back(run_app: RunApp) -> None:
    """The answer of `whence why` lies over the screen until it is left. R5.9 R5.11

    Of a session of its own: what the process of the tests holds by now is long to read.
    """
    pytest.importorskip("textual", reason="needs whence[cli]")
    from whence.cli.top_view import AnswerScreen

    run = run_app("""
        import whence
        decided = whence.kind("decided", component="Scheduler", decision=True,
                              rationale="Selected {model}", model=str)
        failed = whence.kind("failed", component="Worker", success=bool)
        with whence.request("req-7"):
            decided("ocr_rec")
            failed(False)
        """)

    async def act(view: Any, pilot: Any) -> None:
        await pilot.press("enter")
        await settled(pilot, lambda: isinstance(view.screen, AnswerScreen))
        assert "Selected ocr_rec" in view.screen._text.plain
        await pilot.press("escape")
        await settled(pilot, lambda: not isinstance(view.screen, AnswerScreen))

    on_screen(Top(Choice(source=str(run.session_dir))), act)


def test_p_pauses_and_q_ends(own: Top) -> None:
    """A paused screen says so and does not look; q leaves. R5.9"""

    async def act(view: Any, pilot: Any) -> None:
        await pilot.press("p")
        before = view._model.found
        view._look_on()
        assert view._model.found is before
        assert "paused" in str(view.query_one("#headline").content)
        await pilot.press("p")
        view._look_on()
        assert view._model.found is not before
        await pilot.press("q")
        await settled(pilot, lambda: not view.is_running)

    on_screen(own, act)


def test_every_key_in_the_footer_does_something() -> None:
    """No key is offered that has no action. R5.9"""
    from whence.cli.top_view import TopView

    for binding in TopView.BINDINGS:
        name = binding.action.partition("(")[0]
        assert hasattr(TopView, f"action_{name}") or name == "focus_next", name


def test_sample_rates_go_up_and_down_in_steps() -> None:
    """1, 0.5, 0.2 ...; they end at both ends, and odd rates find their neighbours. R5.9"""
    from whence.cli.top_view import next_rate

    assert next_rate(1.0, -1) == 0.5
    assert next_rate(0.5, 1) == 1.0
    assert next_rate(1.0, 1) == 1.0
    assert next_rate(0.001, -1) == 0.001
    assert next_rate(0.3, -1) == 0.2
    assert next_rate(0.3, 1) == 0.5


def test_stats_shows_silent_processes_and_rates_of_the_same_model(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process without an event has its line; --interval adds what top would say. R5.9 R1.53"""
    run = run_app("""
        import whence
        whence.kind("never", component="x", n=int)
        whence.start("quiet")
        """)
    monkeypatch.setenv("WHENCE_DIR", str(run.whence_dir))
    printed = CliRunner().invoke(cli, ["stats", "--interval", "50ms"])
    assert printed.exit_code == 0, printed.output
    assert "quiet, pid" in printed.output
    assert "declared 1 event type, no events" in printed.output
    assert "0 events/s" in printed.output
    found = json.loads(CliRunner().invoke(cli, ["stats", "--interval", "50ms", "--json"]).stdout)
    assert found["activity"]["processes"][0]["state"] == "dead, uncollected"
    assert found["activity"]["kinds"][0]["events_per_s"] == 0.0
