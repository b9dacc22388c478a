"""A dict that cannot be changed, so that frozen values stay frozen all the way down."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

__all__ = ["ReadOnlyDict"]

V = TypeVar("V")


class ReadOnlyDict(dict[str, V]):
    """A dict of strings that refuses every change (TypeError).

    It is a dict to json, orjson, pickle and ==, and is hashable when its values are.
    """

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("this mapping belongs to a recorded value and cannot be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[ReadOnlyDict[V]], tuple[dict[str, V]]]:
        return ReadOnlyDict, (dict(self),)
