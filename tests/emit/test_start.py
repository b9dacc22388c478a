"""Starting a session: by the first event or start(), with what the environment says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import whence
from tests.apps import AppRun
from whence.model.errors import AlreadyStarted
from whence.ring import layout

RunApp = Callable[..., AppRun]


def test_the_first_event_starts_the_session(run_app: RunApp) -> None:
    """No start() is needed; declaring, asking and reading make nothing. R0.2 P15"""
    run = run_app("""
        import os, whence
        base = os.environ["WHENCE_DIR"]
        tick = whence.kind("tick", component="Start", n=int)
        collector = whence.TraceCollector(5)
        with whence.request("r"):
            assert whence.session() is None
            assert len(collector) == len(collector.query()) == 0
            assert list(whence.collector()) == []
            collector.clear()
            assert not os.path.exists(base)
            tick(1)
        session = whence.session()
        assert session.path.is_dir() and session.trouble == ""
        assert os.listdir(base) == [session.name]
        print(session.name)
    """)
    assert run.session_dir.name == run.stdout.strip()
    assert [event.attributes["n"] for event in run.recording().events] == [1]


def test_start_says_where_it_records(run_app: RunApp) -> None:
    """The Session names its folder, uuid, key and run; the session file says the same. R0.22"""
    run = run_app("""
        import whence
        s = whence.start("my service")
        assert whence.session() == s
        print(s.name, s.path, s.uuid, s.key, s.run)
    """)
    (info,) = run.recording().sessions
    name, path, uuid, key, number = run.stdout.split()
    assert (info.name, info.path, info.uuid) == (name, path, uuid)
    assert (info.key, info.run) == (int(key), f"{int(number):016x}")
    assert uuid.replace("-", "")[20:] == f"{info.key:012x}"
    assert info.service == "my service"
    assert not info.live
    assert info.state == "dead"


@pytest.mark.parametrize(
    ("service", "env", "name"),
    [
        ('"given"', {"WHENCE_SERVICE": "env", "OTEL_SERVICE_NAME": "otel"}, "given"),
        ("None", {"WHENCE_SERVICE": "env", "OTEL_SERVICE_NAME": "otel"}, "env"),
        ('""', {"WHENCE_SERVICE": "", "OTEL_SERVICE_NAME": "otel"}, "otel"),
        ("", {}, "app.py"),
        ('"é" * 300', {}, "é" * 256),
        (r'"half \ud800"', {}, "half \ud800"),
    ],
)
def test_a_service_is_named_by_the_first_who_knows(
    service: str, env: dict[str, str], name: str, run_app: RunApp
) -> None:
    """The argument, WHENCE_SERVICE, OTEL_SERVICE_NAME, then the script's name. R0.24"""
    run = run_app(f"import whence; whence.start({service})", env=env)
    assert run.recording().sessions[0].service == name


@pytest.mark.parametrize(
    ("strict", "env", "raises"),
    [
        ("", {}, True),
        ("", {"WHENCE_STRICT": "1"}, True),
        ("", {"WHENCE_STRICT": "0"}, False),
        ("strict=False", {}, False),
        ("strict=True", {"WHENCE_STRICT": "0"}, True),
        ("strict=None", {"WHENCE_STRICT": "0"}, False),
    ],
)
def test_refused_events_raise_unless_told_otherwise(
    strict: str, env: dict[str, str], raises: bool, run_app: RunApp
) -> None:
    """start(strict=...) goes before WHENCE_STRICT; the ledger counts them either way. R0.29 P3"""
    run = run_app(
        f"""
        import whence
        whence.start({strict})
        tick = whence.kind("tick", component="Start", n=int)
        decide = whence.kind("decide", component="Start", decision=True, rationale="{{w}}", w=str)
        for call, value in ((tick, "x"), (tick.emit, None), (decide, " ")):
            try:
                call(value)
            except (TypeError, ValueError):
                print("raised")
        """,
        env=env,
    )
    assert run.stdout.split() == ["raised"] * 3 * raises
    (ring,) = run.recording().rings
    assert {row.kind: row.rejected for row in ring.per_kind} == {"tick": 2, "decide": 1}
    assert ring.recorded == 0


def test_resource_attributes_are_in_the_session_file(run_app: RunApp) -> None:
    """OTEL_RESOURCE_ATTRIBUTES goes into the header; too long, it is left out whole. R0.24"""
    short = run_app(
        "import whence; whence.start()",
        env={"OTEL_RESOURCE_ATTRIBUTES": "host.name=a, k8s.pod=b=c,bad,=,x="},
    )
    assert _description(short)["attributes"] == {
        "host.name": "a",
        "k8s.pod": "b=c",
        "": "",
        "x": "",
    }


