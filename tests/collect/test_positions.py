"""The state file: whole or not at all, one owner, never a reason not to start."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.collect import positions
from whence.collect.positions import Acknowledged, StateFile, read_sinks
from whence.collect.sink_ledger import SinkLedger
from whence.model.errors import CollectorRunning

STATE = Acknowledged(
    {"uuid": {0: 5, 3: 9}}, SinkLedger(read=14, delivered=13, refused=1), frozenset({"uuid"}), "t"
)


def test_positions_survive_a_restart(tmp_path: Path) -> None:
    """What was saved is what the next owner finds; sinks not named now are kept. R1.39"""
    path = tmp_path / "deep" / "c.state"
    state = StateFile(path)
    assert state.sinks == {}
    state.save({"a": STATE, "b": Acknowledged()}, {})
    state.save({"b": STATE}, {})
    state.close()
    again = StateFile(path)
    assert again.sinks == {"a": STATE, "b": STATE}
    assert again.trouble == ""
    again.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(path.parent)) == ["c.state", "c.state.lock"]
    assert read_sinks(path) == {"a": STATE, "b": STATE}
    assert read_sinks(path.with_name("none")) == {}
    assert json.loads(path.read_bytes())["pid"] == os.getpid()


def test_a_state_file_has_one_owner(tmp_path: Path) -> None:
    """The second is told who it is; the file is free once the owner has closed it. R1.39"""
    path = tmp_path / "c.state"
    first = StateFile(path)
    with pytest.raises(CollectorRunning, match=f"pid {os.getpid()}"):
        StateFile(path)
    first.close()
    StateFile(path).close()


@given(
    content=st.binary(max_size=40)
    | st.sampled_from(
        [
            b"{}",
            b"[]",
            b'{"format":"whence-collector","version":2,"sinks":{}}',
            b'{"format":"whence-collector","version":1,"sinks":{"a":{"positions":{"u":{"0":-1}}}}}',
            b'{"format":"whence-collector","version":1,"sinks":[]}',
        ]
    )
)
def test_a_damaged_state_is_put_aside(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Collecting begins with what the sessions hold, and says why. R1.39"""
    folder = tmp_path_factory.mktemp("state")
    path = folder / "c.state"
    path.write_bytes(content)
    state = StateFile(path)
    assert state.sinks == {}
    assert "damaged" in state.trouble
    state.save({"a": STATE}, {})
    state.close()
    (aside,) = [name for name in os.listdir(folder) if ".damaged-" in name]
    assert (folder / aside).read_bytes() == content
    again = StateFile(path)
    assert again.sinks == {"a": STATE}
    again.close()


def test_a_save_that_fails_leaves_the_former_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk acknowledges nothing, and harms nothing. R1.39"""
    path = tmp_path / "c.state"
    state = StateFile(path)
    state.save({"a": Acknowledged()}, {})
    before = path.read_bytes()

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(positions.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        state.save({"a": STATE}, {})
    assert path.read_bytes() == before
    monkeypatch.undo()
    state.save({"a": STATE}, {})
    assert json.loads(path.read_bytes())["sinks"]["a"]["positions"] == {"uuid": {"0": 5, "3": 9}}
    state.close()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Neither to read nor to write. R1.39"""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "c.state").symlink_to(victim)
    with pytest.raises(OSError, match="Too many levels"):
        StateFile(tmp_path / "c.state")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("value", [None, [], {"read": -1}, {"read": True}, {"reasons": 3}])
def test_a_ledger_that_is_none_is_refused(value: object) -> None:
    """Counts are whole numbers from 0 on."""
    with pytest.raises(ValueError, match="ledger"):
        SinkLedger.from_plain(value)


def test_a_state_file_that_is_no_plain_file_is_left_alone(tmp_path: Path) -> None:
    """A pipe or a device is refused: it is not read, and not moved aside as damaged. R1.39"""
    path = tmp_path / "c.state"
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a plain file"):
        StateFile(path)
    assert path.is_fifo()
    assert read_sinks(path) == {}
