"""Sinks are chosen by URL."""

from __future__ import annotations

import pytest

from whence.export.sinks import open_sink, scheme_of
from whence.model.errors import UnknownSink


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("./out.ndjson", "file"),
        ("out.json", "file"),
        ("file:///var/log/out.json", "file"),
        ("OTLP+HTTP://host:4318/v1", "otlp+http"),
        ("a:b.ndjson", "file"),
    ],
)
def test_a_url_has_a_scheme_and_a_path_is_a_file(url: str, scheme: str) -> None:
    """What stands before :// names the sink; everything else is a path."""
    assert scheme_of(url) == scheme


def test_an_unknown_sink_is_told_what_there_is() -> None:
    """The message of UnknownSink names the sinks there are."""
    with pytest.raises(UnknownSink, match=r"carrier\+pigeon: no sink .*out.ndjson"):
        open_sink("carrier+pigeon://roof")


@pytest.mark.parametrize("scheme", ["loki", "otlp", "otlp+http"])
@pytest.mark.parametrize(
    "place", ["u:SEC/RET@h", "u:SEC#RET@h", "u:SECRET@h:1x", "u:SECRET@\u2100"]
)
def test_a_url_that_cannot_be_understood_is_refused_without_its_secrets(
    scheme: str, place: str
) -> None:
    """UnknownSink, so that commands say it in a line, and never with a part of a password. R1.43"""
    with pytest.raises(UnknownSink, match="cannot be understood") as caught:
        open_sink(f"{scheme}://{place}")
    assert "SEC" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
