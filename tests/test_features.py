"""The feature list: every line of the groups that are done has a test, and no test names air."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import features

ROOT = Path(__file__).resolve().parent.parent
DONE = ("R0", "R1", "R3")
# names what later groups add to the collector, and promises nothing itself
SIGNPOSTS = {"R0.4"}
SIZES = {"R0": 60, "R1": 60, "R2": 35, "R3": 46, "R4": 69, "R5": 28}


def test_list_numbers_every_line_of_every_group() -> None:
    """The list holds each group's lines, numbered from one without a hole."""
    expected = [f"{group}.{n}" for group, size in SIZES.items() for n in range(1, size + 1)]
    assert [line.name for line in features.lines(ROOT)] == expected


def test_lines_are_short() -> None:
    """A line says in twelve words at most what is promised."""
    assert [line for line in features.lines(ROOT) if len(line.text.split()) > 12] == []


@pytest.mark.parametrize("group", DONE)
def test_every_line_of_a_finished_group_has_a_test(group: str) -> None:
    """Each line of the collector, the hot path and the runtime interface is named."""
    mentions = features.collect(ROOT)
    mine = [line for line in features.lines(ROOT) if line.name.startswith(f"{group}.")]
    named = {*mentions, *SIGNPOSTS}
    assert [line for line in mine if line.name not in named] == []


def test_no_test_names_a_line_that_is_not_there() -> None:
    """A mistyped line number in a test is found."""
    known = {line.name for line in features.lines(ROOT)}
    assert sorted(set(features.collect(ROOT)) - known) == []


def test_mentions_come_from_docstrings_and_cpp_comments(tmp_path: Path) -> None:
    """Docstrings of tests and comments in C++ count; other text does not."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "native" / "tests").mkdir(parents=True)
    (tmp_path / "tests" / "test_a.py").write_text(
        'def test_a():\n    """Holds. R0.1 R0.2"""\n    "R0.3"\n\ndef other():\n    """R0.4"""\n'
    )
    (tmp_path / "native" / "tests" / "ring.cpp").write_text(
        '// proves R1.1\nauto x = "R1.2"; /* and\nR1.3 */\n'
    )
    assert features.collect(tmp_path) == {
        "R0.1": [features.Mention("tests/test_a.py", "test_a")],
        "R0.2": [features.Mention("tests/test_a.py", "test_a")],
        "R1.1": [features.Mention("native/tests/ring.cpp", "")],
        "R1.3": [features.Mention("native/tests/ring.cpp", "")],
    }
