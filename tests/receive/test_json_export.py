"""Reading exports: what was written comes back whole; what is no export is refused by name."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import event, inference_chain, ledger, recording, session
from whence.export.json_export import write_recording, write_recording_to
from whence.model.errors import CorruptFile, ExportError, UnsupportedFormat
from whence.model.event import Option, TraceEvent
from whence.model.recording import (
    Anchor,
    FieldInfo,
    GateChange,
    KindCounts,
    KindInfo,
    Recording,
    RingLedger,
)
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp
from whence.receive.json_export import parse_json_export, read_json_export

int64 = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
texts = st.text(st.characters(), max_size=12)
names = st.text(st.characters(), min_size=1, max_size=8)
numbers = st.floats(allow_nan=False)


@st.composite
def any_event(draw: st.DrawFn) -> TraceEvent:
    """An event with everything an event can hold, half surrogate pairs and controls included."""
    return TraceEvent(
        event_id=draw(texts),
        event_type=draw(names),
        component=draw(names),
        timestamp=Timestamp(draw(int64)),
        duration=Duration(draw(int64)),
        model_id=draw(texts),
        request_id=draw(texts),
        rationale=draw(texts),
        severity=draw(st.sampled_from(Severity)),
        attributes=draw(
            st.dictionaries(texts, st.booleans() | st.integers() | numbers | texts, max_size=4)
        ),
        decision_chain_id=draw(texts),
        options=tuple(
            Option(n, s, c, r)
            for n, s, c, r in draw(
                st.lists(
                    st.tuples(
                        texts, st.dictionaries(texts, numbers, max_size=2), st.booleans(), texts
                    ),
                    max_size=2,
                )
            )
        ),
        caused_by=draw(texts),
        lineage_id=draw(st.integers(0, 2**64 - 1)),
        decision=draw(st.booleans()),
        weight=draw(st.sampled_from([1.0, 10.0, 1e9])),
        text_lost=draw(st.booleans()),
        truncated=draw(st.booleans()),
        session=draw(texts),
        ring=draw(st.integers(-1, 2**18)),
        ticket=draw(st.integers(-1, 2**56)),
    )


any_ring = st.builds(
    RingLedger,
    session=texts,
    ring=counts,
    capacity=counts,
    owners=st.lists(texts, max_size=2).map(tuple),
    recorded=counts,
    readable=counts,
    lost=counts,
    text_lost=counts,
    truncated=counts,
    in_flight=counts,
    cleared=counts,
    oldest_ns=st.none() | int64,
    newest_ns=st.none() | int64,
    per_kind=st.lists(
        st.builds(KindCounts, kind=texts, component=texts, recorded=counts, nested=counts),
        max_size=2,
    ).map(tuple),
)
any_kind = st.builds(
    KindInfo,
    id=counts,
    name=names,
    component=texts,
    decision=st.booleans(),
    severity=st.sampled_from(Severity),
    rationale=texts,
    fields=st.lists(st.builds(FieldInfo, texts, texts), max_size=2).map(tuple),
    otel_name=texts,
    source=texts,
    session=texts,
)
any_session = st.builds(
    lambda **fields: session(path="", state="exported", **fields),
    name=names,
    key=st.integers(0, 2**48 - 1),
    live=st.booleans(),
    service=texts,
    anchors=st.lists(st.builds(Anchor, int64, int64), max_size=2).map(tuple),
)
recordings = st.builds(
    Recording,
    events=st.lists(any_event(), max_size=5).map(tuple),
    kinds=st.lists(any_kind, max_size=2).map(tuple),
    sessions=st.lists(any_session, max_size=2).map(tuple),
    rings=st.lists(any_ring, max_size=2).map(tuple),
    gate_changes=st.lists(
        st.builds(GateChange, texts, int64, texts, st.booleans()), max_size=2
    ).map(tuple),
)


def written(source: Recording, **options: Any) -> bytes:
    """The export of a recording."""
    file = io.BytesIO()
    write_recording_to(file, source, 7, **options)
    return file.getvalue()


def edited(**changes: Any) -> bytes:
    """An export of one chain with these parts of the root changed."""
    root = json.loads(written(recording(inference_chain())))
    return json.dumps(root | changes).encode()


@given(recordings)
def test_a_recording_comes_back_from_its_export(source: Recording) -> None:
    """R0.50 R0.51 R5.9 What is written reads back equal, to the last bit and character."""
    assert parse_json_export(written(source)) == source


@given(recordings)
def test_an_export_is_one_json_document(source: Recording) -> None:
    """R0.50 R0.52 R0.53 Any JSON reader reads an export; times in it are integers."""
    root = json.loads(written(source))
    assert root["format"] == "whence-json"
    for found in root["events"]:
        assert type(found["timestamp_ns"]) is int
        assert type(found["duration_ns"]) is int
        assert all(type(value) is str for value in found["attributes"].values())


def test_scores_that_are_no_numbers_come_back() -> None:
    """R5.8 A score may be NaN or infinite; the export stays valid JSON."""
    odd = Option("a", {"x": float("nan"), "y": float("inf"), "z": float("-inf")})
    (back,) = parse_json_export(written(Recording((event("tick", options=(odd,)),)))).events
    assert str(dict(back.options[0].scores)) == "{'x': nan, 'y': inf, 'z': -inf}"
    assert b"NaN" in written(Recording((event("tick", options=(odd,)),)))


def test_a_file_of_others_needs_only_the_ten_fields() -> None:
    """R0.51 {"events": [...]} with the base fields is a recording without sessions."""
    ten = {
        "event_id": "e",
        "event_type": "admission_decision",
        "component": "AdmissionController",
        "timestamp_ns": 5,
        "duration_ns": 0,
        "model_id": "",
        "request_id": "r",
        "rationale": "U=0.85",
        "severity": "Info",
        "attributes": {"wcrt_ns": "72000000", "utilisation": "0.85"},
    }
    found = parse_json_export(json.dumps({"events": [ten]}).encode())
    (only,) = found.events
    assert only.attributes == {"wcrt_ns": "72000000", "utilisation": "0.85"}
    assert (only.decision_chain_id, found.sessions, found.rings) == ("r", (), ())
    for name in ten:
        lacking = {key: value for key, value in ten.items() if key != name}
        with pytest.raises(CorruptFile, match=f"{name} is missing"):
            parse_json_export(json.dumps({"events": [lacking]}).encode())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"events": ' + b"9" * 5000, b"PAR1"],
)
def test_what_is_not_json_is_corrupt(content: bytes) -> None:
    """R0.50 A file cut short, of another kind or nested without end is refused by name."""
    with pytest.raises(CorruptFile, match=r"run\.json is not JSON"):
        parse_json_export(content, "run.json")


@pytest.mark.parametrize("content", [b"[]", b"1", b"{}", b'{"events": {}}', b'{"traces": []}'])
def test_json_that_is_no_export_is_unsupported(content: bytes) -> None:
    """R0.51 Other JSON files are not taken for exports."""
    with pytest.raises(UnsupportedFormat, match="no export"):
        parse_json_export(content)


def test_other_formats_and_versions_are_unsupported() -> None:
    """R0.51 A newer version is named, so that the reader knows what to update."""
    with pytest.raises(
        UnsupportedFormat, match="version 2; this whence reads whence-json version 1"
    ):
        parse_json_export(edited(version=2))
    with pytest.raises(UnsupportedFormat, match="'other'"):
        parse_json_export(edited(format="other"))


def with_event(**changes: Any) -> bytes:
    """An export whose second event is changed."""
    root = json.loads(written(recording(inference_chain())))
    root["events"][1] |= changes
    return json.dumps(root).encode()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (edited(rings={}), r"rings must be a list, not an object"),
        (edited(sessions=[1]), r"sessions\[0\] must be an object"),
        (edited(surprise=1), r"'surprise' is no field"),
        (with_event(timestamp_ns=1.5), r"events\[1\]: timestamp_ns must be an integer"),
        (with_event(timestamp_ns=True), r"timestamp_ns must be an integer, not true or false"),
        (with_event(timestamp_ns="5"), r"timestamp_ns must be an integer, not text"),
        (with_event(timestamp_ns=2**63), r"timestamp_ns does not fit 64 signed bits"),
        (with_event(duration_ns=None), r"duration_ns must be an integer, not null"),
        (with_event(event_type=""), r"events\[1\]: an event needs an event_type"),
        (with_event(severity="Loud"), r"events\[1\]: unknown severity"),
        (with_event(attributes={"a": 1}), r"attributes: a must be text"),
        (with_event(attributes=[]), r"attributes must be an object"),
        (with_event(attribute_types={"absent": "int"}), r"nothing is that"),
        (
            with_event(attributes={"a": "x"}, attribute_types={"a": "int"}),
            r"events\[1\]: invalid literal",
        ),
        (with_event(attributes={"a": "yes"}, attribute_types={"a": "bool"}), r"true or false"),
        (with_event(attributes={"a": "1"}, attribute_types={"a": "date"}), r"nothing is that"),
        (with_event(ticket=7), r"ticket must be text"),
        (with_event(ticket="-7"), r"ticket must be a decimal number"),
        (with_event(lineage_id=str(2**64)), r"lineage_id must be a decimal number of 64 bits"),
        (with_event(weight="heavy"), r"weight must be a number"),
        (with_event(weight=0), r"weight must be a positive number"),
        (with_event(decision=1), r"decision must be true or false"),
        (with_event(options=[{}]), r"events\[1\]: options\[0\]: name is missing"),
        (with_event(options=[{"name": "a", "score": {}}]), r"'score' is no field"),
        (with_event(priming_type="semantic"), r"events\[1\]: 'priming_type' is no field"),
    ],
)
def test_contradictions_are_named_with_their_place(content: bytes, complaint: str) -> None:
    """R0.51 What contradicts the format is refused where it stands, never guessed at."""
    with pytest.raises(CorruptFile, match=complaint):
        parse_json_export(content)


@given(st.binary(max_size=40), st.integers(0, 3000))
def test_damage_anywhere_is_an_error_of_ours_or_harmless(noise: bytes, at: int) -> None:
    """R0.50 Overwritten bytes give a named error or another recording, never another exception."""
    content = written(recording(inference_chain()))
    try:
        parse_json_export(content[:at] + noise + content[at + len(noise) :])
    except (CorruptFile, UnsupportedFormat):
        return


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """R0.50 A failing export leaves the older file and no other behind."""
    path = tmp_path / "run.json"
    write_recording(path, recording(inference_chain()), 7)
    before = path.read_bytes()
    assert read_json_export(path).events == tuple(inference_chain())
    broken = replace(recording([]), kinds=(None,))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        write_recording(path, broken, 7)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]
    with pytest.raises(ExportError, match="cannot write"):
        write_recording(tmp_path / "absent" / "run.json", recording([]), 7)


def test_a_filtered_export_says_so() -> None:
    """R1.44 R5.16 Sessions of a file with left-out events are marked, so absence proves nothing."""
    events = inference_chain()
    found = parse_json_export(written(recording(events), filtered="type alloc"))
    assert found.sessions[0].state == "filtered"
    ring = ledger(events)
    assert parse_json_export(written(recording(events, rings=[ring]))).rings == (ring,)
