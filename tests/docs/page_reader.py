"""A reader of dead sessions that knows only docs/file-format.md; it shares no code with whence."""

from __future__ import annotations

import json
import re
import struct
import uuid
import zlib
from pathlib import Path
from typing import Any

TYPES = {1: "<?", 2: "<B", 3: "<I", 4: "<f", 5: "<q", 6: "<Q", 7: "<d", 8: "<H", 9: ""}
BINARY = ("B", "KB", "MB", "GB", "TB")
COLUMNS = {1: "model_id", 3: "rationale", 5: "duration_ns", 8: "lineage_id", 10: "span_id",
           11: "parent_span_id"}  # by role  # fmt: skip
UNKNOWN, ABSENT = object(), object()  # what a field may be beside a value


class Bytes:
    """Takes values off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def raw(self, count: int) -> bytes:
        """The next bytes."""
        self.at += count
        return self.data[self.at - count : self.at]

    def take(self, layout: str) -> Any:
        """The next number."""
        return struct.unpack("<" + layout, self.raw(struct.calcsize("<" + layout)))[0]

    def text(self, count: int) -> str:
        """The next so many bytes as text."""
        return self.raw(count).decode()

    def rest(self) -> str:
        """All that is left as text."""
        return self.text(len(self.data) - self.at)


def checked(data: bytes, magic: bytes) -> bytes:
    """The bytes of a file, if its first 16 are those of format 1."""
    assert data[:8] == magic
    assert struct.unpack_from("<IH", data, 8) == (0x01020304, 1)
    return data


def read_session(folder: Path) -> dict[str, Any]:
    """What the files of a dead session say: head, kinds, gates, and all rings and events."""
    data = checked((folder / "session").read_bytes(), b"WHNCSESS")
    length, crc, ready = struct.unpack_from("<I128xII", data, 0x64)
    text = data[0x100 : 0x100 + length]
    assert (zlib.crc32(data[:0xE8] + text), 1) == (crc, ready)
    key, pid, _, _, boot, run, _, wall = struct.unpack_from("<QIIQ16sQQQ", data, 0x20)
    pairs = [struct.unpack_from("<QQ", data, 0x1010 + 16 * i) for i in range(255)]
    session = {
        "name": folder.name, "uuid": str(uuid.UUID(bytes=data[0x10:0x20])), "key": key, "pid": pid,
        "run": f"{run:016x}", "boot_id": str(uuid.UUID(bytes=boot)), "started_wall_ns": wall,
        "anchors": sorted(pair for pair in pairs if pair[1]), "said": json.loads(text),
    }  # fmt: skip
    names, kinds = read_names(folder)
    rings = [read_ring(path, session, names, kinds) for path in sorted(folder.glob("ring-*"))]
    events = [event for ring in rings for event in ring.pop("events")]
    events.sort(key=lambda event: (event["timestamp_ns"], event["ring"], event["ticket"]))
    name_requests(events)
    return session | {"kinds": kinds, "rings": rings, "events": events, "gates": gates(folder)}


def gates(folder: Path) -> list[tuple[int, ...]]:
    """(monotonic_ns, kind id, gate before, gate after) of each sound record."""
    data, found = (folder / "gates").read_bytes(), []
    for at in range(0, len(data) - 31, 32):
        when, kind, crc, before, after = struct.unpack_from("<QIIQQ", data, at)
        if zlib.crc32(data[at : at + 12] + data[at + 16 : at + 32]) == crc:
            found.append((when, kind, before, after))
    return found


def read_names(folder: Path) -> tuple[dict[int, str], dict[int, dict[str, Any]]]:
    """Names and kinds by their ids."""
    data, at = checked((folder / "names").read_bytes(), b"WHNCNAME"), 0x40
    names: dict[int, str] = {0: ""}
    kinds: dict[int, dict[str, Any]] = {}
    while at + 16 <= len(data) and struct.unpack_from("<Q", data, at) != (0,):
        length, crc, record, number = struct.unpack_from("<IIHH", data, at)
        end = at + 16 + length - 1
        if zlib.crc32(data[at + 8 : end]) != crc:
            break
        if record == 1:
            names[number] = data[at + 16 : end].decode()
        elif record == 2:
            kinds[number] = read_kind(Bytes(data[at + 16 : end]))
        at = (end + 7) // 8 * 8
    return names, kinds


def read_kind(data: Bytes) -> dict[str, Any]:
    """A kind from its payload."""
    flags, severity, count = data.take("B"), data.take("B"), data.take("H")
    texts = [data.text(data.take("I")) for _ in range(5)]
    fields = [(data.take("B"), data.take("B"), data.text(data.take("H"))) for _ in range(count)]
    named = dict(zip(("name", "component", "rationale", "otel_name", "source"), texts, strict=True))
    return named | {
        "decision": bool(flags & 1),
        "span": bool(flags & 4),
        "severity": severity,
        "fields": fields,
    }


def read_ring(
    path: Path, session: dict[str, Any], names: dict[int, str], kinds: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    """A ring's ledger and events."""
    data = checked(path.read_bytes(), b"WHNCRING")
    assert (zlib.crc32(data[:0x78]), 1) == struct.unpack_from("<II", data, 0x78)
    assert data[0x40:0x50] == uuid.UUID(session["uuid"]).bytes
    slots, text_bytes, first, text_at = struct.unpack_from("<QQQQ", data, 0x18)
    (ring,) = struct.unpack_from("<I", data, 0x50)
    intent, owned, _, watermark, cut, _ = struct.unpack_from("<6Q", data, 0x80)
    text_ring = data[text_at : text_at + text_bytes]
    found = {}
    for index in range(slots):
        words = struct.unpack_from("<8Q", data, first + 64 * index)
        ticket = words[0] // 2 - 1
        if words[0] % 2 == 0 and words[0] and ticket % slots == index and ticket >= watermark:
            found[ticket] = words
    events = []
    for ticket, words in sorted(found.items()):
        block = read_block(words, ticket, text_ring, intent) if words[2] >> 18 & 1 else None
        event = decode(words, block, names, kinds)
        place = session["key"] << 80 | 8 << 76 | ring >> 6 << 64 | 2 << 62 | (ring & 63) << 56
        event["event_id"] = event["event_id"] or str(uuid.UUID(int=place | ticket))
        events.append(event | {"ring": ring, "ticket": ticket})
    rows = {}
    for row in range(128):
        counts = struct.unpack_from("<6Q", data, 0x2800 + 48 * row)
        if any(counts):
            rows[struct.unpack_from("<H", data, 0x100 + 2 * row)[0]] = counts
    owners = [struct.unpack_from("<IIQ", data, 0x200 + 16 * (n % 128)) for n in range(owned)[-128:]]
    recorded = sum(counts[0] for counts in rows.values())
    following = max(found, default=watermark - 1) + 1
    lost = following - watermark - len(events)
    return {
        "ring": ring, "capacity": slots, "owners": [owner[0] for owner in owners], "rows": rows,
        "recorded": recorded, "readable": len(events), "lost": lost, "cleared": watermark,
        "text_lost": sum(event["text_lost"] for event in events), "truncated": cut,
        "in_flight": recorded - len(events) - lost - watermark, "events": events,
        "open_spans": read_open_spans(data, kinds), "open_spans_unseen": int_at(data, 0xB0),
    }  # fmt: skip


