"""Snowflake ids: the layout of Agrona's generator, and what it does where clocks misbehave."""

from __future__ import annotations

import gc
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence._native import SnowflakeGenerator

VECTORS = json.loads((Path(__file__).parent / "data" / "snowflake.json").read_text())


def told(times: Sequence[int]) -> Callable[[], int]:
    """A clock that tells each of the times once, and the last for ever."""
    waiting = list(times)
    return lambda: waiting.pop(0) if len(waiting) > 1 else waiting[0]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_vectors_of_ids_come_out_bit_by_bit(vector: dict[str, Any]) -> None:
    """R2.6 R2.35 Ids under given clocks are those that Agrona's generator has."""
    offset = vector["offset_ms"]
    times = ([vector["clock_ms"][0]] if offset else []) + vector["clock_ms"]  # one for the check
    made = SnowflakeGenerator(
        vector["node"], vector["node_bits"], vector["seq_bits"], offset, told(times)
    )
    assert [str(made.next()) for _ in vector["ids"]] == vector["ids"]


def test_a_used_up_sequence_goes_on_in_the_next_millisecond() -> None:
    """R2.6 R2.35 After the last number of a millisecond comes number 0 of the next."""
    made = SnowflakeGenerator(7, clock=told([1] * 4097 + [2]))
    ids = [made.next() for _ in range(4097)]
    assert ids == [(1 << 22) + (7 << 12) + n for n in range(4096)] + [(2 << 22) + (7 << 12)]


def test_the_shift_is_that_of_the_bits_in_use() -> None:
    """R2.6 R2.35 With 2 and 3 bits the time lies above bit 5, and all parts can be read back."""
    made = SnowflakeGenerator(3, 2, 3, clock=told([9]))
    first, second = made.next(), made.next()
    assert (first, second) == (9 << 5 | 3 << 3, 9 << 5 | 3 << 3 | 1)
    assert (made.timestamp(second), made.node(second), made.sequence(second)) == (9, 3, 1)
    assert (made.node_id(), made.max_node_id(), made.max_sequence(), made.offset()) == (3, 3, 7, 0)


@given(st.lists(st.integers(0, 2**41 - 1), min_size=1, max_size=40), st.integers(0, 1023))
def test_ids_grow_whatever_the_clock_does(times: list[int], node: int) -> None:
    """R2.6 R2.28 Ids are positive, unique, increase, and carry the node under any clock."""
    made = SnowflakeGenerator(node, clock=told(times))
    ids = [made.next() for _ in times]
    assert ids[0] > 0
    assert all(a < b for a, b in itertools.pairwise(ids))
    assert {made.node(id) for id in ids} == {node}
    assert made.timestamp(ids[-1]) == max(times)


def test_a_clock_set_back_by_an_hour_stops_nothing() -> None:
    """R2.6 When the sequence is used up, time is counted on instead of waited for."""
    made = SnowflakeGenerator(0, 0, 2, clock=told([3_600_000, 1]))
    ids = [made.next() for _ in range(41)]
    assert ids == list(range(3_600_000 << 2, (3_600_000 << 2) + 41))


def test_times_that_do_not_fit_are_refused() -> None:
    """R2.6 R2.35 Beyond 41 bits there is no id, rather than a negative or a wrapped one."""
    made = SnowflakeGenerator(1023, clock=told([2**41 - 1, 2**41]))
    assert 0 < made.next() < 2**63
    with pytest.raises(OverflowError, match="41 bits"):
        made.next()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"node_bits": -3}, "must be >= 0: node_bits=-3"),
        ({"seq_bits": -1}, "must be >= 0: seq_bits=-1"),
        ({"node_bits": 10, "seq_bits": 13}, "too many bits used: node_bits=10 + seq_bits=13 > 22"),
        ({"node_bits": 2, "seq_bits": 3, "node_id": 5}, "must be >= 0 && <= 3: node_id=5"),
        ({"node_id": -1}, "must be >= 0 && <= 1023: node_id=-1"),
        ({"node_id": 2**70}, f"node_id={2**70} is beyond 64 bits"),
        ({"node_bits": 2**40}, "too many bits used: node_bits=2147483647 + seq_bits=12 > 22"),
        ({"offset_ms": -6}, "must be >= 0: offset_ms=-6"),
        ({"offset_ms": 256, "clock": lambda: 42}, "offset_ms=256 > now_ms=42"),
        ({"offset_ms": 2**62}, f"offset_ms={2**62} > now_ms="),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], words: str) -> None:
    """R2.6 R2.35 Each refusal names the setting, its value and its bound."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        SnowflakeGenerator(**{"node_id": 0} | settings)
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize("wrong", [True, 1.0, "7", None])
def test_a_node_id_is_an_int(wrong: Any) -> None:
    """R2.6 What is no int is no node id."""
    with pytest.raises(TypeError, match="node_id must be int"):
        SnowflakeGenerator(wrong)


def test_what_a_clock_raises_comes_through() -> None:
    """R2.6 A clock that fails or returns no int makes no id, and the next call may go well."""
    answers: list[Any] = [5, 2.5, 10]
    made = SnowflakeGenerator(1, clock=lambda: answers.pop(0))
    made.next()
    with pytest.raises(TypeError, match="not float"):
        made.next()
    assert made.timestamp(made.next()) == 10
    with pytest.raises(IndexError):
        made.next()


def test_the_machines_clock_is_the_wall_clock() -> None:
    """R2.6 The time in an id is that of the wall, less the offset."""
    offset = 1_420_070_400_000
    made = SnowflakeGenerator(7, offset_ms=offset)
    before, minted, after = time.time_ns(), made.timestamp(made.next()), time.time_ns()
    assert before // 10**6 - 2 <= minted + offset <= after // 10**6 + 2


def test_threads_share_a_generator_without_a_lock() -> None:
    """R2.6 A million ids of eight threads are unique, and increase in each thread."""
    made = SnowflakeGenerator(7, node_bits=4, seq_bits=18)

    def mint(_: int) -> list[int]:
        return [made.next() for _ in range(125_000)]

    with ThreadPoolExecutor(8) as threads:
        each = list(threads.map(mint, range(8)))
    assert all(ids == sorted(ids) for ids in each)
    assert len(set().union(*each)) == 1_000_000


def test_a_forked_child_mints_no_ids_of_its_parent() -> None:
    """R2.6 Two processes with one node id would mint the same ids: the child is refused."""
    made = SnowflakeGenerator(7)
    child = os.fork()
    if child == 0:
        try:
            made.next()
        except RuntimeError:
            os._exit(SnowflakeGenerator(8).node(SnowflakeGenerator(8).next()))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
    assert made.next() > 0


def test_minting_allocates_nothing_that_stays() -> None:
    """R2.1 R2.30 After ten thousand ids no block of memory is held that was not before."""
    mint = SnowflakeGenerator(7).next
    for _ in range(100):
        mint()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(10_000):
        mint()
    assert sys.getallocatedblocks() - before < 10
