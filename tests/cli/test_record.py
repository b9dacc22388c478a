"""whence record: a command runs as if alone, and what its Python processes do is recorded."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from whence.collect.sessions import read_recording
from whence.integrations import autorecord
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.ring.folders import session_folders

Record = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Writes a program and gives its path."""

    def write(source: str, name: str = "app.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def record(whence_dir: Path, tmp_path: Path) -> Record:
    """Runs `whence record` with arguments, as a process of its own."""

    def run(
        *arguments: object, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        return subprocess.run(
            [sys.executable, "-m", "whence", "record", *map(str, arguments)],
            env={**kept, "NO_COLOR": "1", **(env or {})},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def all_recorded(folder: Path) -> Recording:
    """What all sessions in the folder hold."""
    return read_recording(list(session_folders(folder)))


def told(events: tuple[TraceEvent, ...]) -> set[tuple[str, object]]:
    """What the exceptions said, and where they were."""
    return {
        (event.rationale, event.attributes["where"])
        for event in events
        if event.event_type == "uncaught_exception"
    }


def test_a_program_that_declares_nothing_is_recorded_by_its_logs_and_exceptions(
    record: Record, script: Callable[..., Path], whence_dir: Path
) -> None:
    """Main thread, threads, tasks, finalisers and log records; it says so. R5.19"""
    app = script(
        """
        import asyncio, gc, logging, threading
        logging.warning("%d left", 3)
        def fails(): raise ValueError("in a thread")
        thread = threading.Thread(target=fails, name="t1")
        thread.start()
        thread.join()
        async def main():
            async def fails(): raise KeyError("in a task")
            asyncio.ensure_future(fails())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gc.collect()
        asyncio.run(main())
        class Finalised:
            def __del__(self): raise OSError("in a finaliser")
        Finalised()
        print("out")
        raise RuntimeError("at the end")
        """
    )
    finished = record("--", sys.executable, app)
    assert finished.returncode == 1
    assert finished.stdout == "out\n"
    assert "WARNING:root:3 left" in finished.stderr  # basicConfig did what it does alone
    assert "5 events of 1 process" in finished.stderr
    assert "declared no kinds: these are its log records and uncaught" in finished.stderr
    assert "whence why" in finished.stderr
    assert "whence stream" in finished.stderr
    recording = all_recorded(whence_dir)
    assert told(recording.events) == {
        ("ValueError: in a thread", "thread t1"),
        ("KeyError: 'in a task'", "asyncio"),
        ("OSError: in a finaliser", recording.events[3].attributes["where"]),
        ("RuntimeError: at the end", "main thread"),
    }
    assert "Finalised.__del__" in str(recording.events[3].attributes["where"])
    assert recording.events[0].rationale == "3 left"
    assert recording.sessions[0].service == "app.py"


def test_a_program_that_declares_kinds_is_recorded_by_them(
    record: Record, script: Callable[..., Path], whence_dir: Path
) -> None:
    """Its own events are recorded, its log records only when asked for."""
    app = script(
        """
        import logging, whence
        @whence.kind(component="App")
        def did(n: int) -> None: ...
        did(1)
        logging.warning("a log record")
        """
    )
    finished = record("--", sys.executable, app)
    assert finished.returncode == 0
    assert "declared no kinds" not in finished.stderr
    assert [event.event_type for event in all_recorded(whence_dir).events] == ["did"]
    record("--logs=always", "--service", "named", "--", sys.executable, app)
    recording = all_recorded(whence_dir)
    assert [event.event_type for event in recording.events] == ["did", "did", "log_record"]
    assert {session.service for session in recording.sessions} == {"app.py", "named"}


def test_a_hook_of_the_programs_own_hides_no_exception(
    record: Record, script: Callable[..., Path], whence_dir: Path
) -> None:
    """A program that replaces sys.excepthook is recorded at its end. R5.19"""
    app = script(
        """
        import sys
        sys.excepthook = lambda *args: print("mine")
        raise RuntimeError("hooked")
        """
    )
    assert record("--", sys.executable, app).stdout == "mine\n"
    assert told(all_recorded(whence_dir).events) == {("RuntimeError: hooked", "main thread")}


def test_children_belong_to_the_same_run(
    record: Record, script: Callable[..., Path], whence_dir: Path
) -> None:
    """Forked, spawned and started Pythons are recorded, in one run."""
    app = script(
        """
        import logging, multiprocessing, os, subprocess, sys
        def child(): logging.warning("spawned")
        if __name__ == "__main__":
            logging.warning("parent")
            pid = os.fork()
            if pid == 0:
                logging.warning("forked")
                os._exit(0)
            os.waitpid(pid, 0)
            subprocess.run([sys.executable, "-c", "import logging; logging.warning('started')"])
            process = multiprocessing.get_context("spawn").Process(target=child)
            process.start()
            process.join()
        """
    )
    finished = record("--", sys.executable, app)
    assert "4 events of 4 processes" in finished.stderr
    recording = all_recorded(whence_dir)
    said = sorted(event.rationale for event in recording.events)
    assert said == ["forked", "parent", "spawned", "started"]
    assert len({session.run for session in recording.sessions}) == 1


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_what_ends_a_worker_is_recorded(
    record: Record, script: Callable[..., Path], whence_dir: Path, method: str
) -> None:
    """multiprocessing catches it itself and calls no hook. R5.19"""
    app = script(
        f"""
        import multiprocessing
        def work(): raise ValueError("in a worker")
        if __name__ == "__main__":
            worker = multiprocessing.get_context("{method}").Process(target=work, name="w1")
            worker.start()
            worker.join()
            print(worker.exitcode)
        """
    )
    finished = record("--", sys.executable, app)
    assert finished.stdout == "1\n"
    assert "Process w1:" in finished.stderr
    assert told(all_recorded(whence_dir).events) == {("ValueError: in a worker", "process w1")}


def test_a_terminal_s_interrupt_reaches_the_command_once(
    script: Callable[..., Path], whence_dir: Path
) -> None:
    """A terminal sends it to every process of the group: it is not passed on again."""
    app = script(
        """
        import signal, sys
        got = []
        signal.signal(signal.SIGINT, lambda number, frame: got.append(number))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        print("ready", flush=True)
        while not got:
            signal.pause()
        print("waiting", flush=True)
        signal.pause()
        print("interrupts", len(got), flush=True)
        """
    )
    command = [sys.executable, "-m", "whence", "record", "-q", "--", sys.executable, str(app)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        assert _read_until(screen, b"ready")
        screen.write(b"\x03")
        assert _read_until(screen, b"waiting")
        os.kill(pid, signal.SIGTERM)
        _read_until(screen, b"\0")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


def _read_until(screen: io.FileIO, text: bytes) -> bool:
    """True once the text came; False at the end."""
    seen = b""
    while text not in seen:
        try:
            part = screen.read(1024)
        except OSError:  # the other end is closed
            return False
        if not part:
            return False
        seen += part
    return True


def test_the_exit_status_and_the_environment_are_the_commands_own(record: Record) -> None:
    """Status, signals, a missing command, a shell's characters, TRACEPARENT."""
    assert record("--", sys.executable, "-c", "raise SystemExit(42)").returncode == 42
    assert record("--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    missing = record("--", "no-such-command")
    assert missing.returncode == 127
    assert missing.stderr == "whence: no-such-command: No such file or directory\n"
    assert record("--", "/").returncode == 126
    echoed = record("-q", "--", "echo", "$HOME", ";", "--help")
    assert (echoed.stdout, echoed.stderr) == ("$HOME ; --help\n", "")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    shown = record("--", "printenv", "TRACEPARENT", env={"TRACEPARENT": parent})
    assert shown.stdout.strip() == parent
    assert "recorded nothing" in shown.stderr


def test_signals_reach_the_command(script: Callable[..., Path], whence_dir: Path) -> None:
    """The command's own handler runs, and its own exit status comes out."""
    app = script(
        """
        import signal, sys
        def handler(number, frame):
            print("got", number, flush=True)
            if number == signal.SIGTERM:
                sys.exit(7)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, handler)
        print("ready", flush=True)
        while True:
            signal.pause()
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "whence", "record", "-q", "--", sys.executable, str(app)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
        assert process.stdout.readline() == f"got {int(number)}\n"
    assert process.wait(timeout=30) == 7
    process.stdout.close()


def test_a_sitecustomize_of_the_users_own_is_loaded(
    record: Record, script: Callable[..., Path], tmp_path: Path
) -> None:
    """Ours steps out of the way: of sys.path, and of sys.modules."""
    script("print('mine')", "sitecustomize.py")
    app = script("import sitecustomize, sys; print(sitecustomize.__file__); print(sys.path)")
    before = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    said = record("--", sys.executable, app, env={"PYTHONPATH": before}).stdout.splitlines()
    assert said[1:3] == ["mine", str(tmp_path / "sitecustomize.py")]
    assert "autorecord" not in said[3]


def test_a_python_without_whence_says_so_and_runs(record: Record, tmp_path: Path) -> None:
    """The program runs unrecorded, and nobody need wonder why nothing is there."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    shim = f"PYTHONPATH={autorecord.__path__[0]}"
    finished = record("--", "env", shim, tmp_path / "bare/bin/python", "-c", "print('ran')")
    assert finished.stdout == "ran\n"
    assert "cannot import whence" in finished.stderr
    assert "recorded nothing" in finished.stderr


def test_a_module_is_recorded_under_its_name(
    record: Record, script: Callable[..., Path], whence_dir: Path
) -> None:
    """`python -m app` is called app, not -m."""
    script("import logging; logging.error('x')")
    record("--", sys.executable, "-m", "app")
    assert all_recorded(whence_dir).sessions[0].service == "app"


def test_a_parent_that_ignores_the_end_of_children_changes_nothing(whence_dir: Path) -> None:
    """SIGCHLD ignored is inherited, and would leave the command's end unknown for ever. R4.11"""
    command = [sys.executable, "-m", "whence", "record", "-q", "--", "sh", "-c", "exit 4"]
    child = os.posix_spawn(
        sys.executable,
        [
            sys.executable,
            "-c",
            "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
            "os.execv(sys.argv[1], sys.argv[1:])",
            *command,
        ],
        dict(os.environ),
    )
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
