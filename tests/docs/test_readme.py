"""The README shows what one really sees."""

from __future__ import annotations

import re
from pathlib import Path

from tests.apps import output_of

README = (Path(__file__).parents[2] / "README.md").read_text()


def without_numbers(text: str) -> list[str]:
    """The words of a text; times and process ids differ from run to run."""
    return re.sub(r"\d+", "0", text).split()


def test_the_answer_in_the_readme_is_the_real_one(whence_dir: Path) -> None:
    """The example's answer is printed in the README as `whence why` prints it. R0.1"""
    program = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    answer = re.search(r"```text\n(req-17.*?)```", README, re.DOTALL)
    assert program is not None
    assert answer is not None
    (whence_dir.parent / "app.py").write_text(program[1])
    output_of("app.py", whence_dir=whence_dir)
    real = output_of("-m", "whence", "why", whence_dir=whence_dir)
    assert without_numbers(real) == without_numbers(answer[1])


def test_the_example_fits_twelve_lines() -> None:
    """Declaring, recording and asking takes a dozen lines."""
    program = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert program is not None
    assert len([line for line in program[1].splitlines() if line.strip()]) <= 12
