"""The pytest plugin: it fails what is incomplete, tells why, and leaves all other tests alone."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps import output_of

pytest_plugins = ["pytester"]

Run = Callable[..., str]

KINDS = """
import pytest, whence
from whence.query.contracts.declared import INFERENCE

opened = whence.kind("opened", component="Desk", n=int)
closed = whence.kind("closed", component="Desk", n=int)
WORK = whence.Contract("work", "opened", [whence.End("closed")])

def work(name, *, close=True):
    with whence.request(name):
        opened(1)
        if close:
            closed(1)
"""
CONTRACTS = '[[contract]]\nname = "desk"\nopens = "opened"\nends = ["closed"]\n'


@pytest.fixture
def outcome(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs tests in a process of their own, with this plugin and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "sessions"))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "src"))

    def run(tests: str, *options: str, **expected: int) -> str:
        pytester.makepyfile(KINDS + tests)
        found = pytester.runpytest_subprocess(
            "-p", "pytest_whence", "-p", "no:cacheprovider", "--strict-markers", *options
        )
        found.assert_outcomes(**expected)
        return found.stdout.str()

    return run


def test_a_marked_test_fails_when_a_chain_is_incomplete(outcome: Run) -> None:
    """R5.12 R5.16 The failure names the chain, what it lacks and where to look."""
    text = outcome(
        """
@pytest.mark.whence_contract(WORK)
def test_whole():
    work("req-1")

@pytest.mark.whence_contract(WORK)
def test_half():
    work("req-2")
    work("req-3", close=False)
""",
        passed=1,
        failed=1,
    )
    assert "chains recorded by this test are incomplete" in text
    assert "work  2 chains  1 complete (50.00 %)  FAILED" in text
    assert "req-3: no closed (not recorded)" in text
    assert "First: whence why req-3 --session " in text
    assert "req-2:" not in text


def test_each_test_answers_for_its_own_events(outcome: Run) -> None:
    """R5.12 An id used again is one chain a test; what a fixture records belongs to it."""
    outcome(
        """
@pytest.fixture
def begun():
    with whence.request("req-1"):
        opened(1)

@pytest.mark.whence_contract(WORK)
def test_fails():
    work("req-1", close=False)

@pytest.mark.whence_contract(WORK)
def test_passes():
    work("req-1")

@pytest.mark.whence_contract(WORK)
def test_passes_with_its_fixture(begun):
    with whence.request("req-1"):
        closed(1)

@pytest.mark.whence_contract(WORK)
def test_fails_with_its_fixture(begun):
    pass
""",
        passed=2,
        failed=2,
    )


def test_tests_that_are_not_marked_or_record_nothing_are_left_alone(outcome: Run) -> None:
    """R5.12 No mark, no check; no chain under the contract, nothing to fail."""
    outcome(
        """
def test_not_marked():
    work("req-1", close=False)

@pytest.mark.whence_contract(WORK)
def test_records_nothing():
    pass

@pytest.mark.whence_contract("inference")
def test_of_another_contract():
    work("req-2", close=False)

@pytest.mark.whence_contract(WORK)
@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    work("req-3", close=False)
""",
        passed=3,
        xfailed=1,
    )


def test_a_test_that_fails_by_itself_keeps_its_own_failure(outcome: Run) -> None:
    """R5.12 The chain of a test that raised is incomplete for a reason that is told already."""
    text = outcome(
        """
@pytest.mark.whence_contract(WORK)
def test_raises():
    work("req-1", close=False)
    assert 1 == 2
""",
        failed=1,
    )
    assert "assert 1 == 2" in text
    assert "incomplete" not in text


def test_all_tests_are_checked_on_request(outcome: Run, pytester: pytest.Pytester) -> None:
    """R5.12 --whence-verify with contracts of a file; a mark leaves a test out."""
    Path(pytester.path, "contracts.toml").write_text(CONTRACTS)
    tests = """
def test_half():
    work("req-1", close=False)

@pytest.mark.no_whence_contract
def test_left_out():
    work("req-2", close=False)

def test_whole():
    work("req-3")
