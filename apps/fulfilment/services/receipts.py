"""The till's receipt is compared with what was found, and the bags are counted, before an order leaves the store."""

import secrets
from datetime import datetime
from decimal import Decimal

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

import sharding
from apps.common import outbox, photos
from apps.fulfilment import domain, models
from apps.fulfilment.domain import ReceiptState, Status
from apps.fulfilment.errors import BagsUncounted, ReceiptDiffers, ReceiptInvalid, ReceiptMissing
from apps.fulfilment.events import ReceiptPassed
from apps.fulfilment.services import stages


def enter_receipt(
    *, store_order_id: int, shopper_id: int, total_cents: int, attempt: int, now: datetime, photo: bytes = b""
) -> bool:
    """What the till's receipt says the goods come to, before tax and deposits. False when it had passed before.

    Within ``domain.RECEIPT_TOLERANCE`` of what was found the order may go on. Else the shopper counts again; who then
    reads the same a second time goes on too, and the order is flagged for an operator. ``attempt`` counts what the
    shopper has typed, from 1 on: one that was answered already gets the same answer.

    Raises:
        StoreOrderNotFound, OrderWasCanceled, WrongStage: not this shopper's, or not just checked out.
        ReceiptDiffers: count again, and send the next attempt.
        ReceiptInvalid, PhotoInvalid: what was sent is no amount, or no picture.
    """
    if not 0 <= total_cents <= domain.MOST_RECEIPT_CENTS or not 0 < attempt <= domain.MAX_ATTEMPTS:
        raise ReceiptInvalid("Send the receipt's total in cents, and attempt as 1, then 2, and so on.")
    reference = _kept(photo)
    is_kept = False
    try:
        is_new, state, is_kept = _enter(store_order_id, shopper_id, total_cents, attempt, reference, now)
    finally:
        if reference and not is_kept:
            default_storage.delete(reference)
    if state == ReceiptState.RECOUNT:
        raise ReceiptDiffers(
            "The receipt and what you found differ. Check the bags against the list, then enter the total again."
        )
    return is_new


@sharding.repeatable
def _enter(
    store_order_id: int, shopper_id: int, total_cents: int, attempt: int, reference: str, now: datetime
) -> tuple[bool, str, bool]:
    """Whether the order may go on by this entry, how the receipt stands, and whether ``reference`` is its photo."""
    target = sharding.home_of_id("store", store_order_id)
    with sharding.atomic(target):
        row = stages.locked(store_order_id=store_order_id, shopper_id=shopper_id)
        before = row.receipts.first()
        if before is not None and (attempt <= before.attempt or row.receipt_passed_at is not None):
            return False, before.state, False
        if row.status != Status.CHECKOUT:
            stages.refuse(row, f"A receipt follows the check-out: the order is {row.status}.")
        expected = domain.goods_cents(_at_the_till(line) for line in row.lines.select_related("replaced_by"))
        is_confirmed = before is not None and before.entered_cents == total_cents
        state = domain.receipt_state(total_cents, expected, is_confirmed=is_confirmed)
        columns = {
            "attempt": attempt,
            "entered_cents": total_cents,
            "expected_cents": expected,
            "state": state,
            "at": now,
            **({"photo": reference} if reference else {}),
        }
        models.Receipt.objects.update_or_create(store_order=row, store_id=row.store_id, defaults=columns)
        models.StoreOrder.objects.filter(pk=row.pk).update(
            progress_at=now, receipt_passed_at=None if state == ReceiptState.RECOUNT else now
        )
        if state != ReceiptState.RECOUNT:
            event = ReceiptPassed(
                store_order_id=row.pk,
                order_id=row.order_id,
                store_id=row.store_id,
                shopper_id=shopper_id,
                is_flagged=state == ReceiptState.FLAGGED,
            )
            outbox.emit(event, using=target.alias)
    return state != ReceiptState.RECOUNT, state, True


@sharding.repeatable
def count_bags(*, store_order_id: int, shopper_id: int, count: int, now: datetime) -> bool:
    """How many bags the order is in; a later word replaces an earlier one until it leaves. False when nothing is new.

    Raises ``ReceiptInvalid``, and ``StoreOrderNotFound``, ``OrderWasCanceled``, ``WrongStage``.
    """
    if not 0 < count <= domain.MAX_BAGS:
        raise ReceiptInvalid(f"An order is in 1 to {domain.MAX_BAGS} bags.")
    with sharding.atomic(sharding.home_of_id("store", store_order_id)):
        row = stages.locked(store_order_id=store_order_id, shopper_id=shopper_id)
        if row.bag_count == count:
            return False
        if row.status != Status.CHECKOUT:
            stages.refuse(row, f"Bags are counted between check-out and delivery: the order is {row.status}.")
        models.StoreOrder.objects.filter(pk=row.pk).update(bag_count=count, progress_at=now)
    return True


def check_may_leave(row: models.StoreOrder) -> None:
    """Raises ``ReceiptMissing`` or ``BagsUncounted`` where the order's store checks receipts.

    An order of which nothing is brought has neither.
    """
    if row.status == Status.CHECKOUT and row.checks_receipt and row.lines.filter(status__in=domain.IN_THE_BAG).exists():
        if row.receipt_passed_at is None:
            raise ReceiptMissing("This store checks receipts: enter the total of the till's receipt first.")
        if row.bag_count is None:
            raise BagsUncounted("Count the bags of this order first.")


def see_receipt(*, store_id: int, order_id: int, user_id: int, now: datetime) -> bool:
    """An operator has looked at a flagged receipt; it leaves the list. False where there is none to look at."""
    flagged = models.Receipt.objects.filter(
        store_id=store_id, store_order__order_id=order_id, state=ReceiptState.FLAGGED, seen_at__isnull=True
    )
    return bool(flagged.update(seen_at=now, seen_by_id=user_id))


def _at_the_till(line: models.PickLine) -> tuple[str, Decimal, int]:
    """Status, quantity and cents a unit of what lies in the bag for a line."""
    other = line.replaced_by
    if other is None:
        return line.status, line.found_quantity, line.unit_price_cents
    return line.status, other.quantity, other.unit_price_cents


def _kept(photo: bytes) -> str:
    """The file a good photo was stored under; nothing for none."""
    if not photo:
        return ""
    cleaned = photos.cleaned(photo)
    return default_storage.save(f"receipts/{secrets.token_hex(16)}.{cleaned.extension}", ContentFile(cleaned.content))
