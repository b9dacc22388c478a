"""The guard: nothing private is reached, in whatever spelling, unless that was allowed."""

from __future__ import annotations

import contextlib
import socket

import pytest

from tests.watch.alerts.test_alerts import hook
from tests.watch.alerts.test_delivery import message
from whence.collect.sink import Refused
from whence.model.errors import AlertError
from whence.watch.alerts.guard import Guard
from whence.watch.alerts.hooks import SlackHook, WebHook

PRIVATE = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "0.0.0.0", "0",
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "2852039166", "100.64.0.1",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255",
    "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::7f00:1", "fe80::1", "fc00::1",
    "fd00:ec2::254", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_no_private_address_is_reached_in_any_spelling(host: str) -> None:
    """Loopback, private, link-local, metadata; decimal, octal, within IPv6. R4.51"""
    shown = f"[{host}]" if ":" in host else host
    for kind in (WebHook, SlackHook):
        with contextlib.closing(kind("hook", f"http://{shown}:9/x", Guard())) as made:
            with pytest.raises((Refused, OSError)) as caught:
                made._post._connect(host, 9, 1.0)  # type: ignore[misc]
            assert isinstance(caught.value, Refused | socket.gaierror)


def test_public_addresses_may_be_reached() -> None:
    """And names of which all addresses are public."""
    guard = Guard(resolve=lambda host, port: ["93.184.216.34", "2606:4700::6810:84e5"])
    assert guard.addresses("example.com", 443) == ["93.184.216.34", "2606:4700::6810:84e5"]
    mixed = Guard(resolve=lambda host, port: ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(Refused, match=r"10\.0\.0\.1, which is no public address"):
        mixed.addresses("example.com", 443)


def test_what_is_allowed_is_reached_and_nothing_beside() -> None:
    """Hosts, networks and ports. R4.51"""
    guard = Guard(
        ["10.1.0.0/16", "127.0.0.1:9000", "[::1]:9000"],
        resolve=lambda host, port: ["10.2.0.1"] if host.isalpha() else [host],
    )
    assert guard.addresses("10.1.2.3", 80)
    assert guard.addresses("127.0.0.1", 9000)
    assert guard.addresses("::1", 9000)
    for host, port in (("127.0.0.1", 9001), ("10.2.0.1", 80), ("other", 80)):
        with pytest.raises(Refused):
            guard.addresses(host, port)
    named = Guard(["inside.example"], resolve=lambda host, port: ["10.2.0.1"])
    assert named.addresses("INSIDE.example.", 80) == ["10.2.0.1"]
    for entry in ("", "http://x/", "a b", "x:99999", "x:http"):
        with pytest.raises(AlertError):
            Guard([entry])


def test_a_name_that_changes_its_meaning_gains_nothing() -> None:
    """What was checked is what is connected to: the second answer is never asked for. R4.51"""
    with hook() as web:
        asked = []

        def rebinding(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) > 1 else ["192.0.2.1"]

        port = int(web.at.rpartition(":")[2])
        made = WebHook("hook", f"http://evil.example:{port}/", Guard(resolve=rebinding))
        for _ in range(3):
            with pytest.raises(Refused):
                made.deliver([message(1)], 0, 1.0)
        assert (web.bodies, len(asked)) == ([], 3)


def test_the_address_is_pinned_and_the_name_is_sent() -> None:
    """Connected is the address; the server is asked under its name. R4.51"""
    with hook() as web:
        port = int(web.at.rpartition(":")[2])
        asked: list[str] = []

        def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        guard = Guard([f"127.0.0.1:{port}"], resolve=resolve)
        with contextlib.closing(WebHook("hook", f"http://hooks.example:{port}/", guard)) as made:
            made.deliver([message(1)], 0, 5.0)
            made.deliver([message(2)], 0, 5.0)
        assert web.headers[0]["host"] == f"hooks.example:{port}"
        assert asked == ["hooks.example"] * 2  # once for each connection


def test_redirections_are_not_followed() -> None:
    """Wherever they lead. R4.51"""
    with hook() as web, hook() as other:
        web.answers = [
            (status, {"Location": f"http://{other.at}/"}) for status in (301, 302, 307, 308)
        ]
        with contextlib.closing(WebHook("hook", f"http://{web.at}/", Guard([web.at]))) as made:
            for _ in range(4):
                with pytest.raises(Refused, match="not followed"):
                    made.deliver([message(1)], 0, 5.0)
        assert (len(web.bodies), other.bodies) == (4, [])
