"""The pages keep their word: paths exist, links lead somewhere, examples run as printed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WHENCE = Path(sys.executable).parent / "whence"

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)
_PATH = re.compile(r"(?:\.ci|benchmarks|docs|examples|native|src|tests|tools)/[\w./*-]*")

# A Python block that starts with an import is a whole program and is run; others are fragments.
_PROGRAM = re.compile(r"(?:import|from) \w")
_EXPECTED = re.compile(r"^\s*#> ?(.*)$", re.MULTILINE)


class Program(NamedTuple):
    """A runnable block of a page."""

    page: Path
    line: int
    text: str


def shown(thing: Path | Program) -> str:
    """How a page or an example is called in a failure."""
    if isinstance(thing, Program):
        return f"{shown(thing.page)}:{thing.line}"
    return thing.relative_to(ROOT).as_posix()


def programs() -> list[Program]:
    """Every whole Python program printed in a page."""
    return [
        Program(page, text.count("\n", 0, block.start()) + 1, block[2])
        for page in PAGES
        if page.exists()
        for text in [page.read_text()]
        for block in _FENCE.finditer(text)
        if block[1] == "python" and _PROGRAM.match(block[2])
    ]


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_paths_named_in_a_page_exist(page: Path) -> None:
    """A file or folder of ours that a page names is there."""
    prose = _FENCE.sub("", page.read_text())
    named = [
        path[0].rstrip(".") for code in _INLINE.findall(prose) for path in _PATH.finditer(code)
    ]
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    """A link within the project names a file, and a heading that the file has."""
    dead = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (heading and heading not in _anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("program", programs(), ids=shown)
def test_programs_in_the_pages_run_as_printed(program: Program, whence_dir: Path) -> None:
    """A printed program runs, and prints what its `#>` lines say."""
    finished = _run_python(program.text, whence_dir)
    assert finished.returncode == 0, finished.stderr
    expected = _EXPECTED.findall(program.text)
    if expected:
        assert finished.stdout.splitlines() == expected


def test_readme_example_is_answered_by_why(whence_dir: Path) -> None:
    """The first program of the README leaves a recording that `whence why` explains. R5.11 R0.49"""
    finished = _run_python(_readme_example(), whence_dir)
    assert finished.returncode == 0, finished.stderr
    answer = _why(whence_dir)
    for word in ("req-17", "scheduling_decision", "8.4 ms to its deadline", "execution_completed"):
        assert word in answer


def test_kill_minus_nine_changes_nothing_in_the_answer(whence_dir: Path, tmp_path: Path) -> None:
    """The README's program killed in its last line is explained just as well. R5.1"""
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    killed = _run_python(_readme_example() + "\nimport os\nos.kill(os.getpid(), 9)\n", other)
    assert killed.returncode == -signal.SIGKILL
    _run_python(_readme_example(), whence_dir)
    assert _timeless(_why(other)) == _timeless(_why(whence_dir))


def test_readme_names_the_commands_to_start_with() -> None:
    """The README says how to set up, to test and to see the demo."""
    text = (ROOT / "README.md").read_text()
    assert [word for word in ("make test", "make demo", "whence why") if word not in text] == []


def test_every_page_is_reachable_from_the_readme() -> None:
    """A page that nothing links to is lost; each can be reached by links from the README."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        links = (link.partition("#")[0] for link in _LINK.findall(page.read_text()))
        waiting += [(page.parent / link).resolve() for link in links if ":" not in link]
    assert [shown(page) for page in PAGES if page not in reached] == []


def test_every_public_name_is_in_the_pages() -> None:
    """What `whence` exports is named in some page. R0.59"""
    import whence

    text = "\n".join(page.read_text() for page in PAGES)
    assert [name for name in whence.__all__ if not re.search(rf"\b{name}\b", text)] == []


def _readme_example() -> str:
    return next(program.text for program in programs() if program.page.name == "README.md")


def _run_python(text: str, whence_dir: Path) -> subprocess.CompletedProcess[str]:
    app = whence_dir.parent / "app.py"
    app.write_text(text)
    return subprocess.run(
        [sys.executable, str(app)],
        cwd=app.parent,
        env={**os.environ, "WHENCE_DIR": str(whence_dir)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def _why(whence_dir: Path) -> str:
    finished = subprocess.run(
        [str(WHENCE), "why"],
        env={**os.environ, "WHENCE_DIR": str(whence_dir)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert finished.returncode in (0, 3), finished.stderr
    return finished.stdout


def _timeless(answer: str) -> str:
    """The answer without what differs from run to run: numbers and the room they take."""
    return re.sub(r"\s+", " ", re.sub(r"\d+", "0", answer))


def _anchors(page: Path) -> set[str]:
    """The headings of a page as the links to them are written."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}
