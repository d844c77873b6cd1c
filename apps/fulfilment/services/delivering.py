"""From the store to the door."""

import secrets
from datetime import datetime

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

import sharding
from apps.common import outbox, photos
from apps.fulfilment import domain, models
from apps.fulfilment.domain import Status
from apps.fulfilment.errors import PinWrong, StoreOrderNotFound
from apps.fulfilment.events import Delivered, DeliveryStarted
from apps.fulfilment.services import receipts, stages
from apps.fulfilment.types import ProofInput
from apps.orders import services as orders


@sharding.repeatable
def start_delivery(*, store_order_id: int, shopper_id: int, now: datetime) -> bool:
    """The order leaves the store. False when that is known.

    Raises ``ReceiptMissing`` and ``BagsUncounted`` where its store checks receipts, and what ``stages.advance`` does.
    """
    target = sharding.home_of_id("store", store_order_id)
    with sharding.atomic(target):
        receipts.check_may_leave(stages.locked(store_order_id=store_order_id, shopper_id=shopper_id))
        is_new = stages.advance(
            store_order_id=store_order_id, shopper_id=shopper_id, to=Status.DELIVERING, now=now, delivery_started_at=now
        )
        if is_new:
            row = stages.locked(store_order_id=store_order_id, shopper_id=shopper_id)
            event = DeliveryStarted(
                store_order_id=row.pk, order_id=row.order_id, store_id=row.store_id, shopper_id=shopper_id
            )
            outbox.emit(event, using=target.alias)
    return is_new


def deliver(*, store_order_id: int, shopper_id: int, proof: ProofInput, now: datetime) -> bool:
    """Hand the order over against a proof. False, whatever the proof, when it was handed over before.

    Raises:
        StoreOrderNotFound, OrderWasCanceled, WrongStage: as ``stages.advance``.
        PinWrong: and after too many wrong ones ``orders.errors.PinLocked``; a photo still helps.
        PhotoInvalid: see ``photos.cleaned``.
    """
    row = models.StoreOrder.objects.filter(pk=store_order_id, shopper_id=shopper_id).first()
    if row is None:
        raise StoreOrderNotFound("There is no such order among yours.")
    if domain.has_reached(row.status, Status.DELIVERED):
        return False
    if row.status != Status.DELIVERING:
        stages.refuse(row, f"Start the delivery first: the order is {row.status}.")
    reference = _checked(proof, order_id=row.order_id)

    is_kept = False
    try:
        is_kept = _hand_over(row, shopper_id, proof.kind, reference, now)
    finally:
        if reference and not is_kept:
            default_storage.delete(reference)  # somebody else's request was first, or ours failed
    return is_kept


@sharding.repeatable
def _hand_over(row: models.StoreOrder, shopper_id: int, kind: str, reference: str, now: datetime) -> bool:
    target = sharding.home_of_id("store", row.pk)
    with sharding.atomic(target):
        is_new = stages.advance(
            store_order_id=row.pk, shopper_id=shopper_id, to=Status.DELIVERED, now=now, delivered_at=now
        )
        if is_new:
            models.Proof.objects.create(store_order=row, store_id=row.store_id, kind=kind, reference=reference, at=now)
            event = Delivered(
                store_order_id=row.pk,
                order_id=row.order_id,
                store_id=row.store_id,
                shopper_id=shopper_id,
                proof_kind=kind,
            )
            outbox.emit(event, using=target.alias)
    return is_new


def _checked(proof: ProofInput, *, order_id: int) -> str:
    """The proof's reference: the file a good photo was stored under, nothing for a good PIN."""
    if proof.kind == "pin":
        if not orders.check_pin(order_id=order_id, pin=proof.pin):
            raise PinWrong("That is not the customer's PIN.")
        return ""
    photo = photos.cleaned(proof.photo)
    return default_storage.save(f"proofs/{secrets.token_hex(16)}.{photo.extension}", ContentFile(photo.content))