def read_block(words: tuple[int, ...], ticket: int, text_ring: bytes, intent: int) -> Bytes | None:
    """An event's text block behind its header, None when the text is lost."""
    at, size = words[7], len(text_ring)
    around = text_ring[at % size :] + text_ring[: at % size]
    length, low = struct.unpack_from("<II", around)
    good = at % 8 == 0 and low == ticket & 0xFFFFFFFF and intent <= at + size
    return Bytes(around[8:length]) if good and 8 <= length <= min(65536, size) else None


def decode(
    words: tuple[int, ...], block: Bytes | None, names: dict[int, str], kinds: dict[int, Any]
) -> dict[str, Any]:
    """The event in a slot and its text block, without its place."""
    tag, number = words[2], words[2] & 0xFFFF
    nameless = {"name": f"unknown-kind-{number}", "component": "unknown", "rationale": ""}
    kind = kinds.get(
        number, nameless | {"decision": False, "span": False, "severity": 1, "fields": []}
    )
    severity = (tag >> 20 & 7) - 1 if tag >> 20 & 7 else kind["severity"]
    event: dict[str, Any] = {
        "event_id": "", "event_type": kind["name"], "component": kind["component"],
        "timestamp_ns": words[1], "duration_ns": 0, "model_id": "", "rationale": "",
        "severity": min(severity, 4), "decision": kind["decision"], "options": [], "caused_by": "",
        "lineage_id": 0, "text_lost": bool(tag >> 18 & 1) and block is None,
        "truncated": bool(tag >> 19 & 1), "chain": "", "span": kind["span"], "span_id": 0,
        "parent_span_id": 0, "status": "", "status_message": "", "links": [], "trace_id": "",
    }  # fmt: skip
    if tag >> 24 & 1 and not tag >> 18 & 1:
        event["span_id"] = words[7]
    if tag >> 23 & 1 or tag >> 16 & 3 == 1:  # of other requests it takes XXH3 to tell
        event["trace_id"] = struct.pack("<QQ", words[3], words[4]).hex()
    event["request_id"], event["print"] = request(tag >> 16 & 3, words[3], words[4])
    image = struct.pack("<3Q", *words[5:8])
    if tag >> 18 & 1:
        size = sum(struct.calcsize(TYPES[kind_of]) for kind_of, _, _ in kind["fields"])
        image = image[:16] + (block.raw(max(size - 16, 0)) if block else b"")
    fields = read_fields(kind["fields"], Bytes(image), names, event["text_lost"])
    attributes: dict[str, Any] = {}
    if block:
        read_entries(block, event, fields, attributes, names)
    mine: dict[str, Any] = {}
    for (_, role, name), value in zip(kind["fields"], fields, strict=True):
        column = COLUMNS.get(role & 0x7F)
        if value is UNKNOWN or value is ABSENT or (column == "lineage_id" and value == 0):
            continue
        (event if column else mine)[column or name] = value
    event["attributes"] = mine | attributes
    if kind["rationale"] and not event["rationale"].strip():
        event["rationale"] = rendered(kind, fields)
    return event


