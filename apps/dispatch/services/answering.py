"""What shoppers answer to offers, and what silence means."""

from datetime import datetime

from django.db.models import Q

import sharding
from apps.common import outbox
from apps.dispatch import domain, models
from apps.dispatch.domain import BatchStatus, OfferStatus, StopState
from apps.dispatch.errors import OfferGone, OfferNotFound
from apps.dispatch.events import OfferAccepted, OfferClosed
from apps.dispatch.services import moving
from apps.dispatch.types import Accepted
from apps.fulfilment import selectors as fulfilment_selectors
from apps.fulfilment import services as fulfilment
from apps.shoppers import selectors as shopper_selectors
from apps.shoppers import services as shoppers
from apps.shoppers.errors import CertificateMissing

SWEEP = 200


class _Lost(Exception):
    """Somebody or something was faster; what was done so far is undone."""


def accept(*, offer_id: int, shopper_id: int, now: datetime) -> Accepted:
    """The shopper takes the batch. Repeating it by the one who has it gives the same answer.

    The shopper's claim is made to last first, so that nobody else gets them while word of this
    travels; then the offer and its batch change hands in one transaction, each by an update that
    only succeeds from the right state.

    Raises:
        OfferNotFound: no such offer to this shopper.
        OfferGone: it ended, or its orders are gone.
        CertificateMissing: one that the batch needs has run out since; the offer is withdrawn.
    """
    offer = _offer_to(shopper_id, offer_id)
    answer = Accepted(offer_id=offer_id, batch_id=offer.batch_id, store_id=offer.store_id)
    if offer.status == OfferStatus.ACCEPTED:
        return answer
    if not _is_live(offer, now):
        raise OfferGone("This offer is no longer available.")
    _check_certificates(offer, now)
    until = now + domain.ACCEPTING_FOR
    is_held = shoppers.hold(shopper_id=shopper_id, batch_id=offer.batch_id, until=until, now=now)
    if not is_held or not _take(offer, now):
        if _offer_to(shopper_id, offer_id).status == OfferStatus.ACCEPTED:
            return answer  # by the same shopper's other tap
        raise OfferGone("This offer is no longer available.")
    return answer


def decline(*, offer_id: int, shopper_id: int, now: datetime) -> None:
    """The shopper does not want the batch; others are asked. Repeating it is harmless.

    Raises ``OfferNotFound`` for an offer to somebody else, ``OfferGone`` for one that ended otherwise.
    """
    offer = _offer_to(shopper_id, offer_id)
    if _end(offer, OfferStatus.DECLINED, now, Q(expires_at__gt=now)):
        return
    if _offer_to(shopper_id, offer_id).status != OfferStatus.DECLINED:
        raise OfferGone("This offer is no longer available.")


def expire_offers(*, using: str, now: datetime) -> int:
    """End the offers of one shard whose time is up, ``SWEEP`` at most; return how many."""
    overdue = sharding.owned(models.Offer.objects, using).filter(status=OfferStatus.SENT, expires_at__lte=now)
    rows = list(overdue.order_by("expires_at")[:SWEEP])
    return sum(_end(row, OfferStatus.EXPIRED, now, Q(expires_at__lte=now)) for row in rows)


@sharding.repeatable
def _end(offer: models.Offer, outcome: OfferStatus, now: datetime, when: Q) -> bool:
    """End a live offer, open its batch and say so; False when it is not live (any more)."""
    with sharding.atomic(offer) as alias:
        batch = models.Batch.objects.filter(pk=offer.batch_id)
        batch.select_for_update(no_key=True).first()  # before the offer, like everybody
        live = models.Offer.objects.filter(when, pk=offer.pk, status=OfferStatus.SENT)
        if not moving.offers(live, outcome, ended_at=now):
            return False
        moving.batches(batch.filter(status=BatchStatus.OFFERED), BatchStatus.OPEN)
        event = OfferClosed(
            offer_id=offer.pk,
            batch_id=offer.batch_id,
            store_id=offer.store_id,
            shopper_id=offer.shopper_id,
            outcome=outcome,
        )
        outbox.emit(event, using=alias)
    return True


def _offer_to(shopper_id: int, offer_id: int) -> models.Offer:
    mine = models.Offer.objects.filter(pk=offer_id, shopper_id=shopper_id).select_related("batch")
    try:
        return mine.only("status", "expires_at", "store_id", "shopper_id", "batch__status").get()
    except models.Offer.DoesNotExist:
        raise OfferNotFound("There is no such offer.") from None


def _check_certificates(offer: models.Offer, now: datetime) -> None:
    stops = models.BatchStop.objects.filter(batch_id=offer.batch_id, kind="drop", state=StopState.PENDING)
    needs = fulfilment_selectors.needs(store_order_ids=set(stops.values_list("store_order_id", flat=True)))
    if lacking := shopper_selectors.lacks(shopper_id=offer.shopper_id, needs=needs, now=now):
        _end(offer, OfferStatus.WITHDRAWN, now, Q())
        raise CertificateMissing(f"This batch needs a valid certificate for {', '.join(sorted(lacking))}; show yours.")


def _is_live(offer: models.Offer, now: datetime) -> bool:
    """Read with its batch, at one moment: nobody has it, and it may be taken."""
    return offer.status == OfferStatus.SENT and offer.expires_at > now and offer.batch.status == BatchStatus.OFFERED


@sharding.repeatable
def _take(offer: models.Offer, now: datetime) -> bool:
    """Turn the offer into the shopper's batch; False when somebody or something was faster, and nothing changed."""
    try:
        with sharding.atomic(offer) as alias:
            offered = models.Batch.objects.filter(
                pk=offer.batch_id, status=BatchStatus.OFFERED, shopper_id__isnull=True
            )
            live = models.Offer.objects.filter(
                pk=offer.pk, shopper_id=offer.shopper_id, status=OfferStatus.SENT, expires_at__gt=now
            )
            if not (
                moving.batches(offered, BatchStatus.ACKNOWLEDGED, shopper_id=offer.shopper_id, acknowledged_at=now)
                and moving.offers(live, OfferStatus.ACCEPTED, ended_at=now)
                and (order_ids := _assign(offer, now))
            ):
                raise _Lost
            event = OfferAccepted(
                offer_id=offer.pk,
                batch_id=offer.batch_id,
                store_id=offer.store_id,
                shopper_id=offer.shopper_id,
                order_ids=order_ids,
            )
            outbox.emit(event, using=alias)
    except _Lost:
        return False
    return True


def _assign(offer: models.Offer, now: datetime) -> list[int]:
    """Give the batch's orders to the shopper; their order ids. Those canceled at the last moment are left out."""
    stops = models.BatchStop.objects.filter(batch_id=offer.batch_id, state=StopState.PENDING)
    orders = dict(stops.filter(kind="drop").order_by("sequence").values_list("store_order_id", "order_id"))
    assigned = fulfilment.assign(
        store_id=offer.store_id, store_order_ids=orders.keys(), shopper_id=offer.shopper_id, now=now
    )
    moving.stops(stops.exclude(store_order_id__in=assigned), StopState.DROPPED)
    return [order_id for store_order_id, order_id in orders.items() if store_order_id in assigned]
