"""Damaged and hostile session files: a named error or a true part, never a crash or a flood."""

from __future__ import annotations

import os
import random
import struct
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.system import damage
from tests.system.damage import Sample, put, record_sample, refused, ring_file, with_header
from tests.system.host import Host, memory_folder, python, read
from whence.collect.sessions import read_recording
from whence.ring import layout

MORE = 20 if os.environ.get("WHENCE_STRESS") else 1


@pytest.fixture(scope="module")
def whole() -> Iterator[Sample]:
    """The session as it was recorded; tests damage copies of it."""
    with memory_folder() as base:
        yield record_sample(base)


@pytest.fixture
def sample(whole: Sample, base: Path) -> Sample:
    """A copy to damage."""
    return whole.copy_to(base)


def flips(at: int) -> tuple[int, ...]:
    """How the byte at `at` is changed: the fields that tell sizes get more than one try."""
    return (0xFF, 0x01, 0x80) if at < 512 else (0xFF,)


def test_no_byte_of_a_ring_header_makes_a_reader_invent_events(sample: Sample) -> None:
    """Every byte of the 16 KiB is changed: the first 128 are refused. P14"""
    name = "ring-00000"
    path, data = sample.folder / name, sample.files[name]
    for at in range(damage.HEADER_BYTES):
        for flip in flips(at):
            put(path, at, bytes([data[at] ^ flip]))
            if at < 128:
                assert refused(path) == name, (at, flip)
            else:
                assert sample.faults_of(path, live=at % 2 == 0) == [], (at, flip)
        put(path, at, data[at : at + 1])
    assert sample.faults_of(path) == []


def test_no_byte_of_a_session_header_is_changed_unnoticed(sample: Sample) -> None:
    """Identity, owner and description are under a checksum; anchors change no event. P14 P7"""
    path, data = sample.folder / "session", sample.files["session"]
    text_bytes = struct.unpack_from("<I", data, layout.SESSION_CRC_OFFSET - 4 - 128)[0]
    guarded = {*range(layout.SESSION_HEADER.size), *range(256, 256 + text_bytes)}
    for at in range(0, len(data)):
        for flip in flips(at):
            put(path, at, bytes([data[at] ^ flip]))
            if at in guarded:
                assert refused(sample.folder) in ("CorruptFile", "UnsupportedFormat"), (at, flip)
            elif at % 7 == 0:  # no reader looks there, or only for wall time
                assert sample.faults_of(sample.folder / "ring-00002") == [], (at, flip)
        put(path, at, data[at : at + 1])


def test_no_byte_of_the_dictionary_gives_an_event_another_meaning(sample: Sample) -> None:
    """Each record has a checksum: the names after a damaged one are unknown, not wrong. P18 P14"""
    path, data = sample.folder / "names", sample.files["names"]
    used = len(data.rstrip(b"\0")) + 8
    known = {event.event_type for event in sample.events.values()}
    for at in range(used):
        put(path, at, bytes([data[at] ^ 0xFF]))
        events, damaged, _ = damage.examine(sample.folder)
        assert events.keys() == sample.events.keys()
        # only the zero word that ends the records, and reserved bytes, say nothing
        assert damaged or all(events[place] == e for place, e in sample.events.items()), at
        for place, event in events.items():
            whole = sample.events[place]
            assert event.event_type == whole.event_type or event.event_type not in known
            assert event.model_id in (whole.model_id, "")
            assert event.timestamp == whole.timestamp
        put(path, at, data[at : at + 1])


