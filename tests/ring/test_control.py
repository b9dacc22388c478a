"""The control page from outside: gates and rules are changed as stored words, damage is named."""

from __future__ import annotations

import os
import shutil
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import whence
from whence import _native
from whence.collect.local import local_session
from whence.model.errors import CorruptFile, NotASession, SessionEnded, UnsupportedFormat
from whence.model.recording import SessionInfo
from whence.ring import layout
from whence.ring.control import Control, is_rule_name
from whence.ring.gates import read_gate_changes
from whence.ring.session_file import read_session_file

HALF = _native.gate_word(0.5, None)


@pytest.fixture(scope="module")
def live() -> SessionInfo:
    """This very process's session, as another process finds it."""
    whence.kind("control_start", component="Control")()
    session = local_session()
    assert session is not None
    return read_session_file(Path(session.path))


@pytest.fixture
def page(live: SessionInfo, tmp_path: Path) -> Callable[..., SessionInfo]:
    """A copy of the session whose control page was changed."""

    def changed(how: Callable[[bytearray], object], name: str = "copy") -> SessionInfo:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(Path(live.path, "gates"), folder)
        data = bytearray(Path(live.path, "control").read_bytes())
        how(data)
        (folder / "control").write_bytes(data)
        return replace(live, path=str(folder))

    return changed


def test_a_gate_is_changed_while_the_producer_runs(live: SessionInfo) -> None:
    """R1.52 R1.34 The call after the change obeys it, and the log has it."""
    tick = whence.kind("steered", component="Control", n=int)
    tick(1)
    with Control(live) as control:
        before = control.change(tick.id, HALF)
        assert (before, control.gate(tick.id)) == (1, HALF)
        assert tick.sample_rate == 0.5
        assert control.change(tick.id, 0) == HALF
        assert not tick.on
        assert control.change(tick.id, 0) == 0
        control.change(tick.id, 1)
    assert tick.on
    changes = read_gate_changes(Path(live.path), live.name, {tick.id: "steered"})
    found = [(c.on, c.rate) for c in changes if c.kind == "steered"]
    assert found == [(True, 0.5), (False, 1.0), (True, 1.0)]


def test_a_rule_holds_for_kinds_that_are_declared_later(live: SessionInfo) -> None:
    """R1.52 By name, in whatever component; a kind's own enable() comes later and prevails."""
    with Control(live) as control:
        assert control.set_rule("ruled_later", HALF)
        assert control.rules()["ruled_later"] == HALF
        late = whence.kind("ruled_later", component="Control", n=int)
        assert late.sample_rate == 0.5
        assert control.set_rule("ruled_later", 0)
        assert whence.kind("ruled_later", component="Other", n=int).on is False
        assert late.on  # declared already: only its gate is changed
        decide = whence.kind(
            "ruled_decision", component="C", decision=True, rationale="Took {n}", n=int
        )
        assert control.set_rule("ruled_decision", HALF)
        decide = whence.kind(
            "ruled_decision", component="D", decision=True, rationale="Took {n}", n=int
        )
        assert (decide.on, decide.sample_rate) == (True, 1.0)


def test_rules_of_other_processes_and_of_this_one_are_the_same(live: SessionInfo) -> None:
    """R1.52 Both find the entry by its name, so there is one."""
    assert _native.set_rule("ruled_inside", HALF)
    with Control(live) as control:
        before = control.rules()
        assert before["ruled_inside"] == HALF
        assert control.set_rule("ruled_inside", 1)
        assert len(control.rules()) == len(before)
    assert whence.kind("ruled_inside", component="Control").sample_rate == 1.0


def test_threads_that_add_rules_at_once_add_each_once(
    page: Callable[..., SessionInfo],
) -> None:
    """R1.52 An entry is claimed before it is written, so that none is written by two."""
    info = page(lambda data: data.__setitem__(slice(layout.RULES_OFFSET, None), bytes(16384)))
    names = [f"rule-{n}" for n in range(20)]

    def add() -> None:
        with Control(info) as control:
            for name in names:
                assert control.set_rule(name, HALF)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Control(info) as control:
        assert control.rules() == dict.fromkeys(names, HALF)


