"""The byte layout in Python is the one in native/whence/layout.hpp, number by number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from whence.ring import layout

HEADER = re.sub(
    r"//[^\n]*", "", (Path(__file__).parents[2] / "native/whence/layout.hpp").read_text()
)
NAMES = {
    "FORMAT_MAJOR": "kFormatMajor",
    "ENDIAN_MARK": "kEndianMark",
    "SESSION_BYTES": "kSessionBytes",
    "SESSION_TEXT_OFFSET": "kSessionTextOffset",
    "SESSION_TEXT_BYTES": "kSessionTextBytes",
    "ANCHORS_OFFSET": "kAnchorsOffset",
    "ANCHOR_COUNT": "kAnchorCount",
    "GATE_ON": "kGateOn",
    "GATE_EXEMPT": "kGateExempt",
    "GATE_THRESHOLD_SHIFT": "kGateThresholdShift",
    "GATE_MINIMUM_SHIFT": "kGateMinimumShift",
    "SAMPLE_STEPS": "kSampleSteps",
    "GATES_OFFSET": "kGatesOffset",
    "MAX_KINDS": "kMaxKinds",
    "RULES_OFFSET": "kRulesOffset",
    "RULE_COUNT": "kRuleCount",
    "RULE_BYTES": "kRuleBytes",
    "RULE_NAME_BYTES": "kRuleNameBytes",
    "CONTROL_BYTES": "kControlBytes",
    "CONTROL_BYTES_OF_MINOR_0": "kControlBytesOfMinor0",
    "RING_HEADER_BYTES": "kRingHeaderBytes",
    "SLOT_BYTES": "kSlotBytes",
    "OTHER_KINDS": "kOtherKinds",
}
STRUCTS = {
    "SESSION_HEADER": "SessionHeader",
    "ANCHOR": "Anchor",
    "SMALL_HEADER": "SmallHeader",
}
LETTERS = {"uint64_t": "Q", "uint32_t": "I", "uint16_t": "H", "uint8_t": "B"}


def constant(name: str) -> int:
    """The value of a constexpr number of the header."""
    found = re.search(rf"constexpr (?:std::\w+|unsigned) {name} = ([^;]+);", HEADER)
    assert found is not None, name
    text = re.sub(r"\bk[A-Z]\w*", lambda other: str(constant(other[0])), found[1])
    return int(eval(re.sub(r"\b(0x[0-9a-f]+|\d+)u?l*\b", r"\1", text), {"__builtins__": {}}))


def members(name: str) -> list[tuple[str, str, int]]:
    """(type, name, count) of a struct's members; count 0 where one is no array."""
    found = re.search(rf"struct {name} \{{(.*?)\}};", HEADER, re.DOTALL)
    assert found is not None, name
    return [
        (kind, member, int(count or 0))
        for kind, member, count in re.findall(r"(?:std::)?(\w+) (\w+)(?:\[(\d+)\])?;", found[1])
    ]


def struct_format(name: str) -> str:
    """A struct of the header as Python's struct module has it."""
    out = "<"
    for kind, member, count in members(name):
        if member == "reserved":
            out += f"{count * {'uint64_t': 8, 'uint32_t': 4}[kind]}x"
        elif count:
            assert kind in {"char", "uint8_t"}
            out += f"{count}s"
        else:
            out += LETTERS[kind]
    return out


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_is_that_of_the_header(name: str) -> None:
    """There is one layout, written down twice. P7"""
    assert getattr(layout, name) == constant(NAMES[name])


@pytest.mark.parametrize("name", STRUCTS)
def test_a_struct_is_that_of_the_header(name: str) -> None:
    """Every member in its order and width, without padding. P7"""
    packed = getattr(layout, name)
    assert packed.format == struct_format(STRUCTS[name])


@pytest.mark.parametrize("name", ["Session", "Control"])
def test_a_magic_is_that_of_the_header(name: str) -> None:
    """The eight letters that a file begins with. P7"""
    found = re.search(rf"k{name}Magic\[8\] = \{{(.*?)\}}", HEADER)
    assert found is not None
    magic = getattr(layout, f"{name.upper()}_MAGIC")
    assert "".join(re.findall(r"'(.)'", found[1])).encode() == magic


def test_a_gate_record_is_that_of_the_header() -> None:
    """Time, kind, checksum, before, after: 32 bytes. P7"""
    assert layout.GATE_RECORD.format == struct_format("GateRecord")
    assert layout.GATE_RECORD.size == constant("kGateRecordBytes")


def test_the_count_of_removed_rings_lies_where_the_header_says() -> None:
    """Two words between the control page's head and its gates. P7"""
    assert constant("kRemovedRingsOffset") == layout.REMOVED_RINGS_OFFSET
    assert constant("kRemovedEventsOffset") == layout.REMOVED_RINGS_OFFSET + 8
    assert constant("kGatesOffset") >= layout.REMOVED_RINGS_OFFSET + layout.REMOVED_RINGS.size


def test_the_counts_of_what_is_missing_lie_where_the_header_says() -> None:
    """Kinds without a name and rings without a file, between the same. P7"""
    assert constant("kUnnamedKindsOffset") == layout.MISSING_OFFSET
    assert constant("kMemoryRingsOffset") == layout.MISSING_OFFSET + 4
    assert constant("kGatesOffset") >= layout.MISSING_OFFSET + layout.MISSING.size


def test_the_checksum_comes_last_but_one() -> None:
    """It covers every byte before it; the word after it says that the file is complete. P7"""
    assert [member for _, member, _ in members("SessionHeader")][-2:] == ["crc", "ready"]
    assert layout.SESSION_HEADER.size - layout.SESSION_CRC_OFFSET == 8
    assert layout.SESSION_HEADER.size <= layout.SESSION_TEXT_OFFSET


def test_every_constant_of_the_module_is_compared() -> None:
    """A constant added to layout.py is added to these tests. P7"""
    magics = {"SESSION_MAGIC", "CONTROL_MAGIC"}
    compared = {*NAMES, *STRUCTS, *magics, "GATE_RECORD", "SESSION_CRC_OFFSET"}
    compared |= {"REMOVED_RINGS_OFFSET", "REMOVED_RINGS", "MISSING_OFFSET", "MISSING"}
    derived = {"ENDIAN_MARK_SWAPPED"}
    assert {name for name in vars(layout) if name.isupper()} == compared | derived
    swapped = int.from_bytes(layout.ENDIAN_MARK.to_bytes(4, "little"), "big")
    assert swapped == layout.ENDIAN_MARK_SWAPPED


def test_a_ring_file_is_a_header_slots_and_text() -> None:
    """10,000 slots are exactly 640,000 bytes. R0.37 R1.15"""
    assert 10_000 * constant("kSlotBytes") == 640_000
    assert constant("kSlotWords") * 8 == constant("kSlotBytes")
    assert constant("kRingHeaderBytes") == 16 * 1024