def test_a_changed_slot_or_text_spoils_no_other_event(sample: Sample) -> None:
    """Any byte of slots and text: what another event holds is lost or true. P14 P2"""
    name = "ring-00000"
    path, data = sample.folder / name, sample.files[name]
    newest = max(ticket for ring, ticket in sample.events if ring == 0)
    for at in range(damage.HEADER_BYTES, damage.HEADER_BYTES + damage.SLOTS * 64):
        index = (at - damage.HEADER_BYTES) // 64
        mine = newest - (newest - index) % damage.SLOTS
        for flip in (0xFF, 0x01):
            put(path, at, bytes([data[at] ^ flip]))
            assert sample.faults_of(path, touched=[mine]) == [], (at, flip)
        put(path, at, data[at : at + 1])
    draw = random.Random(1)
    text_at = damage.HEADER_BYTES + damage.SLOTS * 64
    for at in draw.sample(range(text_at, len(data)), 600 * MORE if MORE == 1 else 4096):
        put(path, at, bytes([data[at] ^ draw.randrange(1, 256)]))
        events, damaged, _ = damage.examine(path)
        assert damaged == {}
        changed = [t for (_, t), e in events.items() if sample.events.get((0, t)) != e]
        assert len(changed) <= 1 or {e.text_lost for (_, t), e in events.items() if t in changed}
        put(path, at, data[at : at + 1])


@pytest.mark.parametrize("name", ["ring-00000", "ring-00002", "session", "names", "gates"])
def test_a_file_cut_anywhere_is_refused_or_read_as_far_as_it_goes(
    sample: Sample, name: str
) -> None:
    """At each 4 KiB, at each of the last bytes and at random places. P12 P14"""
    path, data = sample.folder / name, sample.files[name]
    draw = random.Random(name)
    lengths = {*range(0, len(data), 4096), *range(max(0, len(data) - 70), len(data))}
    lengths |= {draw.randrange(len(data)) for _ in range(100 * MORE)}
    for length in sorted(lengths, reverse=True):
        os.truncate(path, length)
        said = refused(sample.folder)
        if name.startswith("ring"):
            assert said == name, length
        elif name == "session":
            assert said == "CorruptFile", length
        elif name == "names" and length < 64:
            assert said == "names", length
        if name != "session":
            events, _, _ = damage.examine(sample.folder)
            others = [place for place in sample.events if f"ring-{place[0]:05d}" != name]
            assert set(others) <= events.keys()
            if name != "names":
                assert all(events[place] == sample.events[place] for place in others)


FORMATS = {
    "other byte order": ({"endian": 0x04030201}, "ring-00001"),
    "newer major": ({"major": 2}, "ring-00001"),
    "older major": ({"major": 0}, "ring-00001"),
    "newer minor": ({"minor": 9}, ""),
    "never completed": ({"ready": 0}, "ring-00001"),
    "no slots": ({"capacity": 0}, "ring-00001"),
    "slots of another size": ({"slot_bytes": 128}, "ring-00001"),
    "more slots than bytes": ({"capacity": 1 << 32}, "ring-00001"),
    "text of no whole words": ({"text_bytes": 4095}, "ring-00001"),
    "text beyond the end": ({"text_bytes": 1 << 40}, "ring-00001"),
    "slots elsewhere": ({"slots_offset": 1 << 63}, "ring-00001"),
    "rows without end": ({"rows": 1 << 31}, "ring-00001"),
    "owners without end": ({"owners": 1 << 31}, "ring-00001"),
    "another ring's number": ({"ring": 7}, "ring-00001"),
}


@pytest.mark.parametrize("what", FORMATS)
def test_a_header_that_lies_under_a_right_checksum_is_found_out(sample: Sample, what: str) -> None:
    """Foreign, future and impossible rings are left out by name, and hide no other ring. P7 P14"""
    changes, said = FORMATS[what]
    data = with_header(sample.files["ring-00001"], **changes)
    (sample.folder / "ring-00001").write_bytes(data)
    assert refused(sample.folder) == said
    recording = read_recording([sample.folder])
    rings = {ledger.ring for ledger in recording.rings}
    assert rings == ({0, 2} if said else {0, 1, 2})
    assert all(ledger.closes for ledger in recording.rings)
    for event in recording.events:
        assert event == sample.events[event.ring, event.ticket]


