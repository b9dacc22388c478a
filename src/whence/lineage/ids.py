"""Lineage ids of frames: minted for roots and joins, passed on by stages of one input."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol

from whence._native import SnowflakeGenerator
from whence.lineage.codec import check_parents
from whence.lineage.node_ids import Attached, resolve_node_id

__all__ = [
    "Mint",
    "TraceIdGenerator",
    "generator_of",
    "new_trace_id_from_parents",
    "next_trace_id",
    "reuse_trace_id",
    "trace_id_for_output",
]


class Mint(Protocol):
    """What ids come from: a TraceIdGenerator, a SnowflakeGenerator, or another that never has 0."""

    def next(self) -> int:
        """A new id."""
        ...


class TraceIdGenerator:
    """Mints the lineage ids of one node. Any number of threads may share it.

    `node_id` is a number, or an answer to attaching that carries one: an AttachResponse or a
    NodeLease. The number must fit `node_bits`. `clock` returns milliseconds since 1970. Raises
    NodeIdMissing where the answer carries none, ValueError for numbers that do not fit.
    """

    __slots__ = ("generator", "next")

    generator: SnowflakeGenerator
    next: Callable[[], int]  # the generator's own, so that minting costs no call more

    def __init__(
        self,
        node_id: int | Attached,
        node_bits: int = 10,
        sequence_bits: int = 12,
        offset_ms: int = 0,
        clock: Callable[[], int] | None = None,
    ) -> None:
        number = (
            resolve_node_id(node_id)
            if isinstance(node_id, int)
            else resolve_node_id(attach=node_id)
        )
        self.generator = SnowflakeGenerator(number, node_bits, sequence_bits, offset_ms, clock)
        self.next = self.generator.next

    @property
    def node_id(self) -> int:
        """The node in every id."""
        return self.generator.node_id()


def generator_of(node_id: int) -> TraceIdGenerator:
    """This process's generator for the node, always the same: two would mint the same ids.

    Any thread. Raises ValueError for a node id that does not fit.
    """
    key = os.getpid(), node_id  # a forked child is another process
    return _generators.get(key) or _generators.setdefault(key, TraceIdGenerator(node_id))


_generators: dict[tuple[int, int], TraceIdGenerator] = {}


def next_trace_id(generator: Mint) -> int:
    """The id of a frame that begins a lineage: a new one."""
    return generator.next()


def reuse_trace_id(parent: int) -> int:
    """The id of a frame made from one other: the same. Raises ValueError for 0, which is no id."""
    check_parents((parent,))
    return parent


def new_trace_id_from_parents(generator: Mint, parents: Sequence[int]) -> int:
    """The id of a frame made from several: a new one, whose parents are to be told of.

    Raises ValueError for parents that a TraceLinkSet cannot hold: none, 0, or one named twice.
    """
    check_parents(parents)
    return generator.next()


def trace_id_for_output(generator: Mint, parents: Sequence[int]) -> int:
    """The id of a frame by the number of its inputs: none, new; one, the same; more, new."""
    if not parents:
        return generator.next()
    if len(parents) == 1:
        return reuse_trace_id(parents[0])
    return new_trace_id_from_parents(generator, parents)
