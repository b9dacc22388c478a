"""Our own figures: valid OpenMetrics, bounded, never falling, and scraped by real peers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.apps import AppRun
from tests.query.test_activity import LIVE, counters, reading, ring
from whence.cli.main import cli
from whence.cli.render.safe import safe
from whence.collect.live import Collected, LiveSessions, Reading
from whence.collect.sink_ledger import SinkLedger
from whence.export.metrics_server import MetricsServer, parse_address
from whence.export.openmetrics import (
    OPENMETRICS,
    PLAIN_TEXT,
    Family,
    Sample,
    content_type_for,
    render,
    visible,
)
from whence.export.own_metrics import DrainTimes, OwnMetrics
from whence.model.recording import KindCounts

parser = pytest.importorskip("prometheus_client.openmetrics.parser", reason="needs whence[test]")
older_parser = pytest.importorskip("prometheus_client.parser")
RunApp = Callable[..., AppRun]
HOSTILE = 'a"b\\c\nd{e="f"} # EOF\r\x00\ud800é'


class Readings(LiveSessions):
    """Gives the readings it was made of, one after the other, the last one for ever."""

    def __init__(self, *readings: Reading) -> None:
        self._readings = list(readings)

    def read(self) -> Reading:
        """The next."""
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]


def parsed(families: list[Family]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What a strict parser reads: values by sample name and labels."""
    found = {}
    for family in parser.text_string_to_metric_families(render(families)):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(
    found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str
) -> float:
    """One of them."""
    return found[name, frozenset(labels.items())]


def test_figures_are_those_of_the_counters() -> None:
    """Recorded, unrecorded by reason, lost, rings, fill, sinks and what is behind. R5.25"""
    ledger = SinkLedger(read=9, delivered=5, filtered=1, refused=1, expired=1, queued=1, lost=4)
    drains = DrainTimes()
    drains.add(0.25)
    drains.text_lost = 7
    now = reading(counters(ring(300, lost=200), ring(10, 1, idle=True)), collected=Collected({}, 4))
    own = OwnMetrics(Readings(now), lambda: {"otlp://h": ledger}, drains)
    found = parsed(own.families())
    kind = {"service": "demo", "event_type": "tick", "component": "x"}
    assert value(found, "whence_events_recorded_total", **kind) == 310
    assert value(found, "whence_events_unrecorded_total", **kind, reason="sampled_out") == 620
    assert value(found, "whence_events_lost_total", service="demo") == 200
    assert value(found, "whence_rings", service="demo", state="recording") == 1
    assert value(found, "whence_rings", service="demo", state="idle") == 1
    assert value(found, "whence_ring_fill_ratio", service="demo") == 1.0
    assert value(found, "whence_sessions", state="recording") == 1
    assert value(found, "whence_collector_behind_events") == 310
    for outcome, count in (("delivered", 5), ("filtered", 1), ("refused", 1), ("expired", 1)):
        assert (
            value(found, "whence_exporter_events_total", exporter="otlp://h", outcome=outcome)
            == count
        )
    assert value(found, "whence_exporter_queued", exporter="otlp://h") == 1
    assert value(found, "whence_exporter_lost_total", exporter="otlp://h") == 4
    assert value(found, "whence_drain_seconds_total") == 0.25
    assert value(found, "whence_drain_text_lost_total") == 7
    assert value(found, "otel_sdk_log_created_total") == 310
    exporter = {
        "otel_component_name": "otlp://h",
        "otel_component_type": "otlp_grpc_log_exporter",
    }
    assert value(found, "otel_sdk_exporter_log_exported_total", **exporter) == 5
    assert (
        value(found, "otel_sdk_exporter_log_exported_total", **exporter, error_type="rejected") == 1
    )
    assert value(found, "otel_sdk_exporter_log_inflight", **exporter) == 1