def test_other_formats_of_session_and_dictionary_are_refused_by_name(sample: Sample) -> None:
    """The other byte order and another major version are UnsupportedFormat. P7"""
    for at, change in ((8, b"\1\2\3\4"), (12, b"\2\0")):
        data = bytearray(sample.files["session"])
        data[at : at + len(change)] = change
        put(sample.folder / "session", 0, bytes(data))
        assert refused(sample.folder) == "UnsupportedFormat"
        sample.restore("session")
        put(sample.folder / "names", at, change)
        assert refused(sample.folder) == "names"
        sample.restore("names")
    assert refused(sample.folder) == ""


def test_a_description_nested_without_end_is_no_description(sample: Sample) -> None:
    """Thousands of brackets in the session's JSON are not followed to the bottom. P14"""
    for text in (b"[" * 3800, b'{"service":' * 340, b'{"service": NaN}', b"\xff" * 50, b'"x"'):
        data = bytearray(sample.files["session"])
        struct.pack_into("<I", data, layout.SESSION_CRC_OFFSET - 4 - 128, len(text))
        data[256:4096] = text.ljust(3840, b"\0")
        crc = zlib.crc32(text, zlib.crc32(bytes(data[: layout.SESSION_CRC_OFFSET])))
        struct.pack_into("<I", data, layout.SESSION_CRC_OFFSET, crc)
        (sample.folder / "session").write_bytes(data)
        assert refused(sample.folder) == "", text[:20]


@pytest.mark.parametrize("name", ["session", "ring-00001", "names", "gates"])
@pytest.mark.parametrize("what", ["link", "pipe", "second name", "folder", "socket", "device"])
def test_what_stands_in_a_files_place_is_not_read(sample: Sample, name: str, what: str) -> None:
    """A link, a pipe nobody writes to, a second name, a folder: told at once, and left out. P15"""
    path = sample.folder / name
    if what == "second name":
        os.link(path, sample.folder / "second")
    else:
        os.rename(path, sample.folder.parent / name)
    if what == "link":
        path.symlink_to(sample.folder.parent / name)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "socket":
        os.mknod(path, 0o140600)
    elif what == "device":
        if os.geteuid() != 0:
            pytest.skip("only root can make a device")
        os.mknod(path, 0o020600, os.makedev(1, 5))  # zeros without end
    said = refused(sample.folder)
    assert said == (name if name != "session" else "NotASession") or (
        what == "socket" and said in (name, "OSError")
    )


def test_files_of_a_third_user_are_not_read(sample: Sample) -> None:
    """Neither we nor root: what somebody else made may say anything. P15"""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    sample.folder.parent.chmod(0o755)
    sample.folder.chmod(0o755)
    for path in sample.folder.iterdir():
        path.chmod(0o644)
        os.chown(path, 65534, 65534)
    os.chown(sample.folder / "ring-00001", 65533, 65533)
    done = python(
        """
        import os, sys
        from pathlib import Path
        from tests.system.damage import refused
        os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
        print(refused(Path(sys.argv[1])))
        """,
        sample.folder,
        base=sample.folder.parent,
    )
    assert done.stdout == "ring-00001\n"


LIMITED = """
    import resource, sys
    from pathlib import Path
    from tests.system.damage import examine
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    if sys.argv[2] == "limited":
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    events, damaged, ledgers = examine(Path(sys.argv[1]))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(len(events), grown < 64 * 1024, ",".join(damaged))
"""


def with_ring(sample: Sample, ring: bytes, length: int = 0) -> None:
    """Puts other bytes in the place of the second ring, and nothing up to `length`."""
    path = sample.folder / "ring-00001"
    path.write_bytes(ring)
    if length:
        os.truncate(path, length)


@pytest.mark.parametrize("memory", ["limited", "unlimited"])
def test_a_file_that_is_mostly_hole_costs_no_memory(sample: Sample, memory: str) -> None:
    """A terabyte claimed and hardly a page of it written: read as what it is. P14"""
    identity = uuid.UUID(_uuid_of(sample)).bytes
    slots, text = 1 << 32, 1 << 39
    small = ring_file(identity, 1, bytes(64), bytes(8))
    header = with_header(
        small,
        capacity=slots,
        text_bytes=text,
        text_offset=damage.HEADER_BYTES + slots * 64,
        file_bytes=damage.HEADER_BYTES + slots * 64 + text,
    )
    stamp = struct.pack("<QQ", (slots * 3 + 1) << 1, 5)
    with_ring(
        sample, header[: damage.HEADER_BYTES] + stamp, damage.HEADER_BYTES + slots * 64 + text
    )
    done = python(LIMITED, sample.folder, memory, base=sample.folder.parent)
    events, bounded, damaged = done.stdout.split(" ")
    assert int(events) in (22, 23)  # those of the other rings, and perhaps the one that is claimed
    assert bounded == "True"
    assert damaged.strip() in ("", "ring-00001")


