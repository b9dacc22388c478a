"""What stands behind FROM to read files of a store, whichever columns each of them has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from whence.model.store_settings import can_be_promoted
from whence.query.engines.duck import files_source
from whence.query.sql.dialect import DUCKDB
from whence.query.sql.own_columns import lookup_sql, own_sql
from whence.query.sql.statement import Statement
from whence.store.columns import SCHEMA
from whence.store.manifest import Segment
from whence.store.promoted import ATTRIBUTE_KINDS, own_column

__all__ = ["NO_ROWS", "Source", "source_of"]

_Kinds = tuple[str, ...] | None  # of which files have columns; None where only the maps have them


@dataclass(frozen=True, slots=True)
class Source:
    """`text` stands behind FROM; `own` is what stands for attributes that are not in maps alone.

    `columns` are those of SCHEMA that hold anything in these files.
    """

    text: str
    own: Mapping[tuple[str, str], str] = field(default_factory=dict)
    columns: tuple[str, ...] = tuple(SCHEMA.names)

    def statement(self) -> Statement:
        """A new statement about these rows."""
        return Statement(DUCKDB, self.own)


NO_ROWS = Source("no_events")


def source_of(
    base: Path,
    files: Sequence[Segment],
    asked: Collection[str] | None = frozenset(),
    visible: Callable[[str], str] = str,
) -> Source:
    """The rows of files. Of the attributes that were `asked` for, columns are used where there are.

    None stands for all attributes that any file has columns of: then the rows have these columns.
    """
    if not files:
        return NO_ROWS
    names = _names(files, asked)
    blank = frozenset.intersection(*(each.blank for each in files))
    columns = tuple(name for name in SCHEMA.names if name not in blank)
    groups: defaultdict[tuple[_Kinds, ...], list[Path]] = defaultdict(list)
    for each in files:
        have = dict(each.promoted)
        groups[tuple(have.get(name) for name in names)].append(base / each.name)
    if len(groups) == 1 and (asked is not None or not names):
        ((have_all, paths),) = groups.items()
        return Source(visible(files_source(paths)), _own(names, have_all), columns)
    kinds = [_kinds_of(column) for column in zip(*groups, strict=True)]
    text = " UNION ALL ".join(
        f"SELECT {', '.join([*SCHEMA.names, *_parts(names, kinds, have)])}"
        f" FROM {files_source(paths)}"
        for have, paths in groups.items()
    )
    return Source(visible(f"({text})"), _own(names, kinds), columns)


def _names(files: Sequence[Segment], asked: Collection[str] | None) -> list[str]:
    """The attributes of which columns are used: not those that engines take for one another."""
    found = {
        name
        for each in files
        for name, _ in each.promoted
        if (asked is None or name in asked) and can_be_promoted(name)
    }
    alike = Counter(name.lower() for name in found)
    return sorted(name for name in found if alike[name.lower()] == 1)


def _own(names: Sequence[str], kinds: Sequence[_Kinds]) -> dict[tuple[str, str], str]:
    return {
        (kind, name): own_sql(kind, name, of)
        for name, of in zip(names, kinds, strict=True)
        if of is not None
        for kind in ATTRIBUTE_KINDS
    }


def _kinds_of(groups: Sequence[_Kinds]) -> tuple[str, ...]:
    """The kinds of columns that the rows of all groups together have."""
    if None in groups:
        return tuple(ATTRIBUTE_KINDS)
    return tuple(kind for kind in ATTRIBUTE_KINDS if any(kind in (of or ()) for of in groups))


def _parts(
    names: Sequence[str], kinds: Sequence[Sequence[str]], have: Sequence[_Kinds]
) -> list[str]:
    """What files that have these columns select as the columns of all of them."""
    return [
        f"{lookup_sql(kind, name) if of is None else own_sql(kind, name, of)}"
        f' AS "{own_column(kind, name)}"'
        for name, wanted, of in zip(names, kinds, have, strict=True)
        for kind in wanted
    ]
