"""The language of alert rules: what it means, and that what it is not is refused with its place."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.model.errors import AlertError
from whence.watch.alerts.grammar import (
    METRICS,
    TIME_NS,
    Comparison,
    Joined,
    Measured,
    parse_alert,
    parse_time,
)
from whence.watch.alerts.rules import AlertRule, plain_rule, rule_from
from whence.watch.alerts.settings import parse_alerts


def test_the_two_rules_of_the_manual_are_understood() -> None:
    """A share in per cent, and a time in milliseconds under one of its names. R4.52 R4.53"""
    assert parse_alert("error_rate > 5%").tree == Comparison(
        "error_rate", ">", Fraction(1, 20), "%", "5%"
    )
    for name in ("avg_response_time", "response_time_avg", "avg_duration"):
        tree = parse_alert(f"{name} > 5000ms").tree
        assert tree == Comparison("avg_response_time", ">", Fraction(5 * 10**9), "ms", "5000ms")


@pytest.mark.parametrize(("unit", "nanos"), TIME_NS.items())
def test_every_unit_of_time_is_exact(unit: str, nanos: int) -> None:
    """Times are whole nanoseconds, whatever they are written in. R4.53"""
    tree = parse_alert(f"p95_response_time >= 3{unit}").tree
    assert isinstance(tree, Comparison)
    assert tree.limit == 3 * nanos
    assert parse_time(f"3 {unit}") == 3 * nanos


def test_and_binds_before_or_and_brackets_before_both() -> None:
    """As everywhere; what follows for is how long it must hold, what follows -> who is told."""
    one = parse_alert("error_rate > 5% or throughput < 1/s and active_traces > 3 for 5m -> a, b")
    assert isinstance(one.tree, Joined)
    assert (one.tree.word, str(one.tree.parts[1])) == (
        "or",
        "throughput < 1/s and active_traces > 3",
    )
    assert (one.for_ns, one.actions) == (300 * 10**9, ("a", "b"))
    other = parse_alert("(error_rate > 5% or throughput < 1/s) and active_traces > 3")
    assert isinstance(other.tree, Joined)
    assert other.tree.word == "and"
    assert other.metrics == ("error_rate", "throughput", "active_traces")


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("eror_rate > 5%", 1, "error_rate is"),
        ("throughput > 1/s and eror_rate > 5%", 22, "error_rate is"),
        ("error_rate >", 13, "the end"),
        ("error_rate > 5% fr 5m", 17, "did you mean for?"),
        ("error_rate > 5", 14, "5%"),
        ("error_rate > 5ms", 14, "5%"),
        ("avg_duration > 5000", 16, "500ms"),
        ("lost_events > 5%", 15, "100"),
        ("error_rate > 5% for 5", 21, "a time"),
        ("(error_rate > 5%", 17, "the end"),
        ("error_rate > 5%%", 14, "not expected"),
        ("__import__('os')", 11, "not expected"),
        ("", 1, "the end"),
    ],
)
def test_a_bad_rule_is_refused_with_its_column(text: str, column: int, said: str) -> None:
    """Where it is wrong, and what was probably meant. R4.53"""
    with pytest.raises(AlertError, match=f"^column {column} of ") as caught:
        parse_alert(text)
    assert said in str(caught.value)


def test_other_names_are_custom_metrics_and_quotation_marks_allow_any() -> None:
    """A name that is no metric of ours is one that programs keep. R4.53"""
    assert parse_alert("queue_depth > 10").metrics == ("queue_depth",)
    assert parse_alert('"eror_rate" > 10').metrics == ("eror_rate",)


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    """Nothing else happens, and what is a rule can be written again."""
    try:
        found = parse_alert(text)
    except AlertError:
        return
    assert parse_alert(str(found.tree)).tree == found.tree


VALUES = st.none() | st.integers(-5, 5)


TREES = st.recursive(
    st.tuples(st.sampled_from("abc"), st.integers(-3, 3)),
    lambda inner: st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2)),
    max_leaves=6,
)


@given(TREES, st.fixed_dictionaries(dict.fromkeys("abc", VALUES)))
def test_what_is_unknown_stays_unknown_unless_the_rest_decides(
    tree: object, values: dict[str, int | None]
) -> None:
    """What is known stays so whatever the unknown figures are."""

    def text(node: object) -> str:
        assert isinstance(node, tuple)
        if isinstance(node[1], int):
            return f"m_{node[0]} > {node[1]}"
        return f" {node[0]} ".join(f"({text(each)})" for each in node[1])

    def truth(node: object, known: dict[str, int]) -> bool:
        assert isinstance(node, tuple)
        if isinstance(node[1], int):
            return known[node[0]] > node[1]
        return (all if node[0] == "and" else any)(truth(each, known) for each in node[1])

    found = parse_alert(text(tree)).holds(lambda name: Measured(values[name[2:]]))
    if found is not None:
        for guess in (-9, 9):
            filled = {name: guess if value is None else value for name, value in values.items()}
            assert truth(tree, filled) == found
    if None not in values.values():
        assert found is not None


def test_rules_are_checked_as_they_are_loaded() -> None:
    """Unknown keys, severities and actions are refused, by name. R4.51"""
    rule = rule_from({
        "name": "slow", "condition": "avg_response_time > 5000ms", "window": "10m",
        "severity": "high", "actions": ["email", "slack"], "for": "1m", "cooldown": "5m",
        "no_data": "ok", "labels": {"team": "a"},
    })  # fmt: skip
    assert (rule.window_ns, rule.for_ns, rule.cooldown_ns) == (600 * 10**9, 60 * 10**9, 300 * 10**9)
    assert rule_from(plain_rule(rule)) == rule
    usual = {"name": "a", "condition": "error_rate > 5%"}
    for more, said in (
        ({"windw": "5m"}, "did you mean 'window'"),
        ({"severity": "bad"}, "critical, high or warning"),
        ({"window": "5"}, "no length of time"),
        ({"no_data": "zero"}, "keep, ok or fire"),
        ({"name": "a\r\nBcc: b@c"}, "an alert's name"),
        ({"labels": {"a": "b\r\nc"}}, "one line"),
        ({"for": "1m", "condition": "error_rate > 5% for 2m"}, "another one"),
        ({"actions": "email"}, "list of names"),
    ):
        with pytest.raises(AlertError, match=said):
            rule_from({**usual, **more})
    assert AlertRule(name="a", condition="error_rate > 5%", for_="5m").for_ns == 300 * 10**9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[alert]\n", "is not TOML"),
        ("[[alerts]]\n", "did you mean 'alert'"),
        ('[[alert]]\nname = "a"\ncondition = "error_rate > 5% -> pager"', "no action 'pager'"),
        ('[[alert]]\nname = "a"', "has no condition"),
        ('[action.webhook]\nurl = "ftp://x"', "http://HOST"),
        ("[action.webhook]\n", "URL"),
        ('[action.pager]\nurl = "http://x"', "its type is one of"),
        ('[action.webhook]\nurl_env = "NOT_SET"', "no environment variable"),
        ('[action.email]\nsender = "a@b"\nto = ["c@d\\r\\nBcc: e@f"]', "no address"),
        ('[action.email]\nsender = "a@b"\nto = ["c@d"]\nport = 70000', "port"),
        ('interval = "1ms"', "1s at least"),
        ('allow = ["http://x/"]', "no port"),
        ('links = "javascript:x"', "http://HOST"),
    ],
)
def test_what_makes_no_sense_in_the_file_is_refused(text: str, said: str) -> None:
    """With the entry that is wrong. R4.51"""
    with pytest.raises(AlertError, match=said):
        parse_alerts(text, environment={})


def test_every_metric_can_be_asked_for() -> None:
    """Each with an example of its unit."""
    units = {"share": "5%", "time": "5ms", "rate": "5/s", "count": "5"}
    for name, kind in METRICS.items():
        assert parse_alert(f"{name} > {units[kind]}").metrics == (name,)
