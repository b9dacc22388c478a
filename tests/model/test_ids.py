"""Ids: of models, of requests, and of events by their place in a ring."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.model.ids import ModelID, RequestIDGenerator, event_id, parse_event_id

session_keys = st.integers(0, 2**48 - 1)
rings = st.integers(0, 2**18 - 1)
tickets = st.integers(0, 2**56 - 1)


def test_model_ids_compare_by_their_text() -> None:
    """R3.1 R3.44 Equality, hash and order are those of the text."""
    assert ModelID("ocr") == ModelID("ocr")
    assert ModelID("ocr") != ModelID("asr")
    assert ModelID("asr") < ModelID("ocr")
    assert {ModelID("ocr"): 1}[ModelID("ocr")] == 1
    assert ModelID("ocr").to_string() == str(ModelID("ocr")) == "ocr"


def test_a_model_id_is_no_text() -> None:
    """R3.1 A ModelID never equals, replaces or compares with a str."""
    text: Any = "ocr"
    assert ModelID("ocr") != text
    assert text not in {ModelID("ocr")}
    with pytest.raises(TypeError):
        _ = ModelID("ocr") < text


@pytest.mark.parametrize(("value", "error"), [(3, TypeError), (None, TypeError), ("", ValueError)])
def test_a_model_id_is_made_of_a_text_only(value: Any, error: type[Exception]) -> None:
    """R3.1 Construction is explicit, from a text that names something."""
    with pytest.raises(error):
        ModelID(value)


def test_request_ids_have_time_and_sequence() -> None:
    """R5.13 A request id is req-<timestamp>-<sequence>."""
    make = RequestIDGenerator(clock=lambda: 1_700_000_000_000_000_000)
    assert make.next() == "req-1700000000000000000-000001"
    assert make() == "req-1700000000000000000-000002"


def test_request_ids_increase_when_the_clock_goes_back() -> None:
    """R5.13 A clock set back does not make an id smaller than the one before."""
    readings = iter([50, 20, 60])
    make = RequestIDGenerator(clock=lambda: next(readings))
    assert [make(), make(), make()] == ["req-50-000001", "req-50-000002", "req-60-000003"]


def test_threads_share_a_request_id_generator() -> None:
    """R5.13 Ids are unique across threads and increase within each."""
    make = RequestIDGenerator()
    made: list[list[str]] = [[] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda ids=ids: ids.extend(make() for _ in range(500)))
        for ids in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({request_id for ids in made for request_id in ids}) == 2_000
    assert all(ids == sorted(ids) for ids in made)


@given(session_keys, rings, tickets)
def test_an_event_id_leads_back_to_its_place(session_key: int, ring: int, ticket: int) -> None:
    """R0.22 R0.34 An emitted event's id is a UUIDv8 that gives back session, ring and ticket."""
    text = event_id(session_key, ring, ticket)
    assert parse_event_id(text) == (session_key, ring, ticket)
    assert parse_event_id(text.upper()) == (session_key, ring, ticket)
    known = uuid.UUID(text)
    assert (str(known), known.version, known.variant) == (text, 8, uuid.RFC_4122)


def test_the_bits_of_an_event_id_are_where_they_are_documented() -> None:
    """R0.22 48 bits of session, 12 + 6 of ring around version and variant, 56 of ticket."""
    assert event_id(2**48 - 1, 0, 0) == "ffffffff-ffff-8000-8000-000000000000"
    assert event_id(0, 2**18 - 1, 0) == "00000000-0000-8fff-bf00-000000000000"
    assert event_id(0, 0, 2**56 - 1) == "00000000-0000-8000-80ff-ffffffffffff"


@given(st.uuids(version=4) | st.text(max_size=40))
def test_other_texts_are_no_event_places(text: object) -> None:
    """R0.22 A random UUID or any other text is not taken for a place in a ring."""
    assert parse_event_id(str(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "00000000-0000-8000-8000-00000000000",
        "000000000000-8000-8000-0000-00000000",
        "00000000000080008000000000000000",
        "0000000g-0000-8000-8000-000000000000",
        "00000000-0000-8000-c000-000000000000",
        "00000000-0000-8000-8000-00000000000\N{ARABIC-INDIC DIGIT ONE}",
    ],
)
def test_almost_an_event_id_is_none(text: str) -> None:
    """R0.22 Wrong length, hyphens, digits or variant are all refused."""
    assert parse_event_id(text) is None


@pytest.mark.parametrize("place", [(2**48, 0, 0), (0, 2**18, 0), (0, 0, 2**56), (-1, 0, 0)])
def test_a_place_too_wide_for_an_id_is_refused(place: tuple[int, int, int]) -> None:
    """R0.22 No part may spill into its neighbour."""
    with pytest.raises(OverflowError, match="does not fit"):
        event_id(*place)
