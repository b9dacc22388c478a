"""whence config: shows and changes what running processes record."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

import whence
from tests.apps import AppRun
from whence.cli.main import cli
from whence.collect.gates import change_gates, read_gates

RunApp = Callable[..., AppRun]
SHOWN = whence.kind("config_shown", component="Config", n=int)
FELT = whence.kind("config_felt", component="Config", strength=float)
CHOICE = whence.kind(
    "config_choice", component="Config", decision=True, rationale="Took {n}", n=int
)


@pytest.fixture(autouse=True)
def _session() -> None:
    """This process is the only one that records; its kinds are as declared."""
    for kind in (SHOWN, FELT, CHOICE):
        kind.enable()
    SHOWN(1)


def config(*options: str) -> Result:
    """Runs the command."""
    return CliRunner().invoke(cli, ["config", *options])


def kinds(*options: str) -> dict[str, Any]:
    """The kinds that --json shows, by name."""
    found = config(*options, "--json")
    assert found.exit_code == 0, found.output
    (session,) = json.loads(found.stdout)["sessions"]
    return {kind["event_type"]: kind for kind in session["kinds"]}


def test_without_options_it_shows_the_present_gates() -> None:
    """R1.52 R1.34 Each kind with its component, and what is recorded of it."""
    FELT.enable(0.25, min_strength=0.5)
    text = config().output
    assert "config_shown" in text
    assert "25 % from strength 0.5" in text
    assert kinds()["config_felt"] == {
        "event_type": "config_felt",
        "component": "Config",
        "decision": False,
        "on": True,
        "sample_rate": 0.25,
        "min_strength": 0.5,
        "has_strength": True,
    }
    assert kinds()["config_choice"]["decision"] is True


def test_types_are_enabled_sampled_and_disabled() -> None:
    """R1.52 R1.34 R1.35 The rate goes to the types of the same command, and to no other."""
    found = kinds("--enable", "config_felt", "--sample-rate", "0.125", "--disable", "config_shown")
    assert (found["config_felt"]["sample_rate"], found["config_shown"]["on"]) == (0.125, False)
    assert (FELT.sample_rate, SHOWN.on, CHOICE.on) == (0.125, False, True)
    kinds("--enable", "config_felt", "--min-strength", "0.5")
    assert (FELT.sample_rate, FELT.min_strength) == (1.0, 0.5)


def test_what_finds_no_room_changes_nothing(run_app: RunApp) -> None:
    """R1.52 A full table of rules: all names of one command are changed, or none of them."""
    run_app("""
        import os, whence
        from click.testing import CliRunner
        from whence import _native
        from whence.cli.main import cli
        from whence.collect.gates import change_gates, read_gates
        from whence.ring import layout
        tick = whence.kind("tick", component="A", n=int)
        path = whence.start().path
        off = dict.fromkeys((f"type-{n}" for n in range(layout.RULE_COUNT - 2)), 0)
        change_gates(path, off)
        def config(*options):
            return CliRunner().invoke(cli, ["config", *options])
        before = read_gates(path)
        many = ("--disable", "tick", "--disable", "type-1", "--disable", "a", "--disable", "b")
        refused = config(*many, "--disable", "c")
        said = " ".join(refused.output.split())
        assert refused.exit_code == 2 and "no room for a rule, and no kind 'a'" in said, said
        assert read_gates(path) == before and tick.on
        # the last room is for names that no kind has yet: declared ones are changed without a rule
        assert config(*many).exit_code == 0
        assert not tick.on
        assert {"a", "b"} <= {rule.event_type for rule in read_gates(path).rules}
        assert "tick" not in {rule.event_type for rule in read_gates(path).rules}
        assert config("--enable", "tick", "--enable", "a").exit_code == 0 and tick.on
        assert config("--enable", "*").exit_code == 2
        # of several processes none is changed where one has no room
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            tick(1)
            os.write(writing, b"recorded")
            import signal
            signal.pause()
        os.read(reading, 8)
        roomy = [p for p in path.parent.glob("*/session") if p.parent != path][0].parent
        os.pwrite(fd := os.open(roomy / "control", os.O_RDWR), bytes(8), layout.RULES_OFFSET)
        change_gates(roomy, {"tick": 1})
        assert config("--all", "--disable", "tick", "--disable", "d").exit_code == 2
        (kind,) = read_gates(roomy).kinds
        os.kill(child, 9)
        os.waitpid(child, 0)
        assert kind.on and tick.on
    """)


def test_trace_config_is_the_same_command() -> None:
    """R1.52 As in: trace config --enable priming --sample-rate 0.1."""
    tracer = whence.CognitiveTracer()
    found = CliRunner().invoke(
        cli, ["trace", "config", "--enable", "priming", "--sample-rate", "0.1"]
    )
    assert found.exit_code == 0
    assert "10 %" in found.output
    assert tracer.priming.sample_rate == pytest.approx(0.1)
    config("--preset", "disabled")
    assert not tracer.priming


@pytest.mark.parametrize("preset", ["development", "production", "disabled"])
def test_a_preset_is_that_of_the_configuration(preset: str) -> None:
    """R1.29 R1.30 R1.31 R1.52 It governs the four cognitive types, and leaves others alone."""
    tracer = whence.CognitiveTracer()
    SHOWN.enable(0.5)
    assert config("--preset", preset).exit_code == 0
    wanted = whence.TracingConfig.preset(preset)
    for event_type in whence.CognitiveEvent:
        assert tracer.is_enabled(event_type) == wanted.is_enabled(event_type)
    rate = {"development": 1.0, "production": 0.01}.get(preset)
    if rate:
        assert tracer.priming.sample_rate == pytest.approx(rate)
    assert SHOWN.sample_rate == 0.5
    config("--preset", "disabled")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--enable", "config_choice", "--sample-rate", "0.5"], "decision"),
        (["--enable", "config_shown", "--min-strength", "0.5"], "no strength"),
        (["--sample-rate", "0.5"], "--enable"),
        (["--min-strength", "0.5"], "--enable"),
        (["--enable", "config_shown", "--disable", "config_shown"], "both"),
        (["--enable", "config_shown", "--sample-rate", "0"], "--disable"),
        (["--enable", "config_shown", "--sample-rate", "1.5"], "--sample-rate must be above 0"),
        (["--enable", "config_shown", "--sample-rate", "nan"], "--sample-rate must be above 0"),
        (["--enable", "config_felt", "--min-strength", "nan"], "--min-strength"),
        (["--enable", "config_felt", "--min-strength", "1e300"], "32 bits"),
        (["--enable", "config_felt", "--min-strength", "-inf"], "32 bits"),
        (["--disable", "config_shown", "--disable", "x" * 200], "name"),
        (["--pid", "1", "--all"], "one of"),
        (["--preset", "staging"], "staging"),
    ],
)
def test_what_makes_no_sense_changes_nothing(options: list[str], said: str) -> None:
    """R1.52 R1.35 Exit code 2, and a sentence that says why; every gate is as it was."""
    before = kinds()
    found = config(*options)
    assert found.exit_code == 2
    assert said in found.output
    assert kinds() == before


def test_a_type_that_is_not_declared_yet_gets_a_rule() -> None:
    """R1.52 It is shown as such, and holds for the kind once it is declared."""
    text = config("--enable", "config_later", "--sample-rate", "0.5").output
    assert "once it is declared" in text
    assert whence.kind("config_later", component="Config", n=int).sample_rate == 0.5


def test_a_star_is_every_type_without_a_rule_of_its_own(run_app: RunApp) -> None:
    """R1.52 R5.5 Decisions are sampled by no star."""
    run_app("""
        import whence
        from whence import _native
        from whence.collect.gates import change_gates
        named = whence.kind("named", component="A")
        tick = whence.kind("tick", component="A")
        choose = whence.kind("choose", component="A", decision=True, rationale="Took {n}", n=int)
        path = whence.start().path
        change_gates(path, {"named": _native.gate_word(0.25, None)})
        change_gates(path, {"*": _native.gate_word(0.5, None)})
        rates = [k.sample_rate for k in (named, tick, choose)]
        rates.append(whence.kind("later", component="A").sample_rate)
        assert rates == [0.25, 0.5, 1.0, 0.5], rates
        change_gates(path, {"*": 0})
        assert [k.on for k in (named, tick, choose)] == [True, False, False]
    """)


def test_of_several_live_sessions_one_must_be_chosen(run_app: RunApp) -> None:
    """R1.52 They are listed, exit code 2; --all means every one; an ended one is refused."""
    run = run_app("""
        import os, signal, whence
        tick = whence.kind("tick", component="A", n=int)
        whence.start()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            tick(1)
            os.write(writing, b"recorded")
            while True:
                signal.pause()
        os.read(reading, 8)
        def config(*options):
            from click.testing import CliRunner
            from whence.cli.main import cli
            return CliRunner().invoke(cli, ["config", *options])
        none = config()
        print(none.exit_code, "2 sessions are live" in none.output, str(os.getpid()) in none.output)
        every = config("--all", "--disable", "tick")
        print(every.exit_code, tick.on)
        one = config("--pid", str(os.getpid()), "--enable", "tick")
        print(one.exit_code, tick.on)
        os.kill(child, 9)
        os.waitpid(child, 0)
        ended = config("--pid", str(child), "--enable", "tick")
        print(ended.exit_code, "has ended" in ended.output)
        print(config("--pid", "999999999").exit_code)
    """)
    assert run.stdout.splitlines() == ["2 True True", "0 False", "0 True", "1 True", "4"]


def test_gates_are_values_in_the_library_too() -> None:
    """R1.52 What the command does is whence.collect.gates, for programs that steer others."""
    session = whence.session()
    assert session is not None
    assert session.path is not None
    found = change_gates(session.path, {"config_shown": 0})
    assert [kind.on for kind in found.kinds if kind.event_type == "config_shown"] == [False]
    assert read_gates(session.path) == found
    assert not SHOWN.on


def test_a_damaged_page_is_named_and_left_alone(run_app: RunApp) -> None:
    """R1.52 Exit code 1 and what is wrong with which file; the program records on."""
    run_app("""
        import os, whence
        from click.testing import CliRunner
        from whence.cli.main import cli
        tick = whence.kind("tick", component="A", n=int)
        path = whence.start().path / "control"
        whole = path.read_bytes()
        for spoilt, said in ((b"X" + whole[1:], "not a control page"), (whole[:9], None)):
            if said is None:
                os.truncate(path, 40_000)
            else:
                os.pwrite(fd := os.open(path, os.O_RDWR), spoilt[:8], 0)
            found = CliRunner().invoke(cli, ["config", "--disable", "tick"])
            assert found.exit_code == 1, found.output
            assert (said or "cut short") in found.output, found.output
            os.pwrite(fd, whole[:8], 0)
            tick(1)
        assert len(whence.collector().query(event_type="tick")) == 2
    """)


def test_stats_tell_what_the_kept_events_stand_for(run_app: RunApp) -> None:
    """R1.53 R1.35 Called is exact; what is readable stands for about as many."""
    run = run_app("""
        import whence
        kind = whence.kind("estimated", component="Config", n=int)
        kind.enable(0.25)
        for n in range(2000):
            kind(n)
    """)
    where = ["--from", str(run.session_dir)]
    found = CliRunner().invoke(cli, ["stats", "--json", *where])
    (row,) = json.loads(found.stdout)["kinds"]  # its output has what other threads say, too
    assert row["called"] == 2000
    assert row["estimated"] == 4 * row["recorded"]
    assert "readable stand for" in CliRunner().invoke(cli, ["stats", *where]).output


def test_a_refusal_names_a_kind_harmlessly() -> None:
    """A name out of somebody's session reaches the terminal escaped, in errors as in tables."""
    whence.kind("config\x1b[2J", component="Config", decision=True, rationale="x")
    found = config("--enable", "config\x1b[2J", "--sample-rate", "0.5")
    assert (found.exit_code, "\x1b" in found.output, r"config\x1b[2J" in found.output) == (
        2,
        False,
        True,
    )


def test_a_type_that_is_declared_twice_has_one_row() -> None:
    """R1.52 Other fields make another kind, but not another thing to read."""
    whence.kind("config_twice", component="Config", n=int)(1)
    whence.kind("config_twice", component="Config", n=int, text=str)(1, "a")
    assert config().output.count("config_twice") == 1
