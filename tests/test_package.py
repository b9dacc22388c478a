"""What is packed: the source distribution can be built from, and says one version everywhere."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths inside a freshly made source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    command = ["setup.py", "-q", "egg_info", "--egg-base", folder, "sdist", "--dist-dir", folder]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
    (archive,) = folder.glob("whence-*.tar.gz")
    with tarfile.open(archive) as tar:
        return {name.partition("/")[2] for name in tar.getnames()}


def test_source_distribution_holds_all_that_the_build_reads(packed: set[str]) -> None:
    """Sources, headers and vendored headers of the native module are packed."""
    needed = {
        path.relative_to(ROOT).as_posix()
        for room in ("native/whence", "native/python", "native/vendor")
        for path in (ROOT / room).rglob("*")
        if path.is_file()
    }
    assert needed - packed == set()


def test_source_distribution_holds_the_whole_package(packed: set[str]) -> None:
    """Modules, stubs, the typing marker and data files are packed; built files are not."""
    needed = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src" / "whence").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    }
    assert "src/whence/py.typed" in needed
    assert needed - packed == set()
    assert [name for name in packed if name.endswith((".so", ".pyc"))] == []


def test_licences_are_packed(packed: set[str]) -> None:
    """The licence and the notices of vendored code travel along."""
    assert {"LICENSE", "NOTICE", "README.md", "CHANGELOG.md"} <= packed


def test_the_changelog_knows_the_version() -> None:
    """The version of the package has its section in the changelog."""
    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text()
