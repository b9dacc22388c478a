"""Node ids for the processes of a host: granted once, kept for life, rested before they recur."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from whence.lineage import (
    AttachCode,
    AttachRequest,
    NodeIdAllocator,
    NodeLease,
    TraceIdGenerator,
    allocator,
)
from whence.lineage.processes import Process, lives, this_process
from whence.model.errors import CorruptFile, NodeIdRefused

ONE, TWO, THREE = (Process(pid, f"boot/{pid}") for pid in (1, 2, 3))
SECOND = 1_000_000_000


class Host:
    """An allocator with a clock and processes that a test moves."""

    def __init__(self, path: Path, most: int = 3, reserved: tuple[int, ...] = ()) -> None:
        self.now_ns = 1_000 * SECOND
        self.dead: set[Process] = set()
        self.nodes = NodeIdAllocator(
            path / "nodes",
            most=most,
            reserved=reserved,
            lease_ns=10 * SECOND,
            cooldown_ns=60 * SECOND,
            clock=lambda: self.now_ns,
            alive=lambda process: process not in self.dead,
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Three node ids."""
    return Host(tmp_path)


def refused(host: Host, *asked: object) -> str:
    with pytest.raises(NodeIdRefused) as why:
        host.nodes.attach(*asked)  # type: ignore[arg-type]
    return str(why.value)


def test_each_process_gets_a_node_id_of_its_own(host: Host) -> None:
    """R2.15 TL-6 TL-10: ids begin at 1, and where none is free the next is refused."""
    leases = [host.nodes.attach(n, process=each) for n, each in enumerate((ONE, TWO, THREE))]
    assert [lease.node_id for lease in leases] == [1, 2, 3]
    assert leases[0] == NodeLease(1, 1, host.now_ns + 10 * SECOND)
    assert TraceIdGenerator(leases[1]).node_id == 2
    assert "none of the 3" in refused(host, 9, None, Process(4, "boot/4"))


def test_a_process_keeps_its_node_id_for_life(host: Host) -> None:
    """R2.15 TL-8: the same after detaching and attaching again, and when the lease ran out."""
    first = host.nodes.attach(7, process=ONE)
    host.nodes.detach(first.lease_id)
    assert host.nodes.attach(7, process=ONE).node_id == first.node_id
    host.now_ns += 1_000 * SECOND  # long without a keepalive
    assert host.nodes.attach(8, process=TWO).node_id == 2
    assert host.nodes.attach(7, process=ONE).node_id == first.node_id


def test_a_desired_node_id_is_granted_once(host: Host) -> None:
    """R2.16 Granted where it is free; refused to a second client, and to one that has another."""
    assert host.nodes.attach(7, 2, ONE).node_id == 2
    assert host.nodes.attach(7, 2, ONE).node_id == 2
    assert "node id 2 is taken" in refused(host, 8, 2, TWO)
    assert "has node id 2 already" in refused(host, 7, 3, ONE)
    assert "is another process" in refused(host, 7, None, TWO)
    for none in (0, 4):
        with pytest.raises(NodeIdRefused, match="is none") as why:
            host.nodes.attach(8, none, TWO)
        assert why.value.code == AttachCode.INVALID_PARAMS


def test_a_node_id_rests_before_it_is_anothers(host: Host) -> None:
    """R2.15 TL-9: after a process ended, nobody gets its id until lease and cooldown are over."""
    host.nodes.attach(7, 2, ONE)
    host.dead.add(ONE)
    host.now_ns += 69 * SECOND
    assert "cooling down" in refused(host, 8, 2, TWO)
    assert host.nodes.attach(7, process=TWO).node_id == 3  # the same client, started again
    host.now_ns += SECOND
    assert host.nodes.attach(9, 2, THREE).node_id == 2


