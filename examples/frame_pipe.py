"""A pipe of frames in shared memory: two processes exchange frames, a third learns their lineage.

python examples/frame_pipe.py                the third process, which starts the other two
python examples/frame_pipe.py camera ...     publishes pictures of two streams
python examples/frame_pipe.py joiner ...     reads both, and publishes scenes made from them
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import whence
from whence.lineage import (
    DatagramPublication,
    DatagramSubscription,
    Frame,
    FrameDescriptor,
    TracedConsumer,
    TraceLinkSet,
    decode_frame_descriptor,
    enable_tracing,
    encode_frame_descriptor,
)

T = TypeVar("T")

# A file: magic, stream, slots, bytes of payload in a slot | epoch, frames published in it | slots.
# A slot: 2 * seq, plus 1 once it is whole; length and CRC of the payload; descriptor; payload.
_MAGIC = b"frames01"
_HEAD = struct.Struct("<8sIII")
_SLOT = struct.Struct("<QII")
_STATE_AT, _SLOTS_AT, _DESCRIPTOR = 24, 64, 48
_EPOCH, _PUBLISHED = 0, 1  # words of the state


class PipeWriter:
    """Publishes the frames of one stream; old ones make room. One writer, any number of readers.

    A writer that opens a file again begins a new epoch, with frame 0. Raises BlockingIOError where
    the file has a living writer, ValueError where it was made for another stream or other sizes.
    """

    attached = None

    def __init__(self, path: Path, stream_id: int, slots: int = 8, payload_bytes: int = 4096):
        self.stream_id = stream_id
        self._slots, self._payload_bytes = slots, payload_bytes
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise
        head = _HEAD.pack(_MAGIC, stream_id, slots, payload_bytes)
        if os.pread(self._file, _HEAD.size, 0) not in (b"", head):
            os.close(self._file)
            raise ValueError(f"{path} is another pipe")
        size = _SLOTS_AT + slots * _slot_bytes(payload_bytes)
        os.ftruncate(self._file, size)
        self._map = mmap.mmap(self._file, size)
        self._state = _state_of(self._map)
        self.epoch = self._state[_EPOCH] + 1
        self._next = 0
        self._state[_PUBLISHED] = 0  # first: nobody may take the old number for one of this epoch
        self._state[_EPOCH] = self.epoch
        self._map[: len(head)] = head

    def publish(self, payload: bytes, *, trace_id: int = 0) -> int:
        """Publishes a frame; its number."""
        self.claim()[: len(payload)] = payload
        return self.commit(len(payload), trace_id=trace_id)

    def claim(self) -> memoryview:
        """Room for the next frame's payload, to be written in place before commit()."""
        at = self._at()
        struct.pack_into("<Q", self._map, at, self._next << 1)  # readers leave it alone from here
        begin = at + _SLOT.size + _DESCRIPTOR
        return memoryview(self._map)[begin : begin + self._payload_bytes]

    def commit(self, length: int, *, trace_id: int = 0) -> int:
        """Publishes what was written into the room claimed; the frame's number."""
        at, seq = self._at(), self._next
        begin = at + _SLOT.size
        with memoryview(self._map) as view:
            frame = FrameDescriptor(
                self.stream_id, self.epoch, seq, time.time_ns(), trace_id=trace_id
            )
            encode_frame_descriptor(view[begin : begin + _DESCRIPTOR], frame)
            check = zlib.crc32(view[begin : begin + _DESCRIPTOR + length])
        _SLOT.pack_into(self._map, at, seq << 1 | 1, length, check)
        self._next = seq + 1
        self._state[_PUBLISHED] = self._next
        return seq

    def close(self) -> None:
        """Lets go of the file, which readers may go on reading."""
        self._state.release()
        self._map.close()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _at(self) -> int:
        return _SLOTS_AT + self._next % self._slots * _slot_bytes(self._payload_bytes)


