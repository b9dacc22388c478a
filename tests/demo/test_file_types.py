"""The file type model's input and verdict, held against the package that the model comes from."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime")
magika = pytest.importorskip("magika")

import numpy as np  # noqa: E402

from whence.demo.file_types import FileTypeModel, FileVerdict  # noqa: E402
from whence.demo.models import find_models  # noqa: E402

ODD_CONTENTS = {
    "empty": b"",
    "seven-bytes": b"abcdefg",
    "eight-bytes": b"abcdefgh",
    "white": b" \t\r\n\x0b\x0c" * 40,
    "few-in-white": b" " * 100 + b"ab" + b"\n" * 100,
    "few-no-text": b"\xff\xfe\x80",
    "late-start": b" " * 5000 + b"import os\n" * 300,
    "one-block": b"x = 1\n" * 682 + b"####",
    "block-and-one": b"{}" * 2048 + b"\n",
    "all-bytes": bytes(range(256)) * 33,
    "nothing-but-zero": bytes(10_000),
    "latin": "Müßiggang ist aller Laster Anfang. ".encode("latin-1") * 20,
}


class ModelReader:
    """Runs the model on a file with the demo's own input and verdict."""

    def __init__(self) -> None:
        import onnxruntime

        path = find_models()["magika"].path
        self.model = FileTypeModel(path)
        self.session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def __call__(self, path: Path) -> FileVerdict:
        numbers = np.empty((1, self.model.input_size), np.int32)
        known = self.model.prepare(path, numbers)
        if known is not None:
            return known
        (scores,) = self.session.run(None, {"bytes": numbers})
        return self.model.verdict(scores[0])


@pytest.fixture(scope="module")
def read() -> ModelReader:
    return ModelReader()


@pytest.fixture(scope="module")
def reference() -> Any:
    return magika.Magika()


def some_files() -> Iterator[Path]:
    """Up to four files of each suffix in the standard library and the installed packages."""
    seen: dict[str, int] = {}
    for root in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "/usr/share"):
        for path in sorted(Path(root).glob("*/*"))[:3000]:
            if path.is_file() and seen.setdefault(path.suffix, 0) < 4:
                seen[path.suffix] += 1
                yield path


def test_every_file_gets_the_label_and_score_that_the_models_own_package_gives(
    read: ModelReader, reference: Any
) -> None:
    """Over at least 50 real files of many types, label and score equal Magika().identify_path."""
    paths = list(some_files())
    assert len(paths) >= 50
    assert len({path.suffix for path in paths}) >= 10
    for path in paths:
        theirs = reference.identify_path(path)
        ours = read(path)
        assert ours.label == str(theirs.output.label), path
        assert ours.score == pytest.approx(theirs.score, abs=1e-4), path


@pytest.mark.parametrize("name", sorted(ODD_CONTENTS))
def test_odd_contents_get_the_label_that_the_models_own_package_gives(
    name: str, read: ModelReader, reference: Any, tmp_path: Path
) -> None:
    """Empty, tiny, blank and binary files, and those at the edge of a block, agree as well."""
    path = tmp_path / name
    path.write_bytes(ODD_CONTENTS[name])
    assert read(path).label == str(reference.identify_path(path).output.label)


def test_a_file_that_is_not_there_raises_an_os_error(read: ModelReader, tmp_path: Path) -> None:
    """What cannot be read is an OSError, which the runtime records as a fault."""
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "gone")
