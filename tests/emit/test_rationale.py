"""Rationale templates: every format, what is refused when declared, decisions that say nothing."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import whence
from tests.own_events import OwnEvents
from whence import _native
from whence.emit.fields import FieldType
from whence.model.event import Option
from whence.model.severity import Severity


def rendered(recorded: OwnEvents, template: str, of: Any, value: Any) -> str:
    """What the reader makes of a template with one field."""
    kind = whence.kind("rendered", component="Rationale", rationale=template, x=of)
    kind(value)
    return recorded()[-1].rationale


@pytest.mark.parametrize(
    ("template", "of", "value", "text"),
    [
        ("{x}", int, -(2**63), "-9223372036854775808"),
        ("{x}", whence.U64, 2**64 - 1, "18446744073709551615"),
        ("{x}", float, 0.1, "0.1"),
        ("{x}", float, 1e16, "1e+16"),
        ("{x}", float, 3.0, "3.0"),
        ("{x}", float, float("nan"), "nan"),
        ("{x}", bool, True, "true"),
        ("{x}", bool, False, "false"),
        ("{x}", str, "ü{}%s", "ü{}%s"),
        ("{x}", int | None, None, "none"),
        ("a {x} b {x}.", int, 5, "a 5 b 5."),
        ("{{{x}}}", int, 5, "{5}"),
        ("{{}} {x}", int, 5, "{} 5"),
        ("100 % of {x}", int, 5, "100 % of 5"),
        ("{x:ns}", int, 8_400_000, "8.4 ms"),
        ("{x:ns}", int, 0, "0 ns"),
        ("{x:ns}", int, 999, "999 ns"),
        ("{x:ns}", int, 1_000, "1 us"),
        ("{x:ns}", int, 31_600, "31.6 us"),
        ("{x:ns}", int, -6_800_000, "-6.8 ms"),
        ("{x:ns}", int, 90_000_000_000, "90 s"),
        ("{x:ns}", float, 1.5e6, "1.5 ms"),
        ("{x:bytes}", int, 536_870_912, "512 MB"),
        ("{x:bytes}", int, 1023, "1023 B"),
        ("{x:bytes}", int, 1536, "1.5 KB"),
        ("{x:bytes}", int, 3 << 40, "3 TB"),
        ("{x:bytes}", whence.U32, 2**32 - 1, "4 GB"),
        ("{x:.3f}", float, 0.7421, "0.742"),
        ("{x:.0f}", float, 2.5, "2"),
        ("{x:.9f}", float, 0.1, "0.100000000"),
        ("{x:.1f}", int, 7, "7.0"),
        ("{x:.2f}", float, 1.7976931348623157e308, f"{1.7976931348623157e308:.2f}"),
        ("{x:%}", float, 0.5, "50.0 %"),
        ("{x:%}", whence.F32, 0.25, "25.0 %"),
        ("{x:ns}", int | None, None, "none"),
    ],
)
def test_a_template_is_rendered_by_the_reader(
    template: str, of: Any, value: Any, text: str, recorded: OwnEvents
) -> None:
    """Plain, ns, bytes, decimals and percent; braces are doubled. R0.29"""
    assert rendered(recorded, template, of, value) == text


def test_only_the_arguments_of_a_template_are_stored(recorded: OwnEvents) -> None:
    """The sentence itself is nowhere in the event's bytes. R0.29"""
    kind = whence.kind("stored", component="Rationale", rationale="An unmistakable {x}", x=int)
    kind(5)
    (reader, *_) = [r for r in _native.local_rings() if r.ring == recorded.one().ring]
    batch, catalogue = _native.Batch(), _native.Catalogue()
    reader.seek(recorded.one().ticket)
    batch.drain(reader, catalogue, "s", 1)
    assert b"unmistakable" not in b"".join(batch.json())
    catalogue.update_local()
    assert b'"rationale":"An unmistakable 5"' in b"".join(batch.json())


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{y}", "no parameter is called 'y'"),
        ("{}", "no parameter is called ''"),
        ("{ x}", "no parameter is called ' x'"),
        ("{x", "without its '}'"),
        ("x}", "single '}'"),
        ("{x}}", "single '}'"),
        ("{{x}", "single '}'"),
        ("{x:}x{", "without its '}'"),
        ("{x:d}", "unknown format ':d'"),
        ("{x:.f}", "unknown format"),
        ("{x:.10f}", "unknown format"),
        ("{x:ns }", "unknown format"),
        ("{x!r}", "no parameter is called"),
        ("{s:ns}", "'s' is not a number"),
        ("{b:%}", "'b' is not a number"),
        ("{request_id}", "'request_id' has a column of its own"),
        ("{caused_by}", "'caused_by' has a column of its own"),
        ("{severity}", "'severity' has a column of its own"),
        ("{options}", "'options' has a column of its own"),
    ],
)
def test_a_bad_template_is_refused_when_it_is_declared(template: str, problem: str) -> None:
    """Unknown names, formats and lone braces are a ValueError at the declaration. R0.29 R0.33"""

    def stub(
        x: int,
        s: str,
        b: bool,
        request_id: str,
        caused_by: str,
        severity: Severity,
        options: list[Option],
    ) -> None: ...

    with pytest.raises(ValueError, match=f"rationale of 'stub': .*{problem.replace('.', '[.]')}"):
        whence.kind(component="Rationale", rationale=template)(stub)