def test_counters_do_not_fall_when_a_session_is_removed() -> None:
    """What a removed session counted stays in the sums; a scraper sees no reset. R5.25"""
    other = replace(LIVE, uuid="u2")
    own = OwnMetrics(
        Readings(
            reading(counters(ring(100, lost=7)), counters(ring(50), info=other)),
            reading(counters(ring(60), info=other)),
            reading(),
        )
    )
    kind = {"service": "demo", "event_type": "tick", "component": "x"}
    seen = []
    for _ in range(3):
        found = parsed(own.families())
        seen.append(
            (
                value(found, "whence_events_recorded_total", **kind),
                value(found, "whence_events_lost_total", service="demo"),
            )
        )
    assert seen == [(150, 7), (160, 7), (160, 7)]


def test_what_went_unread_with_its_ring_is_lost() -> None:
    """Less what a collector had come to; a removed ring counts once, and nothing falls. R5.25"""
    both = counters(ring(300, 0, lost=200), ring(30, 1))
    one = replace(counters(ring(30, 1)), removed_events=300)

    def lost(*readings: Reading) -> list[float]:
        own = OwnMetrics(Readings(*readings))
        return [
            value(parsed(own.families()), "whence_events_lost_total", service="demo")
            for _ in readings
        ]

    assert lost(reading(both), reading(one)) == [200, 300]
    assert lost(reading(one), reading()) == [300, 300]
    read_all = Collected({LIVE.uuid: {0: 300, 1: 30}}, 0)
    read_some = Collected({LIVE.uuid: {0: 120, 1: 30}}, 0)
    assert lost(reading(one, collected=read_some)) == [180]
    assert lost(reading(both, collected=read_all), reading(one, collected=read_all)) == [200, 200]
    info = replace(LIVE, unnamed_kinds=2, memory_rings=3)
    found = parsed(OwnMetrics(Readings(reading(counters(info=info)))).families())
    assert value(found, "whence_unnamed_kinds") == 2
    assert value(found, "whence_memory_rings") == 3


def test_families_are_capped_and_the_rest_is_one_series() -> None:
    """Made-up names fill no scraper: beyond the cap they are summed up, and stay so. R5.25"""
    many = replace(
        ring(0), per_kind=tuple(KindCounts(f"type-{n}", "x", recorded=1) for n in range(50))
    )
    own = OwnMetrics(Readings(reading(counters(many))), most_series=10)
    for _ in range(2):
        found = parsed(own.families())
        recorded = {key: n for key, n in found.items() if key[0] == "whence_events_recorded_total"}
        assert len(recorded) == 11
        overflow = ("whence_events_recorded_total", frozenset({("otel_metric_overflow", "true")}))
        assert recorded[overflow] == 40


def test_hostile_names_stay_inside_their_quotes() -> None:
    """Quotes, backslashes, line breaks, NUL and half surrogates in names. R5.25"""
    hostile = replace(ring(0), per_kind=(KindCounts(HOSTILE, HOSTILE, recorded=3),))
    own = OwnMetrics(Readings(reading(counters(hostile, info=replace(LIVE, service=HOSTILE)))))
    found = parsed(own.families())
    name = 'a"b\\c\nd{e="f"} # EOF\\x0d\\x00\\ud800é'
    labels = {"service": name, "event_type": name, "component": name}
    assert value(found, "whence_events_recorded_total", **labels) == 3


ANY_TEXT = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cs", "Zl", "Zp"]),
        st.sampled_from('\\"\n{}=,# x1b'),
    ),
    max_size=12,
)


