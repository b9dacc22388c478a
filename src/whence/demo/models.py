"""Finds the real ONNX models inside the installed packages that ship them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from whence.model.errors import WhenceError

__all__ = [
    "INSTALL_LINE",
    "DemoNotInstalled",
    "ModelFile",
    "find_models",
    "missing_packages",
    "read_metadata",
]

INSTALL_LINE = "pip install 'whence[demo]'"

# Import name -> distribution name, of everything that the demo calls or reads files from.
_PACKAGES = {
    "click": "click",
    "rich": "rich",
    "numpy": "numpy",
    "PIL": "pillow",
    "onnxruntime": "onnxruntime",
    "magika": "magika",
    "rapidocr": "rapidocr",
}

# Model name -> (distribution, path inside it). Versions of rapidocr ship other sizes of the same
# networks, so the files are recognised by the part of the name that says what they are for.
_WANTED = {
    "magika": ("magika", re.compile(r"magika/models/[^/]+/model\.onnx")),
    "ocr_det": ("rapidocr", re.compile(r"rapidocr/models/[^/]*_det_[^/]*\.onnx")),
    "ocr_cls": ("rapidocr", re.compile(r"rapidocr/models/[^/]*_cls_[^/]*\.onnx")),
    "ocr_rec": ("rapidocr", re.compile(r"rapidocr/models/[^/]*_rec_[^/]*\.onnx")),
}


class DemoNotInstalled(WhenceError, ImportError):
    """A package that the demo runs on, or a model inside one, is not there."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model as it lies on this machine: its name here, its file, and who shipped it."""

    name: str
    path: Path
    package: str
    version: str


def missing_packages() -> list[str]:
    """The distributions that are not installed, by name; nothing is imported to find out."""
    return [dist for module, dist in _PACKAGES.items() if importlib.util.find_spec(module) is None]


def find_models() -> dict[str, ModelFile]:
    """The four models by name (magika, ocr_det, ocr_cls, ocr_rec), read from the packages' records.

    Nothing is imported or downloaded: rapidocr is used for its model files alone.
    Raises DemoNotInstalled, with the line that installs them, if one is not there.
    """
    return {name: _find(name, dist, path) for name, (dist, path) in _WANTED.items()}


def read_metadata(model: ModelFile, key: str) -> str:
    """What the model's file says about itself under that key; KeyError if it says nothing.

    Costs as much as loading the model without optimising it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
    value: str = session.get_modelmeta().custom_metadata_map[key]
    return value


def _find(name: str, dist: str, wanted: re.Pattern[str]) -> ModelFile:
    try:
        found = importlib.metadata.distribution(dist)
    except importlib.metadata.PackageNotFoundError:
        raise DemoNotInstalled(f"the package {dist} is not installed; {INSTALL_LINE}") from None
    for file in found.files or ():
        path = Path(str(found.locate_file(file)))
        if wanted.fullmatch(file.as_posix()) and path.is_file():
            return ModelFile(name, path, dist, found.version)
    raise DemoNotInstalled(
        f"{dist} {found.version} holds no {name} model ({wanted.pattern}); {INSTALL_LINE}"
    )
