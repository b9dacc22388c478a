"""Programs that record: started by a test, talked to, killed, and read back."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from whence.collect.sessions import read_recording
from whence.model.recording import Recording
from whence.ring.folders import session_folders

__all__ = [
    "DEADLINE_S",
    "Host",
    "environment",
    "memory_folder",
    "python",
    "read",
    "sessions",
    "until",
]

# a test that waits longer has failed; nothing waits for time to pass
DEADLINE_S = 300.0 if os.environ.get("WHENCE_STRESS") else 60.0
MEMORY = Path("/dev/shm")
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory, as sessions have it by default; removed at the end."""
    where = MEMORY if MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="whence-test-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sessions(base: Path) -> list[Path]:
    """The session folders in `base`, oldest first."""
    return sorted(session_folders(base))


def read(base: Path) -> Recording:
    """Everything the sessions in `base` hold."""
    return read_recording(sessions(base))


def until(condition: Callable[[], object], what: str) -> None:
    """Waits for a condition outside of this process; fails at the deadline."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"never came true: {what}"
        time.sleep(0.001)


def python(
    source: str | Path,
    *arguments: object,
    base: Path,
    expect: int | None = 0,
    settings: dict[str, str] | None = None,
    before: Callable[[], None] | None = None,
    flags: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; `expect` is its exit status, None for any."""
    done = subprocess.run(
        [sys.executable, *flags, *_program(source), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env=environment(base, settings),
        preexec_fn=before,
        check=False,
    )
    assert expect is None or done.returncode == expect, (done.returncode, done.stderr[-3000:])
    return done


class Host:
    """A running program that records into `base`. Lines go both ways through pipes."""

    def __init__(
        self,
        source: str | Path,
        *arguments: object,
        base: Path,
        settings: dict[str, str] | None = None,
        before: Callable[[], None] | None = None,
        through: tuple[str, ...] = (),
    ) -> None:
        self._process = subprocess.Popen(
            [*through, sys.executable, *_program(source), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(base, settings),
            preexec_fn=before,
        )
        self.pid = self._process.pid
        self._unread = b""

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(DEADLINE_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def line(self) -> str:
        """The next line it prints."""
        while b"\n" not in self._unread:
            assert self.has_spoken(DEADLINE_S), "the program said nothing"
            assert self._process.stdout is not None
            part = os.read(self._process.stdout.fileno(), 65536)
            assert part, f"the program ended: {self.errors()}"
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def has_spoken(self, timeout_s: float = 0) -> bool:
        """Whether it has printed something that was not read yet, or has ended."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return bool(self._unread or selector.select(timeout_s))

    def say(self, text: str) -> None:
        """Gives it a line to read."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Stops it, and returns when it has stopped."""
        self.signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid}/stat")
        until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "stopped")

    def kill(self) -> None:
        """Kills it as nothing can be caught, and waits for its end."""
        self._process.kill()
        assert self._process.wait(DEADLINE_S) == -signal.SIGKILL

    def finish(self, expect: int = 0) -> str:
        """Waits for its end; returns what it wrote to stderr."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        status = self._process.wait(DEADLINE_S)
        errors = self.errors()
        assert status == expect, (status, errors[-3000:])
        return errors

    def errors(self) -> str:
        """What it wrote to stderr, once it has ended."""
        assert self._process.stderr is not None
        return self._process.stderr.read().decode(errors="replace")


def environment(base: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    """Our environment for a program that records into `base`, without settings for whence."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("WHENCE_")}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return ours | {"WHENCE_DIR": str(base), "PYTHONPATH": path} | (more or {})


def _program(source: str | Path) -> list[str]:
    return [str(source)] if isinstance(source, Path) else ["-c", textwrap.dedent(source)]
