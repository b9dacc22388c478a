"""TraceLinkSet in bytes: given vectors, another codec, bad bytes and none that are made up."""

from __future__ import annotations

import gc
import io
import json
import struct
import sys
import tracemalloc
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whence.lineage import TraceLinkSet, decode_tracelink_set, encode_tracelink_set

VECTORS = json.loads((Path(__file__).parent / "data" / "tracelink.json").read_text())
GOOD = TraceLinkSet(7, 9, 11, 42, (10, 20))

ids = st.integers(1, 2**64 - 2)
sets = st.builds(
    TraceLinkSet,
    st.integers(0, 2**32 - 2),
    st.integers(0, 2**64 - 2),
    st.integers(0, 2**64 - 2),
    ids,
    st.lists(ids, min_size=1, max_size=50, unique=True).map(tuple),
).filter(lambda made: made.trace_id not in made.parents)


def encoded(made: TraceLinkSet) -> bytes:
    buffer = bytearray(40 + 8 * len(made.parents))
    assert encode_tracelink_set(buffer, *made) == len(buffer)
    return bytes(buffer)


def raw(trace_id: int = 42, parents: tuple[int, ...] = (10, 20), count: int | None = None) -> bytes:
    """A message that nothing has checked."""
    header = struct.pack("<HHHHIQQQ", 28, 1, 904, 1, 7, 9, 11, trace_id)
    group = struct.pack("<HH", 8, len(parents) if count is None else count)
    return header + group + struct.pack(f"<{len(parents)}Q", *parents)


def of(vector: dict[str, Any]) -> TraceLinkSet:
    return TraceLinkSet(
        vector["stream_id"],
        int(vector["epoch"]),
        int(vector["seq"]),
        int(vector["trace_id"]),
        tuple(int(parent) for parent in vector["parents"]),
    )


@pytest.mark.parametrize("vector", VECTORS["positive"], ids=lambda vector: vector["name"])
def test_the_vectors_of_sets_are_read_and_written_bit_by_bit(vector: dict[str, Any]) -> None:
    """R2.17 R2.18 R2.35 R2.28 What the bytes say is read; version 1 is written as it was."""
    wire = bytes.fromhex(vector["hex"])
    assert decode_tracelink_set(wire) == of(vector)
    if wire[6] == 1:
        assert encoded(of(vector)) == wire


@pytest.mark.parametrize("vector", VECTORS["negative"], ids=lambda vector: vector["name"])
def test_the_vectors_of_bad_sets_are_refused(vector: dict[str, Any]) -> None:
    """R2.18 R2.20 R2.35 Bad bytes raise ValueError; another schema is no set, and no error."""
    wire = bytes.fromhex(vector["hex"])
    if "schemaId" in vector["name"]:
        assert decode_tracelink_set(wire) is None
    else:
        with pytest.raises(ValueError, match=r"\w"):
            decode_tracelink_set(wire)


@given(sets)
def test_what_was_written_is_read(made: TraceLinkSet) -> None:
    """R2.17 R2.18 R2.20 TL-26: any set comes back, its parents in their order."""
    assert decode_tracelink_set(encoded(made)) == made


def test_the_most_parents_that_a_group_can_have() -> None:
    """R2.20 TL-24: 65,534 parents are written and read; one more is refused."""
    most = GOOD._replace(parents=tuple(range(100, 100 + 65_534)))
    assert decode_tracelink_set(encoded(most)) == most
    with pytest.raises(ValueError, match="65,534 parents at most"):
        encoded(GOOD._replace(parents=tuple(range(100, 100 + 65_535))))


BAD = [
    ({"trace_id": 0}, "trace_id must be from 1"),
    ({"trace_id": 2**64 - 1}, "trace_id must be from 1"),
    ({"parents": ()}, "at least one parent"),
    ({"parents": (10, 0)}, "a parent must be from 1"),
    ({"parents": (10, 2**64 - 1)}, "a parent must be from 1"),
    ({"parents": (5, 5)}, "named twice"),
    ({"parents": (5, 42)}, "its own parent"),
]


@pytest.mark.parametrize(("wrong", "words"), BAD)
def test_one_check_serves_both_directions(wrong: dict[str, Any], words: str) -> None:
    """R2.20 TL-16 TL-17 TL-23 TL-24 TL-25: what may not be read may not be written."""
    with pytest.raises(ValueError, match=words):
        encoded(GOOD._replace(**wrong))
    with pytest.raises(ValueError, match=words):
        decode_tracelink_set(raw(**wrong))


@pytest.mark.parametrize(
    "wrong",
    [{"stream_id": -1}, {"stream_id": 2**32 - 1}, {"epoch": 2**64}, {"seq": -1}, {"seq": 2**64}],
)
def test_numbers_that_do_not_fit_are_refused(wrong: dict[str, int]) -> None:
    """R2.17 Out of a field's range, or its null: nothing is written."""
    buffer = bytearray(b"x" * 100)
    with pytest.raises(ValueError, match="must be from 0"):
        encode_tracelink_set(buffer, *GOOD._replace(**wrong))
    assert buffer == b"x" * 100


