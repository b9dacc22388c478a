"""docs/kubernetes.md: its YAML is right, and its two containers work as two processes here."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from whence.cli.main import cli
from whence.ring.folders import session_folders

yaml = pytest.importorskip("yaml", reason="needs whence[test]")
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
PODS = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)]
PROGRAM = """
import sys, whence
tick = whence.kind("tick", component="x", n=int)
with whence.request("req-1"):
    for n in range(10):
        tick(n)
print("recorded", flush=True)
sys.stdin.readline()
"""


def containers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every container of the page with its pod."""
    return [(pod, each) for pod in PODS for each in pod["spec"]["containers"]]


@pytest.mark.parametrize(("pod", "container"), containers())
def test_the_pods_of_the_page_are_whole(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """Volumes exist, settings are text, WHENCE_DIR lies inside of a volume, commands parse."""
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    volumes = {volume["name"] for volume in pod["spec"].get("volumes", ())}
    mounts = {mount["name"]: mount["mountPath"] for mount in container.get("volumeMounts", ())}
    assert set(mounts) <= volumes
    settings = {entry["name"]: entry["value"] for entry in container.get("env", ())}
    assert all(isinstance(value, str) for value in settings.values())
    if "WHENCE_DIR" in settings:
        assert Path(settings["WHENCE_DIR"]).parent == Path(mounts["whence"])
    if arguments := container.get("args"):
        assert arguments[0] == "whence"
        command = cli.get_command(click.Context(cli), arguments[1])
        assert command is not None
        command.make_context(arguments[1], list(arguments[2:]))


class Container:
    """A process with an environment and a user of its own, as a container of the page has."""

    def __init__(self, folder: Path, python: str, user: int | None, **settings: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WHENCE_", "OTEL_"))}
        path = os.pathsep.join(part for part in sys.path if part)
        sessions = str(folder / "sessions")
        self._python = python
        self._environment = {**kept, "PYTHONPATH": path, "WHENCE_DIR": sessions, **settings}
        self._who: dict[str, Any] = {}
        if user is not None:
            self._who = {"user": user, "group": user, "extra_groups": [folder.stat().st_gid]}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Runs Python with these arguments."""
        return subprocess.Popen(
            [self._python, *words],
            env=self._environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **self._who,
        )

    def whence(self, *words: str) -> tuple[int, str, str]:
        """Exit code, output and messages of a command."""
        with self.start("-m", "whence", *words) as running:
            out, err = running.communicate(timeout=60)
        return running.returncode, out, err


@pytest.fixture
def volume() -> Iterator[Path]:
    """A folder as a pod shares it: everybody of its group may write, and hands the group down."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    if os.geteuid() == 0:
        os.chown(folder, 0, 20_000)
    folder.chmod(0o2777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def killed(program: Container) -> None:
    """The program records and is then killed, as a container that runs out of memory is."""
    with program.start("-c", PROGRAM) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "recorded\n"
        running.send_signal(signal.SIGKILL)
        running.communicate()


def test_a_sidecar_of_the_same_user_reads_collects_and_removes(
    volume: Path, tmp_path: Path
) -> None:
    """It sees the program live and dead, asks why, delivers all, and removes the session. R5.10"""
    program = Container(volume, sys.executable, None)
    sidecar = Container(volume, sys.executable, None)
    with program.start("-c", PROGRAM) as running:
        assert running.stdout is not None
        running.stdout.readline()
        (session,) = json.loads(sidecar.whence("ls", "--json")[1])["sessions"]
        assert (session["state"], session["pid"]) == ("recording", running.pid)
        running.kill()
        running.communicate()
    (session,) = json.loads(sidecar.whence("ls", "--json")[1])["sessions"]
    assert session["state"] == "dead"
    assert "tick" in sidecar.whence("why", "req-1")[1]
    target = tmp_path / "out.ndjson"
    code, out, err = sidecar.whence("collect", "--once", "--to", str(target), "--grace", "30s")
    assert (code, err) == (0, "")
    assert "10 events read = 10 delivered" in out
    assert len(target.read_text().splitlines()) == 10
    assert list(session_folders(volume / "sessions")) == []


@pytest.fixture
def other_users(volume: Path) -> Callable[..., Container]:
    """Containers of users of their own. Skipped where users cannot be changed."""
    if os.geteuid() != 0:
        pytest.skip("only root can run two users")
    for python in (sys.executable, "/usr/bin/python3"):
        trial = Container(volume, python, 10_003)
        try:
            with trial.start("-c", "import whence._native, whence.cli.main") as running:
                running.communicate(timeout=60)
        except OSError:
            continue
        if running.returncode == 0:
            return lambda user, **settings: Container(volume, python, user, **settings)
    pytest.skip("no Python here that other users can run")


def test_a_sidecar_of_another_user_reads_through_the_group(
    volume: Path, other_users: Callable[..., Container]
) -> None:
    """With WHENCE_GROUP=1 on both sides it reads and delivers, and can change nothing. R5.10"""
    program = other_users(10_001, WHENCE_GROUP="1")
    killed(program)
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o777 for path in volume.rglob("*")}
    assert modes == {0o750, 0o640}

    sidecar = other_users(10_002, WHENCE_GROUP="1")
    assert "dead" in sidecar.whence("ls")[1]
    assert "tick" in sidecar.whence("why", "req-1")[1]
    state, target = volume / "collector.state", volume / "out.ndjson"
    code, out, err = sidecar.whence(
        "collect", "--once", "--to", str(target), "--state", str(state), "--keep"
    )
    assert (code, err) == (0, "")
    assert "10 events read = 10 delivered" in out
    assert len(list(session_folders(volume / "sessions"))) == 1

    alone = other_users(10_002)
    assert "set WHENCE_GROUP=1 there and here" in "".join(alone.whence("ls")[1:])


def test_what_was_not_shared_stays_closed(
    volume: Path, other_users: Callable[..., Container]
) -> None:
    """Without WHENCE_GROUP=1 on the program's side a sidecar of the group sees nothing. R5.10"""
    killed(other_users(10_001))
    out = other_users(10_002, WHENCE_GROUP="1").whence("ls")[1]
    assert "No process has recorded here" in out
