"""Where letters go while no mail server is named: into files, which the demo shows as a page.

``OutboxBackend`` is Django's e-mail backend of a checkout; production names a mail server.
"""

import email
import email.policy
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage as StandardMessage
from pathlib import Path

from django.conf import settings
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage
from typing_extensions import override

KEPT = 200
_number = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A letter as its reader would see it."""

    name: str
    to: str
    subject: str
    sent_at: datetime
    text: str
    html: str


class OutboxBackend(BaseEmailBackend):
    """Each letter is a file of its own, named by the time; the oldest go when there are more than ``KEPT``."""

    @override
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.EMAIL_FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            name = f"{time.time_ns():020}-{next(_number)}"
            draft = folder / f"{name}.part"
            draft.write_bytes(message.message().as_bytes())
            draft.rename(folder / f"{name}.eml")  # nobody reads half a letter
        for old in sorted(folder.glob("*.eml"))[:-KEPT]:
            old.unlink(missing_ok=True)
        return len(email_messages)


def letters(*, limit: int = 50) -> tuple[Shown, ...]:
    """The last ones, newest first."""
    return tuple(_shown(path) for path in sorted(Path(settings.EMAIL_FOLDER).glob("*.eml"), reverse=True)[:limit])


def letter(name: str) -> Shown | None:
    """The letter of that ``Shown.name``; None for one that is gone, and for what is no name."""
    known = {path.stem: path for path in Path(settings.EMAIL_FOLDER).glob("*.eml")}
    return _shown(known[name]) if name in known else None


def _shown(path: Path) -> Shown:
    read = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return Shown(
        name=path.stem,
        to=str(read["to"]),
        subject=str(read["subject"]),
        sent_at=datetime.fromtimestamp(int(path.stem.partition("-")[0]) / 1e9, UTC),
        text=_part(read, "plain"),
        html=_part(read, "html"),
    )


def _part(read: StandardMessage, kind: str) -> str:
    body = read.get_body((kind,))
    return str(body.get_content()) if body is not None else ""
