"""C++ programs record through the headers alone, and the same tools read what they recorded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from whence import _native
from whence.cli.main import cli
from whence.collect.gates import change_gates
from whence.collect.sessions import list_sessions, read_recording
from whence.model.event import Option
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.ring.gates import threshold_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "cpp_producer"
COMPILER = os.environ.get("CXX", "g++")
HEADERS = ("-std=c++20", "-pthread", "-I", ROOT / "native", "-isystem", ROOT / "native" / "vendor")

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no compiler {COMPILER}")


def compiled(source: Path, program: Path, *flags: str) -> Path:
    """The program built as a user would build it; warnings are errors."""
    subprocess.run(
        [COMPILER, "-O1", "-Wall", "-Wextra", "-Werror", *HEADERS, *flags, source, "-o", program],
        check=True,
        timeout=100,
    )
    return program


def run(program: Path, folder: Path, *words: str, **environment: str) -> str:
    """What it prints; it records into `folder`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WHENCE_", "OTEL_"))}
    finished = subprocess.run(
        [str(program), *words],
        env={**kept, "WHENCE_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stderr == ""
    return finished.stdout


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, built by its own Makefile in a folder of its own."""
    folder = tmp_path_factory.mktemp("cpp")
    for name in ("Makefile", "scheduler.cpp"):
        shutil.copy(EXAMPLE / name, folder)
    subprocess.run(["make", "-s", f"WHENCE={ROOT / 'native'}"], cwd=folder, check=True, timeout=100)
    return folder / "scheduler"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of hard cases, without exceptions: many runtimes are built so."""
    program = tmp_path_factory.mktemp("edge") / "edge"
    return compiled(Path(__file__).with_name("edge_producer.cpp"), program, "-fno-exceptions")


@pytest.fixture
def recorded_edges(edge: Path, tmp_path: Path) -> Recording:
    """What the program of hard cases records in its first process."""
    assert run(edge, tmp_path / "w") == "1 1 1\n"
    parent = min(list_sessions(tmp_path / "w"), key=lambda info: info.pid)
    return read_recording([Path(parent.path)])


def test_a_cpp_program_is_read_by_the_same_commands(
    scheduler: Path, whence_dir: Path, tmp_path: Path
) -> None:
    """Events of several threads: ls, stats, why and export answer as for Python. R5.7"""
    said = run(scheduler, whence_dir, "3", "20", "0")
    assert said == "3 threads recorded 20 requests each\n"
    (info,) = list_sessions(whence_dir)
    assert (info.service, info.state) == ("cpp-scheduler", "dead")
    runner = CliRunner()

    listed = runner.invoke(cli, ["ls", "--json"])
    assert [row["service"] for row in json.loads(listed.output)["sessions"]] == ["cpp-scheduler"]

    stats = json.loads(runner.invoke(cli, ["stats", "--json"]).output)
    assert stats["closes"]
    assert {kind["event_type"]: kind["recorded"] for kind in stats["kinds"]} == {
        "prompt_received": 60,
        "intake_decision": 60,
        "scheduling_decision": 60,
        "execution_completed": 60,
    }

    why = runner.invoke(cli, ["why", "req-1-6"])
    assert "LATE" in why.output
    assert "Selected ocr_rec: 8.4 ms to its deadline, the least" in why.output
    assert "later deadline" in why.output

    target = tmp_path / "out.json"
    runner.invoke(cli, ["export", "--format", "json", "--output", str(target)])
    assert len(json.loads(target.read_text())["events"]) == 240


def test_the_example_prints_what_an_event_costs(scheduler: Path, tmp_path: Path) -> None:
    """Cost per event is measured by the program itself; the figure is not judged here. R5.7"""
    lines = run(scheduler, tmp_path / "w", "1", "1", "2000").splitlines()
    assert [" ".join(line.split()[1:]) for line in lines[:2]] == [
        "ns per event of three numbers",
        "ns while its kind is off",
    ]


def test_kinds_say_what_was_declared_in_cpp(scheduler: Path, whence_dir: Path) -> None:
    """Name, component, template, typed fields and the source line are in the dictionary. R5.7"""
    run(scheduler, whence_dir, "1", "1", "0")
    (info,) = list_sessions(whence_dir)
    kinds = {kind.name: kind for kind in read_recording([Path(info.path)]).kinds}
    decision = kinds["scheduling_decision"]
    assert (decision.component, decision.decision) == ("Scheduler", True)
    assert decision.rationale == "Selected {model}: {slack_ns:ns} to its deadline, the least"
    fields = [(field.name, field.type) for field in decision.fields]
    assert fields == [("model", "str"), ("slack_ns", "int"), ("options", "options")]
    file, _, line = decision.source.rpartition(":")
    declared = (EXAMPLE / file).read_text().splitlines()[int(line) - 1 :]
    assert declared[0].lstrip().startswith(("scheduling_decision(", '"Selected'))


def test_every_type_of_field_comes_back_as_it_was(recorded_edges: Recording) -> None:
    """Bounds of integers, floats, text with escapes, absent values. R5.7"""
    (event,) = (e for e in recorded_edges.events if e.event_type == "every_type")
    assert dict(event.attributes) == {
        "truth": True,
        "small": 255,
        "middle": 2**32 - 1,
        "natural": 2**64 - 1,
        "whole": -(2**63),
        "single": 1.5,
        "real": 1e300,
        "text": "héllo \x1b[31m",
    }
    absent, present, cut = (e for e in recorded_edges.events if e.event_type == "maybe")
    assert dict(absent.attributes) == {}
    assert dict(present.attributes) == {"n": -7, "word": "there"}
    assert cut.truncated
    assert str(cut.attributes["word"]).startswith("y" * 1000)


def test_scopes_nest_and_give_each_event_its_request(recorded_edges: Recording) -> None:
    """UUID, long id with chain and lineage, no scope in another thread, own id. R5.7"""
    uuid = "11111111-2222-4333-8444-555555555555"
    long_id = "a request whose id is longer than sixteen bytes"
    bare = [e for e in recorded_edges.events if e.event_type == "bare"]
    assert [e.request_id for e in bare] == [uuid, long_id, "", uuid]
    assert [e.decision_chain_id for e in bare] == [uuid, "chain-9", "", uuid]
    assert [e.lineage_id for e in bare] == [0, 77, 0, 0]
    assert {(e.severity, e.rationale) for e in bare} == {(Severity.Error, "Nothing to add")}
    (told,) = (e for e in recorded_edges.events if e.event_type == "told")
    assert (told.request_id, told.caused_by, told.lineage_id) == ("told-1", "an-event", 9)
    assert told.rationale == "because"


def test_options_come_back_and_too_large_ones_are_told_of(recorded_edges: Recording) -> None:
    """Scores, reasons, the chosen one; what does not fit is flagged. R5.7 R5.8"""
    first, second = (e for e in recorded_edges.events if e.event_type == "chosen")
    assert first.options == (
        Option("first", {"cost": 2.5, "gain": -1.0}, True, "cheap"),
        Option("second"),
    )
    assert first.truncated
    assert second.options[0].name == "kept"


def test_refused_and_switched_off_events_are_counted_truly(recorded_edges: Recording) -> None:
    """A decision without words is rejected, a kind that is off records nothing. R5.7"""
    counts: Counter[tuple[str, str]] = Counter()
    for ring in recorded_edges.rings:
        assert ring.closes
        for kind in ring.per_kind:
            counts[kind.kind, "recorded"] += kind.recorded
            counts[kind.kind, "rejected"] += kind.rejected
    assert (counts["spoken", "recorded"], counts["spoken", "rejected"]) == (1, 1)
    assert counts["bare", "recorded"] == 4
    assert [(c.kind, c.on) for c in recorded_edges.gate_changes] == [
        ("bare", False),
        ("bare", True),
    ]


def test_a_forked_child_records_into_a_session_of_its_own(edge: Path, tmp_path: Path) -> None:
    """Parent and child are one run and two sessions, called by the environment's name. R5.7"""
    run(edge, tmp_path / "w", WHENCE_SERVICE='a "quoted" name', WHENCE_RUN="1f")
    parent, child = sorted(list_sessions(tmp_path / "w"), key=lambda info: info.pid)
    assert {parent.service, child.service} == {'a "quoted" name'}
    assert parent.run == child.run
    assert [e.event_type for e in read_recording([Path(child.path)]).events] == ["bare"]


def test_sampling_set_from_outside_keeps_the_requests_that_python_keeps(
    edge: Path, tmp_path: Path
) -> None:
    """Whole requests by the same hash, weights on what is kept, decisions all. R5.7 R1.35"""
    folder = tmp_path / "w"
    with subprocess.Popen(
        [str(edge), "sampled"],
        env={**os.environ, "WHENCE_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        (info,) = list_sessions(folder)
        words = dict.fromkeys(("bare", "told", "every_type"), _native.gate_word(0.25, None))
        change_gates(Path(info.path), words)
        running.communicate("go\n", timeout=60)
    found = read_recording([Path(info.path)])
    for kind, prefix in (("bare", "req"), ("told", "own")):
        kept = [e for e in found.events if e.event_type == kind and e.request_id]
        ids = [f"{prefix}-{n}" for n in range(1000)]
        threshold = (1 << 30) * 3 // 4
        assert [e.request_id for e in kept] == [
            id for id in ids if _native.sample_value(id) >= threshold
        ]
        assert {e.weight for e in kept} == {4.0}
    counts = {each.kind: each for ring in found.rings for each in ring.per_kind}
    plain = counts["every_type"]
    assert plain.recorded + plain.sampled_out == 1000
    assert 150 < plain.recorded < 350
    assert (counts["spoken"].recorded, counts["spoken"].sampled_out) == (1000, 0)


@pytest.mark.parametrize(
    ("declaration", "complaint"),
    [
        ('Decision<Arg<"m", Text>> d("x", "y", "a {q}");', "names_a_field_that_there_is_not"),
        ('Decision<Arg<"m", Text>> d("x", "y", "a {m:ns}");', "unknown_format_or_one_for_numbers"),
        ('Decision<Arg<"m", Text>> d("x", "y", " ");', "of_a_decision_is_never_empty"),
        ('Emitter<Arg<"m", bool>> d("x", "y", "} {m}");', "unbalanced_brace"),
        ('Emitter<Arg<"m", bool>> d("x", "");', "a_name_is_never_empty"),
        ('Emitter<Arg<"duration_ns", double>> d("x", "y");', "cannot be recorded under this name"),
        ('Emitter<Arg<"m", bool>, Arg<"m", bool>> d("x", "y");', "fields have the same name"),
    ],
)
def test_a_wrong_declaration_does_not_compile(
    declaration: str, complaint: str, tmp_path: Path
) -> None:
    """Templates, names and types are checked by the compiler, which says what is wrong. R5.7"""
    source = tmp_path / "wrong.cpp"
    source.write_text(
        '#include "whence/producer.hpp"\nusing namespace whence;\nusing Text = std::string_view;\n'
        f"const {declaration}\nint main() {{}}\n"
    )
    finished = subprocess.run(
        [COMPILER, "-fsyntax-only", *HEADERS, source],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert finished.returncode != 0
    assert complaint in finished.stderr


def test_a_cpp_program_is_sampled_like_any_other(tmp_path: Path) -> None:
    """R1.34 R1.35 R1.60 The same requests are kept as in Python; decisions are exempt."""
    source = Path(__file__).with_name("gate_producer.cpp")
    run(compiled(source, tmp_path / "gates"), tmp_path / "w")
    (info,) = list_sessions(tmp_path / "w")
    recording = read_recording([Path(info.path)])
    sampled = [e for e in recording.events if e.event_type == "sampled"]
    threshold = threshold_of(0.5)
    names = [f"req-{n}" for n in range(200)]
    assert [e.request_id for e in sampled] == [
        name for name in names if _native.sample_value(name) >= threshold
    ]
    assert {e.weight for e in sampled} == {2.0}
    loose = [e for e in recording.events if e.event_type == "loose"]
    assert {e.weight for e in loose} == {4.0}
    assert 850 < len(loose) < 1150
    felt = [e.attributes["strength"] for e in recording.events if e.event_type == "felt"]
    assert felt == [0.5, 0.75]
    counts = {row.kind: row for ring in recording.rings for row in ring.per_kind}
    assert {name: row.called for name, row in counts.items()} == {
        "sampled": 200,
        "decided": 200,
        "loose": 4000,
        "felt": 3,
    }
    assert (counts["felt"].below_minimum, counts["decided"].recorded) == (1, 200)
