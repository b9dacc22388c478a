"""The JSON written natively says the same as Python's view of the same events, to the last bit."""

from __future__ import annotations

import json
import math
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import whence
from tests.apps import AppRun
from tests.own_events import OwnEvents
from whence._native import Batch
from whence.collect.events import to_events
from whence.collect.local import drain_local, local_session
from whence.collect.session_reader import SessionReader
from whence.model.event import Option, TraceEvent
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp
from whence.query.plain import plain_event
from whence.ring import layout

RunApp = Callable[..., AppRun]

AWKWARD = ["", '"', "\\", "\0", "\x1f", "\x7f", "\x80", "\u2028", "\ufeff", "\uffff", "\U0001f600",
           "</script>", "é", "1234567\"", "12345678\\", "\ud800", "\udfff",
           "\ud83d\ude00"]  # fmt: skip
int64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), -1, 0, 2**53 + 1, 2**63 - 1])
floats = st.floats() | st.sampled_from(
    [0.1, -0.0, 1e15, 1e16, 9999999999999998.0, 1e-4, 1e-5, 5e-324, 1.7976931348623157e308,
     math.nan, math.inf, -math.inf, 123456789.125, 1e22, 1e23]
)  # fmt: skip
texts = st.text(st.characters(), max_size=24) | st.sampled_from(AWKWARD)
names = texts.filter(bool)
# what makes a type must not run out of types
few = st.sampled_from([each for each in AWKWARD if each and "\0" not in each])
options = st.builds(Option, texts, st.dictionaries(texts, floats, max_size=3), st.booleans(), texts)
ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=24) | st.uuids().map(str)


@st.composite
def events(draw: st.DrawFn) -> TraceEvent:
    """A built event of anything."""
    return TraceEvent(
        event_id=draw(texts | st.uuids().map(str)),
        event_type=draw(few),
        component=draw(few),
        timestamp=Timestamp(draw(st.integers(0, 2**63 - 1))),
        duration=Duration(draw(int64)),
        model_id=draw(texts),
        request_id=draw(ids),
        rationale=draw(texts),
        severity=draw(st.sampled_from(Severity)),
        attributes=draw(st.dictionaries(texts, st.booleans() | int64 | floats | texts, max_size=5)),
        decision_chain_id=draw(texts),
        options=tuple(draw(st.lists(options, max_size=3))),
        caused_by=draw(texts),
        lineage_id=draw(st.integers(0, 2**64 - 1)),
    )


def documents(batch: Batch) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The batch's JSON, read by the standard library and by orjson."""
    data = b"[" + b"".join(batch.json()) + b"]"
    return json.loads(data), orjson.loads(data)


def agree(batch: Batch) -> None:
    """Native JSON, both readers of it, and Python's view of the rows are the same."""
    wanted = [plain_event(event) for event in to_events(batch.rows())]
    by_json, by_orjson = documents(batch)
    assert by_json == wanted
    assert by_orjson == wanted
    assert [list(event)[:10] for event in by_json] == [list(event)[:10] for event in wanted]


def batch_of(collector: whence.TraceCollector) -> Batch:
    """What a collector holds."""
    session = local_session()
    return drain_local(collector._readers(), session)[0] if session else Batch()


@given(st.lists(events(), max_size=4))
def test_built_events_are_written_as_python_would(built: list[TraceEvent]) -> None:
    """Any text, numbers at both ends, NaN, infinities, half surrogate pairs. R0.50 R0.51

    R0.52 R0.53 R0.54 Attributes are written as Python's repr() has them; 64-bit ids are strings.
    """
    collector = whence.TraceCollector(8)
    for event in built:
        collector.record(event)
    agree(batch_of(collector))


