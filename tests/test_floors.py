"""The floors hold: imports point down, the front door is light, and no GPU library is near."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.apps import output_of

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "whence"

HEAVY = {
    "PIL",
    "click",
    "duckdb",
    "fastapi",
    "grpc",
    "numpy",
    "onnxruntime",
    "orjson",
    "pyarrow",
    "rich",
}
GPU = re.compile(r"cuda|cudart|cublas|cudnn|nvrtc|nvidia|rocm|\bhip\b|amdhip|opencl|cupy", re.I)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The Python sources and their import contracts, to be spoilt."""
    shutil.copytree(
        SOURCE, tmp_path / "whence", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_point_down_the_floors() -> None:
    """The house as it stands keeps every import contract."""
    finished = _lint_imports(ROOT)
    assert finished.returncode == 0, finished.stdout


def test_only_the_demo_comes_in_by_the_front_door() -> None:
    """No room but the demo imports from `whence` itself anything but the native module."""
    through_the_door = [
        (path.relative_to(SOURCE).as_posix(), name.name)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _from_the_door(node)
    ]
    outside = [place for place in through_the_door if not place[0].startswith("demo/")]
    assert outside == [], "import the module that defines the name instead"


def _from_the_door(node: ast.AST) -> list[ast.alias]:
    if isinstance(node, ast.Import):
        return [name for name in node.names if name.name == "whence"]
    if isinstance(node, ast.ImportFrom) and node.module == "whence" and not node.level:
        return [name for name in node.names if name.name != "_native"]
    return []


@pytest.mark.parametrize(
    ("room", "planted"),
    [
        ("model/time.py", "import whence.query.select"),
        ("emit/planted.py", "import whence.collect.sessions"),
        ("collect/planted.py", "import whence.emit"),
        ("query/planted.py", "def late() -> None:\n    import whence.cli"),
        ("query/planted.py", "import numpy"),
        ("query/planted.py", "import duckdb"),
        ("collect/planted.py", "import pyarrow"),
        ("collect/planted.py", "import whence.store.folder"),
        ("store/planted.py", "import duckdb"),
        ("store/planted.py", "import whence.query.select"),
        ("runtime/planted.py", "import whence.demo"),
        ("lineage/planted.py", "import whence.emit.kind"),
    ],
)
def test_a_planted_import_upwards_turns_the_contracts_red(
    copy: Path, room: str, planted: str
) -> None:
    """One import against the floors, even inside a function, is found."""
    with (copy / "whence" / room).open("a") as file:
        file.write(f"\n{planted}\n")
    finished = _lint_imports(copy)
    assert finished.returncode == 1
    assert "BROKEN" in finished.stdout


def test_the_front_door_is_light(tmp_path: Path) -> None:
    """`import whence`, and even the use of every public name, imports no heavy library. R3.45"""
    names = _run_python(
        "import sys, whence; [getattr(whence, n) for n in whence.__all__];"
        "print(*{name.partition('.')[0] for name in sys.modules})",
        tmp_path,
    )
    assert set(names.split()) & HEAVY == set()


def test_importing_records_nothing(tmp_path: Path) -> None:
    """Importing whence and declaring a kind creates no file."""
    _run_python("import whence; whence.kind('tick', component='Test', n=int)", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_runtime_module_imports_alone(tmp_path: Path) -> None:
    """Each value of the runtime contract can be imported first: no cycles. R3.45"""
    for path in sorted((SOURCE / "runtime").glob("[a-z]*.py")):
        if "onnx" not in path.name:
            _run_python(f"import whence.runtime.{path.stem}", tmp_path)


def test_the_native_module_links_no_gpu_library() -> None:
    """The shared object needs the C and C++ run-time libraries only. R0.3 R3.45"""
    (module,) = SOURCE.glob("_native.*.so")
    finished = subprocess.run(
        ["readelf", "--dynamic", str(module)], capture_output=True, text=True, check=True
    )
    needed = re.findall(r"\(NEEDED\).*\[(.+?)\]", finished.stdout)
    allowed = re.compile(r"lib(stdc\+\+|m|c|gcc_s|pthread|rt|dl|asan|ubsan)\.so[.\d]*|ld-linux.*")
    assert [name for name in needed if not allowed.fullmatch(name)] == []


def test_no_source_includes_or_imports_a_gpu_library() -> None:
    """No import, include or dependency names a GPU toolkit. R0.3 R3.45"""
    importing = re.compile(r"^\s*(?:import|from|#\s*include)\b.*$", re.MULTILINE)
    lines = [
        line
        for room in (SOURCE, ROOT / "native")
        for path in room.rglob("*")
        if path.suffix in {".py", ".pyi", ".cpp", ".hpp", ".h"}
        for line in importing.findall(path.read_text())
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [name for extra in project["optional-dependencies"].values() for name in extra]
    assert [line for line in [*lines, *wanted] if GPU.search(line)] == []


def test_plain_install_needs_no_other_package() -> None:
    """`pip install whence` brings the native module and nothing else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == []


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder if folder != ROOT else ROOT / "src")},
        capture_output=True,
        text=True,
    )


def _run_python(code: str, whence_dir: Path) -> str:
    return output_of("-c", code, whence_dir=whence_dir)
