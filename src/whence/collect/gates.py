"""The gates of a running process by the names of its kinds: what is on, at which rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from whence._native import Catalogue
from whence.collect.kinds import read_names
from whence.model.names import OUTCOME, OWN_COMPONENT
from whence.model.recording import SessionInfo
from whence.ring import layout
from whence.ring.control import Control
from whence.ring.gates import gate_parts
from whence.ring.session_file import read_session_file

__all__ = [
    "ANY",
    "KindGate",
    "RuleGate",
    "SessionGates",
    "change_gates",
    "check_change",
    "read_gates",
]

ANY = "*"  # the rule for kinds that have none of their own
_STRENGTH = 9  # the role of the field that a minimum is compared with


@dataclass(frozen=True, slots=True)
class KindGate:
    """What one declared kind lets pass at present. A decision has no rate and no minimum."""

    event_type: str
    component: str
    decision: bool
    on: bool
    sample_rate: float
    min_strength: float | None
    has_strength: bool


@dataclass(frozen=True, slots=True)
class RuleGate:
    """What kinds of that name will let pass that are declared from now on; "*": all others."""

    event_type: str
    on: bool
    sample_rate: float
    min_strength: float | None


@dataclass(frozen=True, slots=True)
class SessionGates:
    """The gates of one live session."""

    session: SessionInfo
    kinds: tuple[KindGate, ...]
    rules: tuple[RuleGate, ...]


@dataclass(frozen=True, slots=True)
class _Declared:
    id: int
    name: str
    component: str
    decision: bool
    has_strength: bool

    @property
    def exempt(self) -> bool:
        """Whether it obeys on and off alone: decisions, and what became of them."""
        return self.decision or (self.name == OUTCOME and self.component == OWN_COMPONENT)


def read_gates(path: Path) -> SessionGates:
    """What the session in that folder lets pass now. Raises as Control does."""
    session = read_session_file(path)
    with Control(session) as control:
        return _gates(session, control)


def change_gates(path: Path, words: Mapping[str, int]) -> SessionGates:
    """Gives all kinds of these names, declared now or later, these gate words.

    `words` come from `whence._native.gate_word`; bit 0 clear is off. The name "*" means every kind
    without a rule of its own. Decisions obey on and off alone.

    Raises ValueError, having changed nothing, where a decision named here would be sampled, where
    a minimum is given to a kind without a strength, or where a name that no kind has cannot be a
    rule's or finds no room; and as Control does. Where the rules are full, a declared kind is
    changed, but not those of its name to come. The producer obeys from its next call on.
    """
    session = read_session_file(path)
    with Control(session) as control:
        names = _checked(session, words)
        if not control.set_rules(words, names):
            raise ValueError(_no_room(control, session, words.keys() - names))
        declared = _declared(path)  # after the rules: whoever is declared now has seen them
        rules = control.rules()
        for kind in declared:
            word = words.get(kind.name)
            if word is None and kind.name not in rules:
                word = words.get(ANY)
            if word is not None:
                control.change(kind.id, _fitting(kind, word))
        return _gates(session, control)


def check_change(path: Path, words: Mapping[str, int]) -> None:
    """Raises what change_gates() would raise now, and changes nothing."""
    session = read_session_file(path)
    with Control(session) as control:
        names = _checked(session, words)
        if not control.has_room(words.keys() - names):
            raise ValueError(_no_room(control, session, words.keys() - names))


def _checked(session: SessionInfo, words: Mapping[str, int]) -> set[str]:
    """The names of all kinds, once it is sure that these words suit them."""
    declared = _declared(Path(session.path))
    for kind in declared:
        if kind.name in words:
            _refuse_misfit(kind, words[kind.name])
    return {kind.name for kind in declared}


def _no_room(control: Control, session: SessionInfo, undeclared: set[str]) -> str:
    first = min(undeclared - control.rules().keys(), default="")
    return f"{session.name} has no room for a rule, and no kind {first!r}"


def _refuse_misfit(kind: _Declared, word: int) -> None:
    on, rate, minimum = gate_parts(word)
    if kind.exempt and on and (rate < 1 or minimum is not None):
        what = "a decision: decisions" if kind.decision else "told of decisions: outcomes"
        raise ValueError(f"{kind.name} is {what} are recorded all, or off")
    if on and minimum is not None and not kind.has_strength:
        raise ValueError(f"{kind.name} has no strength that a minimum could be compared with")


def _fitting(kind: _Declared, word: int) -> int:
    if kind.exempt:
        return word & layout.GATE_ON | layout.GATE_EXEMPT
    return word & ~layout.GATE_EXEMPT


def _gates(session: SessionInfo, control: Control) -> SessionGates:
    kinds = tuple(
        KindGate(
            kind.name,
            kind.component,
            kind.decision,
            *_parts(kind, control.gate(kind.id)),
            kind.has_strength,
        )
        for kind in _declared(Path(session.path))
    )
    rules = tuple(RuleGate(name, *gate_parts(word)) for name, word in control.rules().items())
    return SessionGates(session, kinds, rules)


def _parts(kind: _Declared, word: int) -> tuple[bool, float, float | None]:
    return gate_parts(word | layout.GATE_EXEMPT if kind.exempt else word)


def _declared(folder: Path) -> list[_Declared]:
    catalogue = Catalogue()
    catalogue.update(read_names(folder))
    return [
        _Declared(row[0], row[1], row[2], row[3], any(role == _STRENGTH for *_, role in row[6]))
        for row in catalogue.kinds()
        if row[0] < layout.MAX_KINDS
    ]
