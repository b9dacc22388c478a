"""Tokens: who may do what; kept as hashes in one file beside the store, each with its scopes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from whence.model.errors import CorruptFile, IdNotFound

__all__ = ["FILE", "SCOPES", "Scope", "Token", "Tokens"]

Scope = Literal["ingest", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
FILE = "tokens.json"
LONGEST = 200
_VERSION = 1
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token: everything but the secret, of which only the hash is kept."""

    id: str
    hash: str
    scopes: tuple[Scope, ...]
    name: str = ""
    created_wall_ns: int = 0
    expires_wall_ns: int | None = None

    def is_valid(self, wall_ns: int) -> bool:
        """Whether it still counts at that time."""
        return self.expires_wall_ns is None or wall_ns < self.expires_wall_ns


class Tokens:
    """The tokens in a file, or in memory where there is no path. Any thread may ask.

    The file is 0600 and replaced whole; a running server sees a change at the next request.
    """

    def __init__(
        self, path: Path | None = None, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, Token] = {}
        self._read()

    def all(self) -> tuple[Token, ...]:
        """Those there are, the oldest first; expired ones too."""
        self._read()
        return tuple(sorted(self._known.values(), key=lambda token: token.created_wall_ns))

    def add(
        self, scopes: Iterable[str], *, name: str = "", expires_wall_ns: int | None = None
    ) -> tuple[str, Token]:
        """Makes a token: the words to send, which nobody can be told again, and what is kept."""
        wanted = tuple(scope for scope in SCOPES if scope in set(scopes))
        if not wanted or set(scopes) - set(SCOPES):
            raise ValueError(f"a token has one or more of the scopes {', '.join(SCOPES)}")
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        token = Token(
            id=number,
            hash=_hashed(secret),
            scopes=wanted,
            name=name[:LONGEST],
            created_wall_ns=self._clock(),
            expires_wall_ns=expires_wall_ns,
        )
        with self._changing():
            self._known[token.id] = token
        return f"whence_{number}_{secret}", token

    def revoke(self, number: str) -> Token:
        """Takes a token away at once; IdNotFound if there is none of that id."""
        with self._changing():
            if number not in self._known:
                raise IdNotFound(f"no token is called {number!r}", tuple(sorted(self._known)))
            return self._known.pop(number)

    def check(self, words: str) -> Token | None:
        """The token that somebody sent, if it is one and has not expired; in constant time."""
        self._read()
        parts = words.split("_", 2) if len(words) <= LONGEST else []
        prefix, number, secret = parts if len(parts) == 3 else ("", "", "")
        token = self._known.get(number)
        expected = token.hash if token is not None else _NOBODY
        same = hmac.compare_digest(_hashed(secret), expected)
        if token is None or not same or prefix != "whence" or not token.is_valid(self._clock()):
            return None
        return token

    def still_counts(self, token: Token) -> bool:
        """Whether a token that was checked before has neither expired nor been revoked since."""
        self._read()
        return self._known.get(token.id) == token and token.is_valid(self._clock())

    # ---- the file

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            self._known, self._stamp = {}, None
            return
        stamp = found.st_mtime_ns, found.st_ino, found.st_size
        if stamp != self._stamp:
            self._known = _parsed(self._path)
            self._stamp = stamp

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Nobody else changes the file meanwhile; it is written at the end."""
        with self._lock:
            if self._path is None:
                yield
                return
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            lock = os.open(self._path.with_name(f".{FILE}.lock"), flags, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._read()
                yield
                self._write(self._path)
            finally:
                os.close(lock)

    def _write(self, path: Path) -> None:
        tokens = [asdict(token) for token in self._known.values()]
        text = json.dumps({"version": _VERSION, "tokens": tokens}, indent=1) + "\n"
        beside = path.with_name(f".{FILE}.new")
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)


def _hashed(secret: str) -> str:
    """The secrets are 256 random bits, so that one round is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(path: Path) -> dict[str, Token]:
    try:
        content = json.loads(path.read_text())
        if content["version"] != _VERSION:
            raise ValueError("another version")
        found = [Token(**{**each, "scopes": tuple(each["scopes"])}) for each in content["tokens"]]
        if any(set(token.scopes) - set(SCOPES) for token in found):
            raise ValueError("an unknown scope")
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(
            f"{path} holds no tokens ({error}): remove it, and new ones are made"
        ) from None
    return {token.id: token for token in found}
