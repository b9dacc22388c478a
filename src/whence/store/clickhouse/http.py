"""Asks ClickHouse over HTTP: parameters apart from the text, and every error by its name."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from whence.collect.http_post import Answer, HttpPost
from whence.collect.sink import Unavailable
from whence.model.errors import ClusterDenied, ClusterError, ClusterUnavailable
from whence.store.clickhouse.place import Place

__all__ = ["OVER_BUDGET", "UNKNOWN_TABLE", "Client", "Parameter", "quoted"]

Parameter = str | int | float | Sequence[str] | Sequence[int]

MOST_ANSWER_BYTES = 1 << 30
TIMEOUT_S = 30.0
LONGEST_REASON = 300  # the server repeats itself

# Codes of ClickHouse's src/Common/ErrorCodes.cpp.
UNKNOWN_TABLE = 60
UNKNOWN_DATABASE = 81
READ_ONLY = 164
OVER_BUDGET = frozenset({158, 159, 160, 241, 307, 396})  # rows, time, memory, bytes
_DENIED = frozenset({192, 193, 194, 497, 516, READ_ONLY})
# connections, sockets, shards, queues of queries and of parts, disk, and states nobody knows
_LATER = frozenset({32, 202, 203, 209, 210, 236, 242, 243, 252, 279, 319, 364, 425, 999})


class Client:
    """Queries of one user at the first host that answers. One thread at a time.

    Users whose profile forbids every setting (readonly=1) are asked without any.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._posts = [_post(place, host, port) for host, port in place.hosts]
        self._at = 0
        self._takes_settings = True

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Parameter] = {},
        settings: Mapping[str, int | str] = {},
        *,
        timeout_s: float = TIMEOUT_S,
        most_bytes: int = MOST_ANSWER_BYTES,
    ) -> bytes:
        """The whole answer to a question; `{name:Type}` in it stands for a parameter.

        Nothing of it is given where the server fails half-way. Every host is tried. Raises
        ClusterUnavailable, ClusterDenied, ClusterError, and OverflowError for a longer answer.
        """
        asked = {"wait_end_of_query": 1} | _parameters(parameters)
        answer = self._anywhere(sql.encode(), asked, settings, timeout_s, most_bytes)
        if len(answer.body) >= most_bytes:
            raise OverflowError(f"the answer is longer than {most_bytes} bytes")
        return answer.body

    def rows(
        self,
        sql: str,
        parameters: Mapping[str, Parameter] = {},
        settings: Mapping[str, int | str] = {},
        *,
        timeout_s: float = TIMEOUT_S,
        host: int | None = None,
    ) -> list[list[Any]]:
        """The rows of a small answer, integers whole; from the host of that number if given."""
        sql = f"{sql} FORMAT JSONCompactEachRow"
        if host is None:
            text = self.query(sql, parameters, settings, timeout_s=timeout_s)
        else:
            asked = {"wait_end_of_query": 1} | _parameters(parameters)
            text = self._at_host(host, sql.encode(), asked, timeout_s, MOST_ANSWER_BYTES).body
        # a server's default may quote wide integers, and readonly users cannot ask otherwise
        return [json.loads(line) for line in text.splitlines()]

    def command(self, sql: str, *, host: int | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Carries out a statement, at the host of that number if one is given."""
        if host is None:
            self._anywhere(sql.encode(), {}, {}, timeout_s, 1 << 20)
        else:
            self._at_host(host, sql.encode(), {}, timeout_s, 1 << 20)

    def insert(
        self,
        sql: str,
        body: bytes | memoryview,
        parameters: Mapping[str, Parameter] = {},
        settings: Mapping[str, int | str] = {},
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> int:
        """Sends data, once, to the host that answered last; how many rows were written.

        After ClusterUnavailable nobody knows what was written, and the next host is asked next.
        """
        asked = {"query": sql, "wait_end_of_query": 1} | _parameters(parameters) | dict(settings)
        try:
            answer = self._at_host(self._at, body, asked, timeout_s, 1 << 20)
        except ClusterUnavailable:
            self._at = (self._at + 1) % len(self._posts)
            raise
        try:
            return int(json.loads(answer.headers["x-clickhouse-summary"])["written_rows"])
        except (KeyError, ValueError, TypeError):
            return 0

    def close(self) -> None:
        """Closes the connections; the next question opens one."""
        for post in self._posts:
            post.close()

    def _anywhere(
        self,
        body: bytes,
        asked: Mapping[str, Any],
        settings: Mapping[str, int | str],
        timeout_s: float,
        most_bytes: int,
    ) -> Answer:
        for turn in range(len(self._posts)):
            host = (self._at + turn) % len(self._posts)
            try:
                answer = self._with_settings(host, body, asked, settings, timeout_s, most_bytes)
            except ClusterUnavailable as error:
                if error.code or turn == len(self._posts) - 1:  # it answered, or nobody does
                    raise
            else:
                self._at = host
                return answer
        raise AssertionError("a place has a host")

    def _with_settings(
        self,
        host: int,
        body: bytes,
        asked: Mapping[str, Any],
        settings: Mapping[str, int | str],
        timeout_s: float,
        most_bytes: int,
    ) -> Answer:
        if settings and self._takes_settings:
            try:
                return self._at_host(host, body, {**asked, **settings}, timeout_s, most_bytes)
            except ClusterDenied as error:
                if error.code != READ_ONLY or "setting" not in str(error):
                    raise
                self._takes_settings = False
        return self._at_host(host, body, asked, timeout_s, most_bytes)

    def _at_host(
        self,
        host: int,
        body: bytes | memoryview,
        asked: Mapping[str, Any],
        timeout_s: float,
        most_bytes: int,
    ) -> Answer:
        path = f"/?{urlencode(asked)}" if asked else "/"
        name, port = self.place.hosts[host]
        try:
            answer = self._posts[host].post(body, {}, timeout_s, path=path, most_bytes=most_bytes)
        except Unavailable as error:
            raise ClusterUnavailable(f"{name}:{port}: {error}") from None
        code = answer.headers.get("x-clickhouse-exception-code", "0")
        if answer.status != 200 or code != "0":
            raise self._error(answer, f"{name}:{port}", int(code) if code.isdecimal() else 0)
        return answer

    def _error(self, answer: Answer, at: str, code: int) -> ClusterError:
        said = answer.text[:LONGEST_REASON] or f"HTTP {answer.status}"
        place = self.place
        if code in (UNKNOWN_TABLE, UNKNOWN_DATABASE):
            return ClusterError(
                f"{at}: a table of database {place.database} is missing there or on a shard; "
                f"`whence ship` makes them on every host that its URL names ({said})",
                code,
            )
        if code in _DENIED:
            return ClusterDenied(f"{at}: user {place.user!r} is refused: {said}", code)
        if code in _LATER or answer.status in (502, 503, 504):
            return ClusterUnavailable(f"{at}: {said}", code or answer.status)
        return ClusterError(f"{at}: {said}", code)


def _post(place: Place, host: str, port: int) -> HttpPost:
    pair = f"{place.user}:{place.password}".encode()
    headers = {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}
    parts = urlsplit(f"//[{host}]:{port}" if ":" in host else f"//{host}:{port}")
    return HttpPost(parts, secure=place.secure, path="/", headers=headers, context=place.context)


def _parameters(values: Mapping[str, Parameter]) -> dict[str, str]:
    return {f"param_{name}": _written(value) for name, value in values.items()}


def _written(value: Parameter) -> str:
    """As the server reads a parameter: a field of tab-separated text, or an array's literal."""
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    items = [quoted(item) if isinstance(item, str) else repr(item) for item in value]
    return f"[{','.join(items)}]"


def quoted(text: str) -> str:
    """A text as ClickHouse's SQL writes it."""
    return "'" + text.translate(_ESCAPES | {ord("'"): "\\'"}) + "'"


_ESCAPES = {ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r", 0: "\\0"}
