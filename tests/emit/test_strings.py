"""Strings of any length and content: whole, or cut and flagged, never another text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.own_events import OwnEvents
from whence.model.event import Option

say = whence.kind("say", component="Strings", text=str)
say_two = whence.kind("say_two", component="Strings", first=str, n=int, second=str)

MOST_TEXT_BYTES = 64 * 1024  # of one event: a quarter of the default text ring


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a",
        "a" * 63,
        "a" * 64,
        "a" * 65,
        "é" * 32,
        "é" * 33,
        "\U0001f600" * 16,
        "\U0001f600" * 17,
        "\0",
        "nul \0 inside",
        "\0" * 64,
        "\x01\x1f\x7f\x80\x9f",
        "\ufeff\ufffe\uffff\u2028",
        "z" * 30_000,
    ],
    ids=lambda text: f"{len(text)}-{text[:3]!a}",
)
def test_a_string_comes_back_as_it_was(text: str, recorded: OwnEvents) -> None:
    """At its first sight in full, at its third by its number in the dictionary. R0.31 P18"""
    for _ in range(3):
        say(text)
        say((text + "!")[:-1])  # another object of the same text
    assert [event.attributes["text"] for event in recorded()] == [text] * 6
    assert not any(event.truncated or event.text_lost for event in recorded())


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), max_size=6))
def test_any_strings_come_back(texts: list[str]) -> None:
    """Whatever was said before, each event has its own text. R0.31 P18"""
    recorded = OwnEvents()
    for text in texts:
        say(text)
    assert [event.attributes["text"] for event in recorded()] == texts


@pytest.mark.parametrize("letter", ["x", "é", "€", "\U0001f600"])
def test_a_huge_string_is_cut_between_two_characters(letter: str, recorded: OwnEvents) -> None:
    """10 MB keep what an event may carry, are flagged and counted. R0.31"""
    text = letter * (10_000_000 // len(letter.encode()))
    before = _truncated()
    say(text)
    event = recorded.one()
    kept = str(event.attributes["text"])
    assert text.startswith(kept)
    assert MOST_TEXT_BYTES - 64 < len(kept.encode()) <= MOST_TEXT_BYTES
    assert event.truncated
    assert not event.text_lost
    assert _truncated() == before + 1


def test_a_cut_string_harms_no_other_field(recorded: OwnEvents) -> None:
    """Numbers, requests, interned names and the flag stay when another text is cut. R0.31"""
    for _ in range(3):
        say_two("short", 1, "known")
    with whence.request("a request longer than sixteen bytes"):
        say_two("known", 2**40, "y" * 1_000_000)
    event = recorded()[-1]
    assert (event.attributes["first"], event.attributes["n"]) == ("known", 2**40)
    assert event.request_id == "a request longer than sixteen bytes"
    assert str(event.attributes["second"]).startswith("yyy")
    assert event.truncated


def test_a_huge_rationale_leaves_room_for_the_rest(recorded: OwnEvents) -> None:
    """A built event's attributes and options are kept beside a rationale of 10 MB. R0.29 R0.31"""
    collector = whence.TraceCollector(10_000)
    collector.record_now("t", "C", "w" * 10_000_000, attributes={"n": 1, "text": "t" * 1000})
    event = collector.query()[0]
    assert event.attributes == {"n": 1, "text": "t" * 1000}
    assert event.rationale == "w" * len(event.rationale)
    assert len(event.rationale) > MOST_TEXT_BYTES // 3
    assert event.truncated


@pytest.mark.parametrize("surrogate", ["\ud800", "a\udfffb", "\udce4" * 20, "\ud83d" + "x" * 100])
def test_half_a_surrogate_pair_is_escaped_in_text(surrogate: str, recorded: OwnEvents) -> None:
    """What UTF-8 cannot hold is written as its escape, the rest as it is. R0.31"""
    say(surrogate)
    assert (
        recorded.one().attributes["text"] == surrogate.encode("utf-8", "backslashreplace").decode()
    )


def test_every_text_of_an_event_may_hold_half_a_surrogate_pair(recorded: OwnEvents) -> None:
    """Any number of fields, causes, options, attributes and rationales at once. R0.31"""
    half = "\ud800"
    fields = {f"f{i}": str for i in range(64)}
    whence.kind("halves", component="Strings", **fields)(*[half] * 64)
    caused = whence.kind("caused", component="Strings", caused_by=str, options=list[Option])
    caused(half, [Option(half, {half: 1.0}, False, half)] * 3)
    first, second = recorded()
    assert set(first.attributes.values()) == {r"\ud800"}
    assert second.caused_by == r"\ud800"
    assert second.options == (Option(r"\ud800", {r"\ud800": 1.0}, False, r"\ud800"),) * 3


