"""Bytes that nobody meant to be a request: never a crash, never more memory than is bounded."""

from __future__ import annotations

import os
import random
import resource
from typing import Any

import pytest

pytest.importorskip("opentelemetry.proto", reason="requests are made with opentelemetry-proto")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.receive.otlp.made_requests import logs, read, rows_of, traces
from whence.receive.otlp.json_in import protobuf_of
from whence.receive.otlp.requests import SIGNALS

MUTATIONS = 200_000 if os.environ.get("WHENCE_STRESS") else 4_000


def tried(signal: str, body: bytes) -> bool:
    """Whether it was read; it may only be refused by ValueError."""
    try:
        received = read(signal, body)
    except ValueError:
        return False
    assert sum(len(table) for table, _ in received.parts) <= len(body)
    rows_of(received)
    return True


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, left out, put in or repeated."""
    made = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) + 1)
        what = chance.randrange(4)
        if what == 0 and made:
            made[at % len(made)] = chance.randrange(256)
        elif what == 1:
            del made[at : at + chance.randint(1, 4)]
        elif what == 2:
            made[at:at] = chance.randbytes(chance.randint(1, 4))
        else:
            made[at:at] = made[: chance.randint(0, 40)]
    return bytes(made)


def sample() -> list[tuple[str, bytes]]:
    """Requests with everything in them."""
    found: list[tuple[str, bytes]] = []

    @settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
    @given(traces, logs)
    def gather(first: Any, second: Any) -> None:
        found.append(("traces", first.SerializeToString()))
        found.append(("logs", second.SerializeToString()))

    gather()
    return [(signal, body) for signal, body in found if body]


def test_damaged_requests_are_read_or_refused() -> None:
    """Changed bytes give rows or a ValueError, whichever signal they are taken for. R5.17"""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    samples = sample()
    was_read = 0
    for number in range(MUTATIONS):
        signal, body = chance.choice(samples)
        signal = signal if number % 4 else chance.choice(SIGNALS)
        was_read += tried(signal, mutated(body, chance))
    assert 0 < was_read < MUTATIONS, seed


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SIGNALS), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(signal: str, body: bytes) -> None:
    """Protobuf that is none. R5.17"""
    tried(signal, body)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SIGNALS), st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_text_is_read_or_refused(signal: str, body: bytes) -> None:
    """JSON that is none. R5.17"""
    try:
        protobuf_of(signal, body)
    except ValueError:
        return


def test_a_small_request_makes_no_large_table() -> None:
    """Two bytes a record, a million of them: what is kept is bounded, the rest rejected. R5.17"""
    scope = b"\x12\x00" * 1_000_000  # empty log records
    body = _field(1, _field(2, scope))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    received = read("logs", body, rows=10_000)
    assert (received.records, received.rejected) == (1_000_000, 990_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    values = _field(1, _field(6, b"\x0a\x00" * 1_000_000))  # an empty value each
    deep = b""
    for _ in range(5_000):
        deep = _field(5, _field(1, deep))
    for value in (values, deep):
        pair = _field(1, b"k") + _field(2, value)
        request = _field(1, _field(2, _field(2, _field(6, pair))))
        found = read("logs", request)
        assert found.cut > 0 or value is values
        assert sum(table.nbytes for table, _ in found.parts) < 2_000_000


def _field(number: int, content: bytes) -> bytes:
    size, left = bytearray(), len(content)
    while left >= 0x80:
        size.append(left & 0x7F | 0x80)
        left >>= 7
    size.append(left)
    return bytes([number << 3 | 2]) + bytes(size) + content
