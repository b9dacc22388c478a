"""Makes the app: all routes under /api/v1 behind the door, and the document that describes them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from whence.model.errors import WhenceError
from whence.model.version import __version__
from whence.serve.door import Door
from whence.serve.json import Json, problem_response
from whence.serve.parts import Parts
from whence.serve.problem import MEDIA_TYPE, Problem, problem_of
from whence.serve.routes.admin import add_admin
from whence.serve.routes.alerts import add_alerts
from whence.serve.routes.lineage import add_lineage
from whence.serve.routes.own import add_own
from whence.serve.routes.questions import add_questions
from whence.serve.routes.stream import add_stream
from whence.serve.routes.trace_figures import add_trace_figures
from whence.serve.routes.traces import add_traces
from whence.serve.routes.writes import add_writes
from whence.serve.routing import PREFIX, Routes

__all__ = ["document", "make_app", "make_routes"]

_ABOUT = """\
Asks a store of recorded events, and records traces into it. Every route needs a token with the
scope that it names (`x-scope`), as `Authorization: Bearer TOKEN`. Times are whole nanoseconds, ids
of 64 bits are texts. What goes wrong is told as a problem (RFC 9457) with a `code` and `advice`.
"""
_TAGS = {
    "why": "Why something was decided, and the chain it was decided in.",
    "events": "Single events, and the stream of new ones.",
    "traces": "Units of work with a beginning and an end.",
    "alerts": "Rules over what is stored, and who is told when they hold.",
    "store": "What the store holds.",
    "own": "The server itself.",
}


def make_app(parts: Parts) -> Door:
    """The app for a server; its routes are those of make_routes()."""
    app = make_routes(parts)
    return Door(app, parts.tokens, parts.limits, parts.origins, parts.traffic, parts.otlp)


def make_routes(parts: Parts) -> FastAPI:
    """The routes without the door before them, which everything from outside comes through."""
    app = FastAPI(
        title="whence",
        version=__version__,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    routes = Routes(app, parts.read_only)
    add_own(routes, parts)
    add_stream(routes, parts)  # before /events/{id}: the first route that fits answers
    add_questions(routes, parts)
    add_lineage(routes, parts)
    add_trace_figures(routes, parts)  # before /traces/{id}, too
    add_traces(routes, parts)
    add_writes(routes, parts)
    add_admin(routes, parts)
    add_alerts(routes, parts)

    async def get_openapi_document() -> Json:
        """This document."""
        return Json(document(app))

    routes.add(
        "GET", "/openapi.json", get_openapi_document, tag="own", shape=dict[str, Any], scope=None
    )
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in (Problem, WhenceError, ValueError, OSError, Exception):
        app.add_exception_handler(kind, _problem)
    return app


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title="whence", version=__version__, description=_ABOUT, routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        )  # fmt: skip
        schemes = {"token": {"type": "http", "scheme": "bearer"}}
        found.setdefault("components", {})["securitySchemes"] = schemes
        found["security"] = [{"token": []}]
        found["servers"] = [{"url": "/"}]
        for operations in found["paths"].values():
            for operation in operations.values():
                _told_as_problems(operation)
        for unused in ("HTTPValidationError", "ValidationError"):
            found["components"].get("schemas", {}).pop(unused, None)
        app.openapi_schema = found
    return app.openapi_schema


def _told_as_problems(operation: dict[str, Any]) -> None:
    """What cannot be understood is 400 here, and problems have a media type of their own."""
    responses = operation["responses"]
    own = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if own.get("$ref", "").endswith("HTTPValidationError"):
        del responses["422"]
    for status, response in responses.items():
        content = response.get("content", {})
        if int(status) >= 400 and "application/json" in content:
            response["content"] = {MEDIA_TYPE: content["application/json"]}
    operation["responses"] = dict(sorted(responses.items()))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        {"where": ".".join(map(str, each["loc"])), "message": each["msg"]}
        for each in error.errors()[:20]
    ]
    detail = "; ".join(f"{each['where']}: {each['message']}" for each in found[:3])
    advice = f"GET {PREFIX}/openapi.json says what fits"
    return problem_response(Problem(400, "bad_request", detail, advice, more={"errors": found}))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    code = {404: "no_such_route", 405: "wrong_method"}.get(error.status_code, "bad_request")
    advice = f"GET {PREFIX}/openapi.json lists the routes"
    return problem_response(
        Problem(error.status_code, code, str(error.detail), advice, headers=headers)
    )


async def _problem(request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error))