@given(st.lists(st.tuples(ANY_TEXT, st.integers(0, 2**63)), unique_by=lambda p: visible(p[0])))
def test_any_label_value_reads_back(pairs: list[tuple[str, int]]) -> None:
    """What is written is what a strict parser reads, whatever the text. R5.25"""
    samples = tuple(Sample((("a", text),), count) for text, count in pairs)
    found = parsed([Family("whence_x", "counter", "Help.", samples)])
    assert found == {
        ("whence_x_total", frozenset({("a", visible(text))} if text else ())): count
        for text, count in pairs
    }


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT, ANY_TEXT, st.booleans()), max_size=4), ANY_TEXT)
def test_names_of_any_sort_are_valid_to_every_reader(
    names: list[tuple[str, str, str, bool]], exporter: str
) -> None:
    """Readers that end lines at CR, NEL or U+2028, too; no series comes twice. R5.25"""
    sessions = [
        counters(
            replace(ring(3, idle=idle), per_kind=(KindCounts(kind, component, 3, nested=1),)),
            info=replace(LIVE, uuid=f"u{n}", service=service),
        )
        for n, (service, kind, component, idle) in enumerate(names)
    ]
    own = OwnMetrics(Readings(reading(*sessions)), lambda: {exporter: SinkLedger(read=1)})
    families = own.families()
    for content_type, read in (
        (OPENMETRICS, parser.text_string_to_metric_families),
        (PLAIN_TEXT, older_parser.text_string_to_metric_families),
    ):
        for spell in (str, safe):
            text = render(families, content_type, spell).encode().decode()
            assert text.splitlines() == text.split("\n")[:-1]
            samples = [sample for family in read(text) for sample in family.samples]
            series = [(sample.name, frozenset(sample.labels.items())) for sample in samples]
            assert spell is safe or len(set(series)) == len(series)
            recorded = (s.value for s in samples if s.name == "whence_events_recorded_total")
            assert sum(recorded) == 3 * len(names)
            assert spell is str or all(line == safe(line) for line in text.splitlines())


def test_the_format_is_what_the_scraper_asks_for() -> None:
    """OpenMetrics where it is accepted, else the older text. R5.25"""
    prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0"
    assert content_type_for(prometheus) == OPENMETRICS
    assert content_type_for("text/plain") == PLAIN_TEXT
    assert content_type_for("") == PLAIN_TEXT
    assert content_type_for("application/openmetrics-text;version=2.0.0") == PLAIN_TEXT
    assert content_type_for("application/openmetrics-text;q=0, text/plain") == PLAIN_TEXT
    family = Family("whence_x", "counter", 'Says "x".', (Sample((), 1.5),))
    assert render([family]) == (
        '# TYPE whence_x counter\n# HELP whence_x Says \\"x\\".\nwhence_x_total 1.5\n# EOF\n'
    )
    assert render([family], PLAIN_TEXT) == (
        '# HELP whence_x_total Says "x".\n# TYPE whence_x_total counter\nwhence_x_total 1.5\n'
    )


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    """A server of one session's figures."""
    own = OwnMetrics(Readings(reading(counters(ring(3)))))
    with MetricsServer(own.families) as running:
        yield running


