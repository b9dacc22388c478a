"""Records log records: a handler for the logging module that never blocks, recurses or raises."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Any

from whence._native import SharedRing
from whence.integrations.exceptions import exception_attributes
from whence.integrations.mirror import MIRRORED, mirror, mirror_tracer
from whence.integrations.plain_values import Plain, plain, safe_repr, safe_text
from whence.model.severity import Severity

__all__ = ["Handler", "mirror", "mirror_tracer", "severity_of"]

EVENT_TYPE = "log_record"
MOST_ARGUMENTS = 16

# What every LogRecord has, and what formatters and later versions of Python add.
_BARE = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None)))
_STANDARD = _BARE | {"message", "asctime", "taskName", MIRRORED}
_PLAIN = frozenset({bool, float, int, str})

_inside = threading.local()  # .depth: this thread is taking a record apart


class Handler(logging.Handler):
    """Records each log record as an event `log_record` in the session.

    The component is the logger's name, or `component` where given; the rationale is the message.
    Attributes: the file, line and function of the call, the thread, `template` and `args.N` (the
    message and its plain arguments, apart), the exception's type, text and traceback, and what the
    call gave as `extra`, with its type. A formatter is not used: what it would put into the message
    has a place of its own.

    The handler has one ring of `buffer_size` events for all threads, so that a talkative library
    does not push out decisions. It takes no lock, starts no thread, makes no system call after its
    first record, and needs no flush. A record whose formatting raises is recorded with its raw
    message and arguments and counted in `unformatted`; one that is logged while another record of
    the same thread is being formatted keeps its raw message and is counted in `nested`; one that
    could not be recorded at all is counted in `failed`. Works in forked children. A record costs
    about what a StreamHandler costs: some 3 us beside the 5 us that logging itself takes.
    """

    made = 0  # how many there were in this process

    def __init__(
        self, level: int | str = logging.NOTSET, *, component: str = "", buffer_size: int = 10_000
    ) -> None:
        Handler.made += 1
        self._component = component
        self._ring = SharedRing(buffer_size)
        # Each thread adds to its own key: += on a shared number would lose some.
        self._unformatted: Counter[int] = Counter()
        self._nested: Counter[int] = Counter()
        self._failed: Counter[int] = Counter()
        super().__init__(level)

    def createLock(self) -> None:
        """No lock: the ring needs none, and a lock held at a fork would block the child."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> Any:
        """Filter and record; whatever goes wrong is counted in `failed`."""
        try:
            kept = self.filter(record)
            if kept:
                self.emit(kept if isinstance(kept, logging.LogRecord) else record)
            return kept
        except Exception:
            self._failed[threading.get_ident()] += 1
            return False

    def emit(self, record: logging.LogRecord) -> None:
        """Record one record, unless it only says what was recorded as an event already."""
        if MIRRORED in record.__dict__:
            return
        depth = getattr(_inside, "depth", 0)
        _inside.depth = depth + 1
        try:
            if depth:
                self._nested[threading.get_ident()] += 1
                message, attributes = _raw(record)
            else:
                message, attributes = self._taken_apart(record)
            self._ring.record_now(
                EVENT_TYPE,
                self._component or record.name or "root",
                message,
                severity=severity_of(record.levelno),
                attributes=attributes,
            )
        except Exception:
            self._failed[threading.get_ident()] += 1
        finally:
            _inside.depth = depth

    @property
    def unformatted(self) -> int:
        """How many records could not be formatted; they were recorded raw."""
        return sum(self._unformatted.copy().values())

    @property
    def nested(self) -> int:
        """How many records were logged by the formatting of others; they were recorded raw."""
        return sum(self._nested.copy().values())

    @property
    def failed(self) -> int:
        """How many records could not be recorded."""
        return sum(self._failed.copy().values())

    def _taken_apart(self, record: logging.LogRecord) -> tuple[str, dict[str, Plain]]:
        attributes = _extra(record)
        _add_place(record, attributes)
        if record.args:
            attributes["template"] = (
                record.msg if type(record.msg) is str else safe_text(record.msg)
            )
            _add_arguments(record.args, attributes)
        if record.exc_info:
            attributes.update(exception_attributes(*record.exc_info))
        if record.stack_info:
            attributes["stack"] = safe_text(record.stack_info)
        try:
            return record.getMessage(), attributes
        except Exception as error:
            self._unformatted[threading.get_ident()] += 1
            attributes["unformatted"] = f"{type(error).__name__}: {safe_text(error)}"
            attributes["args"] = safe_repr(record.args)
            return safe_text(record.msg), attributes


def severity_of(level: int) -> Severity:
    """The severity of a log level; levels of one's own count as the standard one below."""
    if level < logging.INFO:
        return Severity.Debug
    if level < logging.WARNING:
        return Severity.Info
    if level < logging.ERROR:
        return Severity.Warning
    return Severity.Error if level < logging.CRITICAL else Severity.Critical


def _raw(record: logging.LogRecord) -> tuple[str, dict[str, Plain]]:
    """Without running any code of the program."""
    message = record.msg if type(record.msg) is str else f"<{type(record.msg).__qualname__}>"
    attributes: dict[str, Plain] = {"unformatted": "logged while another record was formatted"}
    _add_place(record, attributes)
    return message, attributes


def _add_place(record: logging.LogRecord, attributes: dict[str, Plain]) -> None:
    attributes["code.file.path"] = record.pathname
    attributes["code.line.number"] = record.lineno
    if record.funcName:
        attributes["code.function.name"] = record.funcName
    if record.threadName:
        attributes["thread.name"] = record.threadName


def _extra(record: logging.LogRecord) -> dict[str, Plain]:
    members = record.__dict__
    if len(members) == len(_BARE):
        return {}
    return {str(name): plain(members[name]) for name in members if name not in _STANDARD}


def _add_arguments(args: Any, attributes: dict[str, Plain]) -> None:
    if isinstance(args, tuple):
        for at, value in enumerate(args[:MOST_ARGUMENTS]):
            if type(value) in _PLAIN:
                attributes[f"args.{at}"] = plain(value)
    elif isinstance(args, dict):
        for name, value in args.items():
            if type(name) is str and type(value) in _PLAIN and len(attributes) < 64:
                attributes[f"args.{name}"] = plain(value)