def test_text_that_newer_text_needs_the_room_of_is_told_as_lost(recorded: OwnEvents) -> None:
    """A flooded text ring takes text, never events: fields and requests stay, and are right. R0.39

    Long request ids come from whichever event of the request still has its text.
    """
    mixed = whence.kind(
        "mixed", component="Strings", rationale="{n} of {text}", n=int, text=str, wide=float,
        wider=float, none=int | None,
    )  # fmt: skip
    long_id = "a request whose id is longer than sixteen bytes"
    with whence.request(long_id):
        mixed(0, "t" * 100, 0.5, 1.5, None)
    with whence.request("gone with all of its text, for ever"):
        mixed(1, "t" * 100, 0.5, 1.5, None)
    with whence.request("short"):
        mixed(2, "t" * 100, 0.5, 1.5, 0)
        mixed(3, "t" * 100, 0.5, 1.5, 7)
    for _ in range(300):
        say("f" * 1000)
    with whence.request(long_id):
        say("still here" * 10)
    zeroth, first, second, _ = recorded()[:4]
    assert [event.text_lost for event in recorded()[:4]] == [True] * 4
    assert not recorded()[-1].text_lost
    assert zeroth.request_id == long_id
    assert first.request_id.startswith("lost:")
    assert (second.request_id, second.attributes["n"]) == ("short", 2)
    assert "text" not in second.attributes
    assert second.rationale == "2 of <text lost>"
    # that a field was absent is written in the text: without it, zero might be either
    assert ["none" in event.attributes for event in (zeroth, second)] == [False, False]
    assert len(recorded()) == 4 + 300 + 1


def test_fields_beyond_the_slot_are_lost_with_their_text(recorded: OwnEvents) -> None:
    """Of an image longer than the slot 16 bytes stay, no others are invented. R0.39"""
    long_image = whence.kind(
        "long_image", component="Strings", a=int, b=int, c=int, d=int, maybe=int | None
    )
    long_image(1, 2, 3, 4, None)
    long_image(5, 6, 7, 8, 9)
    for _ in range(300):
        say("f" * 1000)
    first, second = recorded()[:2]
    assert (first.text_lost, dict(first.attributes)) == (True, {"a": 1, "b": 2})
    assert (second.text_lost, dict(second.attributes)) == (True, {"a": 5, "b": 6})


def test_a_name_stays_readable_when_the_text_is_gone(recorded: OwnEvents) -> None:
    """Strings that recur are in the dictionary, out of reach of newer text. P18"""
    for _ in range(3):
        say_two("recurring", 1, "once " + "x" * 80)
    for _ in range(300):
        say("f" * 1000)
    last = recorded()[2]
    assert (last.text_lost, last.attributes["first"]) == (True, "recurring")
    assert "second" not in last.attributes


def _truncated() -> int:
    return sum(ring.truncated for ring in whence.collector().recording().rings)


def test_two_huge_strings_share_the_room(recorded: OwnEvents) -> None:
    """A prompt leaves an answer its place: neither takes more than half if both are long. R0.31"""
    say_two("p" * 1_000_000, 5, "a" * 1_000_000)
    say_two("p" * 1_000_000, 6, "short answer " * 10)
    both, first = (event.attributes for event in recorded())
    for name, letter in (("first", "p"), ("second", "a")):
        kept = str(both[name])
        assert kept == letter * len(kept)
        assert MOST_TEXT_BYTES // 3 < len(kept) < MOST_TEXT_BYTES * 2 // 3
    assert first["second"] == "short answer " * 10
    assert len(str(first["first"])) > MOST_TEXT_BYTES - 300
    assert all(event.truncated for event in recorded())


def test_what_does_not_fit_is_not_cut_as_long_as_it_could() -> None:
    """A text of more than half of the room is whole when the rest has its room, too. R0.31"""
    collector = whence.TraceCollector(1000)
    attributes = {"before": 1, "prompt": "p" * 50_000, "n": 5, "after": "a" * 9_000, "f": 0.5}
    collector.record_now("t", "C", "r" * 5_000, attributes=attributes)
    event = collector.query()[0]
    assert dict(event.attributes) == attributes
    assert event.rationale == "r" * 5_000
    assert not event.truncated


@pytest.mark.parametrize("huge", [70_000, 10_000_000])
def test_a_huge_attribute_leaves_room_for_those_after_it(huge: int) -> None:
    """Numbers and short texts are kept in order; a key that fits nowhere is left out. R0.31"""
    collector = whence.TraceCollector(1000)
    rest = {"n": 5, "text": "t" * 1000, "b": True}
    collector.record_now("t", "C", "why", attributes={"prompt": "p" * huge} | rest)
    collector.record_now("t", "C", "why", attributes={"k" * huge: "v"} | rest)
    collector.record_now("t", "C", "why", attributes={"k" * huge: 1} | rest)
    collector.record_now("t", "C", "why", attributes=rest | {"prompt": "p" * huge})
    first, *keys, last = collector.query()
    assert list(first.attributes) == ["prompt", *rest]
    assert {name: first.attributes[name] for name in rest} == rest
    assert len(str(first.attributes["prompt"])) > MOST_TEXT_BYTES - 1200
    assert [dict(event.attributes) for event in keys] == [rest] * 2
    assert len(str(last.attributes["prompt"])) > MOST_TEXT_BYTES - 1200
    assert all(event.truncated and event.rationale == "why" for event in collector)


def test_more_options_than_fit_are_told(recorded: OwnEvents) -> None:
    """Options are kept whole, the first ones first, and what is missing is flagged. R0.31"""
    many = whence.kind("many_options", component="Strings", options=list[Option], n=int)
    options = [Option(f"{i} " + "x" * 1000, {"s": float(i)}) for i in range(100)]
    many([Option("n" * 70_000), *options], 5)
    event = recorded.one()
    assert 50 < len(event.options) < 65
    assert list(event.options) == options[: len(event.options)]
    assert (event.attributes["n"], event.truncated) == (5, True)
