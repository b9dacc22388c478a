"""The demo as its users run it: one command, an export that explains itself, honest figures."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from whence.demo import run as demo
from whence.demo.models import DemoNotInstalled, find_models, missing_packages
from whence.model.recording import Recording
from whence.query.chain import chains
from whence.query.contracts.completeness import completeness_share
from whence.query.contracts.declared import INFERENCE
from whence.query.outcome import outcome_of
from whence.receive.json_export import read_json_export

needs_models = pytest.mark.skipif(bool(missing_packages()), reason="needs whence[demo]")


@dataclass
class Ran:
    """One run of the demo in a process of its own."""

    text: str
    recording: Recording
    folder: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("demo")
    export = folder / "an-export-with-a-rather-long-name.json"
    done = subprocess.run(
        [sys.executable, "-m", "whence", "demo", "--seconds", "3", "--output", str(export)],
        env={**os.environ, "WHENCE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return Ran(done.stdout, read_json_export(export), folder)


@needs_models
def test_every_decision_can_be_reconstructed_from_the_export_alone(ran: Ran) -> None:
    """The process is gone; its export explains 100 % of hundreds of decisions. R0.1 R0.58"""
    share = completeness_share(ran.recording, INFERENCE)
    assert share.decisions >= 200
    assert share.reconstructible == share.decisions
    assert share.text == "100 %"
    assert re.search(r"Complete +100 % of [\d,]+ decisions", ran.text)


@needs_models
def test_nothing_is_lost_and_the_ledger_adds_up(ran: Ran) -> None:
    """Every ring's recorded events are in the export. R0.37"""
    assert sum(ring.lost for ring in ran.recording.rings) == 0
    assert sum(ring.recorded for ring in ran.recording.rings) == len(ran.recording.events)


@needs_models
def test_requests_end_in_every_way_and_each_ends_once(ran: Ran) -> None:
    """Overload rejects some and makes some late; a torn page is a fault; many are in time."""
    words = []
    for chain in chains(ran.recording):
        ends = [
            event
            for event in chain.events
            if event.event_type in ("execution_completed", "fault_recorded", "deadline_miss")
            or event.attributes.get("admitted") is False
        ]
        if any(event.event_type == "admission_decision" for event in chain.events):
            assert len(ends) == 1, chain.request_id
            words.append(outcome_of(chain.events).word)
    assert {"REJECTED:", "MET deadline"} <= set(words)
    assert "LATE" in words or " more than planned" in ran.text
    assert words.count("MET deadline") >= 20


@needs_models
def test_a_line_of_text_leads_back_to_its_page(ran: Ran) -> None:
    """Recognition is caused by direction, that by detection; each names the request before."""
    causes = {
        event.request_id: event.caused_by
        for event in ran.recording.events
        if event.event_type == "admission_decision"
    }
    models = {event.request_id: event.model_id for event in ran.recording.events}
    line = next(request for request, model in models.items() if model == "ocr_rec")
    turned = causes[line]
    page = causes[turned]
    assert (models[turned], models[page]) == ("ocr_cls", "ocr_det")
    assert causes[page] == ""


@needs_models
def test_a_rejected_and_a_late_request_are_explained_in_full(ran: Ran) -> None:
    """The report ends with whence why for both, or says that there was none."""
    asked = re.findall(r"^\$ whence why (req-\d+) --from", ran.text, re.MULTILINE)
    assert "REJECTED: " in ran.text
    assert len(asked) == 2 or "No request was late" in ran.text
    assert 'required by contract "inference"' in ran.text


@needs_models
def test_the_report_keeps_to_100_columns_and_says_what_to_type_next(ran: Ran) -> None:
    """No line is longer but commands, which are never cut; what to type next comes last."""
    prose = [text for text in ran.text.splitlines() if "--from" not in text and "/" not in text]
    assert [text for text in prose if len(text) > 100] == []
    assert "whence ls" in ran.text
    assert re.search(r"Cost +\d+ ns per event", ran.text)
    assert "own counts differ" not in ran.text


@needs_models
def test_the_session_outlives_the_demo(ran: Ran) -> None:
    """The folder that the process recorded into can still be asked why, as the report says."""
    typed = re.search(r"^  whence (why .* --session .*)$", ran.text, re.MULTILINE)
    assert typed is not None
    done = subprocess.run(
        [sys.executable, "-m", "whence", *shlex.split(typed[1])],
        env={**os.environ, "WHENCE_DIR": str(ran.folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "req-" in done.stdout


def test_without_its_packages_the_demo_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the pip line, with the names of what is missing."""
    monkeypatch.setattr(demo, "missing_packages", lambda: ["magika", "rapidocr"])
    assert demo.main([]) == 2
    message = capsys.readouterr().err
    assert "magika, rapidocr" in message
    assert "pip install 'whence[demo]'" in message


def test_a_missing_model_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a package that is not installed holds the line that installs it."""
    monkeypatch.setattr(
        "whence.demo.models._WANTED", {"none": ("no-such-package", re.compile("none"))}
    )
    with pytest.raises(DemoNotInstalled, match=r"no-such-package .* pip install 'whence"):
        find_models()


@pytest.mark.parametrize("wrong", [["--workers", "0"], ["--seconds", "0"], ["--seconds", "x"]])
def test_options_that_make_no_sense_are_refused(wrong: list[str]) -> None:
    """Exit code 2, before anything is loaded."""
    with pytest.raises(SystemExit) as refused:
        demo.main(wrong)
    assert refused.value.code == 2
