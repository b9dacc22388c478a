"""whence serve and whence token: one process keeps a store and answers for it over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'whence[serve]'")
trustme = pytest.importorskip("trustme")

PROGRAM = """
    import sys, time, whence
    whence.start("producer", store=sys.argv[1])
    decide = whence.kind("scheduling_decision", component="Scheduler", decision=True,
                         rationale="Selected {model}", model=str)
    for number in range(20):
        with whence.request(f"req-{number:04d}"):
            decide("ocr")
"""


class Server:
    """A `whence serve` that runs until it is told to end."""

    def __init__(self, base: Path, store: Path, *more: str) -> None:
        self.env = {**os.environ, "WHENCE_DIR": str(base)}
        command = [sys.executable, "-m", "whence", "serve", str(store), "--port", "0", *more]
        self.process = subprocess.Popen(command, env=self.env, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []
        self.url = self._word(r" at (https?://\S+)/api/v1")
        self.token = ""

    def first_token(self) -> str:
        """The token that the first start prints."""
        self.token = self._word(r"token, shown this once: (\S+)")
        return self.token

    def _word(self, pattern: str) -> str:
        assert self.process.stderr is not None
        while line := self.process.stderr.readline():
            self.said.append(line)
            if found := re.search(pattern, line):
                return found[1]
        raise AssertionError("".join(self.said))

    def get(self, path: str, context: ssl.SSLContext | None = None) -> tuple[int, Any]:
        """Status and value of one answer."""
        scheme, _, rest = self.url.partition("://")
        connection = (
            http.client.HTTPSConnection(rest, context=context, timeout=30)
            if scheme == "https"
            else http.client.HTTPConnection(rest, timeout=30)
        )
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {self.token}"}
            connection.request("GET", f"/api/v1{path}", headers=headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def text(self, path: str) -> str:
        """An answer that is no JSON."""
        connection = http.client.HTTPConnection(self.url.partition("://")[2], timeout=30)
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {self.token}"}
            connection.request("GET", f"/api/v1{path}", headers=headers)
            return connection.getresponse().read().decode()

    def until(self, path: str, holds: Callable[[int, Any], bool]) -> Any:
        """Asks until the answer is so."""
        end_s = time.monotonic() + 30
        while True:
            status, value = self.get(path)
            if holds(status, value):
                return value
            assert time.monotonic() < end_s, value
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> str:
        """Ends it in order; what it said."""
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, rest
        return "".join(self.said) + rest


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers over one store; what still runs is killed at the end."""
    started: list[Server] = []

    def begin(*more: str) -> Server:
        started.append(Server(tmp_path / "whence", tmp_path / "traces", *more))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def _record(server: Server, store: Path) -> None:
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(store)]
    subprocess.run(program, env=server.env, check=True, timeout=60)


def _whence(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "whence", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_collects_what_names_its_store_and_answers_for_it(
    serve: Callable[..., Server], tmp_path: Path, number: int
) -> None:
    """One process is the collector, the store's owner and the server, and ends in order. R4.63"""
    server = serve()
    server.first_token()
    _record(server, tmp_path / "traces")
    found = server.until("/decisions/req-0019", lambda status, _: status == 200)
    assert found["story"][0]["sentence"] == "Selected ocr"
    figures = server.text("/metrics")
    for name in (
        "whence_events_recorded",
        "whence_exporter_events",
        "whence_store_",
        "whence_http_",
    ):
        assert name in figures
    said = server.end(number)
    assert said.count("whence_") == 1
    assert "ending" in said


def test_the_token_is_printed_once_and_counts_after_a_restart(
    serve: Callable[..., Server],
) -> None:
    """The second start prints none, and knows the first one's. R5.26"""
    first = serve()
    token = first.first_token()
    first.end()
    second = serve()
    second.token = token
    assert second.get("/sessions")[0] == 200
    assert "shown this once" not in second.end()


def test_a_second_server_of_a_store_says_whose_it_is(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """It is refused with words that name the owner and the way out; read-only it serves. R5.26"""
    first = serve()
    token = first.first_token()
    refused = _whence("serve", str(tmp_path / "traces"), "--port", "0")
    assert refused.returncode == 1
    assert f"pid {first.process.pid}" in refused.stderr
    assert "--read-only" in refused.stderr
    beside = serve("--read-only")
    beside.token = token
    assert beside.get("/healthz")[1]["writable"] is False
    assert first.get("/healthz")[1]["writable"] is True
    beside.end()
    assert first.end()


def test_tokens_are_added_and_revoked_while_it_runs(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """`whence token` makes, lists and revokes them; the server asks no restart. R5.26"""
    server = serve()
    server.first_token()
    store = str(tmp_path / "traces")
    made = json.loads(_whence("token", "add", store, "--scope", "read", "--json").stdout)
    server.token = made["token"]
    assert server.get("/sessions")[0] == 200
    listed = json.loads(_whence("token", "ls", store, "--json").stdout)["tokens"]
    assert [each["scopes"] for each in listed] == [["ingest", "read", "admin"], ["read"]]
    assert "hash" not in json.dumps(listed)
    assert _whence("token", "revoke", store, made["id"]).returncode == 0
    assert server.get("/sessions")[0] == 401
    assert _whence("token", "revoke", store, made["id"]).returncode == 4
    server.end()


def test_tls_is_spoken_where_there_is_a_certificate(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """With a certificate and its key it is HTTPS, and says so to browsers. R5.26"""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    server = serve("--tls-cert", str(certificate), "--tls-key", str(key))
    server.first_token()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert server.url.startswith("https://")
    assert server.get("/sessions", context)[0] == 200
    server.end()


SPANS = """
    import sys
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    with provider.get_tracer("test").start_as_current_span(sys.argv[1]):
        pass
    provider.shutdown()
"""


def test_opentelemetry_programs_send_their_spans_here(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """The SDK's own exporter, by our port with a token, and by OTLP's without. R5.17 R5.26"""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="a peer: whence[peers]")
    server = serve("--otlp", "--otlp-grpc-port", "0", "--otlp-http-port", "0")
    open_url = server._word(r"gRPC\) and (http://\S+)")
    server.first_token()
    for name, endpoint, token in (
        ("checkout", server.url, server.token),
        ("refused", server.url, "nobody"),
        ("payment", open_url, ""),
    ):
        env = server.env | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        if token:
            env["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization=Bearer {token}"
        program = [sys.executable, "-c", textwrap.dedent(SPANS), name]
        subprocess.run(program, env=env, check=True, timeout=60, stderr=subprocess.DEVNULL)
    status, found = server.get("/traces?sort=oldest")
    assert status == 200
    assert [row["name"] for row in found["items"]] == ["checkout", "payment"]
    assert server.get(f"/traces/{found['items'][0]['trace_id']}")[0] == 200
    server.end()


def test_what_cannot_be_served_is_told(tmp_path: Path) -> None:
    """A folder of other things, half a certificate, and limits without writing are refused."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    assert "holds other things" in _whence("serve", str(tmp_path / "other")).stderr
    assert "holds other things" not in _whence("token", "ls", str(tmp_path / "other")).stderr
    key = tmp_path / "key.pem"
    key.write_text("none")
    assert _whence("serve", str(tmp_path / "traces"), "--tls-key", str(key)).returncode == 2
    both = ("--tls-key", str(key), "--tls-cert", str(key))
    assert "no certificate" in _whence("serve", str(tmp_path / "traces"), *both).stderr
    assert _whence("serve", "x", "--read-only", "--keep-days", "1").returncode == 2
    assert "no store" in _whence("serve", str(tmp_path / "none"), "--read-only").stderr
