"""The logging handler: what it records of a record, and what can never happen to it."""

from __future__ import annotations

import logging
import logging.config
import threading
from collections.abc import Callable

import pytest

from tests.apps import AppRun
from tests.own_events import OwnEvents
from whence.emit.request import request
from whence.integrations.logging import Handler
from whence.model.severity import Severity


@pytest.fixture
def handler() -> Handler:
    """A handler with a small ring."""
    return Handler(buffer_size=100)


@pytest.fixture
def logger(handler: Handler) -> logging.Logger:
    """A logger without parents that has only that handler."""
    found = logging.Logger("tests.bridge")
    found.addHandler(handler)
    return found


def test_a_record_becomes_an_event_with_its_parts(
    logger: logging.Logger, recorded: OwnEvents
) -> None:
    """Logger, level, message, place, template and extra are found again, typed. R5.19"""
    with request("req-log"):
        logger.warning("%s took %d ms", "select", 12, extra={"rows": 3, "ok": True, "x": None})
    event = recorded.one()
    assert (event.event_type, event.component) == ("log_record", "tests.bridge")
    assert event.rationale == "select took 12 ms"
    assert event.severity is Severity.Warning
    assert event.request_id == "req-log"
    attributes = dict(event.attributes)
    assert str(attributes.pop("code.file.path")).endswith("test_logging.py")
    assert isinstance(attributes.pop("code.line.number"), int)
    assert attributes == {
        "rows": 3,
        "ok": True,
        "x": "None",
        "code.function.name": "test_a_record_becomes_an_event_with_its_parts",
        "thread.name": threading.current_thread().name,
        "template": "%s took %d ms",
        "args.0": "select",
        "args.1": 12,
    }


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (1, Severity.Debug),
        (10, Severity.Debug),
        (20, Severity.Info),
        (25, Severity.Info),
        (30, Severity.Warning),
        (40, Severity.Error),
        (50, Severity.Critical),
        (90, Severity.Critical),
    ],
)
def test_levels_become_severities(
    logger: logging.Logger, recorded: OwnEvents, level: int, severity: Severity
) -> None:
    """A level of one's own counts as the standard one below it. R5.19"""
    logger.setLevel(1)
    logger.log(level, "said")
    assert recorded.one().severity is severity


def test_an_exception_keeps_its_type_its_words_and_where_it_was_raised(
    logger: logging.Logger, recorded: OwnEvents
) -> None:
    """log.exception() gives three attributes, named as OpenTelemetry names them. R5.19"""
    try:
        raise FileNotFoundError("no page-31")
    except FileNotFoundError:
        logger.exception("failed")
    attributes = recorded.one().attributes
    assert attributes["exception.type"] == "FileNotFoundError"
    assert attributes["exception.message"] == "no page-31"
    assert 'raise FileNotFoundError("no page-31")' in str(attributes["exception.stacktrace"])


class Hostile:
    """Raises whenever it is printed."""

    def __str__(self) -> str:
        raise RuntimeError("not me")

    __repr__ = __str__


def test_a_record_that_cannot_be_formatted_is_recorded_raw_and_counted(
    handler: Handler, logger: logging.Logger, recorded: OwnEvents
) -> None:
    """Wrong arguments and values that raise lose nothing and raise nothing. R5.19"""
    logger.info("%d and %d", "one")
    logger.info("%s", Hostile(), extra={"who": Hostile()})
    logger.info(Hostile())
    first, second, third = recorded()
    assert first.rationale == "%d and %d"
    assert first.attributes["args"] == "('one',)"
    assert str(first.attributes["unformatted"]).startswith("TypeError")
    assert second.attributes["who"] == "<Hostile: RuntimeError when printed>"
    assert third.rationale == "<Hostile: RuntimeError when printed>"
    assert (handler.unformatted, handler.failed) == (3, 0)


def test_logging_while_a_record_is_formatted_ends(
    handler: Handler, logger: logging.Logger, recorded: OwnEvents
) -> None:
    """A value that logs itself when printed is recorded once more, raw, and no deeper. R5.19"""

    class Talkative:
        def __str__(self) -> str:
            logger.info("printing %s", self)
            return "me"

    logger.info("saw %s", Talkative())
    inner, outer = recorded()
    assert (inner.rationale, outer.rationale) == ("printing %s", "saw me")
    assert "unformatted" in inner.attributes
    assert handler.nested == 1


def test_a_filter_that_raises_is_counted(
    handler: Handler, logger: logging.Logger, recorded: OwnEvents
) -> None:
    """Nothing that hangs on the handler reaches the caller. R5.19"""

    def broken(record: logging.LogRecord) -> bool:
        raise ValueError(record)

    handler.addFilter(broken)
    logger.info("lost")
    assert handler.failed == 1
    assert recorded() == []


