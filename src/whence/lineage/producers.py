"""Tracing for whoever publishes and reads frames: what is traced stays as it is without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from whence.lineage.codec import check_link
from whence.lineage.counted import Counted
from whence.lineage.frames import FrameDescriptor
from whence.lineage.ids import Mint, generator_of, reuse_trace_id, trace_id_for_output
from whence.lineage.node_ids import Attached, resolve_node_id
from whence.lineage.publish import Outlets, Publications
from whence.model.lineage_events import LineageFrame

__all__ = ["Consumer", "Frame", "Producer", "TracedConsumer", "TracedProducer", "enable_tracing"]

Payload = TypeVar("Payload", contravariant=True)
Given = TypeVar("Given")


class Frame(NamedTuple):
    """What a consumer reads: the frame's descriptor, and its payload."""

    descriptor: FrameDescriptor
    payload: Any


class Producer(Protocol[Payload]):
    """Publishes frames of one stream.

    A producer that traces MUST put `trace_id` into the frame's descriptor, where 0 says that the
    frame is not traced. `attached` is the answer to attaching; None where there was none.
    """

    @property
    def stream_id(self) -> int:
        """The stream."""
        ...

    @property
    def epoch(self) -> int:
        """Its present epoch."""
        ...

    @property
    def attached(self) -> Attached | None:
        """What may carry a node id."""
        ...

    def publish(self, payload: Payload, *, trace_id: int = 0) -> int:
        """Publishes a frame; its sequence number."""
        ...


class Consumer(Protocol):
    """Reads the frames of a stream."""

    def read(self) -> Frame | None:
        """The next frame; None where there is none yet."""
        ...


class TracedProducer(Generic[Given]):
    """A producer whose frames have lineage ids, and whose joins are told of.

    Each frame is recorded into the session's rings, with the `stage` that makes it, and so are the
    parents of joins, unless `recorded` is False; parents go to each `publication`, too. `counted`
    counts what publications took and what they did not, `recording` what was recorded. Threads may
    share it as far as they may share the producer.
    """

    __slots__ = ("_generator", "_outlets", "_producer", "stage")

    def __init__(
        self,
        producer: Producer[Given],
        generator: Mint,
        publication: Publications = None,
        recorded: bool = True,
        stage: str = "",
    ) -> None:
        self._producer = producer
        self._generator = generator
        self._outlets = Outlets(publication, recorded)
        self.stage = stage

    @property
    def counted(self) -> Counted:
        """Of sets and publications."""
        return self._outlets.counted

    @property
    def recording(self) -> Counted:
        """Of frames and sets that were recorded."""
        return self._outlets.session.counted if self._outlets.session else Counted()

    def publish(
        self, payload: Given, *, parents: Sequence[int] = (), trace_id: int = 0
    ) -> FrameDescriptor:
        """Publishes a frame made from `parents`; what it was published as.

        Without a `trace_id` of the caller's the number of parents decides: none, a new id; one, the
        same; more, a new one. With several parents, or one other than the frame's id, they are told
        once the frame is out, under the frame's own stream, epoch and number; a frame whose parents
        are not taken is out all the same. Raises ValueError, with nothing published, for parents
        that cannot be, and what the producer raises.
        """
        if not trace_id:
            trace_id = trace_id_for_output(self._generator, parents)
        told = bool(parents) and tuple(parents) != (trace_id,)
        if told:
            check_link(trace_id, parents)  # before the frame is out
        else:
            reuse_trace_id(trace_id)
        epoch = self._producer.epoch
        seq = self._producer.publish(payload, trace_id=trace_id)
        frame = FrameDescriptor(self._producer.stream_id, epoch, seq, trace_id=trace_id)
        try:
            self._tell(frame, parents if told else ())
        except (TypeError, ValueError):  # numbers of the producer's; the frame is out
            self.counted.count("failed")
        return frame

    def _tell(self, frame: FrameDescriptor, parents: Sequence[int]) -> None:
        session = self._outlets.session
        place = frame.stream_id, frame.epoch, frame.seq
        if parents:
            self._outlets.tell(*place, frame.trace_id, parents)
        if session is not None:
            session.frame(LineageFrame(frame.trace_id, *place, self.stage))


class TracedConsumer:
    """A consumer that tells `on_frame` of each frame's descriptor, and reads as it did.

    `untraced` counts frames without a lineage id, of which on_frame is not told; `failed` counts
    what on_frame raised, which goes no further. For one thread at a time.
    """

    __slots__ = ("_consumer", "_on_frame", "failed", "untraced")

    def __init__(self, consumer: Consumer, on_frame: Callable[[FrameDescriptor], object]) -> None:
        self._consumer = consumer
        self._on_frame = on_frame
        self.failed = 0
        self.untraced = 0

    def read(self) -> Frame | None:
        """What the consumer reads."""
        frame = self._consumer.read()
        if frame is None:
            return None
        if not frame.descriptor.trace_id:
            self.untraced += 1
            return frame
        try:
            self._on_frame(frame.descriptor)
        except Exception:
            self.failed += 1
        return frame


def enable_tracing(
    producer: Producer[Given],
    node_id: int | None = None,
    generator: Mint | None = None,
    *,
    publication: Publications = None,
    recorded: bool = True,
    stage: str = "",
) -> TracedProducer[Given]:
    """The producer with lineage: by the generator given, else one of a node's.

    The node is the one given, 0 too, or else the one that came with attaching. Raises
    NodeIdMissing where there is neither, ValueError for a node id that does not fit.
    """
    if generator is None:
        generator = generator_of(resolve_node_id(node_id, producer.attached))
    return TracedProducer(producer, generator, publication, recorded, stage)
