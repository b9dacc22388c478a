"""The contracts that come with whence, and those that a contracts.toml declares."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from whence.model.errors import ContractError
from whence.query.contracts.agents import AGENT_APPROVALS, AGENT_RUN, APPROVALS
from whence.query.contracts.contract import Contract, End, Guard, Requirement, parse_length

__all__ = [
    "BUILT_IN",
    "INFERENCE",
    "READY_MADE",
    "known_contracts",
    "load_contracts",
    "parse_contracts",
]

T = TypeVar("T")

INFERENCE = Contract(
    name="inference",
    opens="admission_decision",
    ends=(
        End("execution_completed"),
        End("fault_recorded"),
        End("deadline_miss"),
        End("admission_decision", where="admitted = false"),
    ),
    require=(
        Requirement(
            "admission_decision",
            fields=("rationale", "admitted", "reason", "utilisation", "wcrt_ns", "max_blocking_ns"),
        ),
        Requirement(
            "scheduling_decision",
            count="1+",
            when="admitted = true",
            after=("admission_decision",),
            fields=("rationale", "model_id"),
        ),
        Requirement(
            "execution_started",
            when="has execution_completed",
            after=("scheduling_decision",),
        ),
        Requirement(
            "execution_completed",
            count="0-1",
            after=("execution_started",),
            fields=("deadline_met", "duration_ns"),
        ),
        Requirement("alloc", count="0+"),
        Requirement("free", count="0+", after=("alloc",)),
    ),
)
BUILT_IN = (INFERENCE, APPROVALS, AGENT_APPROVALS, AGENT_RUN)
READY_MADE: Mapping[str, tuple[Contract, ...]] = {
    "agents": (APPROVALS, AGENT_APPROVALS, AGENT_RUN),
    **{contract.name: (contract,) for contract in BUILT_IN},
}
"""Built-in contracts by the names that may stand for a file of contracts: these and no others."""


def known_contracts(declared: Iterable[Contract] = ()) -> tuple[Contract, ...]:
    """These contracts, and after them the built-in ones that none of them is named like."""
    declared = tuple(declared)
    names = {contract.name for contract in declared}
    return (*declared, *(contract for contract in BUILT_IN if contract.name not in names))


def load_contracts(path: str | PathLike[str]) -> tuple[Contract, ...]:
    """The contracts of a TOML file, in its order; raises OSError, and ContractError as below."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContractError(f"{path} is not UTF-8 text: {error}") from None
    return parse_contracts(text, str(path))


def parse_contracts(text: str, where: str = "contracts.toml") -> tuple[Contract, ...]:
    """The contracts in a TOML text; ContractError names the entry that cannot be understood.

    Each [[contract]] has name, opens, ends, within, [[contract.require]] entries of type, count,
    when, after, fields and values, and [[contract.guard]] entries of type, where, by, same and
    anywhere. Keys that are none of these are refused.
    """
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ContractError(f"{where} is not TOML: {error}") from None
    _refuse_unknown(content, {"contract"}, where)
    found: dict[str, Contract] = {}
    for number, entry in enumerate(_tables(content.get("contract", []), where), start=1):
        contract = _contract(entry, f"{where}, contract {_label(entry.get('name'), number)}")
        if contract.name in found:
            raise ContractError(f'{where}: two contracts are called "{contract.name}"')
        found[contract.name] = contract
    return tuple(found.values())


def _contract(entry: Mapping[str, Any], where: str) -> Contract:
    _refuse_unknown(entry, {"name", "opens", "within", "ends", "require", "guard"}, where)
    within = entry.get("within")
    return _made(
        where,
        lambda: Contract(
            name=_text(entry, "name", where),
            opens=_text(entry, "opens", where),
            ends=tuple(_end(end, where) for end in _list(entry, "ends", where)),
            require=tuple(
                _requirement(table, f"{where}, requirement {_label(table.get('type'), number)}")
                for number, table in enumerate(_tables(entry.get("require", []), where), start=1)
            ),
            guards=tuple(
                _guard(table, f"{where}, guard {_label(table.get('type'), number)}")
                for number, table in enumerate(_tables(entry.get("guard", []), where), start=1)
            ),
            within=None if within is None else parse_length(_text(entry, "within", where)),
        ),
    )


def _end(entry: object, where: str) -> End:
    if isinstance(entry, str):
        return End(entry)
    if not isinstance(entry, dict):
        raise ContractError(f"{where}: an end is a type or {{ type = ..., where = ... }}")
    _refuse_unknown(entry, {"type", "where", "closes"}, f"{where}, ends")
    closes = _names(entry, "closes", where)
    return End(_text(entry, "type", where), _text(entry, "where", where, ""), closes)


def _guard(entry: Mapping[str, Any], where: str) -> Guard:
    _refuse_unknown(entry, {"type", "by", "where", "same", "anywhere"}, where)
    anywhere = entry.get("anywhere", False)
    if not isinstance(anywhere, bool):
        raise ContractError(f"{where}: 'anywhere' must be true or false, not {anywhere!r}")
    return _made(
        where,
        lambda: Guard(
            type=_text(entry, "type", where),
            by=_names(entry, "by", where),
            where=_text(entry, "where", where, ""),
            same=_names(entry, "same", where),
            anywhere=anywhere,
        ),
    )


def _requirement(entry: Mapping[str, Any], where: str) -> Requirement:
    _refuse_unknown(entry, {"type", "when", "count", "after", "fields", "values"}, where)
    count = entry.get("count", "1")
    if not isinstance(count, str | int) or isinstance(count, bool):
        raise ContractError(f'{where}: count must be text such as "1+"')
    return _made(
        where,
        lambda: Requirement(
            type=_text(entry, "type", where),
            count=str(count),
            when=_text(entry, "when", where, ""),
            after=_names(entry, "after", where),
            fields=_names(entry, "fields", where),
            values=_values(entry, where),
        ),
    )


def _made(where: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except ContractError as error:
        message = str(error)
        raise ContractError(message if where in message else f"{where}: {message}") from None


def _refuse_unknown(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in entry:
        if key not in known:
            like = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {like[0]!r}?" if like else f"known: {', '.join(sorted(known))}"
            raise ContractError(f"{where}: unknown key {key!r}; {hint}")


def _text(entry: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = entry.get(key, default)
    if value is None:
        raise ContractError(f"{where}: {key!r} is missing")
    if not isinstance(value, str):
        raise ContractError(f"{where}: {key!r} must be text, not {value!r}")
    return value


def _names(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ContractError(f"{where}: {key!r} must be a name or a list of names")
    return tuple(names)


def _values(entry: Mapping[str, Any], where: str) -> Mapping[str, tuple[Any, ...]]:
    values = entry.get("values", {})
    if not isinstance(values, dict) or not all(isinstance(v, list) for v in values.values()):
        raise ContractError(f"{where}: 'values' must be {{ field = [values] }}")
    return {name: tuple(allowed) for name, allowed in values.items()}


def _list(entry: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = entry.get(key, [])
    if not isinstance(value, list):
        raise ContractError(f"{where}: {key!r} must be a list")
    return value


def _tables(value: object, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise ContractError(f"{where}: contracts and requirements are written [[contract]]")
    return value


def _label(name: object, number: int) -> str:
    return f'"{name}"' if isinstance(name, str) else str(number)