def get(server: MetricsServer, path: str, **headers: str) -> tuple[int, str, str]:
    """Status, content type and body."""
    host, port = server.address
    request = urllib.request.Request(f"http://{host}:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, "", ""


def test_the_server_answers_scrapes_on_the_loopback(server: MetricsServer) -> None:
    """One path, two formats, 404 for all else. R5.25"""
    assert server.address[0] == "127.0.0.1"
    status, kind, body = get(server, "/metrics", Accept="application/openmetrics-text")
    assert (status, kind) == (200, OPENMETRICS)
    assert body.endswith("# EOF\n")
    status, kind, body = get(server, "/metrics?x=1")
    assert (status, kind) == (200, PLAIN_TEXT)
    assert "# EOF" not in body
    assert get(server, "/")[0] == 404


def test_a_server_that_fails_once_goes_on() -> None:
    """An error while reading is a 500 without details, and the next scrape is answered. R5.25"""
    answers: Iterator[list[Family]] = iter([[], [Family("a", "gauge", "h", (Sample((), 1),))]])

    def families() -> list[Family]:
        found = next(answers)
        if not found:
            raise RuntimeError("secret path")
        return found

    with MetricsServer(families) as running:
        assert get(running, "/metrics")[0] == 500
        assert get(running, "/metrics")[0] == 200


def test_addresses_are_host_and_port() -> None:
    """A port alone is on the loopback; what is no address is refused. R5.25"""
    assert parse_address("127.0.0.1:9464") == ("127.0.0.1", 9464)
    assert parse_address(":0") == ("127.0.0.1", 0)
    assert parse_address("9464") == ("127.0.0.1", 9464)
    assert parse_address("[::1]:9464") == ("::1", 9464)
    for wrong in ("", "host", "host:x", "h:70000"):
        with pytest.raises(ValueError, match="no address"):
            parse_address(wrong)


def test_the_command_prints_them_once(run_app: RunApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """whence metrics reads what is here; valid to the last line. R5.25"""
    run = run_app("import whence; whence.kind('tick', component='x', n=int)(1)")
    monkeypatch.setenv("WHENCE_DIR", str(run.whence_dir))
    printed = CliRunner().invoke(cli, ["metrics"])
    assert printed.exit_code == 0
    text = printed.output
    samples = [s for f in parser.text_string_to_metric_families(text) for s in f.samples]
    (recorded,) = (s for s in samples if s.name == "whence_events_recorded_total")
    assert recorded.labels["event_type"] == "tick"
    assert recorded.value == 1


def test_a_terminal_gets_no_control_characters(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Escapes of hostile names are shown, not obeyed, and the text is still valid. R5.25"""
    run = run_app("import whence; whence.kind('a\\x1b[2J\\u202eb\\rc', component='x')()")
    monkeypatch.setenv("WHENCE_DIR", str(run.whence_dir))
    piped = CliRunner().invoke(cli, ["metrics"]).output
    primary, secondary = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "whence", "metrics"], stdout=secondary, stdin=secondary
    ) as running:
        os.close(secondary)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while part := os.read(primary, 65536):
                shown += part
    os.close(primary)
    assert running.returncode == 0
    text = shown.replace(b"\r\n", b"\n").decode()
    assert all(line == safe(line) for line in text.split("\n"))
    for output, name in ((text, r"a\x1b[2J\u202eb\x0dc"), (piped, "a\\x1b[2J\u202eb\\x0dc")):
        samples = [s for f in parser.text_string_to_metric_families(output) for s in f.samples]
        (recorded,) = (s for s in samples if s.name == "whence_events_recorded_total")
        assert recorded.labels["event_type"] == name


def program(name: str) -> str:
    """A program of Prometheus: on the path or in $WHENCE_PROMETHEUS; else the test is skipped."""
    folder = os.environ.get("WHENCE_PROMETHEUS", "")
    found = shutil.which(name, path=folder or None)
    if found is None:
        pytest.skip(f"{name} is not here; put its folder into WHENCE_PROMETHEUS")
    return found


def test_promtool_finds_nothing_to_say() -> None:
    """Prometheus' own linter accepts names, types and help texts. R5.25"""
    ledger = SinkLedger(read=1, delivered=1)
    own = OwnMetrics(Readings(reading(counters(ring(3)))), lambda: {"file:///x": ledger})
    text = render(own.families(), PLAIN_TEXT)
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_real_prometheus_scrapes_and_stores_them(server: MetricsServer, tmp_path: Path) -> None:
    """Debian's Prometheus finds the target up and answers with our counts. R5.25"""
    prometheus = program("prometheus")
    host, port = server.address
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": "whence", "static_configs": [{"targets": [f"{host}:{port}"]}]}
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    with MetricsServer(list) as unused:  # for a port that is free
        listen = f"127.0.0.1:{unused.address[1]}"
    running = subprocess.Popen(
        [
            prometheus,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address={listen}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        query = f"http://{listen}/api/v1/query?query=whence_events_recorded_total"
        end = time.monotonic() + 60
        result: list[dict[str, object]] = []
        while not result and time.monotonic() < end:
            time.sleep(0.2)
            try:
                with urllib.request.urlopen(query, timeout=5) as answer:
                    result = json.load(answer)["data"]["result"]
            except OSError:
                continue
        assert [found["value"][1] for found in result] == ["3"]
    finally:
        running.terminate()
        running.wait(20)
