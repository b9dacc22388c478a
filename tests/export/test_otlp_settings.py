"""Where OTLP goes: URLs, and the environment variables that OpenTelemetry defines."""

from __future__ import annotations

import pytest

from whence.export.otlp_settings import GRPC, JSON, PROTOBUF, OtlpSettings, read_settings


def settings(url: str, **environ: str) -> OtlpSettings:
    """Settings of a URL in this environment."""
    return read_settings(url, {}, environ)


def places(found: OtlpSettings) -> dict[str, str]:
    """Where each signal goes."""
    return {
        signal: f"{target.parts.hostname}:{target.parts.port}{target.path}"
        for signal, target in found.targets.items()
    }


@pytest.mark.parametrize(
    ("url", "protocol", "secure", "logs"),
    [
        ("otlp://host", GRPC, False, "host:4317"),
        ("otlp://host:55", GRPC, False, "host:55"),
        ("otlps://host", GRPC, True, "host:4317"),
        ("otlp+http://host", PROTOBUF, False, "host:4318/v1/logs"),
        ("otlp+https://host:443/otlp/", PROTOBUF, True, "host:443/otlp/v1/logs"),
        ("otlp+http://host?protocol=http/json", JSON, False, "host:4318/v1/logs"),
    ],
)
def test_a_url_says_where_and_how(url: str, protocol: str, secure: bool, logs: str) -> None:
    """The scheme is protocol and security, the path a base. R1.42"""
    found = settings(url)
    assert found.protocol == protocol
    assert found.targets["logs"].secure is secure
    assert places(found)["logs"] == logs
    assert found.targets["logs"].gzip
    assert found.targets["logs"].timeout_s == 10


def test_without_a_host_the_environment_says_where() -> None:
    """A base endpoint gets each signal's path; one of a signal alone is taken as it is. R1.42"""
    assert places(settings("otlp:")) == {
        "logs": "localhost:4318/v1/logs",
        "traces": "localhost:4318/v1/traces",
    }
    found = settings(
        "otlp:",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://base:1/x",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="https://only-logs:2/y",
    )
    assert places(found) == {"logs": "only-logs:2/y", "traces": "base:1/x/v1/traces"}
    assert [found.targets[signal].secure for signal in ("logs", "traces")] == [True, False]


@pytest.mark.parametrize(
    ("endpoint", "insecure", "address", "secure"),
    [
        ("", "", "localhost:4317", False),
        ("http://host:1", "", "host:1", False),
        ("https://host:1", "true", "host:1", True),
        ("https://host", "", "host:443", True),
        ("host:1", "", "host:1", True),
        ("host:1", "true", "host:1", False),
        ("http://[::1]:1/ignored", "", "[::1]:1", False),
    ],
)
def test_grpc_endpoints_of_the_environment(
    endpoint: str, insecure: str, address: str, secure: bool
) -> None:
    """The scheme says whether TLS is used; without one INSECURE does. R1.42"""
    found = settings(
        "otlp:",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_EXPORTER_OTLP_INSECURE=insecure,
    )
    target = found.targets["traces"]
    assert (found.protocol, target.address, target.secure) == (GRPC, address, secure)


def test_our_own_variables_come_first_and_signals_before_all() -> None:
    """WHENCE_OTLP_LOGS_*, WHENCE_OTLP_*, then the OTEL names in the same order. R1.42"""
    environ = {
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "20000",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "5",
        "WHENCE_OTLP_LOGS_TIMEOUT": "2",
        "WHENCE_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/key.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/cert.pem",
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "7",
    }
    found = read_settings("otlp+http://host", {}, environ)
    assert [found.targets[signal].timeout_s for signal in ("logs", "traces")] == [2, 5]
    target = found.targets["traces"]
    assert target.gzip
    assert (target.ca, target.key, target.certificate) == ("/ca.pem", "/key.pem", "/cert.pem")
    assert found.most_attributes == 7
    assert settings("otlp:", OTEL_EXPORTER_OTLP_TIMEOUT="20000").targets["logs"].timeout_s == 20


def test_headers_of_others_go_to_no_other_host() -> None:
    """OTEL headers may be keys for the endpoint beside them; ours are for all. R1.42"""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://theirs:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=abc%2C1, x = y ",
        "WHENCE_OTLP_HEADERS": "mine=1",
    }
    known = {"api-key": "abc,1", "x": "y", "mine": "1"}
    assert read_settings("otlp:", {}, environ).targets["logs"].headers == known
    same = read_settings("otlp+http://theirs:4318", {}, environ)
    assert same.targets["logs"].headers == known
    other = read_settings("otlp+http://other:4318", {"headers": {"given": "2"}}, environ)
    assert other.targets["logs"].headers == {"mine": "1", "given": "2"}


def test_an_empty_variable_is_unset() -> None:
    """As OpenTelemetry has it. R1.42"""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "OTEL_EXPORTER_OTLP_PROTOCOL": " ",
        "WHENCE_OTLP_TIMEOUT": "",
    }
    found = read_settings("otlp:", {}, environ)
    assert found.protocol == PROTOBUF
    assert found.targets["logs"].parts.hostname == "localhost"


@pytest.mark.parametrize(
    ("url", "environ", "told"),
    [
        ("otlp://host?colour=red", {}, "colour: no option of OTLP"),
        ("otlp://host?protocol=http/json", {}, "does not fit otlp:"),
        ("otlp+http://host?protocol=grpc", {}, "does not fit"),
        ("otlp://host?signals=metrics", {}, "signals=metrics"),
        ("otlp://host?compression=zip", {}, "gzip and none"),
        ("otlp://host?timeout=soon", {}, "no number"),
        ("otlp://host?timeout=0", {}, "above zero"),
        ("otlp://host?attributes=-1", {}, "a number of attributes"),
        ("otlp://:4317", {}, "names no host"),
        ("otlp://host:port", {}, "[Pp]ort"),
        ("otlp:", {"OTEL_EXPORTER_OTLP_PROTOCOL": "soap"}, "'soap'"),
        ("otlp:", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}, "names no host"),
        ("otlp:", {"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://s3cret@host"}, "begins with http"),
        ("otlp:", {"OTEL_EXPORTER_OTLP_HEADERS": "s3cret"}, "key=value"),
    ],
)
def test_what_is_wrong_is_said_at_once_and_without_secrets(
    url: str, environ: dict[str, str], told: str
) -> None:
    """Before anything is sent. R1.42"""
    with pytest.raises(ValueError, match=told) as caught:
        read_settings(url, {}, environ)
    assert "s3cret" not in str(caught.value)


def test_names_and_reprs_hold_no_secret() -> None:
    """User, password and headers are left out. R1.42"""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://u:s3cret@host:1/x"}
    for url in ("otlp:", "otlp+https://me:s3cret@host:2/base/?timeout=3"):
        found = read_settings(url, {"headers": {"k": "s3cret"}}, environ)
        assert "s3cret" not in f"{found!r} {found.name}"
        assert "authorization" in {name.lower() for name in found.targets["logs"].headers}
    assert found.name.partition("#")[0] == "otlp+https://host:2/base"
