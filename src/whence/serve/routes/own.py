"""What the server says of itself: whether it works, and its figures for Prometheus."""

from __future__ import annotations

import asyncio
import threading

from starlette.requests import Request
from starlette.responses import Response

from whence.export.openmetrics import OPENMETRICS, content_type_for, render
from whence.model.version import __version__
from whence.serve.figures import server_families
from whence.serve.json import Json
from whence.serve.parts import Parts
from whence.serve.routing import Routes
from whence.serve.shapes import Health

__all__ = ["add_own"]


def add_own(routes: Routes, parts: Parts) -> None:
    """/healthz and /metrics."""
    one_at_a_time = threading.Lock()

    async def get_health() -> Json:
        """Whether the server works. Needs no token, and tells nothing else."""
        trouble = parts.trouble()
        found = {
            "status": "degraded" if trouble else "ok",
            "version": __version__,
            "writable": not parts.read_only(),
        }
        return Json(found, 503 if trouble else 200)

    async def get_metrics(request: Request) -> Response:
        """Our own figures as OpenMetrics, or as the text that came before it where that is asked
        for: what was recorded, lost and delivered, and what this server did.
        """
        kind = content_type_for(request.headers.get("accept", OPENMETRICS))

        def read() -> str:
            with one_at_a_time:
                return render([*parts.families(), *server_families(parts)], kind)

        text = await asyncio.to_thread(read)
        return Response(text, media_type=None, headers={"content-type": kind})

    routes.add("GET", "/healthz", get_health, tag="own", shape=Health, scope=None)
    routes.add("GET", "/metrics", get_metrics, tag="own", shape=None, media_type="text/plain")
