"""TracingConfig: presets and options, each of which changes what is recorded or said."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.apps import AppRun
from whence import CognitiveEvent, ExportFormat, TracingConfig
from whence.model.cognitive import event_code, event_name, register_event_type
from whence.ring.gates import gate_parts

RunApp = Callable[..., AppRun]
ALL = frozenset({"priming", "interference", "reconsolidation", "false_memory"})


def test_the_default_is_disabled() -> None:
    """R1.28 R1.29 Nothing is enabled or sampled, sizes are left to others, the format is JSON."""
    assert TracingConfig() == TracingConfig.disabled()
    config = TracingConfig.disabled()
    assert (config.enabled_events, dict(config.sample_rates)) == (frozenset(), {})
    sizes = config.ring_buffer_size, config.export_batch_size, config.export_interval_ms
    assert sizes == (0, 0, 0)
    assert config.export_format is ExportFormat.Json


def test_the_presets_are_as_documented() -> None:
    """R1.30 R1.31 Development keeps everything, production a hundredth of two types."""
    development, production = TracingConfig.development(), TracingConfig.production()
    assert development.enabled_events == ALL
    assert set(development.sample_rates.values()) == {1.0}
    assert development.ring_buffer_size == production.ring_buffer_size == 10_000
    assert (development.export_batch_size, development.export_interval_ms) == (1_000, 5_000)
    assert production.enabled_events == {"priming", "interference"}
    assert dict(production.sample_rates) == {"priming": 0.01, "interference": 0.01}
    assert (production.export_batch_size, production.export_interval_ms) == (5_000, 30_000)
    with pytest.raises(ValueError, match="there are disabled, development, production"):
        TracingConfig.preset("staging")


def test_types_may_be_named_in_every_spelling() -> None:
    """R1.32 A code, the canonical name, an old one; other names are taken as they are."""
    config = TracingConfig(enabled_events={"FalseMemory", CognitiveEvent.Priming, "MyOwn"})
    assert config.enabled_events == {"false_memory", "priming", "MyOwn"}
    for name in ("false_memory", "FalseMemory", CognitiveEvent.FalseMemory, "priming", "MyOwn"):
        assert config.is_enabled(name)
    assert not config.is_enabled("interference")
    assert not config.is_enabled("my_own")


def test_the_codes_are_fixed_and_the_registry_grows() -> None:
    """R1.1 Priming 0 to FalseMemory 3; types of one's own follow, each with one code."""
    assert [int(each) for each in CognitiveEvent] == [0, 1, 2, 3]
    assert [event_name(each) for each in CognitiveEvent] == [
        "priming",
        "interference",
        "reconsolidation",
        "false_memory",
    ]
    own = register_event_type("consolidated")
    assert own >= 4
    assert register_event_type("consolidated") == event_code("consolidated") == own
    assert register_event_type("Priming") == 0
    with pytest.raises(LookupError, match="register_event_type"):
        event_code("never registered")


def test_sampling_by_draw_is_bernoulli() -> None:
    """R1.33 No rate never, one always, else as the generator says, the same for the same seed."""
    config = TracingConfig(sample_rates={"half": 0.5, "one": 1.0, "none": 0.0})
    for rng in (None, random.Random(1)):
        assert all(config.should_sample("one", rng) for _ in range(100))
        assert not any(config.should_sample("none", rng) for _ in range(100))
        assert not any(config.should_sample("unheard of", rng) for _ in range(100))
    draws = [config.should_sample("half", random.Random(n)) for n in range(2000)]
    assert draws == [random.Random(n).random() < 0.5 for n in range(2000)]
    assert 900 < sum(draws) < 1100


@pytest.mark.parametrize(
    "options",
    [
        {"sample_rates": {"priming": math.nan}},
        {"sample_rates": {"priming": -0.1}},
        {"sample_rates": {"priming": 1.1}},
        {"sample_rates": {"scheduling_decision": 0.5}},
        {"min_strengths": {"priming": math.nan}},
        {"min_strengths": {"priming": 1e300}},
        {"min_strengths": {"priming": -math.inf}},
        {"ring_buffer_size": -1},
        {"ring_buffer_size": 1 << 25},
        {"export_batch_size": -1},
        {"export_interval_ms": 2**31},
        {"export_format": "xml"},
        {"preset": "nothing"},
    ],
)
def test_what_is_out_of_range_is_refused(options: dict[str, Any]) -> None:
    """R1.35 R1.36 R1.37 R1.38 A bad rate, size, strength, format: ValueError before anything."""
    with pytest.raises(ValueError, match=r"must be|decision|not a valid|no preset"):
        TracingConfig.from_mapping(options)


@pytest.mark.parametrize(
    "options",
    [
        {"sample_rate": {}},
        {"sample_rates": 0.5},
        {"sample_rates": {"priming": "1"}},
        {"sample_rates": {"priming": True}},
        {"enabled_events": "priming"},
        {"enabled_events": [1.5]},
        {"ring_buffer_size": 1.5},
        {"ring_buffer_size": True},
    ],
)
def test_an_unknown_option_or_type_is_refused(options: dict[str, Any]) -> None:
    """R1.28 Nothing is accepted and ignored: TypeError names what is wrong."""
    with pytest.raises(TypeError):
        TracingConfig.from_mapping(options)