def test_a_full_page_has_no_room_for_a_rule(page: Callable[..., SessionInfo]) -> None:
    """R1.52 False, and the rules that are there can still be changed."""
    info = page(lambda data: data.__setitem__(slice(layout.RULES_OFFSET, None), bytes(16384)))
    with Control(info) as control:
        assert all(control.set_rule(f"r{n}", 1) for n in range(layout.RULE_COUNT))
        assert not control.set_rule("one more", 1)
        assert control.set_rule("r5", HALF)
        assert control.rules()["r5"] == HALF


def test_what_is_no_rule_is_left_out(page: Callable[..., SessionInfo]) -> None:
    """R1.52 A length or checksum that lies, a claim that was never kept."""

    def damage(data: bytearray) -> None:
        data[layout.RULES_OFFSET :] = bytes(16384)
        for n, (length, crc) in enumerate([(5, 1), (113, 0), (2**32 - 1, 0), (2**31, 2**32 - 1)]):
            struct.pack_into(
                "<IIQ5s", data, layout.RULES_OFFSET + n * 128, length, crc, 1, b"hello"
            )

    with Control(page(damage)) as control:
        assert control.rules() == {}
        assert control.set_rule("hello", HALF)
        assert control.rules() == {"hello": HALF}


@pytest.mark.parametrize("name", ["", "x" * 113, "\ud800", "ä" * 57])
def test_a_name_that_no_rule_can_have_is_refused(live: SessionInfo, name: str) -> None:
    """R1.52 Too long in UTF-8, empty, or no UTF-8 at all."""
    assert not is_rule_name(name)
    with Control(live) as control, pytest.raises(ValueError, match="a rule's name"):
        control.set_rule(name, 1)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        (lambda data: data.clear(), CorruptFile),
        (lambda data: data.__delitem__(slice(1000, None)), CorruptFile),
        (lambda data: data.__delitem__(slice(40_000, None)), CorruptFile),
        (lambda data: data.__setitem__(0, 0), CorruptFile),
        (lambda data: data.__setitem__(slice(8, 12), b"\1\2\3\4"), UnsupportedFormat),
        (lambda data: data.__setitem__(12, 2), UnsupportedFormat),
        (lambda data: data.__setitem__(24, data[24] ^ 1), CorruptFile),
        (lambda data: data.__setitem__(23, 255), CorruptFile),
    ],
)
def test_a_page_that_is_not_the_sessions_own_is_named(
    page: Callable[..., SessionInfo],
    how: Callable[[bytearray], object],
    error: type[Exception],
) -> None:
    """R1.52 Cut short, foreign, of another order, version or session: a named error."""
    with pytest.raises(error):
        Control(page(how))


def test_a_page_of_the_first_minor_has_gates_but_no_rules(
    page: Callable[..., SessionInfo],
) -> None:
    """R1.52 A producer of an earlier version can be steered, kind by kind."""

    def older(data: bytearray) -> None:
        del data[layout.CONTROL_BYTES_OF_MINOR_0 :]
        struct.pack_into("<HQ", data, 14, 0, layout.CONTROL_BYTES_OF_MINOR_0)

    with Control(page(older)) as control:
        assert control.change(7, HALF) >= 0
        assert control.gate(7) == HALF
        assert control.rules() == {}
        assert not control.set_rule("any", 1)


def test_a_link_another_users_file_and_an_ended_session_are_refused(
    live: SessionInfo, page: Callable[..., SessionInfo]
) -> None:
    """R1.52 Nothing is written through a link, a pipe or into what nobody reads any more."""
    with pytest.raises(SessionEnded, match="has ended"):
        Control(replace(live, live=False))
    info = page(lambda data: None)
    target = Path(info.path, "control")
    aside = target.rename(Path(info.path, "aside"))
    target.symlink_to(aside)
    with pytest.raises(NotASession, match="symbolic link"):
        Control(info)
    target.unlink()
    os.mkfifo(target)
    with pytest.raises((NotASession, OSError)):
        Control(info)


def test_a_page_that_shrinks_while_it_is_open_is_named(
    page: Callable[..., SessionInfo],
) -> None:
    """R1.52 Truncated by a hostile hand: CorruptFile, not the end of this process."""
    info = page(lambda data: None)
    with Control(info) as control:
        os.truncate(Path(info.path, "control"), 100)
        for change in (lambda: control.change(4000, 1), lambda: control.gate(7), control.rules):
            with pytest.raises(CorruptFile):
                change()
