"""Hand one letter to the mail server, and say honestly what is known afterwards. The only module that knows e-mail.

Another way to reach people (text messages, push) is a module beside it with the same three answers: it returns (sent),
raises ``NotSent`` (certainly not), or ``Unknown``.
"""

import contextlib
import re
import smtplib
from types import TracebackType
from typing import Self

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string

from apps.notifications import wording
from apps.notifications.types import Letter


class NotSent(Exception):
    """Certainly not sent. ``is_final``: it never will be; ``is_address``: because of whom it is for."""

    def __init__(self, reason: str, *, is_final: bool = False, is_address: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final
        self.is_address = is_address


class Away(NotSent):
    """The mail server does not answer at all; the next letter would fare no better."""


class Unknown(Exception):
    """The line broke after the mail server had begun to listen: it may have the letter or not."""


def message(letter: Letter, *, kind: str, language: str, to: str, number: int) -> EmailMultiAlternatives:
    """``letter`` as plain text with an HTML alternative. ``number`` names it: both copies of one letter bear the same

    Message-ID, by which mailboxes recognise the second (RFC 5322, 3.6.4).
    """
    words = wording.WORDS[language][kind]
    context = {
        "site_name": settings.SITE_NAME,
        "language": language,
        "common": wording.COMMON[language],
        "subject": words.subject.format_map(letter.values),
        "paragraphs": [paragraph.format_map(letter.values) for paragraph in words.paragraphs],
        "action": words.action,
        "letter": letter,
        "why": wording.why(kind, language),
    }
    domain = settings.EMAIL_FROM.rpartition("@")[2].strip("> ")
    mail = EmailMultiAlternatives(
        subject=" ".join(str(context["subject"]).split()),
        body=render_to_string("notifications/letter.txt", context),
        from_email=settings.EMAIL_FROM,
        to=[to],
        headers={
            "Message-ID": f"<notification-{number}@{domain}>",
            "Auto-Submitted": "auto-generated",  # RFC 3834: nobody's holiday note answers it
            "Content-Language": language,
        },
    )
    mail.attach_alternative(render_to_string("notifications/letter.html", context), "text/html")
    return mail


class Post:
    """The way to the mail server for a run of letters: opened for the first, anew after a failure."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._hang_up()

    def open(self) -> None:
        """Raises ``Away``. Call it before an attempt is written down: a server that is away has seen nothing."""
        if self._connection is not None:
            return
        connection = get_connection()
        try:
            connection.open()
        except (OSError, smtplib.SMTPException) as error:
            raise Away(_named(error)) from error
        self._connection = connection

    def send(self, mail: EmailMultiAlternatives) -> None:
        """Raises ``NotSent`` and ``Unknown``."""
        self.open()
        if self._connection is None:
            raise Away("not_open")
        try:
            taken = self._connection.send_messages([mail])
        except smtplib.SMTPRecipientsRefused as error:
            self._hang_up()
            is_address = all(_is_about_the_address(*answer) for answer in error.recipients.values())
            reason = "address_refused" if is_address else _named(error)
            raise NotSent(reason, is_final=is_address, is_address=is_address) from error
        except smtplib.SMTPDataError as error:
            self._hang_up()
            raise NotSent("letter_refused", is_final=error.smtp_code >= 500) from error
        except smtplib.SMTPResponseException as error:  # of our sender's name or ours: another day it may be taken
            self._hang_up()
            raise NotSent(_named(error)) from error
        except ValueError as error:  # no letter can be addressed like that
            self._hang_up()
            raise NotSent("address_invalid", is_final=True, is_address=True) from error
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            raise Unknown(_named(error)) from error
        if not taken:
            raise NotSent("address_invalid", is_final=True, is_address=True)

    def _hang_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):  # what was to be known is known
                self._connection.close()
        self._connection = None


def _is_about_the_address(code: int, said: bytes) -> bool:
    """Whether a refusal is for good and because of the address, not because of who we are ("relaying denied").

    Enhanced status codes tell these apart (RFC 3463: 5.1 is the address, 5.2.1 a closed mailbox); without one the reply
    code decides (RFC 5321, 4.2.3).
    """
    enhanced = re.match(rb"5\.(\d{1,3}\.\d{1,3})\b", said)
    if enhanced:
        return enhanced[1].startswith(b"1.") or enhanced[1] == b"2.1"
    return code in (550, 551, 553)


def _named(error: Exception) -> str:
    """What went wrong, without what the server said: that may quote the address."""
    return type(error).__name__[:40]
