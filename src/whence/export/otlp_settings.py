"""Where OTLP goes and how: a URL, and the environment variables that OpenTelemetry has for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from whence.collect.http_post import basic_credentials
from whence.export.otlp import LOGS, MOST_ATTRIBUTES, SIGNALS, TRACES
from whence.export.sink_name import sink_name

__all__ = ["GRPC", "JSON", "PROTOBUF", "OtlpSettings", "Target", "read_settings"]

GRPC = "grpc"
PROTOBUF = "http/protobuf"
JSON = "http/json"
PROTOCOLS = (GRPC, PROTOBUF, JSON)

DEFAULT_TIMEOUT_S = 10.0
# The specification counts OTEL_EXPORTER_OTLP_TIMEOUT in milliseconds, OpenTelemetry's Python
# exporters in seconds: up to this number it is taken for seconds.
MOST_SECONDS = 600

_SCHEMES = {  # protocol, secure
    "otlp": (GRPC, False),
    "otlps": (GRPC, True),
    "otlp+http": (PROTOBUF, False),
    "otlp+https": (PROTOBUF, True),
}
_ASKED = ("protocol", "signals", "compression", "attributes", "timeout", "ca", "cert", "key")


@dataclass(frozen=True, slots=True)
class Target:
    """Where one signal goes. Headers may be secrets and are left out of its repr()."""

    parts: SplitResult = field(repr=False)
    path: str
    secure: bool
    headers: Mapping[str, str] = field(repr=False)
    gzip: bool = True
    timeout_s: float = DEFAULT_TIMEOUT_S
    ca: str = ""  # paths of PEM files
    certificate: str = ""
    key: str = ""

    @property
    def address(self) -> str:
        """host:port, as gRPC wants it."""
        host = self.parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{self.parts.port or (443 if self.parts.scheme == 'https' else 4317)}"


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """One destination: `name` is shown to people, `targets` are by signal."""

    name: str
    protocol: str
    targets: Mapping[str, Target]
    signals: str = "both"
    most_attributes: int = MOST_ATTRIBUTES


def read_settings(
    url: str, options: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> OtlpSettings:
    """What a URL, options and the environment say; the URL's query first, WHENCE_* before OTEL_*.

    `otlp:` alone is the endpoint that the environment names, else OpenTelemetry's default. The
    environment's OTEL headers are sent to no other host than the one that it names: they may be
    keys. WHENCE_OTLP_HEADERS and the option `headers` are. Raises ValueError, without secrets.
    """
    parts = urlsplit(url)
    protocol, secure = _SCHEMES[parts.scheme.lower()]
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in asked:
        if name not in _ASKED:
            raise ValueError(f"{name}: no option of OTLP; there are {', '.join(_ASKED)}")
    environment = os.environ if environ is None else environ
    general = _Environment(environment, "")
    named = bool(parts.netloc)
    if not named:
        protocol = general.get("PROTOCOL") or PROTOBUF
    protocol = asked.get("protocol", protocol)
    if protocol not in PROTOCOLS or (named and (protocol == GRPC) != ("+" not in parts.scheme)):
        raise ValueError(f"protocol {protocol!r} does not fit {parts.scheme}:")
    signals = asked.get("signals", "both")
    if signals not in SIGNALS:
        raise ValueError(f"signals={signals}: there are {', '.join(SIGNALS)}")
    targets = {}
    for signal in (LOGS, TRACES):
        known = _Environment(environment, signal)
        if named:
            targets[signal] = _named_target(parts, protocol, secure, signal, known, asked, options)
        else:
            targets[signal] = _environments_target(protocol, signal, known, asked, options)
    place = _shown(parts.scheme.lower(), targets[LOGS] if not named else None, parts)
    user = targets[LOGS].parts.username
    return OtlpSettings(
        name=sink_name(place, asked, targets[LOGS].headers, user),
        protocol=protocol,
        targets=targets,
        signals=signals,
        most_attributes=_count(asked.get("attributes") or general.attribute_limit()),
    )


class _Environment:
    """The variables of one signal: ours first, then its own, then those of all signals."""

    def __init__(self, environ: Mapping[str, str], signal: str) -> None:
        self._environ = environ
        self._signal = f"{signal.upper()}_" if signal else ""

    def get(self, name: str) -> str:
        """The value, "" where there is none: empty means unset."""
        return self.find(name)[0]

    def find(self, name: str, prefixes: tuple[str, ...] = ("WHENCE_OTLP_", "")) -> tuple[str, bool]:
        """The value, and whether it was given for this signal alone."""
        for prefix in prefixes:
            head = prefix or "OTEL_EXPORTER_OTLP_"
            for part in dict.fromkeys((self._signal, "")):
                if value := self._environ.get(f"{head}{part}{name}", "").strip():
                    return value, bool(part)
        return "", False

    def headers(self, *, of_others: bool) -> dict[str, str]:
        """The headers; those of OTEL_* variables only where the endpoint is theirs."""
        found: dict[str, str] = {}
        for prefix in ("", "WHENCE_OTLP_") if of_others else ("WHENCE_OTLP_",):
            text, _ = self.find("HEADERS", (prefix,))
            found |= _headers(text)
        return found

    def attribute_limit(self) -> str:
        """OpenTelemetry's general limit of attributes."""
        return self._environ.get("OTEL_ATTRIBUTE_COUNT_LIMIT", "").strip() or str(MOST_ATTRIBUTES)