class PipeReader:
    """Reads frames in order, each at most once. `lost` were overwritten before they were read.

    A frame is copied, and its checksum proves that nobody wrote to it meanwhile.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        magic, self.stream_id, self._slots, self._payload_bytes = _HEAD.unpack_from(self._map)
        if magic != _MAGIC:
            raise ValueError(f"{path} is no pipe of frames")
        self._state = _state_of(self._map)
        self._epoch = self._next = self.lost = 0

    def read(self) -> Frame | None:
        """The next frame; None where there is none yet."""
        while True:
            epoch, published = self._state
            if epoch != self._epoch:
                self._epoch, self._next = epoch, 0
            if self._next >= published:
                return None
            overwritten = max(published - self._slots - self._next, 0)
            self.lost += overwritten
            seq = self._next + overwritten
            self._next = seq + 1
            frame = self._copy(seq)
            if frame is not None:
                return frame
            self.lost += 1

    def close(self) -> None:
        """Lets go of the file."""
        self._state.release()
        self._map.close()

    def _copy(self, seq: int) -> Frame | None:
        at = _SLOTS_AT + seq % self._slots * _slot_bytes(self._payload_bytes)
        stamp, length, check = _SLOT.unpack_from(self._map, at)
        if stamp != seq << 1 | 1 or length > self._payload_bytes:
            return None
        begin = at + _SLOT.size
        copy = self._map[begin : begin + _DESCRIPTOR + length]
        if zlib.crc32(copy) != check:
            return None
        descriptor = decode_frame_descriptor(copy)
        if descriptor is None or (descriptor.epoch, descriptor.seq) != (self._epoch, seq):
            return None
        return Frame(descriptor, copy[_DESCRIPTOR:])


def _state_of(pipe: mmap.mmap) -> memoryview:
    """The state's words, each read and written at once; struct would do so byte by byte."""
    return memoryview(pipe)[_STATE_AT : _STATE_AT + 16].cast("Q")


def _slot_bytes(payload_bytes: int) -> int:
    return _SLOT.size + _DESCRIPTOR + (payload_bytes + 7) // 8 * 8


def camera(folder: Path, channel: DatagramPublication, pictures: int = 3) -> None:
    """Publishes pictures of a left and a right stream, and announces each frame."""
    lenses = [
        (name, enable_tracing(PipeWriter(folder / name, stream_id), stream_id, stage="camera"))
        for stream_id, name in enumerate(("left", "right"), 1)
    ]
    for number in range(pictures):
        for name, lens in lenses:
            announce(channel, lens.publish(f"{name} {number}".encode()))


def joiner(folder: Path, channel: DatagramPublication, pictures: int = 3) -> None:
    """Makes a scene from each pair of pictures; its parents go over the channel by themselves."""
    seen: list[int] = []
    readers = [
        TracedConsumer(
            wait_for(lambda path=folder / name: opened(path)),
            lambda frame: seen.append(frame.trace_id),
        )
        for name in ("left", "right")
    ]
    with PipeWriter(folder / "scenes", stream_id=3) as pipe:
        scenes = enable_tracing(pipe, 3, publication=channel, stage="joiner")
        for _ in range(pictures):
            seen.clear()
            pair = [wait_for(reader.read) for reader in readers]
            payload = b" + ".join(frame.payload for frame in pair)
            announce(channel, scenes.publish(payload, parents=seen))


def opened(path: Path) -> PipeReader | None:
    """The pipe at that path; None where its writer has not made it yet."""
    try:
        return PipeReader(path)
    except (FileNotFoundError, ValueError):
        return None


def wait_for(look: Callable[[], T | None]) -> T:
    """What `look` finds, once it is there."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if (found := look()) is not None:
            return found
        time.sleep(0.001)
    raise TimeoutError("nothing came")


def announce(channel: DatagramPublication, frame: FrameDescriptor) -> None:
    """Tells of a frame on the control channel, which never waits."""
    message = bytearray(_DESCRIPTOR)
    encode_frame_descriptor(message, frame)
    channel.offer(bytes(message))


def main() -> None:
    """Starts the other two, listens, and prints which scene was made from which pictures."""
    names = {1: "left", 2: "right", 3: "scene"}
    frames: dict[int, str] = {}
    links: dict[int, tuple[int, ...]] = {}

    def on_set(found: TraceLinkSet) -> None:
        links[found.trace_id] = found.parents

    def on_other(message: memoryview) -> None:
        if (frame := decode_frame_descriptor(message)) is not None:
            frames[frame.trace_id] = f"{names[frame.stream_id]} {frame.seq}"

    with (
        tempfile.TemporaryDirectory() as folder,
        DatagramSubscription(("127.0.0.1", 0), on_set, on_other) as listening,
    ):
        port = str(listening.address[1])
        others = [
            subprocess.Popen([sys.executable, __file__, role, folder, port])
            for role in ("joiner", "camera")
        ]
        while (len(frames) < 9 or len(links) < 3) and select.select([listening], [], [], 30)[0]:
            listening.poll()
        for each in others:
            each.wait()
    for scene, parents in links.items():
        print(frames[scene], "<-", ", ".join(frames[parent] for parent in parents))
    print(len(frames), "frames,", sum(map(len, links.values())), "links")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        whence.start(f"frames-{sys.argv[1]}")
        with DatagramPublication(("127.0.0.1", int(sys.argv[3]))) as control:
            {"camera": camera, "joiner": joiner}[sys.argv[1]](Path(sys.argv[2]), control)
    else:
        main()
# > scene 0 <- left 0, right 0
# > scene 1 <- left 1, right 1
# > scene 2 <- left 2, right 2
# > 9 frames, 6 links
