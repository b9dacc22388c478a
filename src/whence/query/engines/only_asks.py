"""Whether a syntax tree of DuckDB only asks: it writes nothing and names no file or setting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from whence.model.errors import BadQuestion

__all__ = ["check_only_asks"]

_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
# Functions that stand where a table may: the others read files, settings, or memory by its address.
_FUNCTIONS = frozenset(
    {"generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"}
)
_NAME = re.compile(r"[^\W\d][\w ]*")


def check_only_asks(tree: Mapping[str, Any]) -> None:
    """Raises BadQuestion unless the tree, as json_serialize_sql() makes it, is of one question.

    All of it must be known here: a SELECT may hold statements that write.
    """
    if tree.get("error") or len(tree.get("statements", ())) != 1:
        raise BadQuestion("only one SELECT is answered: nothing here is written or changed")
    for part in _parts(tree):
        kind = str(part.get("type", ""))
        if kind.endswith("_NODE") and kind not in _NODES:
            raise BadQuestion("only SELECT is answered: nothing here is written or changed")
        if kind == "TABLE_FUNCTION":
            name = str(part.get("function", {}).get("function_name"))
            if name.lower() not in _FUNCTIONS:
                raise BadQuestion(f"{name}() is not answered: events are read, and no other file")
        if kind == "BASE_TABLE" and not _NAME.fullmatch(str(part.get("table_name"))):
            raise BadQuestion(f"there is no table {part.get('table_name')!r}; `events` is one")


def _parts(tree: object) -> Iterator[Mapping[str, Any]]:
    left = [tree]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left += part.values()
        elif isinstance(part, list):
            left += part