def test_too_many_resource_attributes_are_left_out(run_app: RunApp) -> None:
    """The service stays readable, whatever else the environment says. R0.24"""
    run = run_app(
        "import whence; whence.start('s')", env={"OTEL_RESOURCE_ATTRIBUTES": "a=" + "b" * 4000}
    )
    assert _description(run)["service"] == "s"
    assert "attributes" not in _description(run)


def test_start_comes_before_the_first_event(run_app: RunApp) -> None:
    """Settings that come too late are refused by name, and change nothing. R0.35"""
    run = run_app("""
        import whence
        from whence.model.errors import AlreadyStarted
        whence.kind("tick", component="Start", n=int)(1)
        for settings in ({}, {"service": "late"}, {"ring_slots": 10}):
            try:
                whence.start(**settings)
            except AlreadyStarted:
                continue
            raise SystemExit("started twice")
    """)
    (ring,) = run.recording().rings
    assert ring.capacity == 10_000


def test_declaring_kinds_and_spans_starts_nothing(run_app: RunApp) -> None:
    """A module may decorate its functions, and the program that imports it still starts. R0.35"""
    run_app("""
        import whence
        from whence.integrations.logging import Handler
        Handler(), whence.kind("tick", component="Start", n=int)
        @whence.span("work", component="Start", step=1)
        def work(): pass
        assert whence.session() is None
        early = whence.span("early", component="Start")
        assert whence.session() is None
        assert whence.start("named").name
        work()
        early.end()
        first, second = sorted(whence.collector().query(), key=lambda event: event.timestamp)
        assert (first.event_type, second.event_type) == ("early", "work")
        assert first.duration > second.duration  # it began when it was made
    """)


@pytest.mark.parametrize("slots", [1, 2, 3, 1000])
def test_a_thread_ring_has_exactly_the_slots_asked_for(slots: int, run_app: RunApp) -> None:
    """Any capacity, no powers of two; the rest is counted as lost. R0.37 R0.39"""
    run = run_app(f"""
        import whence
        whence.start(ring_slots={slots}, text_bytes=4096)
        tick = whence.kind("tick", component="Start", n=int)
        for n in range({slots} + 100):
            tick(n)
    """)
    (ring,) = run.recording().rings
    assert (ring.capacity, ring.readable, ring.lost, ring.recorded) == (
        slots,
        slots,
        100,
        slots + 100,
    )
    assert [event.attributes["n"] for event in run.recording().events] == list(
        range(100, slots + 100)
    )


def test_the_smallest_text_ring_holds_the_largest_kind(run_app: RunApp) -> None:
    """64 numbers and some text fit a quarter of 4,096 bytes, again and again. R0.31"""
    run = run_app("""
        import whence
        whence.start(ring_slots=10, text_bytes=4096)
        fields = {f"f{i}": int for i in range(63)}
        wide = whence.kind("wide", component="Start", text=str, **fields)
        for n in range(100):
            wide(f"text {n} " + "x" * 5000, *range(n, n + 63))
    """)
    last = run.recording().events[-1]
    assert [last.attributes[f"f{i}"] for i in range(63)] == list(range(99, 99 + 63))
    assert str(last.attributes["text"]).startswith("text 99 xxx")
    assert last.truncated


@pytest.mark.parametrize(
    "settings",
    [
        {"ring_slots": 0},
        {"ring_slots": -1},
        {"ring_slots": (1 << 24) + 1},
        {"text_bytes": 0},
        {"text_bytes": 4095},
        {"text_bytes": (1 << 30) + 1},
    ],
)
def test_sizes_out_of_range_are_refused(settings: dict[str, int]) -> None:
    """A ring of no events, or one larger than any memory, is a ValueError. R0.36"""
    with pytest.raises(ValueError, match="must be from"):
        whence.start(**settings)  # type: ignore[arg-type]


def test_a_run_joins_processes_started_together(run_app: RunApp) -> None:
    """WHENCE_RUN gives sessions one run; what is no number is not used. R0.1"""
    runs = [
        run_app("import whence; print(whence.start().run)", env={"WHENCE_RUN": value})
        for value in ("1f", "1F", "not a number")
    ]
    numbers = [int(run.stdout) for run in runs]
    assert numbers[:2] == [0x1F, 0x1F]
    assert numbers[2] not in (0, 0x1F)


def test_a_relative_folder_means_where_the_session_began(run_app: RunApp) -> None:
    """A program that goes elsewhere later still records to, and reads, the same place. P15"""
    run = run_app(
        """
        import os, sys, whence
        os.chdir(os.path.dirname(sys.argv[0]))
        tick = whence.kind("tick", component="Start", n=int)
        tick(1)
        os.chdir("/")
        tick.disable()
        assert whence.session().path.is_dir()
        assert whence.collector().recording().gate_changes
        whence.TraceCollector(3).record_now("t", "C")
        """,
        env={"WHENCE_DIR": "whence"},
    )
    assert len(run.recording().events) == 2


