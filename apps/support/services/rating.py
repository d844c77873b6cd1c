"""A customer's rating of a delivery, and what the shopper's shard hears of it."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import F

import sharding
from apps.common import outbox
from apps.support import domain, models, selectors, types
from apps.support.events import OrderRated
from apps.support.services import cases


@sharding.repeatable
def rate(
    *, order_id: int, customer_id: int, stars: int, now: datetime, tags: Collection[str] = (), words: str = ""
) -> types.Rating:
    """Say what the delivery was like, or say it anew; ``RULES.rate_within`` after it, and as often as wanted.

    Repeating changes nothing. Raises ``OrderNotFound``, ``NotDelivered``, ``TooLate``, ``RatingInvalid`` and, for
    words that are too long, ``IssueInvalid``.
    """
    order, delivered_at = cases.delivered(
        order_id=order_id, customer_id=customer_id, within=domain.RULES.rate_within, now=now
    )
    given = {
        "stars": domain.checked_stars(stars),
        "tags": list(domain.checked_tags(tags)),
        "words": domain.checked_words(words),
    }
    faults = domain.faults_of(tags, cases.delivery(order, delivered_at))
    with sharding.atomic(sharding.home("customer", customer_id)) as alias:
        cases.lock(customer_id)
        mine = models.Rating.objects.filter(customer_id=customer_id, order_id=order_id)
        row = mine.first()
        if row is not None and all(getattr(row, name) == value for name, value in given.items()):
            return selectors.rating_of(row)
        told = {
            **given,
            "faults": sorted(faults),
            "counts": domain.counts(stars, {*faults, *_faults_reported(customer_id, order_id)}),
            "changed_at": now,
        }
        if row is None:
            row = models.Rating.objects.create(
                customer_id=customer_id,
                order_id=order_id,
                shopper_id=cases.shopper_of(order),
                delivered_at=delivered_at,
                rated_at=now,
                **told,
            )
        else:
            mine.update(**told, version=F("version") + 1)
            row.refresh_from_db()
        _tell(row, alias)
    return selectors.rating_of(row)


def look_again(*, customer_id: int, order_id: int, using: str) -> None:
    """Reports about the order have changed: see whether its rating still counts. In the caller's transaction.

    2 queries where it does as before, none more where there is no rating.
    """
    mine = models.Rating.objects.filter(customer_id=customer_id, order_id=order_id)
    row = mine.first()
    if row is None:
        return
    counts = domain.counts(row.stars, {*row.faults, *_faults_reported(customer_id, order_id)})
    if counts != row.counts:
        mine.update(counts=counts, version=F("version") + 1)
        row.refresh_from_db()
        _tell(row, using)


def _faults_reported(customer_id: int, order_id: int) -> set[str]:
    standing = models.OrderIssue.objects.filter(
        customer_id=customer_id, order_id=order_id, status__in=list(domain.STANDING)
    )
    return set(standing.values_list("fault", flat=True))


def _tell(row: models.Rating, using: str) -> None:
    if row.shopper_id is None:
        return
    outbox.emit(
        OrderRated(
            order_id=row.order_id,
            customer_id=row.customer_id,
            shopper_id=row.shopper_id,
            stars=row.stars,
            counts=row.counts,
            version=row.version,
            delivered_at=row.delivered_at.isoformat(),
        ),
        using=using,
    )
