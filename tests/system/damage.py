"""A small session, ways to damage it, and a judge of what a reader makes of the rest."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.system.host import python, sessions
from whence._native import Batch, Catalogue, RingReader
from whence.collect.events import to_events
from whence.collect.ledger import ring_ledger
from whence.collect.session_reader import SessionReader
from whence.model.errors import WhenceError
from whence.model.event import TraceEvent
from whence.model.recording import RingLedger
from whence.ring.session_file import read_request_seed, read_session_file

__all__ = ["Sample", "record_sample", "refused", "ring_file"]

RING_HEADER = struct.Struct("<8sIHHIIQQQQQ16sIIQIIQQII")
HEADER_FIELDS = (
    "magic",
    "endian",
    "major",
    "minor",
    "header_bytes",
    "slot_bytes",
    "capacity",
    "text_bytes",
    "slots_offset",
    "text_offset",
    "file_bytes",
    "uuid",
    "ring",
    "shared",
    "created",
    "rows",
    "owners",
    "zero1",
    "zero2",
    "crc",
    "ready",
)
HEADER_BYTES = 16 * 1024
SLOTS, TEXT_BYTES = 16, 4096

# Three rings: the main thread's, which has wrapped, another thread's, and a collector's.
PROGRAM = """
    import threading, whence
    from collections.abc import Sequence

    whence.start(service="damage", ring_slots=16, text_bytes=4096)
    tick = whence.kind("tick", component="damage", n=int, f=float, b=bool)
    choice = whence.kind(
        "choice", component="damage", decision=True, rationale="{model} at {n:ns}", model=str,
        n=int, request_id=str, options=Sequence[whence.Option], caused_by=str, lineage_id=int)
    note = whence.kind("note", component="damage", text=str, maybe=str | None, u=whence.U32)

    def record(count):
        for n in range(count):
            tick(n, n / 3, n % 2 == 0)
            note(f"text {n} " * (n % 9 * 3), None if n % 2 else "sometimes", n)
            options = [whence.Option("ocr", {"cost": 1.5}, True, "cheap"), whence.Option("det")]
            choice("ocr_rec", n * 1000, f"a request too long for a slot {n}", options, "cause", n)
            with whence.request(f"req-{n}", decision_chain_id=f"chain-{n}"):
                tick(n, 0.5, True)

    record(14)
    thread = threading.Thread(target=record, args=(2,))
    thread.start(); thread.join()
    collector = whence.TraceCollector(8)
    for n in range(6):
        collector.record_now("said", "damage", f"because {n}", attributes={"n": n, "s": "x" * n},
                             request_id="0b8f6d0e-2f4c-4c3e-9a51-3d4c5b6a7f80", model_id="ocr")
    tick.disable(); tick.enable()
"""


class Sample:
    """A session folder, what a reader finds in it whole, and what it finds after damage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.events, self.damaged, self.ledgers = examine(folder)
        session = read_session_file(folder)
        self.key = session.key
        seed = read_request_seed(folder)
        self.catalogue = Catalogue(int(session.run, 16), request_seed=seed)
        self.catalogue.update(self.files["names"])

    def copy_to(self, base: Path) -> Sample:
        """The same session in another place."""
        return Sample(Path(shutil.copytree(self.folder, base / self.folder.name)))

    def restore(self, name: str) -> None:
        """Makes a file what it was."""
        path = self.folder / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        path.write_bytes(self.files[name])

    def faults_of(self, ring: Path, live: bool = False, touched: Iterable[int] = ()) -> list[str]:
        """What a reader invents in the damaged `ring`; loss alone is no fault.

        `touched` are tickets whose own bytes were changed: no checksum guards those.
        """
        handle = os.open(ring, os.O_RDONLY)
        try:
            reader = RingReader.open(handle, live=live)
        finally:
            os.close(handle)
        batch = Batch()
        batch.drain(reader, self.catalogue, self.folder.name, self.key)
        ring_ledger(self.folder.name, reader, batch.time_range(0))
        invented = []
        for event in to_events(batch.rows()):
            whole = self.events.get((event.ring, event.ticket))
            if event.ticket in touched:
                continue
            if whole is None or not is_part_of(event, whole):
                invented.append(f"{event} instead of {whole}")
        return invented


def examine(
    path: Path,
) -> tuple[dict[tuple[int, int], TraceEvent], dict[str, str], tuple[RingLedger, ...]]:
    """Events by ring and ticket, what is damaged, and the ledgers. WhenceError or OSError only."""
    reader = SessionReader(path)
    batch, ledgers = reader.drain_with_ledgers()
    reader.gate_changes()
    events = to_events(batch.rows())
    assert sum(map(len, batch.json())) >= len(events)
    places = {(event.ring, event.ticket): event for event in events}
    assert len(places) == len(events), "an event was delivered twice"
    return places, reader.damaged, ledgers


def refused(path: Path) -> str:
    """The name of the error with which a reader refuses `path`, or of what it left out."""
    try:
        _, damaged, _ = examine(path)
    except (WhenceError, OSError) as error:
        return type(error).__name__
    return ", ".join(sorted(damaged))


def is_part_of(event: TraceEvent, whole: TraceEvent) -> bool:
    """Is this that event, perhaps without its text?"""
    if event == whole:
        return True
    same = (event.timestamp, event.event_type, event.severity, event.ring, event.ticket) == (
        whole.timestamp,
        whole.event_type,
        whole.severity,
        whole.ring,
        whole.ticket,
    )
    requests = (whole.request_id, "")
    known = event.request_id in requests or event.request_id.startswith("lost:")
    return same and event.text_lost and known and _within(event.attributes, whole.attributes)


def _within(some: Mapping[str, object], all_of_them: Mapping[str, object]) -> bool:
    return all(all_of_them.get(key) == value for key, value in some.items())


def record_sample(base: Path) -> Sample:
    """Lets a program record the sample session into `base`."""
    python(PROGRAM, base=base)
    (folder,) = sessions(base)
    sample = Sample(folder)
    assert sample.damaged == {}
    assert [len([1 for ring, _ in sample.events if ring == r]) for r in range(3)] == [16, 8, 6]
    return sample


def with_header(data: bytes, **changes: int) -> bytes:
    """Ring file bytes with fields of the header changed, and its checksum right again."""
    fields = dict(zip(HEADER_FIELDS, RING_HEADER.unpack_from(data), strict=True)) | changes
    packed = RING_HEADER.pack(*fields.values())
    return packed[:-8] + struct.pack("<II", zlib.crc32(packed[:-8]), fields["ready"]) + data[128:]


def ring_file(uuid: bytes, ring: int, slots: bytes, text: bytes, owner_words: bytes = b"") -> bytes:
    """A ring file with a right header around any bytes at all."""
    header = RING_HEADER.pack(
        b"WHNCRING",
        0x01020304,
        1,
        0,
        HEADER_BYTES,
        64,
        len(slots) // 64,
        len(text),
        HEADER_BYTES,
        HEADER_BYTES + len(slots),
        HEADER_BYTES + len(slots) + len(text),
        uuid,
        ring,
        0,
        0,
        128,
        128,
        0,
        0,
        0,
        1,
    )
    whole = with_header(header)[:128] + owner_words
    return whole.ljust(HEADER_BYTES, b"\0") + slots + text


def put(path: Path, at: int, data: bytes) -> None:
    """Overwrites bytes of a file in place."""
    handle = os.open(path, os.O_WRONLY)
    os.pwrite(handle, data, at)
    os.close(handle)
