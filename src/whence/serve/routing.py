"""Routes that say which scope they need, and refuse whoever lacks it before they read anything."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, ClassVar

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.requests import Request

from whence.serve.auth import SCOPES, Scope
from whence.serve.door import token_of
from whence.serve.problem import Problem
from whence.serve.shapes import ProblemShape

__all__ = ["PREFIX", "Guarded", "Routes"]

PREFIX = "/api/v1"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_REFUSED = {401: "No token, or none that counts.", 403: "A token without the scope."}
_USUAL = {
    400: "Something in the request cannot be understood.",
    429: "This address has too many requests under way.",
    503: "Too many requests are under way, or there was no answer in time.",
}


class Guarded(APIRoute):
    """A route for whoever has a token of its scope; for everybody where that is None.

    Query parameters that it does not know are refused: a misspelled filter would let all pass.
    """

    scope: ClassVar[Scope | None] = None
    writes: ClassVar[bool] = False
    why_not: ClassVar[Sequence[Callable[[], str]]] = ()  # one, that says why nothing is written

    def get_route_handler(self) -> Handler:
        """The handler behind the checks."""
        handler = super().get_route_handler()
        known = frozenset(_query_names(self.dependant))

        async def checked(request: Request) -> Response:
            self._check_scope(request)
            if unknown := sorted(set(request.query_params) - known):
                names = ", ".join(sorted(known)) or "none"
                detail = f"there is no parameter {unknown[0][:100]!r} here"
                raise Problem(400, "unknown_parameter", detail, f"there are: {names}")
            if self.writes and (why := self.why_not[0]()):
                advice = "write through the process that owns the store"
                raise Problem(403, "read_only", why, advice)
            return await handler(request)

        return checked

    def _check_scope(self, request: Request) -> None:
        if self.scope is None:
            return
        token = token_of(request.scope)
        if token is None or self.scope not in token.scopes:
            raise Problem(
                403,
                "missing_scope",
                f"this needs a token with the scope {self.scope}",
                f"whence token add --scope {self.scope}",
            )


class Routes:
    """Adds routes under the prefix to an app, each with its scope and the problems that it has."""

    def __init__(self, app: FastAPI, read_only: Callable[[], str]) -> None:
        self._app = app
        self._kinds: dict[tuple[Scope | None, bool], type[Guarded]] = {}
        for scope in (None, *SCOPES):
            for writes in (False, True):
                name = f"{(scope or 'public').title()}Route"
                members = {
                    "scope": scope, "writes": writes, "why_not": (read_only,)
                }  # fmt: skip
                self._kinds[scope, writes] = type(name, (Guarded,), members)

    def add(
        self,
        method: str,
        path: str,
        endpoint: Callable[..., Any],
        *,
        tag: str,
        shape: Any,
        scope: Scope | None = "read",
        writes: bool = False,
        status: int = 200,
        problems: dict[int, str] | None = None,
        example: Any = None,
        media_type: str = "application/json",
    ) -> None:
        """One route. The endpoint's docstring describes it; `shape` is what it answers with."""
        said = {**(_REFUSED if scope is not None else {}), **_USUAL, **(problems or {})}
        responses: dict[int | str, dict[str, Any]] = {
            code: {"model": ProblemShape, "description": text} for code, text in said.items()
        }
        responses[status] = {"description": "The answer."}
        if shape is not None:
            responses[status]["model"] = shape
        if media_type != "application/json":
            responses[status]["content"] = {media_type: {"schema": {"type": "string"}}}
        if example is not None:
            responses[status]["content"] = {media_type: {"example": example}}
        self._app.router.add_api_route(
            PREFIX + path,
            endpoint,
            methods=[method],
            status_code=status,
            response_model=None,
            responses=responses,
            tags=[tag],
            operation_id=endpoint.__name__,
            route_class_override=self._kinds[scope, writes],
            openapi_extra={"x-scope": scope or "none"}
            | ({} if scope is not None else {"security": []}),
        )


def _query_names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        yield field.alias
    for each in dependant.dependencies:
        yield from _query_names(each)
