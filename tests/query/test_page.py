"""Answers in notebooks: the words of the terminal and of JSON, and nothing recorded is markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import (
    at_ms,
    event,
    inference_chain,
    late_chain,
    ledger,
    recording,
    rejected_chain,
)
from tests.query.test_verify import many
from whence.cli.render.answer import answer_lines
from whence.model.event import Option
from whence.model.recording import Recording
from whence.query.contracts.verdict_words import verification_text
from whence.query.contracts.verify import verify
from whence.query.plain import plain
from whence.query.why import why

TAGS = {"div", "table", "tr", "td", "span", "b", "code"}


class Page(HTMLParser):
    """The tags, attributes and words of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self.text += "\n" if tag in ("div", "tr") else " "

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def late() -> Recording:
    """A late request with options, one that blocked it, and a ring that lost alloc events."""
    events = [*late_chain(), *inference_chain("req-000409", -50, first_ticket=50)]
    rings = [ledger(events), ledger(events, 3, {"alloc": 41}, oldest_ns=at_ms(33))]
    return recording(events, rings=rings)


@pytest.mark.parametrize(
    "source",
    [
        late(),
        recording(inference_chain()[:3]),
        recording(rejected_chain()),
        recording([event("tick", request_id="")]),
    ],
)
def test_an_answer_says_the_same_in_text_json_and_html(source: Recording) -> None:
    """R5.11 Every word of the terminal is in the page, and every sentence of the JSON."""
    answer = why(source)
    page = Page(answer._repr_html_())
    text = " ".join(" ".join(line.plain for line in answer_lines(answer)).split())
    said = {word.strip("()!>") for word in text.split()} - {"Gaps", "·", ""}
    assert {word for word in said if word not in page.words} == set()
    data = json.loads(json.dumps(plain(answer)))
    for row in data["story"]:
        assert " ".join(row["sentence"].split()) in page.words
        assert row["event_type"] in page.words
    for gap in data["gaps"]:
        assert gap["sentence"] in page.words
    assert data["outcome"]["word"] in page.words


def test_a_verification_says_the_same_in_text_json_and_html() -> None:
    """R5.12 The verdict, the counts, each reason and the chain to look at first."""
    lacking = {2: "execution_completed", 5: "scheduling_decision"}
    events = many(7, lacking)
    source = recording(events, rings=[ledger(events), ledger(events, 3, {"alloc": 41})])
    found = verify(source)
    page = Page(found._repr_html_())
    for line in verification_text(found, None).splitlines():
        assert " ".join(line.split()) in page.words
    assert str(found) == verification_text(found, None)
    data = plain(found)
    for group in data["contracts"][0]["groups"]:
        assert f"{group['chains']} {group['sentence']} {group['why']}" in page.words
    assert data["contracts"][0]["verdict"] == "incomplete"
    assert "FAILED" in page.words
    assert page.words.endswith("First req-2")


def test_a_page_is_small() -> None:
    """R5.11 A long story and many flaws are cut, and the page says how much."""
    events = [event("tick", number, ticket=number) for number in range(5_000)]
    html = why(recording(events))._repr_html_()
    assert "… 4,800 more events" in Page(html).words
    assert len(html) < 200_000
    broken = verify(recording(many(300, dict.fromkeys(range(300), "scheduling_decision"))))
    assert len(broken._repr_html_()) < 10_000


@given(
    st.text(min_size=1, max_size=40) | st.sampled_from(["<script>x()</script>", '"><img src=x>'])
)
def test_nothing_recorded_is_markup(text: str) -> None:
    """R5.11 R5.12 Whatever was recorded, a page has our tags alone, and no script."""
    events = inference_chain(text)[:3]
    events[0] = replace(
        events[0],
        rationale=text,
        model_id=text,
        component=text,
        options=(Option(text, {text: 0.5}, True, text), Option("other", {}, False, text)),
        attributes={**events[0].attributes, "reason": text},
    )
    source = recording([*events, event(text, 9, text, ticket=9)])
    for html in (why(source)._repr_html_(), verify(source)._repr_html_()):
        page = Page(html)
        assert page.tags <= TAGS
        assert page.attributes <= {"style"}
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", html)