@given(st.lists(st.tuples(int64, floats, st.booleans(), texts, st.none() | texts), max_size=4), ids)
def test_typed_events_are_written_as_python_would(
    rows: list[tuple[int, float, bool, str, str | None]], request_id: str
) -> None:
    """Declared fields, templates and ambient requests. R0.50 R0.51 R0.54"""
    kind = whence.kind(
        "typed_json",
        component='C"\\',
        rationale="{i} {f:.2f} {b} {s} {o}",
        i=int,
        f=float,
        b=bool,
        s=str,
        o=str | None,
        severity=Severity.Warning,
    )
    recorded = OwnEvents()
    with whence.request(request_id or None, lineage_id=2**64 - 1):
        for row in rows:
            kind(*row)
    agree(recorded.batch())


@given(floats)
@example(1e16)
@example(123456789012345680.0)
@example(-1.5e-07)
@example(2.0**-1074)
def test_a_float_is_written_as_repr_has_it(value: float) -> None:
    """The shortest digits that read back the same, with Python's exponents. R0.54"""
    collector = whence.TraceCollector(1)
    collector.record_now("t", "C", attributes={"x": value})
    ((text, number),) = _texts_of_floats(collector, value)
    assert text == repr(value)
    if math.isfinite(value):
        assert number == repr(value)


def test_json_that_is_written_by_itself_is_the_same(tmp_path: Path) -> None:
    """At a place or where the file is, and no more than allowed. R1.41"""
    collector = whence.TraceCollector(2_000)
    for n in range(2_000):
        collector.record_now("written", "C", str(n))
    batch = batch_of(collector)
    path = tmp_path / "written"
    for lines in (False, True):
        wanted = b"".join(batch.json(lines))
        with path.open("wb", buffering=0) as file:
            assert batch.write_json(file.fileno(), lines=lines) == len(wanted)
            file.write(b"end")
            assert batch.write_json(file.fileno(), to=len(wanted) + 3, lines=lines) == len(wanted)
            most = len(wanted) - 1
            assert batch.write_json(file.fileno(), to=0, most_bytes=most, lines=lines) is None
            most += 1
            assert batch.write_json(file.fileno(), to=0, most_bytes=most, lines=lines) == most
        assert path.read_bytes() == wanted + b"end" + wanted


def test_json_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    """Descriptors for reading, of a full device, of nothing; the batch is free again. R1.41"""
    collector = whence.TraceCollector(1)
    collector.record_now("written", "C", "x")
    batch = batch_of(collector)
    (tmp_path / "there").touch()
    for path, mode, why in (
        (tmp_path / "there", "rb", "Bad file descriptor"),
        (Path("/dev/full"), "wb", "No space left"),
    ):
        with path.open(mode) as file, pytest.raises(OSError, match=why):
            batch.write_json(file.fileno())
    with pytest.raises(OSError, match="Bad file descriptor"):
        batch.write_json(-1)
    batch.clear()


def _texts_of_floats(collector: whence.TraceCollector, value: float) -> list[tuple[str, str]]:
    """Each event's attribute as text, and the same number as a score, as it is spelled."""
    collector.clear()
    collector.record(
        TraceEvent(
            event_type="t",
            component="C",
            timestamp=Timestamp(1),
            attributes={"x": value},
            options=(Option("o", {"x": value}),),
        )
    )
    batch = batch_of(collector)
    data = b"[" + b"".join(batch.json()) + b"]"
    return [
        (event["attributes"]["x"], event["options"][0]["scores"]["x"])
        for event in json.loads(data, parse_float=str)
    ]


@pytest.mark.parametrize("power", range(-330, 310, 7))
def test_every_size_of_float_is_written_as_repr_has_it(power: int) -> None:
    """Across all exponents, where the spelling changes. R0.54"""
    collector = whence.TraceCollector(1)
    for digits in ("1", "1.5", "9.999999999999999", "-7.25"):
        value = float(f"{digits}e{power}")
        assert _texts_of_floats(collector, value) == [(repr(value), repr(value))]


@given(st.binary(min_size=4, max_size=4))
def test_a_narrow_float_is_written_as_the_double_it_is(data: bytes) -> None:
    """Any 32-bit pattern. R0.54"""
    (value,) = struct.unpack("<f", data)
    kind = whence.kind("narrow_json", component="C", x=whence.F32)
    recorded = OwnEvents()
    kind(value)
    agree(recorded.batch())
    (event,) = documents(recorded.batch())[0]
    assert event["attributes"]["x"] == repr(value)


