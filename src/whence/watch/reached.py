"""How far a follower of a store has come, and the token that says it across restarts."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whence.query.engines.shapes import PageKey

__all__ = ["MOST_ENDED", "MOST_SEEN", "Reached", "short"]

MOST_SEEN = 256  # files that a token names
MOST_ENDED = 512  # sessions whose end was reached
_LONGEST = 1 << 20  # of a token that was taken apart
_PREFIX = "1-"
_ID_BYTES = 6
_DAMAGE = (ValueError, KeyError, TypeError, zlib.error, RecursionError, OverflowError)


def short(ulid: str) -> int:
    """48 of the random bits of a segment's id."""
    number = 0
    for letter in ulid[-10:]:
        number = number << 5 | _CROCKFORD.get(letter, 0)
    return number & (1 << 8 * _ID_BYTES) - 1


_CROCKFORD = {letter: at for at, letter in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A place in the growth of a store. Immutable.

    All events of the generation at which `tickets` was taken have been told, but for those in
    files that are not `seen` yet, while these are being told. `tickets` are the next ones by
    session key and ring; nothing more comes of the sessions in `ended`. Of the file `segment` so
    many rows were told. `behind` is set where old events are told, too: those behind that place.
    `whole` says that `seen` names every file.
    """

    store: str = ""
    generation: int = 0
    seen: frozenset[int] = frozenset()
    tickets: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    ended: Sequence[int] = ()
    segment: int = 0
    rows: int = 0
    behind: PageKey | None = None
    whole: bool = True

    @property
    def token(self) -> str:
        """One word, of letters that may stand in a URL and in a header."""
        body = {
            "s": self.store,
            "g": self.generation,
            "f": _packed(sorted(self.seen)[-MOST_SEEN:]),
            "w": self.whole and len(self.seen) <= MOST_SEEN,
            "t": [
                [key, ring, ticket]
                for key, rings in sorted(self.tickets.items())
                for ring, ticket in sorted(rings.items())
            ],
            "e": _packed([key for key in self.ended if key < 1 << 8 * _ID_BYTES][-MOST_ENDED:]),
            "c": [self.segment, self.rows],
            "b": str(self.behind) if self.behind else "",
        }
        text = json.dumps(body, separators=(",", ":")).encode()
        return _PREFIX + base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")

    @staticmethod
    def parse(token: str) -> Reached:
        """The place that a token says; ValueError for what is none."""
        try:
            return _parsed(token)
        except _DAMAGE:
            raise ValueError(
                f"{token[:40]!r} is no token of a tail: give one that was told with events"
            ) from None


def _parsed(token: str) -> Reached:
    if not token.startswith(_PREFIX):
        raise ValueError(token)
    text = token.removeprefix(_PREFIX)
    packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    unpacking = zlib.decompressobj()
    body: dict[str, Any] = json.loads(unpacking.decompress(packed, _LONGEST))
    if not unpacking.eof:
        raise ValueError(token)
    tickets: dict[int, dict[int, int]] = {}
    for key, ring, ticket in body["t"]:
        tickets.setdefault(int(key), {})[int(ring)] = int(ticket)
    segment, rows = body["c"]
    return Reached(
        store=str(body["s"]),
        generation=int(body["g"]),
        seen=frozenset(_unpacked(body["f"])),
        tickets=tickets,
        ended=tuple(_unpacked(body["e"])),
        segment=int(segment),
        rows=int(rows),
        behind=PageKey.parse(body["b"]) if body["b"] else None,
        whole=bool(body["w"]),
    )


def _packed(ids: Sequence[int]) -> str:
    return base64.b64encode(b"".join(each.to_bytes(_ID_BYTES, "big") for each in ids)).decode()


def _unpacked(text: str) -> list[int]:
    content = base64.b64decode(text, validate=True)
    parts = range(0, len(content), _ID_BYTES)
    return [int.from_bytes(content[at : at + _ID_BYTES], "big") for at in parts]
