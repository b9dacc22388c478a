"""Mail: alerts by SMTP, to several, of whom some may be refused."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate

from whence.collect.sink import Refused, Unavailable
from whence.model.errors import AlertError
from whence.watch.alerts.message import AlertMessage, text_of

__all__ = ["Mail", "MailSettings"]

SECURITY = ("none", "starttls", "tls")
_ADDRESS = re.compile(r"[^\s@<>,;:\"\x00-\x1f]{1,64}@[^\s@<>,;:\"\x00-\x1f]{1,255}")
_MOST_TO = 100
_MOST_IN_FULL = 50  # of several in one mail; the others have a line each


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """By which server, from whom and to whom. Raises AlertError.

    `security` is "starttls", "tls" or "none"; certificates are checked. A password needs one of the
    former two.
    """

    sender: str
    to: Sequence[str]
    host: str = "localhost"
    port: int = 0
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    context: ssl.SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        to = [self.to] if isinstance(self.to, str) else self.to
        if not isinstance(to, list | tuple) or not 0 < len(to) <= _MOST_TO:
            raise AlertError(f"to names 1 to {_MOST_TO} addresses")
        for each in (self.sender, *to):
            if not isinstance(each, str) or not _ADDRESS.fullmatch(each) or not each.isascii():
                raise AlertError(f"{str(each)[:100]!r} is no address such as ops@example.com")
        if self.security not in SECURITY:
            raise AlertError(f"security is {', '.join(SECURITY)}, not {str(self.security)[:50]!r}")
        if not isinstance(self.host, str) or not self.host or not self.host.isprintable():
            raise AlertError("host is the name of a mail server")
        if isinstance(self.port, bool) or not isinstance(self.port, int) or self.port not in _PORTS:
            raise AlertError("port is a number below 65536")
        if self.password and self.security == "none":
            raise AlertError("a password is not sent without starttls or tls")
        if bool(self.user) != bool(self.password):
            raise AlertError("user and password_env go together")
        object.__setattr__(self, "to", tuple(dict.fromkeys(to)))


_PORTS = range(65_536)


class Mail:
    """Sends one mail for each delivery, to all recipients at once, on a connection of its own.

    Those that are refused for good are counted in `refused_recipients`, and the others get it;
    those that are put off are tried again alone. Everything is Refused only if all of them are.
    """

    def __init__(self, name: str, settings: MailSettings) -> None:
        self.name = name
        self.refused_recipients = 0
        self.trouble = ""
        self._settings = settings
        self._left: dict[tuple[tuple[str, str], ...], tuple[str, ...]] = {}

    def deliver(self, messages: Sequence[AlertMessage], dropped: int, timeout_s: float) -> None:
        """One attempt."""
        key = tuple((each.id, each.status) for each in messages)
        recipients = self._left.get(key, tuple(self._settings.to))
        first = key not in self._left
        mail = self._mail(messages, dropped)
        try:
            refused = self._send(mail, recipients, timeout_s)
        except (smtplib.SMTPException, OSError) as error:
            if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500:
                self._left.pop(key, None)
                raise Refused(_said(error)) from error
            raise Unavailable(_said(error)) from error
        off = tuple(each for each, (code, _) in refused.items() if code < 500)
        gone = {each: said for each, said in refused.items() if said[0] >= 500}
        self.refused_recipients += len(gone)
        if gone:
            name, (code, text) = next(iter(gone.items()))
            self.trouble = f"{name} is refused: {code} {text.decode('utf-8', 'replace')[:200]}"
        if off:
            if len(self._left) > 1_000:
                self._left.clear()
            self._left[key] = off
            raise Unavailable(f"{', '.join(off)}: put off")
        self._left.pop(key, None)
        if first and len(gone) == len(recipients):
            raise Refused(self.trouble)

    def close(self) -> None:
        """Nothing is held."""

    def _send(
        self, mail: EmailMessage, recipients: Sequence[str], timeout_s: float
    ) -> dict[str, tuple[int, bytes]]:
        settings = self._settings
        context = settings.context or ssl.create_default_context()
        port = settings.port
        if settings.security == "tls":
            opened: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, port or 465, timeout=timeout_s, context=context
            )
        else:
            opened = smtplib.SMTP(settings.host, port or 25, timeout=timeout_s)
        with opened as server:
            if settings.security == "starttls":
                server.starttls(context=context)
            if settings.user:
                server.login(settings.user, settings.password)
            try:
                return dict(server.send_message(mail, settings.sender, list(recipients)))
            except smtplib.SMTPRecipientsRefused as error:
                return dict(error.recipients)

    def _mail(self, messages: Sequence[AlertMessage], dropped: int) -> EmailMessage:
        first = messages[0]
        subject = first.title if len(messages) == 1 else f"{len(messages)} alerts: {first.title}"
        parts = [text_of(each) for each in messages[:_MOST_IN_FULL]]
        parts += [each.title for each in messages[_MOST_IN_FULL:]]
        if dropped:
            parts.append(f"{dropped} more alerts found no room and are not told")
        mail = EmailMessage()
        try:
            mail["Subject"] = f"whence {subject}"
            mail["From"] = self._settings.sender
            mail["To"] = ", ".join(self._settings.to)
            mail["Date"] = formatdate(usegmt=True)
            mail["Auto-Submitted"] = "auto-generated"
            name = f"{first.id}-{first.status}".replace(" ", "-")
            mail["Message-ID"] = f"<{name}@{self._settings.sender.partition('@')[2]}>"
        except ValueError as error:  # a line break would begin another header
            raise Refused(f"a header cannot be written: {error}") from error
        mail.set_content("\n\n".join(parts) + "\n")
        return mail


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        return f"{error.smtp_code} {shown[:200]}"
    return f"{type(error).__name__}: {error}"[:300]