@pytest.mark.parametrize("wrong", [True, 1.0, "1", None])
def test_ids_are_ints(wrong: Any) -> None:
    """R2.17 What is no int is no id."""
    for broken in (GOOD._replace(trace_id=wrong), GOOD._replace(parents=(wrong,))):
        with pytest.raises(TypeError, match="must be int"):
            encoded(broken)


def test_a_buffer_must_hold_the_set() -> None:
    """R2.17 Too small or read-only: nothing is written; a larger one keeps what lies behind."""
    for buffer in (bytearray(55), bytes(100)):
        with pytest.raises(ValueError, match="56 writable bytes"):
            encode_tracelink_set(buffer, *GOOD)
    larger = bytearray(b"x" * 60)
    assert encode_tracelink_set(larger, *GOOD) == 56
    assert larger[56:] == b"xxxx"
    assert decode_tracelink_set(memoryview(larger)) == GOOD
    with pytest.raises(ValueError, match="in one piece"):
        decode_tracelink_set(memoryview(larger)[::2])


def test_every_cut_is_noticed() -> None:
    """R2.18 A set cut short anywhere is refused."""
    wire = encoded(GOOD)
    for length in range(len(wire)):
        with pytest.raises(ValueError, match=r"cut short|no message"):
            decode_tracelink_set(wire[:length])


@pytest.mark.parametrize(
    ("at", "value"),
    [(2, 2), (4, 900), (4, 0x8803), (4, 999)],
    ids=["template", "frame", "big-endian", "999"],
)
def test_other_messages_are_none_of_ours(at: int, value: int) -> None:
    """R2.3 R2.18 TL-20 TL-27: schema and template tell, whatever follows; big-endian is another."""
    wire = bytearray(encoded(GOOD)[:20])
    struct.pack_into("<H", wire, at, value)
    assert decode_tracelink_set(wire) is None


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, 27, "28 bytes of fields, not 27"),
        (0, 60000, "cut short"),
        (36, 7, "a parent has 8 bytes, not 7"),
        (38, 65535, "null"),
        (38, 65534, "cut short"),
        (36, 65535, "cut short"),
    ],
)
def test_lengths_that_lie_are_refused(at: int, value: int, words: str) -> None:
    """R2.18 Blocks too short for version 1, and more bytes told of than there are."""
    wire = bytearray(encoded(GOOD))
    struct.pack_into("<H", wire, at, value)
    with pytest.raises(ValueError, match=words):
        decode_tracelink_set(wire)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda more: encoded(GOOD)[:20] + more))
@example(raw(count=65_534))
def test_any_bytes_are_read_or_refused(wire: bytes) -> None:
    """R2.18 Bytes are a set, none of ours or a ValueError; what is read can be written again."""
    try:
        made = decode_tracelink_set(wire)
    except ValueError:
        return
    assert made is None or decode_tracelink_set(encoded(made)) == made


@given(sets)
def test_an_independent_codec_agrees(made: TraceLinkSet) -> None:
    """R2.3 R2.17 R2.18 The `sbe` package writes and reads the same bytes by the shipped schema."""
    schema = other_codec()
    theirs = schema.encode(schema.messages[1], as_dict(made))
    assert bytes(theirs) == encoded(made)
    assert schema.decode(encoded(made)).value == as_dict(made)


def other_codec() -> Any:
    sbe = pytest.importorskip("sbe")
    text = (files("whence.lineage") / "schema" / "trace_link.xml").read_bytes()
    return sbe.Schema.parse(io.BytesIO(text))


def as_dict(made: TraceLinkSet) -> dict[str, Any]:
    return {
        "streamId": made.stream_id,
        "epoch": made.epoch,
        "seq": made.seq,
        "traceId": made.trace_id,
        "parents": [{"traceId": parent} for parent in made.parents],
    }


def test_the_count_on_the_wire_reserves_nothing() -> None:
    """R2.18 Bytes that claim 65,534 parents are refused before room is made for them."""
    wire = raw(count=65_534)
    tracemalloc.start()
    for _ in range(10):
        with pytest.raises(ValueError, match="cut short"):
            decode_tracelink_set(wire)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 65_534


def test_codecs_keep_no_memory() -> None:
    """R2.1 R2.30 After ten thousand sets no block is held that was not before."""
    buffer = bytearray(100)

    def turn(times: int) -> None:
        for _ in range(times):
            encode_tracelink_set(buffer, 7, 9, 11, 42, (10, 20))
            decode_tracelink_set(buffer)

    gc.collect()
    turn(100)  # fills the interpreter's free lists, which the collector has emptied
    before = sys.getallocatedblocks()
    turn(10_000)
    assert sys.getallocatedblocks() - before < 10
