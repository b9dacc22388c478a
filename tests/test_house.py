"""The house rules that a linter does not know: sizes, doors, names, and who touches what."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import whence

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "whence"
ROOMS = ("src", "native", "tests", "tools", "benchmarks", "examples", "fuzz")

MOST_LINES = 500
LONGEST_SIGN = 100
REFUSED_WORDS = {"Manager", "Helper", "Helpers", "Util", "Utils", "Service"}
# "service" is the module of the first
PUBLIC_SERVICES = {"TraceService", "AsyncTraceService", "service", "test_service"}


def files(*suffixes: str, rooms: tuple[str, ...] = ROOMS) -> list[Path]:
    """Our own files with these suffixes, vendored ones left out."""
    return sorted(
        path
        for room in rooms
        for path in (ROOT / room).rglob("*")
        if path.suffix in suffixes and "vendor" not in path.parts and path.is_file()
    )


def shown(path: Path) -> str:
    """A path as a reader of the failure wants it."""
    return path.relative_to(ROOT).as_posix()


PYTHON = files(".py")
NATIVE = files(".cpp", ".hpp")
MODULES = sorted(SOURCE.rglob("*.py"))


def test_no_source_file_is_longer_than_500_lines() -> None:
    """A file stays within 500 lines; one that grows is split by idea."""
    lengths = {shown(path): len(path.read_text().splitlines()) for path in [*PYTHON, *NATIVE]}
    assert {path: n for path, n in lengths.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("path", PYTHON, ids=shown)
def test_python_module_says_at_its_door_what_it_is_for(path: Path) -> None:
    """A module's docstring opens with a sentence of at most 100 characters."""
    sign = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    assert sign.endswith(".")
    assert len(sign) <= LONGEST_SIGN


@pytest.mark.parametrize("path", NATIVE, ids=shown)
def test_cpp_file_says_at_its_door_what_it_is_for(path: Path) -> None:
    """A C++ file opens with a comment of at most 100 characters on its first line."""
    sign = path.read_text().partition("\n")[0]
    assert sign.startswith("// ")
    assert len(sign) <= LONGEST_SIGN + len("// ")


def test_nothing_is_called_manager_helper_util_or_service() -> None:
    """Names say the deed; only the public TraceService may be a service."""
    named = [(shown(path), word) for path in [*PYTHON, *NATIVE] for word in _names(path)]
    assert [
        (where, name)
        for where, name in named
        if name not in PUBLIC_SERVICES and _words(name) & REFUSED_WORDS
    ] == []


def test_source_holds_no_unfinished_work_and_no_machine_paths() -> None:
    """No reminders to oneself and no folders of one machine stay in the tree."""
    reminder = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
    machine = re.compile(r"(?<![\w.$}])/(?:work|root|home/\w+|Users/\w+)/")
    texts = [
        *files(".py", ".cpp", ".hpp", ".sh", ".toml", ".md", rooms=(*ROOMS, "docs")),
        *(ROOT / name for name in ("Makefile", "README.md", "CHANGELOG.md", "pyproject.toml")),
    ]
    found = [
        (shown(path), number)
        for path in texts
        if path.exists()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if reminder.search(line) or machine.search(line)
    ]
    assert found == []


def test_production_code_imports_no_mocks() -> None:
    """Mocks live with the tests; nothing under src imports tests or a mock. R3.34"""
    imported = {(shown(path), name) for path in MODULES for name in _imports(path)}
    assert [(where, name) for where, name in imported if "mock" in name.lower()] == []
    assert [(where, name) for where, name in imported if name.split(".")[0] == "tests"] == []
    assert [shown(path) for path in MODULES if "mock" in path.name] == []


def test_only_query_builds_sql() -> None:
    """Questions are put into SQL in the query room alone; ClickHouse's room has its tables'."""
    statement = re.compile(
        r"\s*(?:SELECT\b.+\bFROM|INSERT INTO|CREATE TABLE|DELETE FROM|WITH\b.+AS \()"
    )
    found = [
        (shown(path), node.lineno)
        for path in MODULES
        if not {"query", "clickhouse"} & set(path.relative_to(SOURCE).parts)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and statement.match(node.value)
    ]
    assert found == []


