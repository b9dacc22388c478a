"""schemathesis reads the OpenAPI document and sends what it can think of: no route has a 5xx."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("schemathesis", reason="a peer: pip install 'whence[peers]'")

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.serve.serving import Client, served
from whence.model.errors import WhenceError
from whence.query.engines.memory import InMemory
from whence.serve.app import document, make_routes
from whence.serve.asking import Asking
from whence.serve.auth import Tokens
from whence.serve.limits import Limits
from whence.serve.parts import Parts
from whence.serve.writing import Writing
from whence.traces.service import TraceService

EXAMPLES = int(os.environ.get("WHENCE_HTTP_EXAMPLES", "25"))
ENDLESS = {"/api/v1/events/stream"}


def _nobody() -> InMemory:
    raise WhenceError("documents ask no store")


def _operations() -> dict[str, Any]:
    document_ = document(make_routes(Parts(asking=Asking(_nobody, Limits()), tokens=Tokens())))
    schema = schemathesis.openapi.from_dict(document_)
    found = (each.ok() for each in schema.get_all_operations())
    return {each.label: each for each in found if each.path not in ENDLESS}


OPERATIONS = _operations()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Who asks a server that writes, over a store with a trace in it."""
    store = tmp_path_factory.mktemp("fuzz") / "traces"
    with TraceService(store) as service:
        trace = service.create_trace(name="first", metadata={"a": [1]}).value()
        service.record_event(trace.trace_id, "step", "error", "wrong", {"b": 1}).value()
        service.flush().value()
        with (
            contextlib.closing(Writing(service)) as writing,
            served(store, writing=writing, read_only=str) as found,
        ):
            yield found


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_route_answers_as_its_document_says(client: Client, name: str) -> None:
    """Whatever is sent, the answer is one that the document has, and never a 5xx. R4.63"""
    operation = OPERATIONS[name]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def answers(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy())
        headers = {"Authorization": f"Bearer {client.token}"}
        address = f"http://{client.host}:{client.port}"
        response = case.call(base_url=address, headers=headers, timeout=60)
        assert response.status_code < 500, (case.as_curl_command(), response.text)
        case.validate_response(response, checks=_CHECKS)

    answers()


_CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.specs.openapi.checks.status_code_conformance,
    schemathesis.specs.openapi.checks.content_type_conformance,
    schemathesis.specs.openapi.checks.response_schema_conformance,
]