def request(form: int, low: int, high: int) -> tuple[str, str]:
    """The request id in a slot, and the fingerprint of a long one, which is not there."""
    data = struct.pack("<QQ", low, high)
    if form == 1:
        return str(uuid.UUID(bytes=data)), ""
    if form == 2:
        return data.rstrip(b"\0").decode(), ""
    return "", f"lost:{high:016x}{low:016x}" if form == 3 else ""


def read_fields(
    fields: list[Any], image: Bytes, names: dict[int, str], text_lost: bool
) -> list[Any]:
    """The value of each field, as far as the image and the names tell it."""
    values: list[Any] = []
    for type_of, role, _ in fields:
        value = image.raw(struct.calcsize(TYPES[type_of]))
        may_be_none = role & 0x80 and text_lost and not any(value)
        if type_of == 9 or len(value) < struct.calcsize(TYPES[type_of]) or may_be_none:
            values.append(UNKNOWN)
        else:
            (number,) = struct.unpack(TYPES[type_of], value)
            values.append(names.get(number, UNKNOWN) if type_of == 8 else number)
    return values


def read_entries(
    block: Bytes, event: dict[str, Any], fields: list[Any], attributes: dict[str, Any],
    names: dict[int, str],
) -> None:  # fmt: skip
    """Reads the entries of a text block into the event, its fields and its attributes."""
    texts = {2: "request_id", 3: "chain", 4: "rationale", 7: "caused_by", 14: "event_type",
             15: "component"}  # fmt: skip
    while len(block.data) - block.at >= 6 and block.data[block.at]:
        entry, index = block.take("B"), block.take("B")
        payload = Bytes(block.raw(block.take("I")))
        if entry == 1:
            fields[index] = payload.rest()
        elif entry in texts:
            event[texts[entry]] = payload.rest()
        elif entry == 5:
            key = payload.text(payload.take("H"))
            attributes[key] = payload.rest() if index == 3 else payload.take("qd?"[index])
        elif entry == 6:
            name, reason = (payload.text(payload.take("H")) for _ in range(2))
            count = payload.take("B")
            scores = {payload.text(payload.take("H")): payload.take("d") for _ in range(count)}
            event["options"].append((name, scores, bool(index), reason))
        elif entry == 8:
            event["event_id"] = payload.rest() if index else str(uuid.UUID(bytes=payload.raw(16)))
        elif entry == 9:
            event["model_id"] = payload.rest() if index else names.get(payload.take("H"), "")
        elif entry == 10:
            event["duration_ns"] = payload.take("q")
        elif entry == 11:
            event["lineage_id"] = payload.take("Q")
        elif entry == 16:
            event["trace_id"] = payload.raw(16).hex()
        elif entry == 17:
            event["span_id"] = payload.take("Q")
        elif entry == 18:
            event["links"].append(read_link(payload))
        elif entry == 19:
            event["status"], event["status_message"] = ("", "ok", "error")[index], payload.rest()
        elif entry == 20:
            event["parent_span_id"] = payload.take("Q")
        elif entry == 12:
            absent = payload.take("Q")
            fields[:] = [ABSENT if absent >> i & 1 else fields[i] for i in range(len(fields))]


