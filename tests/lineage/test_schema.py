"""The schemas that ship and the codecs beside them say the same."""

from __future__ import annotations

import struct
from importlib.resources import files
from xml.etree import ElementTree

import pytest

from whence.lineage import wire
from whence.lineage.wire import Form

SCHEMAS = {
    "trace_link.xml": [wire.TRACE_LINK_SET],
    "frame_descriptor.xml": [wire.FRAME_DESCRIPTOR],
    "attach.xml": [wire.ATTACH_REQUEST, wire.ATTACH_RESPONSE],
}
CODES = {"uint8": "B", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q"}
MESSAGE = "{http://fixprotocol.io/2016/sbe}message"


def schema(name: str) -> ElementTree.Element:
    return ElementTree.fromstring((files("whence.lineage") / "schema" / name).read_text())


def layout(root: ElementTree.Element, parts: list[ElementTree.Element], attribute: str) -> str:
    """The fields of a block or composite as struct writes them."""
    named = {each.attrib["name"]: each.attrib["primitiveType"] for each in root.iter("type")}
    types = (part.attrib[attribute] for part in parts)
    return "<" + "".join(CODES[named.get(each, each)] for each in types)


@pytest.mark.parametrize(
    ("name", "form"), [(name, form) for name, forms in SCHEMAS.items() for form in forms]
)
def test_the_constants_of_a_codec_are_those_of_its_schema(name: str, form: Form) -> None:
    """R2.3 R2.5 Ids, version, byte order, header and each field of a block are as in the file."""
    root = schema(name)
    assert root.attrib["byteOrder"] == "littleEndian"
    assert (int(root.attrib["id"]), int(root.attrib["version"])) == (form.schema, form.version)
    (header,) = root.findall("types/composite[@name='messageHeader']")
    assert layout(root, header.findall("type"), "primitiveType") == wire.HEADER.format
    (message,) = [each for each in root.findall(MESSAGE) if each.attrib["name"] == form.name]
    assert int(message.attrib["id"]) == form.template
    assert int(message.attrib["blockLength"]) == form.block.size
    assert layout(root, message.findall("field"), "type") == form.block.format


def test_the_group_of_parents_is_that_of_the_schema() -> None:
    """R2.3 R2.5 An entry has the one field that the file gives it, behind a size of 4 bytes."""
    root = schema("trace_link.xml")
    (group,) = root.iter("group")
    assert layout(root, group.findall("field"), "type") == wire.PARENT.format
    assert int(group.attrib["blockLength"]) == wire.PARENT.size
    (size,) = root.findall("types/composite[@name='groupSizeEncoding']")
    assert layout(root, size.findall("type"), "primitiveType") == wire.GROUP.format


def test_a_message_begins_as_the_protocol_says() -> None:
    """R2.3 TL-20: schema 904, template 1, 28 bytes of block; others have 40, 27 and 54."""
    assert wire.TRACE_LINK_SET.header == bytes.fromhex("1c00010088030100")
    forms = (wire.FRAME_DESCRIPTOR, wire.ATTACH_REQUEST, wire.ATTACH_RESPONSE)
    assert [form.block.size for form in forms] == [40, 27, 54]
    assert struct.calcsize("<qIIBIBB") == 23  # where a request has desiredNodeId
    assert struct.calcsize("<qiQQIQIIH") == 50  # where an answer has nodeId
