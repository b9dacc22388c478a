"""The names of sessions by the keys that rows hold."""

from __future__ import annotations

__all__ = ["SessionNames"]


class SessionNames(dict[int, str]):
    """By key, signed or not; a session that nothing is known of is named by its key."""

    def __missing__(self, key: int) -> str:
        return self.get(key & 2**64 - 1) or f"session-{key & 2**64 - 1:016x}"
