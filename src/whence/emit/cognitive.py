"""CognitiveTracer: priming, interference, reconsolidation and false memories as typed events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

from whence import _native
from whence.emit.config import TracingConfig
from whence.emit.fields import F32, U8, U32, U64, Limits
from whence.emit.kind import Kind, kind_that_is_off
from whence.model.cognitive import (
    COGNITIVE_TYPES,
    CognitiveEvent,
    InterferenceType,
    PrimingType,
    event_name,
)

__all__ = ["CognitiveTracer"]

# The number that the type's minimum strength is compared with.
_Force = Annotated[F32, "strength"]

_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "priming": {
        "priming_type": Annotated[U8, Limits(0, 2)],
        "strength": _Force,
        "source_node": U64,
        "target_node": U64,
    },
    "interference": {
        "interference_type": Annotated[U8, Limits(0, 2)],
        "magnitude": _Force,
        "target_episode_id": U64,
        "competing_episode_count": U32,
    },
    "reconsolidation": {
        "episode_id": U64,
        "window_position": F32,
        "plasticity_factor": Annotated[F32, "strength", Limits(0, 0.5)],
        "modification_count": U32,
    },
    "false_memory": {
        "critical_lure_hash": U64,
        "source_list_size": U32,
        "reconstruction_confidence": _Force,
    },
}
# What goes to the text ring besides, when it is given.
_CONTENT: Final[dict[str, dict[str, Any]]] = {
    "interference": {"competing_episode_ids": str},
    "reconsolidation": {"modifications": str},
    "false_memory": {"critical_lure": str, "source_list": str},
}


class CognitiveTracer:
    """Records what a memory core does. One per component is enough; any thread may use it.

    All four types are off until a configuration switches them on: the one given here, that of
    `whence.start(config=...)` or $WHENCE_CONFIG, or `whence config --enable priming` from outside.
    The gates are by name, so all tracers of a process share them. While a type is off, its
    method returns after a look at the gate; in hot loops ask `tracer.priming` first, which is the
    Kind. `CognitiveTracer.none()` has the same methods, which never do anything.

    An event is one slot of 64 bytes, the ambient request included. Content that is given as such
    (ids, texts) goes to the text ring beside it.
    """

    __slots__ = (
        "_false_memory_content",
        "_interference_content",
        "_reconsolidation_content",
        "false_memory",
        "interference",
        "priming",
        "reconsolidation",
    )

    priming: Kind[...]
    interference: Kind[...]
    reconsolidation: Kind[...]
    false_memory: Kind[...]
    _interference_content: Kind[...]
    _reconsolidation_content: Kind[...]
    _false_memory_content: Kind[...]

    def __init__(
        self, config: TracingConfig | None = None, *, component: str = "CognitiveCore"
    ) -> None:
        """`config` is applied at once; None leaves everything as it is, which is off at first.

        Raises as TracingConfig.apply() does, and ValueError for an empty component.
        """
        for name in COGNITIVE_TYPES:
            setattr(self, name, _declare(name, component, _FIELDS[name]))
        for name, content in _CONTENT.items():
            setattr(self, f"_{name}_content", _declare(name, component, _FIELDS[name] | content))
        if config is not None:
            config.apply()

    @staticmethod
    def none() -> CognitiveTracer:
        """A tracer that cannot be switched on: the same object every time."""
        return _NONE

    def is_enabled(self, event_type: str | CognitiveEvent) -> bool:
        """Whether events of the type are recorded at present, all or a share of them."""
        return bool(getattr(self, event_name(event_type)))

    def trace_priming(
        self, priming_type: PrimingType | int, strength: float, source_node: int, target_node: int
    ) -> None:
        """One item activated another. `strength` is kept as 32 bits, nodes are unsigned 64 bits.

        Raises ValueError for a type that there is not, OverflowError for a node out of range,
        TypeError for a wrong type; such calls record nothing.
        """
        if self.priming:
            self.priming(priming_type, strength, source_node, target_node)

    def trace_interference(
        self,
        interference_type: InterferenceType | int,
        magnitude: float,
        target_episode_id: int,
        competing: int | Sequence[int] = 0,
    ) -> None:
        """Other items stood in the way of one episode; `competing` are their ids, or their number.

        Raises ValueError for a type that there is not, else as trace_priming() does.
        """
        if self.interference:
            if isinstance(competing, int):
                self.interference(interference_type, magnitude, target_episode_id, competing)
                return
            ids = [_node(each) for each in competing]
            self._interference_content(
                interference_type, magnitude, target_episode_id, len(ids), ",".join(ids)
            )

    def trace_reconsolidation(
        self,
        episode_id: int,
        window_position: float,
        plasticity_factor: float,
        modifications: int | Sequence[str] = 0,
    ) -> None:
        """An episode was changed while it was open; `modifications` say how, or how often.

        A `window_position` outside of 0 to 1 is recorded: it missed the window. Raises ValueError
        for a `plasticity_factor` that is not from 0 to 0.5, else as trace_priming() does.
        """
        if self.reconsolidation:
            if isinstance(modifications, int):
                self.reconsolidation(episode_id, window_position, plasticity_factor, modifications)
                return
            said = _texts("modifications", modifications)
            self._reconsolidation_content(
                episode_id, window_position, plasticity_factor, len(said), json.dumps(said)
            )

    def trace_false_memory(
        self,
        critical_lure: str | int,
        source_list: int | Sequence[str],
        reconstruction_confidence: float,
    ) -> None:
        """Something was recalled that had not been there: the critical lure of a list.

        The lure is its text, of which the XXH3-64 is kept, too, or that hash alone; the list is its
        words, or their number. Raises as trace_priming() does.
        """
        if self.false_memory:
            if isinstance(critical_lure, int) and isinstance(source_list, int):
                self.false_memory(critical_lure, source_list, reconstruction_confidence)
                return
            lure = critical_lure if isinstance(critical_lure, str) else ""
            words = [] if isinstance(source_list, int) else _texts("source_list", source_list)
            self._false_memory_content(
                _native.hash64(lure) if isinstance(critical_lure, str) else critical_lure,
                source_list if isinstance(source_list, int) else len(words),
                reconstruction_confidence,
                lure,
                json.dumps(words) if words else "",
            )


class _NoTracer(CognitiveTracer):
    """Nothing is declared and nothing recorded."""

    __slots__ = ()

    def __init__(self) -> None:
        for name in COGNITIVE_TYPES:
            setattr(self, name, _NEVER)

    def trace_priming(
        self, priming_type: PrimingType | int, strength: float, source_node: int, target_node: int
    ) -> None:
        """Does nothing."""

    def trace_interference(
        self,
        interference_type: InterferenceType | int,
        magnitude: float,
        target_episode_id: int,
        competing: int | Sequence[int] = 0,
    ) -> None:
        """Does nothing."""

    def trace_reconsolidation(
        self,
        episode_id: int,
        window_position: float,
        plasticity_factor: float,
        modifications: int | Sequence[str] = 0,
    ) -> None:
        """Does nothing."""

    def trace_false_memory(
        self,
        critical_lure: str | int,
        source_list: int | Sequence[str],
        reconstruction_confidence: float,
    ) -> None:
        """Does nothing."""


class _Never:
    """In place of a Kind: off for ever."""

    on = False
    sample_rate = 0.0

    def __bool__(self) -> bool:
        return False

    def __call__(self, *_: Any, **__: Any) -> None:
        """Does nothing."""

    emit = __call__


def _declare(name: str, component: str, fields: dict[str, Any]) -> Kind[...]:
    return kind_that_is_off(name, component, fields)


def _node(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"competing holds ids, which are int, not {type(value).__name__}")
    if not 0 <= value < 2**64:
        raise OverflowError(f"competing: {value} does not fit 64 unsigned bits")
    return str(int(value))


def _texts(name: str, values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise TypeError(f"{name} is a sequence of str, not one str")
    found = list(values)
    if bad := [each for each in found if not isinstance(each, str)]:
        raise TypeError(f"{name} holds str, not {type(bad[0]).__name__}")
    return found


_NEVER = _Never()
_NONE = _NoTracer()