def test_a_ring_much_longer_than_it_says_is_read_as_it_says(sample: Sample) -> None:
    """Bytes behind the ring are nobody's, however many. P14"""
    os.truncate(sample.folder / "ring-00000", 1 << 40)
    done = python(LIMITED, sample.folder, "limited", base=sample.folder.parent)
    assert done.stdout == "30 True \n"


def test_text_told_of_by_every_event_is_not_read_by_every_event(sample: Sample) -> None:
    """Blocks that overlap would make 600 MB of 900 KB; one of them at most is ours. P14"""
    count, text_words = 10_000, 32 * 1024
    slots, text = bytearray(), bytearray(text_words * 8)
    for n in range(count):
        position = n * 24  # each block's header lies within the block before
        struct.pack_into("<II", text, position, 64 * 1024, n)
        slots += struct.pack("<8Q", (n + 1) << 1, n, 1 | 1 << 18, 0, 0, 0, 0, position)
    owner_words = struct.pack("<Q", text_words * 8)
    identity = uuid.UUID(_uuid_of(sample)).bytes
    with_ring(sample, ring_file(identity, 1, bytes(slots), bytes(text), owner_words))
    done = python(LIMITED, sample.folder, "limited", base=sample.folder.parent)
    assert done.stdout == f"{count + 22} True \n"


def test_a_template_that_repeats_a_long_text_is_cut(sample: Sample) -> None:
    """What an event's rationale becomes is bounded, whatever the dictionary says. P14"""
    python(
        """
        import whence
        whence.start(ring_slots=100, text_bytes=1 << 22)
        long = whence.kind("long", component="damage", rationale="{text}" * 680, text=str)
        for n in range(20): long("x" * 60_000)
        """,
        base=sample.folder.parent / "other",
    )
    (folder,) = (sample.folder.parent / "other").iterdir()
    done = python(LIMITED, folder, "limited", base=sample.folder.parent)
    assert done.stdout == "20 True \n"


def _uuid_of(sample: Sample) -> str:
    return str(uuid.UUID(bytes=sample.files["session"][16:32]))


def test_any_words_in_the_control_page_change_only_what_is_recorded(base: Path) -> None:
    """Gates are rewritten at random under a program that records: it goes on, and counts. P17"""
    program = """
    import sys, threading, whence
    kinds = [whence.kind(f"kind-{n}", component="gates", n=int, text=str) for n in range(20)]
    over = threading.Event()
    def record():
        while not over.is_set():
            for kind in kinds: kind(1, "some text " * 9); kind.on; bool(kind)
    threads = [threading.Thread(target=record) for _ in range(3)]
    kinds[0](0, "")
    print("ready", flush=True)
    for thread in threads: thread.start()
    sys.stdin.readline()
    for kind in kinds: kind.enable()
    over.set()
    for thread in threads: thread.join()
    assert all(kind.on for kind in kinds)
    print(len(whence.collector()), flush=True)
    """
    draw = random.Random(9)
    with Host(program, base=base) as host:
        assert host.line() == "ready"
        (control,) = base.glob("*/control")
        handle = os.open(control, os.O_RDWR)
        for _ in range(3000 * MORE):
            os.pwrite(handle, draw.randbytes(8 * 40), draw.randrange(0, 40 * 8))
        os.close(handle)
        host.say("enough")
        assert int(host.line()) > 0
        assert host.finish() == ""
    recording = read(base)
    for ledger in recording.rings:
        assert ledger.closes
        assert ledger.in_flight == 0
        for counts in ledger.per_kind:
            decided = counts.recorded + counts.sampled_out + counts.below_minimum
            assert counts.called == decided
    assert {event.attributes.get("n") for event in recording.events} <= {0, 1}