BLANK = [
    "",
    " ",
    "\t\r\n",
    "\x0b\x0c\x1c\x1d\x1e\x1f",
    "\x85\xa0",
    "\u1680\u2000\u200a",
    "\u2028\u2029\u202f\u205f\u3000",
    " " * 10_000,
]


@pytest.mark.parametrize("blank", BLANK)
def test_a_decision_that_says_nothing_is_refused_in_every_spelling(
    blank: str, recorded: OwnEvents
) -> None:
    """By parameter, by template of text alone, as both: ValueError, counted, not stored. R0.29"""

    @whence.kind(component="Rationale", decision=True)
    def by_parameter(rationale: str) -> None: ...

    @whence.kind(component="Rationale", decision=True, rationale="{why} {more}")
    def by_template(why: str, more: str) -> None: ...

    @whence.kind(component="Rationale", decision=True, rationale="{why}")
    def by_both(why: str, rationale: str = "") -> None: ...

    @whence.kind(component="Rationale", decision=True, rationale=" ")
    def by_blank_template(rationale: str) -> None: ...

    for kind, args in [
        (by_parameter, (blank,)),
        (by_template, (blank, blank)),
        (by_both, (blank, blank)),
        (by_both, (blank,)),
        (by_blank_template, (blank,)),
    ]:
        before = recorded.count("rejected")
        with pytest.raises(ValueError, match="needs a rationale"):
            kind(*args)
        assert recorded.count("rejected") == before + 1
    assert recorded() == []


@pytest.mark.parametrize("blank", BLANK)
def test_one_word_is_enough_for_a_decision(blank: str, recorded: OwnEvents) -> None:
    """What says something by words, numbers or another field is kept. R0.29"""

    @whence.kind(component="Rationale", decision=True, rationale="{why}{more}")
    def two(why: str, more: str | None) -> None: ...

    @whence.kind(component="Rationale", decision=True, rationale="Chosen: {why}")
    def worded(why: str, rationale: str = "") -> None: ...

    @whence.kind(component="Rationale", decision=True, rationale="{n}")
    def number(n: int | None, rationale: str | None = None) -> None: ...

    two(blank, "word")
    worded(blank, blank)
    worded("x", "\u3000said\u3000")
    number(0, blank)
    number(None)
    assert [event.rationale for event in recorded()] == [
        f"{blank}word",
        f"Chosen: {blank}",
        "\u3000said\u3000",
        "0",
        "none",
    ]
    assert not any(event.lacks_rationale for event in recorded())


def test_an_optional_rationale_that_is_absent_says_nothing(recorded: OwnEvents) -> None:
    """None is no rationale either. R0.29"""
    decide = whence.kind(
        "absent_why", component="Rationale", decision=True, rationale="{why}", why=str | None
    )
    with pytest.raises(ValueError, match="needs a rationale"):
        decide(None)
    assert recorded.count("rejected") == 1


@pytest.mark.parametrize("rationale", [None, "", " ", "\u3000"])
def test_a_decision_needs_a_template_or_a_parameter(rationale: str | None) -> None:
    """A decision that never could say why is refused when it is declared. R0.29"""
    with pytest.raises(ValueError, match="is a decision: give it rationale"):
        whence.kind("mute", component="Rationale", decision=True, rationale=rationale, n=int)


def test_blank_means_what_it_means_in_python() -> None:
    """For every code point: white space to str.strip() is white space to the recorder. R0.29"""
    fields = (("x", int(FieldType.Name)),)
    said = [
        code
        for code in range(1, sys.maxunicode + 1)
        if not 0xD800 <= code < 0xE000 and chr(code) not in "{}"
        if (_native.check_rationale(chr(code) + "{x}", fields)[1] == 0) != bool(chr(code).strip())
    ]
    assert said == []


def test_a_rationale_given_goes_before_the_template(recorded: OwnEvents) -> None:
    """The parameter's text is the sentence; blank, it leaves the word to the template. R0.29"""

    @whence.kind(component="Rationale", rationale="template {n}")
    def either(n: int, rationale: str | None = None) -> None: ...

    either(1, "given")
    either(2, "")
    either(3, " ")
    either(4)
    assert [e.rationale for e in recorded()] == ["given", "template 2", "template 3", "template 4"]


def test_a_template_that_repeats_a_long_text_ends_somewhere(recorded: OwnEvents) -> None:
    """A reader's memory is bounded by what was recorded, not by how often it is repeated. R0.29"""
    text = "x" * 20_000
    shown = rendered(recorded, "{x}" * 500, str, text)
    assert 2 * len(text) <= len(shown) <= 3 * len(text) + 16 * 1024


@pytest.mark.parametrize(
    "texts", [("k", "C", "x" * 4_097), ("k", "é" * 513, ""), ("n" * 1_025, "C", "")]
)
def test_texts_of_a_kind_have_a_limit(texts: tuple[str, str, str]) -> None:
    """What readers would refuse is refused where it is declared. R0.29"""
    name, component, template = texts
    with pytest.raises(ValueError, match="has at most"):
        whence.kind(name, component=component, rationale=template, x=int)