def test_slots_are_stored_in_one_file_and_loaded_in_one_file() -> None:
    """Only ring_writer.hpp stores to slots and only ring_reader.hpp loads from them."""
    touching = re.compile(r"\b(?:busy_stamp|final_stamp|kStampWord)\b|\bslots?_?\s*\[")
    engines = files(".hpp", ".cpp", rooms=("native/whence", "native/python"))
    touched = {path.name for path in engines if touching.search(_code(path))}
    assert touched <= {"layout.hpp", "ring_writer.hpp", "ring_reader.hpp"}

    reader = _code(ROOT / "native/whence/ring_reader.hpp")
    assert re.findall(r"\.(?:store|exchange|fetch_\w+|compare_exchange\w*)\(", reader) == []
    writer = _code(ROOT / "native/whence/ring_writer.hpp")
    assert re.findall(r"\bslots?_?\s*\[[^\]]*\]\s*\.load\(", writer) == []


def test_there_is_no_ring_in_python() -> None:
    """No module under src maps files or takes bytes apart: slots are touched natively only."""
    ours = {(shown(path), name) for path in MODULES for name in _imports(path)}
    assert [(where, name) for where, name in ours if name in {"mmap", "ctypes"}] == []


def test_every_public_name_of_a_module_is_declared_public() -> None:
    """What a module defines without an underscore stands in its __all__."""
    undeclared = [
        (shown(path), node.name)
        for path in MODULES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and node.name not in _declared(path)
    ]
    assert undeclared == []


def test_every_public_name_has_a_docstring() -> None:
    """Each public function, class and method explains itself. R0.59"""
    bare = [
        f"{module.__name__}.{name}"
        for module in _modules()
        for name, thing in _undocumented(module)
    ]
    assert bare == []


def test_the_front_door_offers_what_it_declares() -> None:
    """Every name in whence.__all__ is there and dir() shows it."""
    assert [name for name in whence.__all__ if not hasattr(whence, name)] == []
    assert set(whence.__all__) <= set(dir(whence))


def _names(path: Path) -> Iterator[str]:
    yield path.stem
    text = path.read_text()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
                not node.name.startswith("test_")
            ):
                yield node.name
    else:
        yield from re.findall(r"\b(?:class|struct|enum class|namespace)\s+(\w+)", text)


def _words(name: str) -> set[str]:
    """CamelCase and snake_case taken apart: trace_service -> {Trace, Service}."""
    return {word.capitalize() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _code(path: Path) -> str:
    """A C++ file without its comments."""
    return re.sub(r"//[^\n]*|/\*[\s\S]*?\*/", "", path.read_text())


def _declared(path: Path) -> set[str]:
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = node.value  # type: ignore[union-attr]
            return set(ast.literal_eval(value))
    return set()


def _modules() -> Iterator[ModuleType]:
    yield whence
    for found in pkgutil.walk_packages(whence.__path__, "whence."):
        if not found.name.endswith(("_native", "__main__")):
            yield importlib.import_module(found.name)


def _undocumented(module: ModuleType) -> Iterator[tuple[str, object]]:
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        if not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        if not _explains(thing):
            yield name, thing
        if inspect.isclass(thing) and thing.__module__ == module.__name__:
            for member in vars(thing):
                part = inspect.getattr_static(thing, member)
                if (
                    not member.startswith("_")
                    and _is_api(part)
                    and not _explains_part(thing, member)
                ):
                    yield f"{name}.{member}", part


def _is_api(part: object) -> bool:
    return inspect.isroutine(part) or isinstance(part, property | staticmethod | classmethod)


def _explains(thing: object) -> bool:
    """A docstring of its own, not the signature that dataclass and NamedTuple put there."""
    text = getattr(thing, "__doc__", None) or ""
    return bool(text.strip()) and not text.startswith(f"{getattr(thing, '__name__', '')}(")


def _explains_part(owner: type, member: str) -> bool:
    """Its own docstring or that of the method it overrides."""
    return any(_explains(vars(base)[member]) for base in owner.__mro__ if member in vars(base))
