"""The names of a session: its dictionary's bytes, and the kinds that it declares as values."""

from __future__ import annotations

import os
from pathlib import Path

from whence._native import Catalogue
from whence.model.recording import FieldInfo, KindInfo
from whence.model.severity import Severity
from whence.ring.folders import open_session_file

__all__ = ["kind_infos", "read_names"]

_MOST_NAMES_BYTES = 1 << 20  # as much as a recorder writes; a damaged file may be larger
_TYPE_NAMES = ("", "bool", "u8", "u32", "f32", "int", "u64", "float", "str", "")
_ROLE_NAMES = {2: "str", 4: "Severity", 6: "options", 7: "str"}  # of what is stored elsewhere


def read_names(folder: Path) -> bytes:
    """What the session's dictionary holds by now, for a Catalogue's update().

    Raises NotASession for a file that is none of ours, OSError for one that cannot be read.
    """
    handle = open_session_file(folder, "names")
    try:
        return os.pread(handle, _MOST_NAMES_BYTES, 0)
    finally:
        os.close(handle)


def kind_infos(catalogue: Catalogue, session: str = "") -> tuple[KindInfo, ...]:
    """Every kind the session's catalogue knows, in the order of declaration."""
    return tuple(
        KindInfo(
            id=number,
            name=name,
            component=component,
            decision=decision,
            severity=Severity(min(severity, int(Severity.Critical))),
            rationale=rationale,
            fields=tuple(_field_info(*field) for field in fields),
            otel_name=otel_name,
            source=source,
            session=session,
            span=span,
        )
        for (
            number,
            name,
            component,
            decision,
            severity,
            rationale,
            fields,
            otel_name,
            source,
            _on,
            span,
        ) in catalogue.kinds()
    )


def _field_info(name: str, stored: int, role: int) -> FieldInfo:
    return FieldInfo(name, _TYPE_NAMES[stored] or _ROLE_NAMES.get(role, ""))