def test_a_config_governs_the_types_it_names() -> None:
    """R1.34 R1.35 R1.60 Enabled at a rate above 0 is on; the cognitive types else are off."""
    config = TracingConfig(
        enabled_events={"priming", "tick", "rateless"},
        sample_rates={"priming": 0.5, "tick": 1.0, "interference": 1.0},
        min_strengths={"priming": 0.25},
    )
    said = {name: gate_parts(word) for name, word in config.gates().items()}
    assert said["priming"] == (True, 0.5, 0.25)
    assert said["tick"] == (True, 1.0, None)
    assert {name for name, (on, *_) in said.items() if not on} == {
        "interference",  # has a rate, but is not enabled
        "rateless",  # enabled without a rate
        "reconsolidation",
        "false_memory",
    }


def test_start_obeys_every_option(run_app: RunApp) -> None:
    """R1.34 R1.35 R1.36 R1.37 R1.38 Gates, also of kinds declared later; ring; export settings."""
    run = run_app("""
        import json, whence
        early = whence.kind("early", component="App", n=int)
        config = whence.TracingConfig(
            enabled_events={"late", "priming"},
            sample_rates={"late": 0.5, "priming": 1.0, "early": 1},
            ring_buffer_size=123, export_batch_size=77, export_interval_ms=88, export_format="loki",
        )
        whence.start(config=config)
        late = whence.kind("late", component="App", n=int)
        other = whence.kind("other", component="App", n=int)
        tracer = whence.CognitiveTracer()
        tracer.trace_priming(0, 0.5, 1, 2)
        tracer.trace_interference(0, 0.5, 1, 2)
        early(1)
        other(2)
        print(json.dumps([early.on, late.on, late.sample_rate, other.sample_rate]))
    """)
    assert json.loads(run.stdout) == [False, True, 0.5, 1.0]
    recording = run.recording()
    assert [event.event_type for event in recording.events] == ["priming", "other"]
    assert [ring.capacity for ring in recording.rings] == [123]
    session = Path(recording.sessions[0].path, "session").read_bytes()
    described = json.loads(session[256 : session.index(b"}", 256) + 1] + b"}")
    assert {name: described[name] for name in described if name.startswith("export")} == {
        "export_batch_size": 77,
        "export_interval_ms": 88,
        "export_format": "loki",
    }


def test_a_config_may_be_applied_at_any_time(run_app: RunApp) -> None:
    """R1.34 Applying another one switches at once; each change is in the gates log."""
    run = run_app("""
        import whence
        tracer = whence.CognitiveTracer(whence.TracingConfig.development())
        tracer.trace_priming(0, 0.1, 1, 2)
        whence.TracingConfig.disabled().apply()
        tracer.trace_priming(0, 0.2, 1, 2)
        whence.TracingConfig.development().apply()
        tracer.trace_priming(0, 0.3, 1, 2)
    """)
    strengths = [event.attributes["strength"] for event in run.recording().events]
    assert strengths == pytest.approx([0.1, 0.3])
    changes = [c.on for c in run.recording().gate_changes if c.kind == "priming"]
    assert changes == [False, True]


def test_a_declared_decision_cannot_be_sampled(run_app: RunApp) -> None:
    """R5.5 Applying such a config changes nothing and says which type it is about."""
    run = run_app("""
        import whence
        choose = whence.kind("choose", component="A", decision=True, rationale="Took {n}", n=int)
        other = whence.kind("other", component="A", n=int)
        config = whence.TracingConfig(
            enabled_events={"choose"}, sample_rates={"choose": 0.5, "other": 0.0}
        )
        try:
            config.apply()
        except ValueError as error:
            print(error)
        print(other.on, choose.on)
    """)
    assert run.stdout.splitlines() == [
        "choose is a decision: decisions are recorded all, or off",
        "True True",
    ]


def test_a_config_is_read_from_toml(tmp_path: Path) -> None:
    """R1.28 A preset and what differs from it; errors name the file."""
    path = tmp_path / "whence.toml"
    path.write_text(
        'preset = "production"\nexport_format = "loki"\n[sample_rates]\npriming = 0.5\n'
    )
    config = TracingConfig.from_toml(path)
    assert (config.export_format, config.export_batch_size) == (ExportFormat.Loki, 5_000)
    assert dict(config.sample_rates) == {"priming": 0.5}
    for text in ("sample_rat = 1", "a = ", "ring_buffer_size = -1"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"whence\.toml: "):
            TracingConfig.from_toml(path)


@pytest.mark.parametrize("value", ["development", "disabled", "good.toml", "none.toml"])
def test_the_environment_configures_programs_that_never_start(
    run_app: RunApp, tmp_path: Path, value: str
) -> None:
    """R1.28 $WHENCE_CONFIG is a preset or a file; a bad one is told of and left aside."""
    program = """
        import whence
        tracer = whence.CognitiveTracer()
        tracer.trace_reconsolidation(1, 0.5, 0.25)
        whence.kind("end", component="App")()
    """
    good = tmp_path / "good.toml"
    good.write_text(
        'enabled_events = ["reconsolidation"]\nring_buffer_size = 9\n[sample_rates]\n'
        "reconsolidation = 1\n"
    )
    given = str(tmp_path / value) if value.endswith("toml") else value
    run = run_app(program, env={"WHENCE_CONFIG": given})
    on = value in ("development", "good.toml")
    types = [event.event_type for event in run.recording().events]
    assert types == (["reconsolidation", "end"] if on else ["end"])
    assert ("left aside" in run.stderr) == (value == "none.toml")