@given(st.lists(texts, min_size=1, max_size=6), st.integers(0, 20))
def test_text_is_escaped_wherever_it_stands(parts: list[str], shift: int) -> None:
    """Quotes, backslashes and controls at every place of eight bytes at a time. R0.50"""
    kind = whence.kind("escaped_json", component="C", s=str)
    recorded = OwnEvents()
    kind("x" * shift + "".join(parts) + "y" * (20 - shift))
    agree(recorded.batch())


def test_every_character_survives() -> None:
    """Each code point comes back from both readers, half surrogate pairs as their escapes. R0.50"""
    everything = [chr(code) for code in range(0x110000)]
    kind = whence.kind("characters_json", component="C", s=str)
    for at in range(0, len(everything), 8192):
        text = "".join(everything[at : at + 8192])
        recorded = OwnEvents()
        kind(text)
        wanted = re.sub("[\ud800-\udfff]", lambda found: f"\\ud{ord(found[0]) & 0xFFF:03x}", text)
        for (event,) in documents(recorded.batch()):
            assert event["attributes"]["s"] == wanted


@pytest.mark.parametrize("count", [0, 1, 2, 5000])
def test_events_are_joined_by_commas(count: int) -> None:
    """Any number of events is a list, in chunks or not. R0.50"""
    collector = whence.TraceCollector(10_000)
    for n in range(count):
        collector.record_now("t", "C", f"{n} " + "x" * 300)
    by_json, by_orjson = documents(batch_of(collector))
    assert [event["rationale"].split()[0] for event in by_json] == [str(n) for n in range(count)]
    assert by_json == by_orjson


def test_text_that_is_lost_is_told_in_both() -> None:
    """Lost text, cut text, lost requests and absent fields. R0.39 R0.50"""
    kind = whence.kind(
        "lost_json", component="C", rationale="{n} {s}", n=int, s=str, o=int | None, wide=float,
        wider=float,
    )  # fmt: skip
    recorded = OwnEvents()
    with whence.request("a request that is lost with all of its text"):
        for n in range(400):
            kind(n, "x" * 1000, None if n % 2 else n, 0.5, 1.5)
        kind(-1, "x" * 100_000, 0, 0.5, 1.5)
    agree(recorded.batch())
    first, *_, last = documents(recorded.batch())[0]
    assert first["text_lost"] is True
    assert last["truncated"] is True


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session full of text."""
    from tests.apps import run_program

    folder = tmp_path_factory.mktemp("dead")
    run = run_program(
        """
        import whence
        whence.start(ring_slots=20, text_bytes=4096)
        say = whence.kind("say", component="C", rationale="{s} {t}", s=str, t=str, n=int, m=int)
        collector = whence.TraceCollector(20)
        for n in range(20):
            with whence.request(f"a request with a long id {n}"):
                say("é" * n, "t" * 70, n, n)
                collector.record_now("t", "C", "r" * n, attributes={"k": n, "f": 0.5, "t": "é"})
        """,
        folder,
    )
    return run.session_dir


@given(st.data())
def test_damaged_bytes_are_still_written_as_json(dead: Path, data: st.DataObject) -> None:
    """Whatever a file holds, the text is valid, and says what Python's view says. R0.50 P14"""
    folder = dead.parent / "damaged"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(dead, folder)
    for path in sorted(folder.glob("ring-*")):
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(0, 8))):
            at = data.draw(st.integers(layout.RING_HEADER_BYTES, len(content) - 1))
            content[at] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
    batch = SessionReader(folder).drain()
    wanted = [plain_event(event) for event in to_events(batch.rows())]
    by_json, by_orjson = documents(batch)
    assert by_json == by_orjson
    # how many marks stand for bytes that are no UTF-8 is not the same in every decoder
    assert _marks_joined(by_json) == _marks_joined(wanted)


def _marks_joined(value: object) -> Any:
    return json.loads(re.sub("\ufffd+", "\ufffd", json.dumps(value, ensure_ascii=False)))
