"""A web service: its requests, its decisions, its log records and an instrumented library's spans.

The lines after `# >` are what it prints. Under a server it is `uvicorn examples.shop:app`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from opentelemetry import trace

import whence
import whence.otel
from whence import Option
from whence.integrations.asgi import Middleware
from whence.integrations.logging import Handler

trace.set_tracer_provider(whence.otel.TracerProvider())
logging.basicConfig(level="INFO", handlers=[Handler()])

log = logging.getLogger("shop")
tracer = trace.get_tracer("shop.warehouse")  # as an instrumented library has one


@whence.kind(component="Shop", decision=True, rationale="Sending from {warehouse}: {days} days")
def warehouse_chosen(warehouse: str, days: int, options: list[Option]) -> None: ...


def stock(title: str) -> dict[str, int]:
    """Days until each warehouse could send it."""
    with tracer.start_as_current_span("query stock", attributes={"db.system.name": "sqlite"}):
        return {"north": 3, "south": 1}


async def shop(scope: Any, receive: Any, send: Any) -> None:
    """Takes one order."""
    days = stock("Emma")
    best = min(days, key=days.__getitem__)
    options = [Option(name, {"days": n}, chosen=name == best) for name, n in days.items()]
    warehouse_chosen(best, days[best], options)
    log.info("order of %s taken", "Emma")
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": best.encode()})


app = Middleware(shop)


async def main() -> None:
    """Serve one request, as a server would, and show what is known of it."""
    request = {"type": "http", "method": "POST", "path": "/orders"}

    async def send(message: Any) -> None:
        print(message["type"], message.get("body", b"").decode() or message.get("status"))

    await app({**request, "headers": [(b"x-request-id", b"req-17")]}, None, send)
    # > http.response.start 201
    # > http.response.body south

    for event in whence.collector().reconstruct_decision_chain("req-17"):
        print(f"{event.component:14} {event.event_type:16} {event.rationale}".rstrip())
    # > ASGI           http_request
    # > shop.warehouse query stock
    # > Shop           warehouse_chosen Sending from south: 1 days
    # > shop           log_record       order of Emma taken


if __name__ == "__main__":
    asyncio.run(main())
