"""Makes an answer fit into so many bytes of JSON, and says what was left out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from whence.model.errors import BudgetExceeded

__all__ = ["LEFT_OUT", "Cut", "fitted", "json_text", "size_of"]

LEFT_OUT = "left_out"
LEAST_BYTES = 4_000
MOST_CUTS = 10
_NOTE_BYTES = 1_800  # what the note on cuts and its advice take at most
_LONGEST_PATH = 80
_ITEM_BYTES = 400  # an item of a list may take that much, however little room there is
_MEMBER_BYTES = 16
# Letters that nobody sees: text that is hidden from people is not to be read by their agents
# unawares. JSON has another spelling of the same letter.
_HIDDEN = re.compile(
    "[\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
    "\ud800-\udfff\ue000-\uf8ff]"
)


class Cut(NamedTuple):
    """What was left out of one part of an answer."""

    what: str
    shown: int
    of: int
    unit: str
    """ "rows" of a list, "letters" of a text, or "names" of an object."""


def json_text(value: Any) -> str:
    """The value as JSON, with letters that nobody sees spelled as escapes."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text if text.isascii() else _HIDDEN.sub(_escaped, text)


def size_of(value: Any) -> int:
    """How many bytes the value takes as JSON."""
    return len(json_text(value).encode())


def fitted(answer: Mapping[str, Any], most_bytes: int, narrow: str) -> dict[str, Any]:
    """The answer, or where it is too large its beginning, with what was left out of it.

    That is `left_out`, a Cut for each part, with what the question left out already; `narrow` says
    how to ask for less. Lists lose their last rows, texts their ends; what is small stays whole.
    Costs some times the answer's JSON. ValueError below LEAST_BYTES, BudgetExceeded for what cannot
    be made to fit.
    """
    if most_bytes < LEAST_BYTES:
        raise ValueError(f"an answer has room for {LEAST_BYTES} bytes at least")
    cuts: list[Cut] = []
    said = [Cut(**each) for each in answer.get(LEFT_OUT, ())]
    found = {name: part for name, part in answer.items() if name != LEFT_OUT}
    if size_of(answer) + size_of(narrow) > most_bytes:
        found = _fit(found, most_bytes - _NOTE_BYTES, "", cuts)
    if cuts := _together(said, cuts):
        found[LEFT_OUT] = [cut._asdict() for cut in cuts[:MOST_CUTS]]
        if len(cuts) > MOST_CUTS:
            found["left_out_besides"] = len(cuts) - MOST_CUTS
        found["narrow"] = narrow
    if size_of(found) > most_bytes:
        raise BudgetExceeded(f"the answer does not fit into {most_bytes} bytes")
    return found


def _together(said: list[Cut], cuts: list[Cut]) -> list[Cut]:
    """All cuts, one for each part; the lists that lost rows first, as these matter most."""
    of = {(cut.what, cut.unit): cut.of for cut in said}
    found = {(cut.what, cut.unit): cut for cut in said}
    for cut in cuts:
        key = cut.what, cut.unit
        found[key] = cut._replace(of=of.get(key, cut.of))
    return sorted(found.values(), key=lambda cut: (cut.unit != "rows", cut.what.count("[")))


def _fit(value: Any, room: int, path: str, cuts: list[Cut]) -> Any:
    if size_of(value) <= room:
        return value
    if isinstance(value, str):
        return _text(value, room, path, cuts)
    if isinstance(value, list):
        return _rows(value, room, path, cuts)
    if isinstance(value, dict):
        return _members(value, room, path, cuts)
    return value  # a number


def _text(value: str, room: int, path: str, cuts: list[Cut]) -> str:
    kept = len(value) * max(room - 5, 0) // size_of(value)
    while kept and size_of(value[:kept]) + 3 > room:
        kept -= max(1, kept // 8)
    cuts.append(_cut(path, kept, len(value), "letters"))
    return value[:kept] + "…"


def _rows(value: list[Any], room: int, path: str, cuts: list[Cut]) -> list[Any]:
    share = room - 3
    if len(value) > 1:
        share = min(share, max(room // 4, _ITEM_BYTES))
    kept: list[Any] = []
    used = 2
    for number, row in enumerate(value):
        inner: list[Cut] = []
        found = _fit(row, share, f"{path}[{number}]", inner)
        used += size_of(found) + 1
        if used > room:
            break
        kept.append(found)
        cuts += inner
    if len(kept) < len(value):
        cuts.append(_cut(path, len(kept), len(value), "rows"))
    return kept


def _members(value: dict[str, Any], room: int, path: str, cuts: list[Cut]) -> dict[str, Any]:
    """The small members whole, and an even share of what is left for each of the others."""
    sizes = {name: size_of(part) for name, part in value.items()}
    kept: dict[str, Any] = {}
    left = room - 2
    for done, name in enumerate(sorted(value, key=lambda name: sizes[name])):
        label = size_of(name) + 2
        share = left // (len(value) - done) - label
        if sizes[name] > share and share < _MEMBER_BYTES:
            continue
        kept[name] = _fit(value[name], share, f"{path}.{name}" if path else name, cuts)
        left -= label + size_of(kept[name])
    if len(kept) < len(value):
        cuts.append(_cut(path, len(kept), len(value), "names"))
    return {name: kept[name] for name in value if name in kept}


def _cut(path: str, shown: int, of: int, unit: str) -> Cut:
    what = path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}…"
    return Cut(what or "answer", shown, of, unit)


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
