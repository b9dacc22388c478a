"""Names of services tell places apart, go on for what is only transport, and hold no secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.export.sink_name import sink_name
from whence.export.sinks import open_sink

HEADERS: tuple[dict[str, str], ...] = ({}, {"X-Scope-OrgID": "a"}, {"x-scope-orgid": "b"})
QUERIES = {
    "loki": [
        "format=json",
        "format=json&tenant=x",
        "format=json&tenant=y",
        "format=json&label.x=1",
    ],
    "otlp+http": ["", "signals=logs", "signals=traces"],
}


@pytest.mark.parametrize("scheme", QUERIES)
def test_what_decides_where_events_arrive_is_in_the_name(scheme: str) -> None:
    """Tenant, signals, labels, user: another one is another place. R1.42 R1.43 R5.10"""
    names = [
        name_of(f"{scheme}://{user}h:4318?{query}", headers)
        for query in QUERIES[scheme]
        for user in ("", "me:one@", "you:one@")
        for headers in (HEADERS if "tenant" not in query else HEADERS[:1])
    ]
    assert len(set(names)) == len(names)


def test_what_is_only_transport_is_not_in_the_name() -> None:
    """A new password, header, timeout or encoding: the same place, which goes on. R1.42 R5.10"""
    urls = ("h:4318", "h:4318?timeout=3&protocol=http/json", "h:4318/?compression=none")
    names = {name_of(f"otlp+http://{url}", {"Authorization": key}) for url in urls for key in "ab"}
    assert names == {"otlp+http://h:4318"}
    asked = {name_of("loki://h?tenant=x&format=json", headers) for headers in HEADERS}
    assert asked == {"loki://h?tenant=x"}  # the URL says more than a header
    assert len({name_of(f"otlp+http://me:{word}@h:1") for word in ("one", "two")}) == 1


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_users_name_is_hidden_and_tells_apart(one: str, two: str) -> None:
    """Eight digits of a hash, whatever the name; a user may be a key. R1.42"""
    names = [sink_name("loki://h", {}, {}, user) for user in (one, two)]
    assert all(len(name) == len("loki://h#01234567") for name in names)
    assert (names[0] == names[1]) == (one == two)


def name_of(url: str, headers: dict[str, str] | None = None) -> str:
    """The name of the sink that a URL means."""
    sink = open_sink(url, {"headers": headers or {}})
    sink.close()
    return sink.name