words = st.one_of(
    st.integers(0, 80),
    st.integers(0, 2**64 - 1),
    st.sampled_from([2**63, 2**64 - 1, 2**64 - 2, 1, 0]),
)
tags = st.builds(
    lambda kind, form, text, rest: kind | form << 16 | text << 18 | rest << 19,
    st.integers(0, 5),
    st.integers(0, 3),
    st.integers(0, 1),
    st.integers(0, 15),
)
slot_words = st.tuples(words, words, st.one_of(tags, words), *[words] * 5)


@settings(
    max_examples=150 * MORE,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    slots=st.lists(slot_words, min_size=1, max_size=6),
    text=st.lists(words, min_size=1, max_size=40),
    owner_words=st.lists(words, max_size=20),
    in_order=st.booleans(),
)
def test_any_words_in_a_ring_give_events_or_none(
    sample: Sample,
    slots: list[tuple[int, ...]],
    text: list[int],
    owner_words: list[int],
    in_order: bool,
) -> None:
    """Random stamps, tags, text positions and counts are decoded within bounds. P14 P2"""
    if in_order:  # stamps that a reader believes
        slots = [((n + 1) << 1, *slot[1:]) for n, slot in enumerate(slots)]
    identity = uuid.UUID(_uuid_of(sample)).bytes
    data = ring_file(
        identity,
        1,
        b"".join(struct.pack("<8Q", *slot) for slot in slots),
        struct.pack(f"<{len(text)}Q", *text),
        struct.pack(f"<{len(owner_words)}Q", *owner_words),
    )
    with_ring(sample, data)
    events, damaged, ledgers = damage.examine(sample.folder)
    assert damaged == {}
    assert {place: e for place, e in events.items() if place[0] != 1} == {
        place: e for place, e in sample.events.items() if place[0] != 1
    }
    assert len([place for place in events if place[0] == 1]) <= len(slots)
    assert len(ledgers) == 3


def test_a_ring_rewritten_and_truncated_while_it_is_read_harms_no_reader(sample: Sample) -> None:
    """Another process writes anything anywhere, and cuts the file, in the midst of it. P12 P14"""
    path, data = sample.folder / "ring-00000", sample.files["ring-00000"]
    draw = random.Random(5)
    program = """
    import os, resource, sys
    from whence._native import Batch, Catalogue, RingReader
    from whence.collect.events import to_events
    from whence.collect.ledger import ring_ledger
    from whence.model.errors import WhenceError

    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    catalogue = Catalogue()
    catalogue.update(open(sys.argv[2], "rb").read())
    print("ready", flush=True)
    refused = 0
    for _ in range(int(sys.argv[3])):
        handle = os.open(sys.argv[1], os.O_RDONLY)
        try:
            reader = RingReader.open(handle, live=True)
            for _ in range(5):
                batch = Batch()
                batch.drain(reader, catalogue, "session", 1)
                ring_ledger("session", reader, batch.time_range(0))
                to_events(batch.rows())
        except (WhenceError, OSError):
            refused += 1
        finally:
            os.close(handle)
    print("refused", refused, flush=True)
    sys.stdin.read()
    """
    arguments = (path, sample.folder / "names", 4000 * MORE)
    with Host(program, *arguments, base=sample.folder.parent) as reader:
        assert reader.line() == "ready"
        handle = os.open(path, os.O_RDWR)
        while not reader.has_spoken():
            for _ in range(20):
                at = draw.randrange(64, len(data))
                os.pwrite(handle, draw.randbytes(draw.choice((1, 8, 64))), at)
            if draw.random() < 0.2:
                os.ftruncate(handle, draw.randrange(len(data)))
            os.pwrite(handle, data, 0)
        os.close(handle)
        said, count = reader.line().split()
        assert said == "refused"
        assert 0 < int(count) < 4000 * MORE
        reader.finish()