def test_this_process_may_not_start_twice() -> None:
    """The test process itself records already. R0.35"""
    whence.kind("here", component="Start", n=int)(1)
    with pytest.raises(AlreadyStarted, match="before the first event"):
        whence.start()
    assert whence.session() == whence.session()
    assert os.environ["WHENCE_DIR"] == str(whence.session().path.parent)  # type: ignore[union-attr]


def test_a_folder_that_cannot_be_made_leaves_recording_in_memory(run_app: RunApp) -> None:
    """It says so once, and everything works but outliving the process. R0.2 R0.39"""
    run = run_app(
        """
        import whence
        tick = whence.kind("tick", component="Start", n=int, text=str)
        for n in range(3):
            tick(n, "x" * 100)
        session = whence.session()
        assert session.path is None and "/dev/null" in session.trouble
        events = whence.collector().query()
        assert [event.attributes["n"] for event in events] == [0, 1, 2]
        collector = whence.TraceCollector(2)
        for n in range(3):
            collector.record_now("t", "C", str(n))
        assert [event.rationale for event in collector] == ["1", "2"]
        """,
        env={"WHENCE_DIR": "/dev/null/nowhere"},
    )
    assert run.stderr.count("cannot record") == 1


def _description(run: AppRun) -> dict[str, object]:
    data = (run.session_dir / "session").read_bytes()
    text = data[layout.SESSION_TEXT_OFFSET :].split(b"\0", 1)[0]
    described: dict[str, object] = json.loads(text)
    return described


@pytest.mark.parametrize(
    ("name", "value"), [("WHENCE_RUN", "my run"), ("WHENCE_CAP_BYTES", "1 GiB")]
)
def test_a_setting_that_cannot_be_read_is_told_once(run_app: RunApp, name: str, value: str) -> None:
    """A misspelled variable is said on standard error, and recording goes on. R0.1 R1.12"""
    run = run_app(
        """
        import whence
        whence.kind("tick", component="C", n=int)(1)
        from whence.ring.byte_cap import cap_of
        cap_of("/")
        """,
        env={name: value},
    )
    assert run.stderr.count("\n") == 1
    assert f"{name}={value!r} is no" in run.stderr
    assert len(run.recording().events) == 1


def test_a_link_in_the_folder_s_place_is_told_in_plain_words(
    run_app: RunApp, tmp_path: Path
) -> None:
    """Whoever set WHENCE_DIR to a symbolic link reads what to do about it. R0.1"""
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    run = run_app(
        'import whence; whence.kind("tick", component="C", n=int)(1)',
        env={"WHENCE_DIR": str(tmp_path / "link")},
    )
    assert "a symbolic link" in run.stderr
    assert "set WHENCE_DIR to the folder itself" in run.stderr
    assert list((tmp_path / "target").iterdir()) == []


def test_kinds_beyond_the_dictionary_are_counted_and_told_once(run_app: RunApp) -> None:
    """A megabyte of declarations: the rest is recorded without a name, not unnoticed. R0.22 P11"""
    run = run_app("""
        import os, struct, whence
        session = whence.start()
        kinds = [whence.kind(f"k{n}", component="c" * 900, n=int) for n in range(1300)]
        for kind in kinds:
            kind(1)
        missing = whence.session().unnamed_kinds
        events = whence.collector().query()
        assert missing == sum(e.event_type.startswith("unknown-kind-") for e in events) > 0
        head = (session.path / "control").read_bytes()
        assert struct.unpack_from("<II", head, 0x38) == (missing, 0)
        assert whence.session().memory_rings == 0
        os.truncate(session.path / "control", 0)  # the process itself goes on knowing
        assert whence.session().unnamed_kinds == missing
        kinds[-1](1)
        whence.kind("last", component="c" * 900, n=int)
        assert whence.session().unnamed_kinds == missing + 1
    """)
    assert run.stderr.count("\n") == 1
    assert "no room for more names of kinds" in run.stderr


@pytest.mark.parametrize("imports", ["__init__.py", "__main__.py"])
def test_a_package_that_is_run_gives_its_name(imports: str, tmp_path: Path) -> None:
    """R0.24 `python -m shop` is called shop, wherever in it whence is imported first."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / imports).write_text("import whence\n")
    code = """
from pathlib import Path
import whence
from whence.ring.session_file import read_session_file
whence.kind("tick", component="Clock")()
print(read_session_file(Path(whence.session().path)).service)
"""
    with (package / "__main__.py").open("a") as file:
        file.write(code)
    sources = Path(whence.__file__).parent.parent
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WHENCE_", "OTEL_"))}
    env |= {"WHENCE_DIR": str(tmp_path / "sessions"), "PYTHONPATH": str(sources)}
    found = subprocess.run(
        [sys.executable, "-m", "shop"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert found.stdout == "shop\n", found.stderr
