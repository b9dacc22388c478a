"""Those told by HTTP: any webhook, Slack's, and Alertmanager."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from whence.collect.http_post import Answer, HttpPost, basic_credentials, retry_after_s
from whence.collect.sink import Refused, Unavailable
from whence.watch.alerts.guard import Guard, checked_url
from whence.watch.alerts.message import AlertMessage, iso, plain_message, text_of

__all__ = ["AlertmanagerHook", "SlackHook", "WebHook"]

_MOST_SLACK = 20_000  # letters; Slack itself cuts at 40,000
_RETRIED = (408, 425, 429, 500, 502, 503, 504)
_JSON = {"Content-Type": "application/json", "User-Agent": "whence-alerts"}


class _Hook:
    """One URL. Without a guard any address is connected to; redirections are never followed."""

    def __init__(
        self,
        name: str,
        url: object,
        guard: Guard | None,
        headers: Mapping[str, str] = {},
        context: ssl.SSLContext | None = None,
        path: str = "",
    ) -> None:
        parts = checked_url(url, name)
        self.name = name
        target = (parts.path.rstrip("/") + path if path else parts.path) or "/"
        self._post = HttpPost(
            parts,
            secure=parts.scheme == "https",
            path=f"{target}?{parts.query}" if parts.query else target,
            headers={**_JSON, **basic_credentials(parts), **headers},
            context=context,
            connect=guard.connect if guard is not None else None,
        )

    def close(self) -> None:
        """Closes the connection."""
        self._post.close()

    def _send(self, body: bytes, timeout_s: float, headers: Mapping[str, str] = {}) -> None:
        answer = self._post.post(body, headers, timeout_s)
        if 200 <= answer.status < 300:
            return
        said = f"HTTP {answer.status}{_shown(answer)}"
        if answer.status in _RETRIED:
            raise Unavailable(said, retry_after_s(answer))
        if 300 <= answer.status < 400:
            said += ": redirections are not followed"
        raise Refused(said)


class WebHook(_Hook):
    """POSTs {"alerts": [...], "dropped": n}; with a secret, signed.

    The header X-Whence-Signature is then t=SECONDS,v1=HEX: the HMAC-SHA256 of "SECONDS.BODY".
    """

    def __init__(
        self,
        name: str,
        url: object,
        guard: Guard | None,
        *,
        secret: bytes = b"",
        headers: Mapping[str, str] = {},
        context: ssl.SSLContext | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name, url, guard, headers, context)
        self._secret = secret
        self._wall_clock = wall_clock

    def deliver(self, messages: Sequence[AlertMessage], dropped: int, timeout_s: float) -> None:
        """One POST of all of them."""
        value = {"alerts": [plain_message(each) for each in messages], "dropped": dropped}
        body = _json(value)
        headers = {}
        if self._secret:
            at = str(int(self._wall_clock()))
            signed = hmac.new(self._secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers["X-Whence-Signature"] = f"t={at},v1={signed}"
        self._send(body, timeout_s, headers)


class SlackHook(_Hook):
    """POSTs {"text": ...} to an incoming webhook of Slack, or of what understands the same."""

    def deliver(self, messages: Sequence[AlertMessage], dropped: int, timeout_s: float) -> None:
        """One POST of all of them."""
        text = "\n\n".join(text_of(each) for each in messages)
        if len(messages) > 1:
            titles = "\n".join(each.title for each in messages)
            text = f"{len(messages)} alerts:\n{titles}"
        if dropped:
            text += f"\n{dropped} more found no room"
        cut = text if len(text) <= _MOST_SLACK else f"{text[:_MOST_SLACK]}\n... cut here"
        self._send(_json({"text": _escaped(cut)}), timeout_s)


class AlertmanagerHook(_Hook):
    """Hands alerts to Prometheus' Alertmanager by its API v2, which groups and routes them."""

    def __init__(
        self,
        name: str,
        url: object,
        guard: Guard | None,
        *,
        headers: Mapping[str, str] = {},
        context: ssl.SSLContext | None = None,
        lasts_s: float = 86_400.0,
    ) -> None:
        """`lasts_s` is how long an alert is held for firing unless it is said to be resolved."""
        super().__init__(name, url, guard, headers, context, path="/api/v2/alerts")
        self._lasts_ns = int(lasts_s * 1e9)

    def deliver(self, messages: Sequence[AlertMessage], dropped: int, timeout_s: float) -> None:
        """One POST of all of them."""
        self._send(_json([self._alert(each) for each in messages]), timeout_s)

    def _alert(self, message: AlertMessage) -> dict[str, Any]:
        ended_ns = message.ended_wall_ns
        annotations = {
            "summary": message.title,
            "description": text_of(message),
            **{f"value_{name}": value for name, value in message.values.items()},
        }
        found: dict[str, Any] = {
            "labels": {
                **message.labels,
                "alertname": message.name,
                "severity": message.severity,
            },
            "annotations": annotations,
            "startsAt": iso(message.started_wall_ns),
            "endsAt": iso(
                message.started_wall_ns + self._lasts_ns if ended_ns is None else ended_ns
            ),
        }
        urls = [cause.url for cause in message.causes if cause.url]
        return {**found, "generatorURL": urls[0]} if urls else found


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _escaped(text: str) -> str:
    """Slack's own three letters, so that no text of an event becomes a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shown(answer: Answer) -> str:
    return f": {answer.text[:200]}" if answer.text else ""