def _named_target(
    parts: SplitResult,
    protocol: str,
    secure: bool,
    signal: str,
    known: _Environment,
    asked: Mapping[str, str],
    options: Mapping[str, Any],
) -> Target:
    """Of a URL that names a host: a base, to which HTTP's path is added."""
    endpoint, _ = known.find("ENDPOINT")
    theirs = _parsed(endpoint) if endpoint else None
    same = theirs is not None and (theirs.hostname, theirs.port) == (parts.hostname, parts.port)
    if not parts.hostname:
        raise ValueError("the URL names no host")
    _ = parts.port  # ValueError where it is no number
    headers = known.headers(of_others=same) | basic_credentials(parts)
    path = "" if protocol == GRPC else f"{parts.path.rstrip('/')}/v1/{signal}"
    return _target(_with_port(parts, protocol), path, secure, headers, known, asked, options)


def _environments_target(
    protocol: str,
    signal: str,
    known: _Environment,
    asked: Mapping[str, str],
    options: Mapping[str, Any],
) -> Target:
    endpoint, own = known.find("ENDPOINT")
    default = "http://localhost:4317" if protocol == GRPC else "http://localhost:4318"
    parts = _parsed(endpoint or default)
    if parts.scheme in ("http", "https"):
        secure = parts.scheme == "https"
    elif protocol == GRPC:
        secure = known.get("INSECURE").lower() != "true"
    else:
        raise ValueError("an OTLP endpoint for HTTP begins with http:// or https://")
    path = "" if protocol == GRPC else parts.path
    if protocol != GRPC and not own:  # a base; one of this signal alone is taken as it is
        path = f"{path.rstrip('/')}/v1/{signal}"
    headers = known.headers(of_others=True) | basic_credentials(parts)
    return _target(_with_port(parts, protocol), path or "/", secure, headers, known, asked, options)


def _target(
    parts: SplitResult,
    path: str,
    secure: bool,
    headers: Mapping[str, str],
    known: _Environment,
    asked: Mapping[str, str],
    options: Mapping[str, Any],
) -> Target:
    compression = asked.get("compression") or known.get("COMPRESSION") or "gzip"
    if compression not in ("gzip", "none"):
        raise ValueError(f"compression {compression!r}: OTLP has gzip and none")
    given = options.get("headers") or {}
    return Target(
        parts=parts,
        path=path,
        secure=secure,
        headers={**headers, **{str(name): str(value) for name, value in given.items()}},
        gzip=compression == "gzip",
        timeout_s=_seconds(asked.get("timeout", ""), known.get("TIMEOUT")),
        ca=asked.get("ca") or known.get("CERTIFICATE"),
        certificate=asked.get("cert") or known.get("CLIENT_CERTIFICATE"),
        key=asked.get("key") or known.get("CLIENT_KEY"),
    )


def _parsed(endpoint: str) -> SplitResult:
    parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    if not parts.hostname:
        raise ValueError("the environment's OTLP endpoint names no host")
    _ = parts.port
    return parts


def _with_port(parts: SplitResult, protocol: str) -> SplitResult:
    """The same with OTLP's port where none was given; https:// endpoints keep their own."""
    if parts.port is not None or parts.scheme in ("http", "https"):
        return parts
    return parts._replace(netloc=f"{parts.netloc}:{4317 if protocol == GRPC else 4318}")


def _shown(scheme: str, target: Target | None, parts: SplitResult) -> str:
    if target is not None:  # of the environment
        host = target.parts.netloc.rpartition("@")[2]
        return f"{scheme}:{host}{target.parts.path.rstrip('/')}"
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _headers(text: str) -> dict[str, str]:
    """`key=value,key=value`, percent-encoded; what is none of that is not repeated in the error."""
    found = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not part.strip():
            continue
        if not equals or not name.strip():
            raise ValueError("OTLP headers are written key=value,key=value")
        found[unquote(name.strip())] = unquote(value.strip())
    return found


def _seconds(asked: str, environments: str) -> float:
    text = asked or environments
    try:
        value = float(text or DEFAULT_TIMEOUT_S)
    except ValueError:
        raise ValueError(f"timeout {text!r} is no number") from None
    if not 0 < value < float("inf"):
        raise ValueError(f"timeout {text!r} must be above zero")
    return value if asked or value <= MOST_SECONDS else value / 1_000


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"attributes={text}: a number of attributes is wanted")
    return int(text)
