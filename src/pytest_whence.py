"""The pytest plugin of whence: a test fails if the chains recorded during it are incomplete."""

# It stands beside the package, so that pytest loads it without importing whence: only tests that
# ask for something do, once conftest files have had their say on WHENCE_DIR and the like.

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from whence.in_tests import Recorded

__all__ = [
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_call",
    "pytest_runtest_setup",
    "whence_recording",
]

_MARK = "whence_contract"
_NO_MARK = "no_whence_contract"
_FIXTURE = "whence_recording"
_MARKS = (
    f"{_MARK}(*contracts, strict=False): fail if chains recorded during the test are incomplete "
    "under these contracts (values, names or paths of TOML files), by default all",
    f"{_NO_MARK}: leave the test out where --whence-verify asks for all",
)

_recorded = pytest.StashKey["Recorded"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """--whence-verify and --whence-contracts, and the same in the configuration file."""
    verify = "Fail every test whose recorded chains are incomplete."
    contracts = "A contracts.toml to hold chains to, before the built-in contracts."
    group = parser.getgroup("whence")
    group.addoption("--whence-verify", action="store_true", help=verify)
    group.addoption("--whence-contracts", metavar="FILE", help=contracts)
    parser.addini("whence_verify", verify, type="bool", default=False)
    parser.addini("whence_contracts", f"{contracts} Relative to the configuration file.")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks, so that --strict-markers knows them."""
    for text in _MARKS:
        config.addinivalue_line("markers", text)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember where the test begins to record, before its fixtures do."""
    if _mark(item) is not None or _FIXTURE in getattr(item, "fixturenames", ()):
        item.stash[_recorded] = _from_now_on(item.config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test that has passed, if a chain that it recorded is incomplete."""
    result = yield
    mark = _mark(item)
    if mark is not None and (told := _failure(item.stash[_recorded], mark)):
        pytest.fail(told, pytrace=False)
    return result


@pytest.fixture
def whence_recording(request: pytest.FixtureRequest) -> Recorded:
    """What this process has recorded since the test began, its fixtures included."""
    if _recorded not in request.node.stash:  # asked for by name, when the test had begun
        request.node.stash[_recorded] = _from_now_on(request.config)
    found: Recorded = request.node.stash[_recorded]
    return found


def _failure(recorded: Recorded, mark: pytest.Mark) -> str:
    from whence.model.errors import ContractError

    try:
        told = recorded.failure(*mark.args, **mark.kwargs)
    except ContractError as error:  # a name or a file in the mark
        return f"{_MARK}: {error}"
    return f"chains recorded by this test are incomplete\n{told}" if told else ""


def _mark(item: pytest.Item) -> pytest.Mark | None:
    """The mark that says to what the test's chains are held; None if they are not."""
    if item.get_closest_marker(_NO_MARK):
        return None
    if mark := item.get_closest_marker(_MARK):
        return mark
    wanted = item.config.getoption("--whence-verify") or item.config.getini("whence_verify")
    return pytest.mark.whence_contract().mark if wanted else None


def _from_now_on(config: pytest.Config) -> Recorded:
    from whence.in_tests import Recorded

    return Recorded(_contracts_file(config))


def _contracts_file(config: pytest.Config) -> Path | str | None:
    if given := config.getoption("--whence-contracts"):
        return str(given)
    named = config.getini("whence_contracts")
    beside = config.inipath.parent if config.inipath else config.rootpath
    return beside / named if named else None
