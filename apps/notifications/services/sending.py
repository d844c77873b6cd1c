"""Send what is due: at least once, and at most twice.

An attempt is written down before the mail server is asked. Where its answer is lost the customer may have the
letter, so it is sent once more, and never a third time: then a person is called for. What was certainly not sent is
tried for hours. No transaction is open while the mail server is asked.
"""

import logging
import time
import traceback
from datetime import datetime
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.db.models import F

import sharding
from apps.accounts import selectors as accounts
from apps.accounts.errors import UserNotFound
from apps.accounts.types import Profile
from apps.notifications import domain, mailing, models, selectors
from apps.notifications.domain import Status
from apps.notifications.errors import NothingToSay, NotYet
from apps.notifications.mailing import Away, NotSent, Post, Unknown
from apps.notifications.services import composing
from apps.notifications.types import Run

logger = logging.getLogger(__name__)

BATCH = 50
RUN_SECONDS = 20.0
"""After so long a run leaves the rest to the next."""


def send_due(*, using: str, now: datetime, limit: int = BATCH) -> Run:
    """Send the letters of one customer shard that are due.

    Ends with the first answer that does not come: the next letter would wait as long. Two runs at once share the work.
    A letter asks 6 queries, and what its composer asks.
    """
    sent = 0
    ends = time.monotonic() + RUN_SECONDS
    rows = sharding.owned(models.Notification.objects, using).filter(due_at__lte=now)
    with Post() as post:
        for row in list(rows.order_by("due_at", "pk")[:limit]):
            if time.monotonic() > ends:
                break
            try:
                sent += _told(row, post, now)
            except (Away, Unknown):
                return Run(sent=sent, is_broken=True)
    return Run(sent=sent, is_broken=False)


def _told(row: models.Notification, post: Post, now: datetime) -> bool:
    """Bring one notification a step further. Raises ``Away`` and ``Unknown``, noted already."""
    if row.status == Status.SENDING:  # whoever was at it has died
        _after_unknown(row, "outcome_unknown", now)
        return False
    try:
        profile, mail = _composed(row, now)
    except NotYet as wait:
        _turn(row, Status.QUEUED, due_at=now + wait.after)
    except _NotToBeSent as why:
        _skip(row, why.reason)
    except Exception as error:  # one letter that cannot be written must not keep the others
        # Without the error's own words, which may quote what the letter says.
        at = "".join(traceback.format_tb(error.__traceback__))
        logger.error("notifications.not_composed %s %s %s\n%s", row.kind, row.pk, type(error).__name__, at)
        _put_off(row, "not_composed", now, tries=row.tries + 1)
    else:
        return _sent(row, mail, profile, post, now)
    return False


class _NotToBeSent(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _composed(row: models.Notification, now: datetime) -> tuple[Profile, EmailMultiAlternatives]:
    """To whom, and what. Raises ``NotYet`` and ``_NotToBeSent``."""
    if row.created_at + domain.KINDS[row.kind].stale_after < now:
        raise _NotToBeSent("too_late")
    try:
        profile = accounts.profile(customer_id=row.customer_id)
    except UserNotFound:
        raise _NotToBeSent("nobody") from None
    wishes = selectors.preferences(customer_id=row.customer_id, profile=profile)
    if row.kind in wishes.muted:
        raise _NotToBeSent("muted")
    if not wishes.is_reachable:
        raise _NotToBeSent("address_refused")
    language = wishes.language
    try:
        letter = composing.composed(row.kind, customer_id=row.customer_id, facts=row.facts, language=language)
    except NothingToSay:
        raise _NotToBeSent("nothing_to_say") from None
    return profile, mailing.message(letter, kind=row.kind, language=language, to=profile.email, number=row.pk)


def _sent(row: models.Notification, mail: EmailMultiAlternatives, profile: Profile, post: Post, now: datetime) -> bool:
    try:
        post.open()
    except Away as away:
        logger.warning("notifications.mail_server_away %s", away.reason)
        _put_off(row, away.reason, now, tries=row.tries + 1)
        raise
    if not _turn(row, Status.SENDING, tries=F("tries") + 1, copies=F("copies") + 1, due_at=now + domain.LEASE):
        return False  # another run has it
    row.status, row.tries, row.copies = Status.SENDING, row.tries + 1, row.copies + 1
    try:
        post.send(mail)
    except NotSent as refusal:
        row.copies -= 1
        if refusal.is_address:
            _refuse_address(profile, refusal.reason, now)
        if refusal.is_final:
            _fail(row, refusal.reason, copies=row.copies)
        else:
            _put_off(row, refusal.reason, now, copies=row.copies)
        return False
    except Unknown as unknown:
        logger.warning("notifications.outcome_unknown %s %s %s", row.kind, row.pk, unknown)
        _after_unknown(row, str(unknown), now)
        raise
    _turn(row, Status.SENT, due_at=None, sent_at=now, reason="")
    return True


def _after_unknown(row: models.Notification, reason: str, now: datetime) -> None:
    if row.copies >= domain.MOST_COPIES:
        _fail(row, "outcome_unknown")
    else:
        _turn(row, Status.QUEUED, due_at=now + domain.delay(row.tries), reason=reason)


def _put_off(row: models.Notification, reason: str, now: datetime, **columns: Any) -> None:
    tries = columns.get("tries", row.tries)
    if tries >= domain.MOST_TRIES:
        _fail(row, reason, **columns)
    else:
        _turn(row, Status.QUEUED, due_at=now + domain.delay(tries), reason=reason, **columns)


def _fail(row: models.Notification, reason: str, **columns: Any) -> None:
    if _turn(row, Status.FAILED, due_at=None, reason=reason, **columns):
        logger.error("notifications.failed %s %s %s", row.kind, row.pk, reason)


def _skip(row: models.Notification, reason: str) -> None:
    if row.copies:  # the customer may have it, or not: nobody will know from us
        _fail(row, "outcome_unknown")
    else:
        _turn(row, Status.SKIPPED, due_at=None, reason=reason)


@sharding.repeatable
def _turn(row: models.Notification, to: Status, **columns: Any) -> bool:
    """The one way from status to status; False when somebody else has moved it since ``row`` was read."""
    before = Status(row.status)
    if to is not before and not domain.may_follow(before, to):
        raise ValueError(f"A notification that is {before} cannot become {to}.")
    with sharding.atomic(sharding.alias_of_id("customer", row.pk)):
        seen = models.Notification.objects.filter(pk=row.pk, status=before, tries=row.tries)
        return bool(seen.update(status=to, **columns))


@sharding.repeatable
def _refuse_address(profile: Profile, reason: str, now: datetime) -> None:
    """Nothing more is sent to this address until a person says so, or the customer has another."""
    with sharding.atomic(sharding.home("customer", profile.customer_id)):
        models.RefusedAddress.objects.update_or_create(
            id=profile.customer_id,
            defaults={"address_hash": selectors.address_hash(profile.email), "reason": reason, "since": now},
        )
    logger.warning("notifications.address_refused customer=%s", profile.customer_id)
