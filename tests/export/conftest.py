"""What the tests of OTLP's sinks share: an empty environment, and sinks that end with the test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from whence.collect.sink import Sink
from whence.export.sinks import open_sink

if TYPE_CHECKING:  # it needs libraries that may be missing
    from tests.mocks.otlp_receiver import GrpcReceiver, HttpReceiver


@pytest.fixture
def no_otlp_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests has a say."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "WHENCE_OTLP_")):
            monkeypatch.delenv(name)


@pytest.fixture
def sinks() -> Iterator[Callable[..., Sink]]:
    """sinks(receiver, query, **options) opens a sink that is closed with the test."""
    opened: list[Sink] = []

    def open_one(receiver: HttpReceiver | GrpcReceiver, query: str = "", **options: Any) -> Sink:
        opened.append(open_sink(f"{receiver.url}{query}", options))
        return opened[-1]

    yield open_one
    for sink in opened:
        sink.close()
