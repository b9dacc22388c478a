"""Webhooks, Slack and Alertmanager: what is sent, and what an answer means."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.watch.alerts.test_alerts import hook
from tests.watch.alerts.test_delivery import message
from whence.collect.sink import Refused, Unavailable
from whence.watch.alerts.delivery import Delivery, Pace
from whence.watch.alerts.guard import Guard
from whence.watch.alerts.hooks import AlertmanagerHook, SlackHook, WebHook
from whence.watch.alerts.message import Cause


def test_a_webhook_is_signed_over_its_time_and_body() -> None:
    """Whoever holds the secret can tell that it is ours, and when it was made. R4.51"""
    with hook() as web:
        made = WebHook(
            "hook", f"http://{web.at}/a?b=c", Guard([web.at]), secret=b"s", wall_clock=lambda: 7.9
        )
        with contextlib.closing(made):
            made.deliver([message(1)], 3, 5.0)
    assert json.loads(web.bodies[0])["dropped"] == 3
    signed = hmac.new(b"s", b"7." + web.bodies[0], hashlib.sha256).hexdigest()
    assert web.headers[0]["x-whence-signature"] == f"t=7,v1={signed}"


def test_slack_is_asked_again_after_the_time_it_says() -> None:
    """429 with Retry-After: told once, not before. R4.51"""
    with hook() as web:
        web.answers = [(429, {"Retry-After": "0"}), (503, {})]
        delivery = Delivery(
            SlackHook("slack", f"http://{web.at}/", Guard([web.at])), Pace(first_s=0.001)
        )
        delivery.offer(replace(message(1), note="<!channel> & <b>"))
        assert delivery.wait_settled(20)
        delivery.close()
    assert len(web.bodies) == 3
    assert delivery.counts.delivered == 1
    text = json.loads(web.bodies[2])["text"]
    assert "[firing] high: alert 1" in text
    assert "&lt;!channel&gt; &amp;" in text
    assert "<" not in text


@pytest.mark.parametrize(
    ("status", "raised"), [(429, Unavailable), (500, Unavailable), (400, Refused), (404, Refused)]
)
def test_an_answer_says_whether_to_try_again(status: int, raised: type[Exception]) -> None:
    """What passes is Unavailable, with the time that it asks for. R4.51"""
    with (
        hook() as web,
        contextlib.closing(WebHook("h", f"http://{web.at}/", Guard([web.at]))) as made,
    ):
        web.answers = [(status, {"Retry-After": "17"})]
        with pytest.raises(raised, match=f"HTTP {status}") as caught:
            made.deliver([message(1)], 0, 5.0)
        if isinstance(caught.value, Unavailable):
            assert caught.value.retry_after_s == 17.0


def test_alertmanager_is_told_what_its_api_takes() -> None:
    """Labels that stay the same, and an end that lies ahead while it fires. R4.51"""
    fired = replace(
        message(10**18), labels={"team": "a"}, values={"error_rate": "50%"},
        causes=(Cause("trace", "ab", "whence why ab", "http://h/api/v1/traces/ab"),),
    )  # fmt: skip
    with (
        hook() as web,
        contextlib.closing(AlertmanagerHook("am", f"http://{web.at}", None)) as made,
    ):
        made.deliver([fired], 0, 5.0)
        made.deliver([replace(fired, status="resolved", ended_wall_ns=10**18 + 10**9)], 0, 5.0)
        one, two = (json.loads(body)[0] for body in web.bodies)
    assert (
        one["labels"] == two["labels"] == {"team": "a", "alertname": fired.name, "severity": "high"}
    )
    assert (one["startsAt"], two["endsAt"]) == (
        "2001-09-09T01:46:40.000Z",
        "2001-09-09T01:46:41.000Z",
    )
    assert one["endsAt"] > one["startsAt"]
    assert one["generatorURL"] == "http://h/api/v1/traces/ab"


def alertmanager() -> str:
    """Where the real one is, or a visible skip."""
    found = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if found is None:
        pytest.skip("Alertmanager is not installed: apt install prometheus-alertmanager")
    return found


def test_the_real_alertmanager_shows_an_alert_and_forgets_it(tmp_path: Path) -> None:
    """Told by its API it has one alert with our labels, and none once that is resolved. R4.51"""
    program = alertmanager()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "am.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    process = subprocess.Popen(
        [program, f"--config.file={tmp_path}/am.yml", f"--storage.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        now = time.time_ns()
        fired = replace(message(now), values={"error_rate": "50%"})
        delivery = Delivery(
            AlertmanagerHook("am", f"http://127.0.0.1:{port}", None),
            Pace(first_s=0.1, longest_s=0.2),
        )
        with contextlib.closing(delivery):
            delivery.offer(fired)  # retried until it listens
            assert delivery.wait_settled(60)
            assert [each["labels"]["alertname"] for each in listed(port)] == [fired.name]
            delivery.offer(replace(fired, status="resolved", ended_wall_ns=time.time_ns()))
            assert delivery.wait_settled(60)
            assert delivery.counts.delivered == 2
        end_s = time.monotonic() + 30
        while listed(port) and time.monotonic() < end_s:
            time.sleep(0.05)
        assert listed(port) == []
    finally:
        process.terminate()
        process.wait(20)


def listed(port: int) -> list[dict[str, Any]]:
    """The alerts that Alertmanager has."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/alerts?active=true") as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found
