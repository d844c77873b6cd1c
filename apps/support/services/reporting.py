"""A customer says what was wrong with an order."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

import sharding
from apps.common import outbox, photos
from apps.common.api.idempotency import fingerprint
from apps.common.errors import IdempotencyConflict
from apps.orders.types import Order, OrderLine
from apps.support import domain, models, selectors, types
from apps.support.domain import Kind, Status
from apps.support.errors import IssueInvalid, LineNotCharged
from apps.support.events import IssueOpened
from apps.support.services import cases, claims, deciding, moving, rating


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What the customer said, checked."""

    order: Order
    line: OrderLine | None
    kind: Kind
    quantity: Decimal | None
    words: str
    fault: domain.Fault
    key: str
    fingerprint: str


def report(
    *,
    order_id: int,
    customer_id: int,
    kind: str,
    key: str,
    now: datetime,
    line_id: int | None = None,
    quantity: Decimal | None = None,
    words: str = "",
    pictures: Sequence[bytes] = (),
) -> types.Issue:
    """Report what is wrong with a delivered order, or (``line_id``) with so much of one of its lines.

    Where the rules allow it the money is given back at once; else the answer is ``opened`` and a person decides. Sent
    again with the same ``key`` it answers for the same report. A photo's file that no report came to need, because
    the process died in between, stays behind under a name that nobody knows.

    Raises:
        OrderNotFound, NotDelivered, TooLate: see ``cases.delivered``.
        IssueInvalid, PhotoInvalid, IdempotencyKeyMissing: what was said cannot be meant.
        LineNotCharged: the line was not to be had, and costs nothing.
        AlreadyReported: other reports are about as much of the line, or the same about the order.
        IdempotencyConflict: the key was used before, for another report.
    """
    asked = fingerprint(order_id, kind, line_id, quantity, words, *(sha256(one).hexdigest() for one in pictures))
    if models.OrderIssue.objects.filter(customer_id=customer_id, key=domain.checked_key(key)).exists():
        return _known(customer_id, key, asked)
    order, delivered_at = cases.delivered(
        order_id=order_id, customer_id=customer_id, within=domain.RULES.report_within, now=now
    )
    line = _line(order, line_id)
    checked = _Report(
        order=order,
        line=line,
        kind=domain.checked_kind(kind, has_line=line is not None),
        quantity=_quantity(line, quantity),
        words=domain.checked_words(words),
        fault=domain.fault_of(Kind(kind), cases.delivery(order, delivered_at)),
        key=key,
        fingerprint=asked,
    )
    if checked.kind is Kind.OTHER and not checked.words:
        raise IssueInvalid("Say in a few words what is wrong.")
    if len(pictures) > domain.RULES.most_photos:
        raise IssueInvalid(f"At most {domain.RULES.most_photos} photos fit into one report.")
    cleaned = [photos.cleaned(picture) for picture in pictures]
    references = [_stored(photo) for photo in cleaned]
    is_kept = False
    try:
        is_kept = _opened(checked, customer_id, references, now)
    finally:
        if not is_kept:  # somebody else's request was first, or ours failed
            for reference in references:
                default_storage.delete(reference)
    return _known(customer_id, key, asked)


@sharding.repeatable
def _opened(said: _Report, customer_id: int, references: Sequence[str], now: datetime) -> bool:
    """Write the report and let the rules look at it. False, and nothing happens, where its key is taken."""
    order = said.order
    with sharding.atomic(sharding.home("customer", customer_id)) as alias:
        cases.lock(customer_id)
        if models.OrderIssue.objects.filter(customer_id=customer_id, key=said.key).exists():
            return False
        row = models.OrderIssue(
            customer_id=customer_id,
            order_id=order.id,
            line_id=said.line.id if said.line else None,
            line_name=said.line.delivered.name if said.line else "",
            store_id=order.store_id,
            shopper_id=cases.shopper_of(order),
            kind=said.kind,
            quantity=said.quantity,
            words=said.words,
            key=said.key,
            fingerprint=said.fingerprint,
            status=Status.OPENED,
            sequence=1,
            fault=said.fault,
            currency=order.total.currency,
            opened_at=now,
        )
        claims.refuse_twice(row, found=said.line.found_quantity if said.line else None)
        row.save(force_insert=True)
        models.IssuePhoto.objects.bulk_create(
            models.IssuePhoto(customer_id=customer_id, issue=row, position=position, reference=reference)
            for position, reference in enumerate(references, start=1)
        )
        moving.note_step(row, before=None, actor=f"customer:{customer_id}", now=now)
        outbox.emit(IssueOpened(issue_id=row.pk, order_id=order.id, customer_id=customer_id), using=alias)
        deciding.by_rules(row, now=now)
        rating.look_again(customer_id=customer_id, order_id=order.id, using=alias)
    return True


def _known(customer_id: int, key: str, asked: str) -> types.Issue:
    row = models.OrderIssue.objects.get(customer_id=customer_id, key=key)
    if row.fingerprint != asked:
        raise IdempotencyConflict("This idempotency key was used before for another report.")
    return selectors.issue(issue_id=row.pk, customer_id=customer_id)


def _line(order: Order, line_id: int | None) -> OrderLine | None:
    if line_id is None:
        return None
    line = next((line for line in order.lines if line.id == line_id), None)
    if line is None:
        raise IssueInvalid("That item is not in this order.")
    if line.status not in domain.CHARGED or not line.found_quantity:
        raise LineNotCharged(f"{line.name} was not to be had, and you were not charged for it.")
    return line


def _quantity(line: OrderLine | None, quantity: Decimal | None) -> Decimal | None:
    if line is None:
        if quantity is not None:
            raise IssueInvalid("A quantity is said of one item.")
        return None
    return domain.checked_quantity(quantity, found=line.found_quantity or Decimal(0), sold_by=line.delivered.sold_by)


def _stored(photo: photos.Photo) -> str:
    return default_storage.save(f"issues/{secrets.token_hex(16)}.{photo.extension}", ContentFile(photo.content))