"""
    outcome(tests, "--whence-verify", "--whence-contracts", "contracts.toml", passed=2, failed=1)
    outcome(tests, passed=3)


def test_the_configuration_file_says_the_same(outcome: Run, pytester: pytest.Pytester) -> None:
    """R5.12 whence_verify and whence_contracts, relative to the file; marks name its contracts."""
    Path(pytester.path, "contracts.toml").write_text(CONTRACTS)
    pytester.makeini("[pytest]\nwhence_verify = true\nwhence_contracts = contracts.toml\n")
    outcome(
        """
def test_half():
    work("req-1", close=False)

@pytest.mark.whence_contract("desk")
def test_named():
    work("req-2", close=False)

@pytest.mark.whence_contract("inference")
def test_of_another_contract():
    work("req-3", close=False)
""",
        passed=1,
        failed=2,
    )


def test_what_may_be_lost_passes_unless_strict(outcome: Run) -> None:
    """R5.12 R5.16 A ring that is too small for a test explains what is not there."""
    text = outcome(
        """
noise = whence.kind("noise", component="Desk", n=int)
whence.start(ring_slots=16)

def busy():
    with whence.request("req-1"):
        opened(1)
        for n in range(100):
            noise(n)
        closed(1)

@pytest.mark.whence_contract(WORK)
def test_lenient():
    busy()

@pytest.mark.whence_contract(WORK, strict=True)
def test_strict():
    busy()
""",
        passed=1,
        failed=1,
    )
    assert "possibly lost" in text
    assert "86 events were overwritten" in text


def test_a_mark_that_makes_no_sense_is_an_error(outcome: Run) -> None:
    """R5.12 A misspelled contract or option does not pass for one that covers nothing."""
    text = outcome(
        """
@pytest.mark.whence_contract("inferense")
def test_misspelled():
    work("req-1")
""",
        failed=1,
    )
    assert "no contract is called 'inferense'" in text


def test_the_fixture_gives_what_the_test_recorded(outcome: Run) -> None:
    """R5.12 Events, a verification and why, of this test alone; collectors that ended included."""
    outcome(
        """
import threading

def test_before():
    work("req-0")

def test_events(whence_recording):
    assert whence_recording.events == ()
    work("req-1", close=False)
    thread = threading.Thread(target=work, args=("req-2",))
    thread.start()
    thread.join()
    assert {event.request_id for event in whence_recording.events} == {"req-1", "req-2"}
    assert whence_recording.verify(WORK).first == "req-1"
    assert whence_recording.why("req-2").event_count == 2
    rings = whence_recording.recording().rings
    assert sum(ring.recorded for ring in rings) == 3
    assert all(ring.closes for ring in rings)

def test_collectors(whence_recording):
    ring = whence.TraceCollector(10)
    ring.record_now("opened", "Desk", request_id="req-9")
    ring.clear()
    ring.record_now("closed", "Desk", request_id="req-9")
    del ring
    recording = whence_recording.recording()
    assert [event.event_type for event in recording.events] == ["closed"]
    assert all(ring.closes for ring in recording.rings)
""",
        passed=3,
    )


def test_the_fixture_can_be_asked_for_by_name(outcome: Run) -> None:
    """R5.12 From then on it gives what is recorded."""
    outcome(
        """
def test_later(request):
    work("req-1")
    recorded = request.getfixturevalue("whence_recording")
    work("req-2")
    assert {event.request_id for event in recorded.events} == {"req-2"}
""",
        passed=1,
    )


def test_it_works_in_many_processes(outcome: Run) -> None:
    """R5.12 With xdist each worker checks the tests it runs."""
    pytest.importorskip("xdist")
    text = outcome(
        """
@pytest.mark.whence_contract(WORK)
@pytest.mark.parametrize("n", range(6))
def test_work(n):
    work("req-1", close=n != 3)
""",
        "-p",
        "xdist.plugin",
        "-n",
        "2",
        passed=5,
        failed=1,
    )
    assert "req-1: no closed (not recorded)" in text


def test_loading_the_plugin_imports_nothing_of_whence(tmp_path: Path) -> None:
    """R5.12 Tests that ask for nothing pay nothing, and conftest files come before whence."""
    program = "import sys, pytest_whence; print('whence' in sys.modules)"
    assert output_of("-c", program, whence_dir=tmp_path / "whence").split() == ["False"]


def test_pytest_finds_the_plugin_by_itself() -> None:
    """R5.12 The entry point leads to the module."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"whence": "pytest_whence"}
