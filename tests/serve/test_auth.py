"""Tokens: every route asks for one of its scope, and the file keeps hashes alone."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route

from tests.query.build import inference_chain, recording
from tests.query.stores import stored
from tests.serve.serving import API, Client, served
from whence.model.errors import CorruptFile, IdNotFound
from whence.serve.app import make_routes
from whence.serve.asking import Asking
from whence.serve.auth import SCOPES, Tokens
from whence.serve.door import OTLP, PUBLIC
from whence.serve.limits import Limits
from whence.serve.parts import Parts
from whence.serve.routing import Guarded


def _none() -> None:
    raise AssertionError("nothing is asked here")


def _all_routes() -> list[tuple[str, str, str | None]]:
    """Method, path and scope of every route there is."""
    parts = Parts(asking=Asking(_none, Limits()), tokens=Tokens())  # type: ignore[arg-type]
    found = []
    for route in make_routes(parts).routes:
        assert isinstance(route, Route), f"{route} is no route that anybody looks after"
        assert isinstance(route, Guarded), f"{route.path} asks for no scope"
        found += [(method, route.path, route.scope) for method in sorted(route.methods or ())]
    return found


ROUTES = _all_routes()
PRIVATE = [route for route in ROUTES if route[2] is not None]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Who asks a server over a small store."""
    path = tmp_path_factory.mktemp("auth") / "traces"
    with served(stored(path, recording(inference_chain("req-0001")))) as found:
        yield found


def _url(path: str) -> str:
    return (
        path.removeprefix(API)
        .replace("{id}", "req-0001")
        .replace("{lineage_id}", "7")
        .replace("{name}", "overview")
    )


def test_public_routes_are_those_that_the_door_lets_through() -> None:
    """Whatever has no scope stands in the door's list, and nothing else does. R5.26"""
    assert {path for _, path, scope in ROUTES if scope is None} == PUBLIC


@pytest.mark.parametrize(("method", "path", "scope"), PRIVATE)
@pytest.mark.parametrize("sent", ["none", "wrong", "other kind", "expired", "revoked"])
def test_no_route_answers_without_a_token_that_counts(
    client: Client, method: str, path: str, scope: str, sent: str
) -> None:
    """No token, a wrong one, one of another kind, an expired and a revoked one are 401. R5.26"""
    tokens = client.parts.tokens
    headers = {}
    words: str | None = None
    if sent == "wrong":
        words = f"{client.token}x"
    elif sent == "other kind":
        headers = {"Authorization": f"Basic {client.token}"}
    elif sent == "expired":
        words, _ = tokens.add(SCOPES, expires_wall_ns=1)
    elif sent == "revoked":
        words, made = tokens.add(SCOPES)
        tokens.revoke(made.id)
    answer = client.ask(method, _url(path), headers=headers, token=words)
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "scope"), PRIVATE)
def test_no_route_answers_a_token_of_other_scopes(
    client: Client, method: str, path: str, scope: str
) -> None:
    """A token with every scope but the one that is needed is 403: none includes another. R5.26"""
    words, _ = client.parts.tokens.add(set(SCOPES) - {scope})
    answer = client.ask(method, _url(path), token=words)
    assert (answer.status, answer.json["code"]) == (403, "missing_scope")
    assert scope in answer.json["detail"]


@pytest.mark.parametrize("path", sorted(OTLP))
@pytest.mark.parametrize("scopes", [None, ("read", "admin")])
def test_opentelemetry_is_taken_in_from_who_may_ingest(
    client: Client, path: str, scopes: tuple[str, ...] | None
) -> None:
    """Its paths ask for a token of the scope ingest as all others do. R5.26"""
    token = None if scopes is None else client.parts.tokens.add(scopes)[0]
    answer = client.ask("POST", path, b"", token=token, prefix="")
    assert answer.status == (401 if scopes is None else 403)


def test_a_token_in_the_url_does_not_count(client: Client) -> None:
    """Tokens are taken from the header alone, so that none is in a log of URLs. R5.26"""
    for name in ("token", "access_token", "authorization"):
        assert client.get(f"/sessions?{name}={client.token}", token=None).status == 401


def test_the_file_keeps_hashes_and_is_its_owners_alone(tmp_path: Path) -> None:
    """The secret is nowhere in the file, which nobody else may read. R5.26"""
    tokens = Tokens(tmp_path / "tokens.json")
    words, made = tokens.add(("read",), name="dash")
    text = (tmp_path / "tokens.json").read_text()
    assert words.split("_", 2)[2] not in text
    assert made.hash in text
    assert stat.S_IMODE(os.stat(tmp_path / "tokens.json").st_mode) == 0o600


def test_a_running_server_sees_tokens_that_others_add_and_revoke(tmp_path: Path) -> None:
    """Two holders of one file agree at the next request: that is how a token is rotated. R5.26"""
    server, command = (Tokens(tmp_path / "tokens.json") for _ in range(2))
    words, made = command.add(("read",))
    assert server.check(words) == made
    command.revoke(made.id)
    assert server.check(words) is None
    assert [token.id for token in server.all()] == []


def test_a_token_expires_at_its_time(tmp_path: Path) -> None:
    """Before that moment it counts, from it on it does not. R5.26"""
    now = [100]
    tokens = Tokens(clock=lambda: now[0])
    words, _ = tokens.add(("read",), expires_wall_ns=200)
    now[0] = 199
    assert tokens.check(words) is not None
    now[0] = 200
    assert tokens.check(words) is None


@pytest.mark.parametrize(
    "words", ["", "whence", "whence__", "whence_zz_yy", "x" * 10_000, "\udcff"]
)
def test_what_is_no_token_is_none(words: str) -> None:
    """Whatever is sent, it is compared and refused. R5.26"""
    assert Tokens().check(words) is None


def test_tokens_need_a_scope_that_there_is() -> None:
    """None, and an unknown one, are refused. R5.26"""
    for scopes in ((), ("everything",), ("read", "everything")):
        with pytest.raises(ValueError, match="ingest, read, admin"):
            Tokens().add(scopes)


def test_revoking_what_is_not_there_says_so() -> None:
    """An id of no token is told. R5.26"""
    with pytest.raises(IdNotFound):
        Tokens().revoke("0123")


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version": 2, "tokens": []}', '{"version": 1, "tokens": [{"id": "1"}]}']
)
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, content: str) -> None:
    """Without a file that can be read there is no server, rather than an open one. R5.26"""
    (tmp_path / "tokens.json").write_text(content)
    with pytest.raises(CorruptFile, match="holds no tokens"):
        Tokens(tmp_path / "tokens.json")


def test_the_file_is_whole_after_many_changes(tmp_path: Path) -> None:
    """Every change replaces the file by a whole one. R5.26"""
    tokens = Tokens(tmp_path / "tokens.json")
    made = [tokens.add(("read",))[1] for _ in range(5)]
    tokens.revoke(made[2].id)
    kept = json.loads((tmp_path / "tokens.json").read_text())["tokens"]
    assert [each["id"] for each in kept] == [made[at].id for at in (0, 1, 3, 4)]