def read_link(payload: Bytes) -> tuple[str, int, dict[str, Any]]:
    """Whom a link leads to, and its attributes."""
    trace, span, attributes = payload.raw(16).hex(), payload.take("Q"), {}
    while payload.at < len(payload.data):
        kind, key, size = payload.take("B"), payload.take("H"), payload.take("I")
        name, value = payload.text(key), Bytes(payload.raw(size))
        attributes[name] = value.rest() if kind == 3 else value.take("qd?"[kind])
    return trace, span, attributes


def int_at(data: bytes, at: int) -> int:
    """The u64 at an offset."""
    return int.from_bytes(data[at : at + 8], "little")


def read_open_spans(data: bytes, kinds: dict[int, dict[str, Any]]) -> list[tuple[Any, ...]]:
    """(name, span id, parent id, start, request id) of each span that has not ended."""
    rows = (struct.unpack_from("<6Q", data, 0x1000 + 48 * i) for i in range(128))
    return [
        (
            kinds[tag & 0xFFFF]["name"],
            span,
            parent,
            start,
            "".join(request(tag >> 16 & 3, low, high)),
        )
        for span, parent, start, tag, low, high in rows
        if span
    ]


def name_requests(events: list[dict[str, Any]]) -> None:
    """Gives events whose long request is lost its id, where another event knows it."""
    known = {e["print"]: e["request_id"] for e in events if e["print"] and e["request_id"]}
    for event in events:
        print_of = event.pop("print")
        event["request_id"] = event["request_id"] or known.get(print_of, print_of)
        event["decision_chain_id"] = event.pop("chain") or event["request_id"]


def rendered(kind: dict[str, Any], fields: list[Any]) -> str:
    """The kind's template with the fields in place."""
    values = {name: value for (_, _, name), value in zip(kind["fields"], fields, strict=True)}

    def shown(found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        value, layout = values[found[1]], found[2] or ""
        if value is ABSENT or value is UNKNOWN:
            return "none" if value is ABSENT else "<text lost>"
        if layout == "ns":
            return scaled(value, [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns")])
        if layout == "bytes":
            return scaled(
                value, [(2.0 ** (10 * n), "BKMGT"[n] + "B" * (n > 0)) for n in (4, 3, 2, 1, 0)]
            )
        if layout == "%":
            return f"{value * 100:.1f} %"
        if layout:
            return format(float(value), layout)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    return re.sub(r"\{\{|\}\}|\{(\w+)(?::([^}]*))?\}", shown, kind["rationale"])


def scaled(value: float, units: list[tuple[float, str]]) -> str:
    """The value in the largest unit that is not above it."""
    size, unit = next((each for each in units if abs(value) >= each[0]), units[-1])
    return f"{value / size:.1f}".removesuffix(".0") + f" {unit}"
