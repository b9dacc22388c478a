"""What a clickhouse:// URL says, and what none says."""

from __future__ import annotations

import pytest

from whence.store.clickhouse.place import read_place, without_password


def test_a_url_names_hosts_user_database_and_cluster() -> None:
    """Words are quoted as URLs quote; ports and the database have defaults. R5.21"""
    url = "clickhouse://me:a%2Fb%40c@one:81,two,[::1]:9/traces?cluster=all&retention_days=30"
    place = read_place(url, environ={})
    assert place.hosts == (("one", 81), ("two", 8123), ("::1", 9))
    assert (place.user, place.password, place.retention_days) == ("me", "a/b@c", 30)
    assert (place.events, place.sessions) == ("`traces`.`events`", "`traces`.`sessions`")
    assert place.name == "clickhouse://me@one:81,two:8123,[::1]:9/traces?cluster=all"
    assert "a/b@c" not in repr(place)


def test_one_node_needs_no_cluster() -> None:
    """Its own tables are written to and asked; TLS has a port of its own. R5.21"""
    place = read_place("clickhouses://host", environ={})
    assert (place.hosts, place.secure) == ((("host", 8443),), True)
    assert place.events == "`whence`.`events_local`"


def test_user_and_password_come_from_the_environment_where_the_url_has_none() -> None:
    """So that they need not be in a command line. R5.21"""
    environ = {"CLICKHOUSE_USER": "env", "CLICKHOUSE_PASSWORD": "secret"}
    place = read_place("clickhouse://host/db", environ=environ)
    assert (place.user, place.password) == ("env", "secret")
    place = read_place("clickhouse://other@host/db", environ=environ)
    assert (place.user, place.password) == ("other", "secret")


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse:host",
        "http://host",
        "clickhouse://",
        "clickhouse://u:se/cret@host/db",
        "clickhouse://u:se?cret@host/db",
        "clickhouse://u:secret@host:99999/db",
        "clickhouse://u:secret@host/d`b",
        "clickhouse://u:secret@host/db?cluster=a b",
        "clickhouse://u:secret@host/db?ca=/x.pem",
        "clickhouse://u:secret@host/db?colour=red",
        "clickhouse://u:secret@host/db?retention_days=-1",
        "clickhouse://u:secret@host,,/db",
    ],
)
def test_what_cannot_be_understood_is_refused_without_its_secrets(url: str) -> None:
    """A ValueError says what is wrong, never the password. R5.21"""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (the words differ)
        read_place(url, environ={})
    assert "secret" not in str(refused.value)
    assert "cret@" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("clickhouse://me:secret@one,two/db?cluster=c", "clickhouse://me@one,two/db?cluster=c"),
        ("clickhouse://me:sec/re@t?#@one/db", "clickhouse://me@one/db"),
        ("clickhouse://one/db", "clickhouse://one/db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """Also one that cannot be understood. R5.21"""
    assert without_password(url) == shown