def test_values_that_no_attribute_can_hold_become_text(
    logger: logging.Logger, recorded: OwnEvents
) -> None:
    """Numbers beyond 64 bits, lists, bytes, lone surrogates and a list within itself. R5.19"""
    endless: list[object] = []
    endless.append(endless)
    extra = {
        "big": 1 << 80,
        "least": -(1 << 63),
        "list": [1, "a"],
        "map": {"a": [1]},
        "raw": b"\x00\xff",
        "odd": "\ud800",
        "endless": endless,
    }
    logger.info("values", extra=extra)
    attributes = recorded.one().attributes
    assert attributes["big"] == str(1 << 80)
    assert attributes["least"] == -(1 << 63)
    assert attributes["list"] == '[1, "a"]'
    assert attributes["map"] == '{"a": [1]}'
    assert attributes["raw"] == "00ff"
    assert attributes["odd"] == "\\ud800"
    assert attributes["endless"] == "[[...]]"


def test_a_huge_message_is_cut_and_the_rest_is_kept(
    logger: logging.Logger, recorded: OwnEvents
) -> None:
    """A megabyte fits no event: it is cut, flagged, and pushes out no attribute. R5.19"""
    logger.info("x" * (1 << 20), extra={"after": 1, "hostile": "\x1b[31m\r\nX: 1"})
    event = recorded.one()
    assert event.truncated
    assert event.rationale.startswith("xxx")
    assert event.attributes["after"] == 1
    assert event.attributes["hostile"] == "\x1b[31m\r\nX: 1"
    assert "code.line.number" in event.attributes


def test_the_level_of_the_handler_filters(
    handler: Handler, logger: logging.Logger, recorded: OwnEvents
) -> None:
    """Records below the handler's level are not recorded. R5.19"""
    handler.setLevel("ERROR")
    logger.warning("no")
    logger.error("yes")
    assert [event.rationale for event in recorded()] == ["yes"]


def test_threads_log_at_the_same_time_and_every_record_is_there(recorded: OwnEvents) -> None:
    """The handler has no lock, one ring, and loses no record of any thread. R5.19"""
    handler = Handler(buffer_size=4_000)
    assert handler.lock is None
    logger = logging.getLogger("tests.bridge.threads")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)

    def work(name: str) -> None:
        for n in range(500):
            logger.info("%s %d", name, n)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logger.removeHandler(handler)
    said = [event.rationale for event in recorded()]
    assert sorted(said) == sorted(f"t{i} {n}" for i in range(4) for n in range(500))


def test_dict_config_makes_the_handler(recorded: OwnEvents) -> None:
    """`class: whence.integrations.logging.Handler` with its options works in dictConfig. R5.19"""
    logging.config.dictConfig(
        {
            "version": 1,
            "incremental": False,
            "disable_existing_loggers": False,
            "formatters": {"short": {"format": "%(levelname)s %(message)s"}},
            "handlers": {
                "recorder": {
                    "class": "whence.integrations.logging.Handler",
                    "level": "INFO",
                    "formatter": "short",
                    "component": "Orders",
                    "buffer_size": 50,
                }
            },
            "loggers": {
                "tests.configured": {
                    "level": "DEBUG",
                    "handlers": ["recorder"],
                    "propagate": False,
                }
            },
        }
    )
    logging.getLogger("tests.configured").info("%d sold", 3)
    logging.getLogger("tests.configured").debug("no")
    event = recorded.one()
    assert (event.component, event.rationale) == ("Orders", "3 sold")
    assert event.attributes["template"] == "%d sold"


def test_a_forked_child_logs_into_a_session_of_its_own(run_app: Callable[..., AppRun]) -> None:
    """Forked while another thread logs, the child records at once and ends. R5.19"""
    run = run_app(
        """
        import logging, os, threading
        from whence.integrations.logging import Handler
        logging.basicConfig(level="INFO", handlers=[Handler()])
        stop = threading.Event()
        def chatter():
            while not stop.is_set():
                logging.info("chatter")
        thread = threading.Thread(target=chatter)
        thread.start()
        for n in range(20):
            pid = os.fork()
            if pid == 0:
                logging.warning("child %d", n)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        thread.join()
        """
    )
    said = {event.rationale for event in run.recording().events if "child" in event.rationale}
    assert said == {f"child {n}" for n in range(20)}


def test_what_was_logged_before_kill_9_is_there(run_app: Callable[..., AppRun]) -> None:
    """No flush, no atexit: the record is in the file when the call returns. R5.19"""
    run = run_app(
        """
        import logging, os
        from whence.integrations.logging import Handler
        logging.basicConfig(level="INFO", handlers=[Handler()])
        logging.info("the last words")
        os.kill(os.getpid(), 9)
        """,
        fails=True,
    )
    assert run.returncode == -9
    assert [event.rationale for event in run.recording().events] == ["the last words"]
