"""Inside a program that `whence record` runs: its uncaught exceptions and log records."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from types import TracebackType
from typing import Any

from whence._native import SharedRing
from whence.emit import kind, recorder
from whence.integrations.exceptions import exception_attributes, type_name
from whence.integrations.logging import Handler
from whence.integrations.plain_values import safe_text
from whence.integrations.worker_processes import watch_workers
from whence.model.severity import Severity

__all__ = ["prepare", "record_uncaught"]

EVENT_TYPE = "uncaught_exception"

_ring = SharedRing(1_000)
_last: list[int] = []  # the identity of the main thread's last uncaught exception
_prepared = False


def prepare() -> None:
    """Hooks this process, once: sys.excepthook, threading.excepthook, sys.unraisablehook, workers
    of multiprocessing, and logging.

    Each hook that was there goes on working, and handlers of the program stay as they are:
    `logging.basicConfig` and the last-resort handler behave as without us. Log records are
    recorded while the program has declared no kind and made no handler of ours; $WHENCE_RECORD_LOGS
    `always` or `never` says otherwise. Exceptions are always recorded. No file is made before the
    first event.
    """
    global _prepared
    if _prepared:
        return
    _prepared = True
    _name_after_the_module()
    _hook_exceptions()
    watch_workers(record_uncaught)
    _hook_logging(os.environ.get("WHENCE_RECORD_LOGS", "auto"))


def record_uncaught(
    error_type: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
    where: str,
) -> None:
    """Record an exception that nobody caught; `where` says what it ended. Never raises."""
    try:
        name = type_name(error_type or type(error))
        said = safe_text(error) if error is not None else ""
        interrupted = error_type is not None and issubclass(error_type, KeyboardInterrupt)
        _ring.record_now(
            EVENT_TYPE,
            "python",
            f"{name}: {said}" if said else name,
            severity=Severity.Warning if interrupted else Severity.Critical,
            attributes={"where": where, **exception_attributes(error_type, error, trace)},
        )
    except Exception:
        pass  # the program's own error matters more than ours


def _name_after_the_module() -> None:
    """At this time sys.argv[0] is "-m" for `python -m app`."""
    if sys.argv[:1] == ["-m"] and "-m" in sys.orig_argv:
        at = sys.orig_argv.index("-m")
        if at + 1 < len(sys.orig_argv):
            recorder.prepare(sys.orig_argv[at + 1])


def _hook_exceptions() -> None:
    before, thread_before = sys.excepthook, threading.excepthook
    unraisable_before = sys.unraisablehook

    def in_main(
        error_type: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        _last[:] = [id(error)]
        record_uncaught(error_type, error, trace, "main thread")
        before(error_type, error, trace)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread is not None else "unknown"
            record_uncaught(args.exc_type, args.exc_value, args.exc_traceback, f"thread {name}")
        thread_before(args)

    def unraisable(args: Any) -> None:
        where = f"ignored in {safe_text(args.object)[:200]}"
        record_uncaught(args.exc_type, args.exc_value, args.exc_traceback, where)
        unraisable_before(args)

    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main, in_thread, unraisable
    atexit.register(_record_the_last)


def _record_the_last() -> None:
    """The exception that ended the program, where a hook of its own took the place of ours."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if isinstance(error, BaseException) and _last != [id(error)]:
        record_uncaught(type(error), error, error.__traceback__, "main thread")


def _hook_logging(wanted: str) -> None:
    """Sees each record on its way to the handlers, and is none itself: basicConfig would do
    nothing for a program whose root logger has one."""
    handler = Handler()
    made_by_the_program = Handler.made
    to_handlers = logging.Logger.callHandlers

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if record.exc_info and self.name == "asyncio" and record.levelno >= logging.ERROR:
            error_type, error, trace = record.exc_info
            record_uncaught(error_type, error, trace, "asyncio")
        elif wanted == "always" or (
            wanted != "never" and Handler.made == made_by_the_program and not kind.any_declared()
        ):
            handler.handle(record)
        to_handlers(self, record)

    logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]
