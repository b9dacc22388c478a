"""Mail by a real SMTP server: partial refusals, what is put off, and no header by a back door."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from tests.watch.alerts.test_delivery import message
from whence.collect.sink import Refused, Unavailable
from whence.model.errors import AlertError
from whence.watch.alerts.mail import Mail, MailSettings
from whence.watch.alerts.message import Cause


class Inbox:
    """Takes mail; answers to some recipients otherwise."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Any]] = []
        self.answers: dict[str, list[str]] = {}
        self.port = 0

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        """Whether it is for here."""
        answers = self.answers.get(address)
        if answers:
            return answers.pop(0) if len(answers) > 1 else answers[0]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keeps it."""
        self.mails.append(
            (list(envelope.rcpt_tos), message_from_bytes(envelope.content, policy=default))
        )
        return "250 OK"


@contextlib.contextmanager
def inbox() -> Iterator[Inbox]:
    """A server on loopback, at a port that is free."""
    made, loop, begun = Inbox(), asyncio.new_event_loop(), threading.Event()
    transports: list[Any] = []

    def protocol() -> SMTP:
        smtp = SMTP(made, loop=loop)
        transports.append(smtp)
        return smtp

    async def main() -> None:
        server = await loop.create_server(protocol, "127.0.0.1", 0)
        made.port = server.sockets[0].getsockname()[1]
        ended = loop.create_future()
        made.end = lambda: ended.done() or ended.set_result(None)  # type: ignore[attr-defined]
        begun.set()
        await ended
        server.close()
        for each in transports:
            if each.transport is not None:
                each.transport.close()
        await asyncio.sleep(0)
        for task in asyncio.all_tasks(loop) - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert begun.wait(20)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(made.end)  # type: ignore[attr-defined]
        thread.join(20)
        loop.close()


def mail(port: int, *to: str) -> Mail:
    """What sends there."""
    return Mail(
        "email",
        MailSettings(
            sender="whence@example.com", to=to, host="127.0.0.1", port=port, security="none"
        ),
    )


def test_all_recipients_get_one_mail_with_the_links() -> None:
    """Text, with what to type and where to look. R4.51"""
    fired = replace(
        message(1), causes=(Cause("trace", "ab", "whence why ab", "http://h/api/v1/traces/ab"),)
    )
    with inbox() as box:
        mail(box.port, "a@example.com", "b@example.com").deliver([fired], 0, 10.0)
    [(to, found)] = box.mails
    assert to == ["a@example.com", "b@example.com"]
    assert found["Subject"] == "whence [firing] high: alert 1"
    assert "whence why ab" in found.get_content()
    assert "http://h/api/v1/traces/ab" in found.get_content()


def test_who_is_refused_keeps_nobody_else_from_it() -> None:
    """They are counted and named; the others get it, once. R4.51"""
    with inbox() as box:
        box.answers["b@example.com"] = ["550 no such user"]
        sent = mail(box.port, "a@example.com", "b@example.com")
        sent.deliver([message(1)], 0, 10.0)
        assert [to for to, _ in box.mails] == [["a@example.com"]]
        assert sent.refused_recipients == 1
        assert "b@example.com is refused: 550" in sent.trouble
        with pytest.raises(Refused, match="550"):
            mail(box.port, "b@example.com").deliver([message(1)], 0, 10.0)


def test_who_is_put_off_is_tried_again_alone() -> None:
    """Nobody gets it twice. R4.51"""
    with inbox() as box:
        box.answers["b@example.com"] = ["451 later", "250 OK"]
        sent = mail(box.port, "a@example.com", "b@example.com")
        with pytest.raises(Unavailable, match=r"b@example\.com: put off"):
            sent.deliver([message(1)], 0, 10.0)
        del box.answers["b@example.com"]
        sent.deliver([message(1)], 0, 10.0)
    assert [to for to, _ in box.mails] == [["a@example.com"], ["b@example.com"]]


def test_a_line_break_begins_no_header() -> None:
    """Names with one are refused before anything is sent; texts stay in the body. R4.51"""
    with inbox() as box:
        sent = mail(box.port, "a@example.com")
        for name in ("x\r\nBcc: evil@example.com", "x\nBcc: evil@example.com", "x\rBcc: e@f"):
            with pytest.raises(Refused, match="header"):
                sent.deliver([replace(message(1), name=name)], 0, 10.0)
        sent.deliver([replace(message(1), note="x\r\nBcc: evil@example.com\r\n.\r\nQUIT")], 0, 10.0)
    [(to, found)] = box.mails
    assert to == ["a@example.com"]
    assert found["Bcc"] is None
    assert "Bcc: evil@example.com" in found.get_content()
    for address in ("a@b\r\nRCPT TO:<c@d>", "a b@c", "<a@b>", "a@b,c@d", "no"):
        with pytest.raises(AlertError):
            MailSettings(sender="a@b", to=[address])


def test_a_server_that_is_not_there_is_tried_again() -> None:
    """No mail is lost by that. R4.51"""
    with inbox() as box:
        port = box.port
    with pytest.raises(Unavailable):
        mail(port, "a@example.com").deliver([message(1)], 0, 5.0)
    with pytest.raises(AlertError, match="without starttls"):
        MailSettings(sender="a@b", to=["c@d"], security="none", user="u", password="p")