def test_a_detached_node_id_rests_from_then_on(host: Host) -> None:
    """R2.15 TL-9: the cooldown begins when the id is given back."""
    lease = host.nodes.attach(7, 2, ONE)
    host.nodes.detach(lease.lease_id)
    host.now_ns += 59 * SECOND
    assert "cooling down" in refused(host, 8, 2, TWO)
    host.now_ns += SECOND
    assert host.nodes.attach(8, 2, TWO).node_id == 2
    assert not host.nodes.keepalive(lease.lease_id)  # it is another's
    assert host.nodes.attach(7, process=ONE).node_id == 3


def test_a_keepalive_prolongs_the_lease(host: Host) -> None:
    """R2.15 TL-10: a process that cannot be seen keeps its id by keepalives."""
    lease = host.nodes.attach(7, 2, ONE)
    host.dead.add(ONE)  # as another container's process looks
    for _ in range(20):
        host.now_ns += 9 * SECOND
        assert host.nodes.keepalive(lease.lease_id)
    assert "cooling down" in refused(host, 8, 2, TWO)
    assert not host.nodes.keepalive(999)


def test_reserved_node_ids_are_never_granted(tmp_path: Path) -> None:
    """R2.15 What is reserved is passed over, and refused where it is desired."""
    host = Host(tmp_path, reserved=(1, 3))
    assert "is taken, reserved" in refused(host, 7, 3, ONE)
    assert host.nodes.attach(7, process=ONE).node_id == 2


def test_who_had_which_node_id_is_recorded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """R2.15 TL-9: node id, process and start of each grant stay; holders outlast old rows."""
    lease = host.nodes.attach(7, process=ONE)
    host.nodes.detach(lease.lease_id)
    (row,) = host.nodes.provenance()
    assert (row.node_id, row.process_id, row.start_time) == (1, 1, "boot/1")
    assert (row.granted_ns, row.ended_ns) == (host.now_ns, host.now_ns)
    monkeypatch.setattr(allocator, "MOST_ROWS", 2)
    for _ in range(4):
        host.nodes.attach(8, process=TWO)
    assert [row.node_id for row in host.nodes.provenance()] == [1, 2, 2]


def test_requests_are_answered(host: Host) -> None:
    """R2.12 R2.16 As a driver answers: the correlation id back, refusals without a node id."""
    answer = host.nodes.answer(AttachRequest(55, 3, 7, desired_node_id=2))
    assert (answer.correlation_id, answer.code, answer.stream_id, answer.node_id) == (55, 0, 3, 2)
    answer = host.nodes.answer(AttachRequest(56, 3, 8, desired_node_id=2))
    assert (answer.correlation_id, answer.code, answer.node_id) == (56, AttachCode.REJECTED, None)


def test_processes_share_the_file(tmp_path: Path) -> None:
    """R2.15 Twelve processes at once get twelve node ids."""
    program = (
        "import sys; from whence.lineage import NodeIdAllocator\n"
        "nodes = NodeIdAllocator(sys.argv[1])\n"
        "print(nodes.attach(int(sys.argv[2])).node_id, flush=True); sys.stdin.read()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "nodes"), str(client)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ,
        )
        for client in range(12)
    ]
    ids = [int(each.stdout.readline()) for each in started if each.stdout]
    for each in started:
        each.communicate(b"")
    assert sorted(ids) == list(range(1, 13))


def test_a_file_of_others_is_left_alone(host: Host) -> None:
    """R2.15 What cannot be understood is named, and not written over."""
    for text in ("no json", "[]", '{"format": "whence-nodes", "version": 2, "rows": []}'):
        host.nodes.path.write_text(text)
        with pytest.raises(CorruptFile, match="holds no node ids"):
            host.nodes.attach(7)
        assert host.nodes.path.read_text() == text


def test_processes_are_told_apart() -> None:
    """R2.15 A process lives until it ends, and a pid that is used again is another process."""
    mine = this_process()
    assert lives(mine)
    assert not lives(mine._replace(start_time="another boot/1"))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not lives(Process(ended.pid, mine.start_time))
