"""Lineage between processes: sets go out as datagrams, and whoever listens gets the graph."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from whence.lineage import (
    Address,
    DatagramPublication,
    DatagramSubscription,
    FrameDescriptor,
    Lineage,
    TraceLinkPoller,
    TraceLinkSet,
    encode_frame_descriptor,
    encode_tracelink_set,
)

GOOD = TraceLinkSet(7, 9, 11, 42, (10, 20))
JOINING = """
import json, sys
from whence.lineage import DatagramPublication, Lineage
node, address = int(sys.argv[1]), json.loads(sys.argv[2])
to = address if isinstance(address, str) else tuple(address)
line = Lineage(node, publication=DatagramPublication(to))
parents = [line.root() for _ in range(3)]
joined = [line.join(parents[: 2 + seq], stream_id=node, epoch=1, seq=seq) for seq in range(2)]
print(json.dumps([parents, joined, line.sent, line.dropped]))
"""


@pytest.fixture(params=["udp", "unix"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Where to listen, by either carrier."""
    return ("127.0.0.1", 0) if request.param == "udp" else tmp_path / "links"


def encoded(made: TraceLinkSet) -> bytes:
    buffer = bytearray(40 + 8 * len(made.parents))
    encode_tracelink_set(buffer, *made)
    return bytes(buffer)


def take(listening: DatagramSubscription, wanted: int) -> None:
    """Polls until so many messages were taken."""
    taken = 0
    while taken < wanted:
        assert select.select([listening], [], [], 60)[0], "nothing more arrived"
        taken += listening.poll()


def test_a_process_that_only_listens_learns_the_graph(address: Address) -> None:
    """R2.19 R2.26 R2.29 TL-2 TL-27: two processes join, a third has every link of both."""
    found: list[TraceLinkSet] = []
    with DatagramSubscription(address, found.append) as listening:
        where = json.dumps(listening.address)
        joining = [
            subprocess.Popen(
                [sys.executable, "-c", JOINING, node, where], stdout=subprocess.PIPE, env=os.environ
            )
            for node in ("1", "2")
        ]
        told = [json.loads(each.communicate()[0]) for each in joining]
        take(listening, 4)
    expected = {
        TraceLinkSet(node, 1, seq, joined[seq], tuple(parents[: 2 + seq]))
        for node, (parents, joined, _, _) in enumerate(told, 1)
        for seq in range(2)
    }
    assert set(found) == expected
    assert [(sent, dropped) for _, _, sent, dropped in told] == [(2, 0), (2, 0)]


def test_other_messages_pass_and_bad_ones_are_counted(address: Address) -> None:
    """R2.3 R2.18 TL-27: a control stream carries more than sets."""
    found: list[TraceLinkSet] = []
    frame = bytearray(48)
    encode_frame_descriptor(frame, FrameDescriptor(7, 9, 11, trace_id=42))
    with (
        DatagramSubscription(address, found.append) as listening,
        DatagramPublication(listening.address) as channel,
    ):
        messages = [encoded(GOOD), bytes(frame), encoded(GOOD)[:-1], b"", encoded(GOOD)]
        assert all(channel.offer(each) for each in messages)
        take(listening, len(messages))
        poller = listening.poller
        assert (poller.sets, poller.others, poller.bad) == (2, 1, 2)
    assert found == [GOOD, GOOD]


def test_a_full_carrier_drops_and_counts(tmp_path: Path) -> None:
    """R2.1 R2.19 TL-15: where nobody reads, offering does not wait; what got through is whole."""
    found: list[TraceLinkSet] = []
    with (
        DatagramSubscription(tmp_path / "links", found.append) as listening,
        DatagramPublication(listening.address) as channel,
    ):
        line = Lineage(1, publication=channel)
        for seq in range(5_000):
            line.join([1, 2], stream_id=1, epoch=1, seq=seq)
        assert line.dropped > 0
        assert line.reasons == {"back pressure": line.dropped}
        assert line.sent + line.dropped == 5_000
        take(listening, line.sent)
    assert [each.seq for each in found] == list(range(line.sent))


def test_nobody_needs_to_listen(tmp_path: Path) -> None:
    """R2.19 TL-3: without a listener, after closing, and for what is too long: not taken."""
    channel = DatagramPublication(tmp_path / "links")
    assert channel.offer(encoded(GOOD)) == -1
    with DatagramSubscription(tmp_path / "links", print):
        assert channel.offer(encoded(GOOD)) is True
    assert not (tmp_path / "links").exists()
    line = Lineage(1, publication=channel)
    line.join([1, 2], stream_id=1, epoch=1, seq=1)
    channel.close()
    assert channel.offer(encoded(GOOD)) == -4
    line.join([1, 2], stream_id=1, epoch=1, seq=2)
    assert line.reasons == {"not connected": 1, "closed": 1}
    most = encoded(GOOD._replace(parents=tuple(range(100, 100 + 65_534))))
    with DatagramPublication(("127.0.0.1", 9)) as other:
        assert other.offer(most) is False


def test_an_abandoned_socket_is_taken_over(tmp_path: Path) -> None:
    """R2.19 One that nobody is bound to makes room; one in use, and other files, do not."""
    path = tmp_path / "links"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as died:
        died.bind(str(path))
    with DatagramSubscription(path, print):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(OSError, match="in use"):
            DatagramSubscription(path, print)
    path.write_text("a file")
    with pytest.raises(OSError, match="in use"):
        DatagramSubscription(path, print)
    assert path.read_text() == "a file"


def test_what_a_handler_raises_comes_through() -> None:
    """R2.18 A handler's mistake is its own; the set counts as handed over."""

    def fail(_: TraceLinkSet) -> None:
        raise LookupError

    poller = TraceLinkPoller(fail)
    with pytest.raises(LookupError):
        poller.take(encoded(GOOD))
    assert (poller.sets, poller.bad) == (1, 0)
