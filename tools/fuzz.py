"""Gives the decoders that Python has damaged and made-up inputs, counts them, and names failures.

Usage: python tools/fuzz.py SECONDS [SEED]. Each decoder has that long. Only the errors that it is
documented to raise are right; whatever else it raises is printed with the input, and the exit is 1.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import time
import traceback
from collections.abc import Callable

from whence.lineage.codec import decode_tracelink_set, packed_set, tracelink_set_length
from whence.model.condition import parse_condition
from whence.model.errors import WhenceError
from whence.query.engines.shapes import PageKey
from whence.receive.inflate import TooLarge, inflated
from whence.receive.json_export import parse_json_export

__all__ = ["TARGETS", "fuzz", "mutated"]

Target = tuple[Callable[[bytes], object], tuple[bytes, ...], tuple[type[Exception], ...]]


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """Some bytes of a right input changed, left out, put in or repeated; sometimes noise."""
    if chance.random() < 0.05:
        return chance.randbytes(chance.randrange(80))
    made = bytearray(seed)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(made) + 1)
        what = chance.randrange(5)
        if what == 0 and made:
            made[at % len(made)] = chance.randrange(256)
        elif what == 1:
            del made[at : at + chance.randint(1, 8)]
        elif what == 2:
            made[at:at] = chance.randbytes(chance.randint(1, 4))
        elif what == 3:
            made[at:at] = chance.choice(_WORDS)
        else:
            made[at:at] = made[: chance.randint(0, 60)]
    return bytes(made)


def fuzz(target: Target, seconds: float, seed: int) -> tuple[int, list[tuple[bytes, str]]]:
    """How often a decoder was run in that time, and what it was not to do."""
    read, seeds, right = target
    chance = random.Random(seed)
    end_s = time.monotonic() + seconds
    executions = 0
    found: list[tuple[bytes, str]] = []
    while time.monotonic() < end_s and len(found) < 5:
        for _ in range(50):
            content = mutated(chance.choice(seeds), chance)
            try:
                read(content)
            except right:
                pass
            except Exception:
                found.append((content, traceback.format_exc(limit=-3)))
            executions += 1
    return executions, found


def _link_set(content: bytes) -> None:
    made = decode_tracelink_set(content)
    length = tracelink_set_length(content)
    if made is not None:
        assert length is not None
        assert decode_tracelink_set(content[:length]) == made


def _otlp(signal: str) -> Callable[[bytes], object]:
    def read(content: bytes) -> object:
        from whence.receive.otlp.json_in import protobuf_of

        return protobuf_of(signal, content)

    return read


_WORDS = (
    b"\0", b"\xff" * 8, b"null", b"-1", b"1e999", b"18446744073709551616", b"{", b"[" * 50, b'"',
    b"\\ud800", b"NaN", b"()", b" and ", b"not ", b"'", b'{"events":[]}', b"true",
)  # fmt: skip
_EVENT = {
    "event_id": "e-1", "event_type": "tick", "component": "Clock", "timestamp_ns": 5,
    "duration_ns": 7, "model_id": "m", "request_id": "r", "rationale": "why", "severity": "Info",
    "attributes": {"a": "1", "b": "x"}, "attribute_types": {"a": "int"}, "decision": True,
    "options": [{"name": "o", "scores": {"s": 1.5}, "chosen": True, "reason": "r"}],
    "trace_id": "ab" * 16, "span_id": "cd" * 8, "span": True, "status": "error",
    "links": [{"trace_id": "ab" * 16, "span_id": "cd" * 8, "attributes": {"k": 1}}],
}  # fmt: skip
_ATTRIBUTES = [
    {"key": "n", "value": {"intValue": "5"}},
    {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {"boolValue": True}]}}},
]
_SPANS = {"resourceSpans": [{
    "resource": {"attributes": _ATTRIBUTES},
    "scopeSpans": [{"scope": {"name": "s"}, "spans": [{
        "traceId": "ab" * 16, "spanId": "cd" * 8, "name": "o", "kind": 3, "attributes": _ATTRIBUTES,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": 1700000000000000001,
        "events": [{"timeUnixNano": "5", "name": "e"}], "status": {"code": 2, "message": "m"},
    }]}],
}]}  # fmt: skip
_LOGS = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{
    "timeUnixNano": "5", "severityNumber": 9, "body": {"stringValue": "x"}, "traceId": "ab" * 16,
}]}]}]}  # fmt: skip
_EXPORT = {"format": "whence-json", "version": 1, "exported_at_ns": 1, "sessions": [], "kinds": [],
           "rings": [], "gates": [], "events": [_EVENT]}  # fmt: skip

TARGETS: dict[str, Target] = {
    "link sets (SBE)": (
        _link_set,
        (
            packed_set(1, 2, 3, 4, [5, 6, 7]),
            packed_set(1, 0, 0, 9, [8]) + b"after",
        ),
        (ValueError, WhenceError),
    ),
    "JSON exports": (
        parse_json_export,
        (
            json.dumps({"events": [_EVENT]}).encode(),
            json.dumps(_EXPORT).encode(),
            json.dumps(_EVENT).encode() + b"\n" + json.dumps(_EVENT).encode() + b"\n",
        ),
        (WhenceError,),
    ),
    "OTLP in JSON, traces": (_otlp("traces"), (json.dumps(_SPANS).encode(),), (ValueError,)),
    "OTLP in JSON, logs": (_otlp("logs"), (json.dumps(_LOGS).encode(),), (ValueError,)),
    "conditions": (
        lambda content: parse_condition(content.decode("utf-8", "replace")),
        (b"admitted = false and slack_ns > 5ms", b"not (a = 'x' or b != 2.5) and c ~ 'y'"),
        (WhenceError,),
    ),
    "cursors": (
        lambda content: PageKey.parse(content.decode("utf-8", "replace")),
        (str(PageKey("newest", 0, 10**18, -5, 0, 7)).encode(),),
        (ValueError,),
    ),
    "gzip": (
        lambda content: inflated(content, "gzip", 10_000),
        (gzip.compress(b"hello" * 100),),
        (ValueError, TooLarge),
    ),
}


def main(seconds: float, seed: int) -> int:
    """One line for each decoder."""
    status = 0
    for name, target in TARGETS.items():
        executions, found = fuzz(target, seconds, seed)
        print(f"{name}: {executions:,} executions, {len(found)} failures (seed {seed})", flush=True)
        for content, said in found:
            print(f"  {content!r}\n{said}")
            status = 1
    return status


if __name__ == "__main__":
    given = [*sys.argv[1:], "10"]
    sys.exit(
        main(float(given[0]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 2**32)
    )
