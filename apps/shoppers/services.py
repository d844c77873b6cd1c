"""Commands on shoppers: being there, being claimed for a batch, being paid.

A claim is made before the offer exists, on the shopper's own shard, and runs out by itself: whoever
made it may die at any point and blocks nobody for longer than that.
"""

import logging
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce

import sharding
from apps.common import crypto, states
from apps.common.geo import Point
from apps.common.money import Money
from apps.shoppers import domain, models, moving, presence, selectors
from apps.shoppers.domain import AssignmentState as State
from apps.shoppers.errors import CertificateInvalid, NotAShopper, ShopperOffline, ShopperPaused

logger = logging.getLogger(__name__)

_OFFLINE: Final[dict[str, Any]] = {"is_online": False, "online_since": None, "shift_ends_at": None}


@sharding.repeatable
def register(*, user_id: int, name: str, zone_id: int, now: datetime, vehicle: domain.Vehicle = "car") -> None:
    """Make the user a shopper of the zone. Repeating it sets name, zone and vehicle anew."""
    with sharding.atomic(sharding.home("shopper", user_id)):
        row = models.Shopper.objects.filter(pk=user_id).select_for_update().first()
        wrapped = bytes(row.data_key) if row else crypto.new_data_key()
        sealed = crypto.encrypt(name, key=crypto.data_key(wrapped))
        models.Shopper.objects.update_or_create(
            pk=user_id,
            defaults={"name_encrypted": sealed, "zone_id": zone_id, "vehicle": vehicle},
            create_defaults={
                "name_encrypted": sealed,
                "data_key": wrapped,
                "zone_id": zone_id,
                "vehicle": vehicle,
                "registered_at": now,
            },
        )


def pause(*, shopper_id: int) -> None:
    """Offer this shopper nothing more until ``resume``; what they have accepted they finish."""
    _set_state(shopper_id, "paused")


def resume(*, shopper_id: int) -> None:
    _set_state(shopper_id, "active")


@sharding.repeatable
def certify(
    *,
    shopper_id: int,
    kind: domain.CertificateKind,
    valid_from: date,
    valid_until: date,
    checked_by: int,
    now: datetime,
) -> None:
    """Note that ``checked_by`` has seen the shopper's certificate. Repeating it sets its last day anew.

    Raises ``NotAShopper``, ``CertificateInvalid``.
    """
    if kind not in domain.CERTIFICATES:
        raise CertificateInvalid(f"There are certificates for {', '.join(domain.CERTIFICATES)}, and for no {kind}.")
    domain.checked_period(valid_from, valid_until)
    _shopper(shopper_id)
    models.Certification.objects.update_or_create(
        shopper_id=shopper_id,
        kind=kind,
        valid_from=valid_from,
        withdrawn_at=None,
        defaults={"valid_until": valid_until, "checked_by": checked_by, "checked_at": now},
    )


@sharding.repeatable
def withdraw_certification(*, shopper_id: int, certification_id: int, now: datetime) -> bool:
    """It counts no more for what the shopper has not accepted yet. False when that is known, or it is not theirs."""
    held = models.Certification.objects.filter(pk=certification_id, shopper_id=shopper_id, withdrawn_at__isnull=True)
    return bool(held.update(withdrawn_at=now))


@sharding.repeatable
def go_online(*, shopper_id: int, point: Point, now: datetime, until: datetime | None = None) -> None:
    """The shopper is at ``point`` and takes offers ``until`` then; see ``domain.shift_end``.

    Raises ``NotAShopper``, ``ShopperPaused``, ``ShiftInvalid``.
    """
    row = _shopper(shopper_id)
    if row.state != "active":
        raise ShopperPaused("You cannot take offers at the moment; ask support.")
    usual = timedelta(hours=settings.SHOPPER_SHIFT_HOURS)
    ends_at = domain.shift_end(asked=until, current=row.shift_ends_at, usual=usual, now=now)
    mine = models.Shopper.objects.filter(pk=shopper_id, state="active")
    mine.update(
        is_online=True,
        online_since=Coalesce("online_since", Value(now)),
        shift_ends_at=ends_at,
        **_seen(point, now),
    )
    _note(row.zone_id, shopper_id, point, now)


@sharding.repeatable
def go_offline(*, shopper_id: int) -> None:
    """No more offers. An accepted batch stays the shopper's. Raises ``NotAShopper``."""
    row = _shopper(shopper_id)
    models.Shopper.objects.filter(pk=shopper_id).update(**_OFFLINE)
    try:
        presence.forget(zone_id=row.zone_id, shopper_id=shopper_id)
    except presence.PresenceLost:
        logger.warning("shoppers.presence_lost shopper=%s", shopper_id)  # who is offered work is asked of the database


@sharding.repeatable
def report_position(*, shopper_id: int, point: Point, now: datetime, at: datetime | None = None) -> bool:
    """The shopper was at ``point`` at ``at`` (unsaid: now). Redis keeps it, the database once a minute, coarsely.

    False when the position is too old, or from too far in the future, to say where they are; older
    ones than the last known change nothing either. Raises ``NotAShopper``, ``ShopperOffline``. 1 or 2 queries.
    """
    row = _shopper(shopper_id)
    if not row.is_online:
        raise ShopperOffline("Go online first.")
    fresh = domain.latest_fresh([(at or now, point)], now=now)
    if fresh is None:
        return False
    seen_at = min(fresh[0], now)
    if row.last_seen_at is None or row.last_seen_at <= seen_at - domain.STORE_EVERY:
        due = models.Shopper.objects.filter(pk=shopper_id, is_online=True, last_seen_at=row.last_seen_at)
        due.update(**_seen(point, seen_at))
    _note(row.zone_id, shopper_id, point, seen_at)
    return True


@sharding.repeatable
def claim(
    *,
    shopper_id: int,
    batch_id: int,
    store_id: int,
    expires_at: datetime,
    now: datetime,
    needs: Collection[str] = (),
) -> int | None:
    """Keep the shopper free for a batch until ``expires_at``; the assignment's id.

    None when they are offline, paused, past their shift, without a certificate of ``needs`` or taken, also by an
    earlier claim for the same batch: of two planners with one thought only one gets the shopper.
    """
    with sharding.atomic(sharding.home("shopper", shopper_id)):
        free = models.Shopper.objects.filter(models.on_shift(now), pk=shopper_id, is_online=True, state="active")
        if free.select_for_update().first() is None:
            return None
        if selectors.lacks(shopper_id=shopper_id, needs=needs, now=now):
            return None
        live = models.Assignment.objects.filter(shopper_id=shopper_id, state__in=domain.LIVE)
        moving.assignments(live.filter(expires_at__lte=now), State.EXPIRED)
        if live.exists():
            return None
        made = models.Assignment.objects.create(
            shopper_id=shopper_id, batch_id=batch_id, store_id=store_id, state=State.CLAIMED, expires_at=expires_at
        )
        assignment_id: int = made.pk
    return assignment_id


@sharding.repeatable
def mark_offered(*, shopper_id: int, assignment_id: int, offer_id: int, now: datetime) -> bool:
    """The claim has become an offer, which is the shopper's turn. False when the claim is over."""
    mine = models.Assignment.objects.filter(pk=assignment_id, shopper_id=shopper_id)
    return _had_turn(shopper_id, mine, now, State.OFFERED, offer_id=offer_id)


@sharding.repeatable
def hold(*, shopper_id: int, batch_id: int, until: datetime, now: datetime) -> bool:
    """Keep a live claim from running out while its offer is being accepted. False when it is over already."""
    mine = models.Assignment.objects.filter(shopper_id=shopper_id, batch_id=batch_id)
    if mine.filter(state__in=domain.EXPIRING, expires_at__gt=now).update(expires_at=until):
        return True
    return mine.filter(state=State.ACCEPTED).exists()


@sharding.repeatable
def mark_accepted(*, shopper_id: int, batch_id: int, offer_id: int) -> bool:
    """The shopper has the batch. False when that is known, or has been over since.

    The batch says whose it is; this follows. Should the claim have run out meanwhile it is taken up
    again, and one made for another batch gives way: its offer cannot be accepted any more.
    """
    with sharding.atomic(sharding.home("shopper", shopper_id)):
        models.Shopper.objects.filter(pk=shopper_id).select_for_update().first()
        assignments = models.Assignment.objects.filter(shopper_id=shopper_id)
        of_batch = assignments.filter(batch_id=batch_id).order_by("-pk").first()
        if of_batch is None or State(of_batch.state) not in states.before(
            domain.ASSIGNMENT_TRANSITIONS, State.ACCEPTED
        ):
            return False
        others = assignments.exclude(pk=of_batch.pk)
        moving.assignments(others.filter(state__in=domain.EXPIRING), State.RELEASED)
        moving.assignments(assignments.filter(pk=of_batch.pk), State.ACCEPTED, offer_id=offer_id, expires_at=None)
    return True


@sharding.repeatable
def complete(*, shopper_id: int, batch_id: int, now: datetime) -> bool:
    """The batch is done and the shopper free again, waiting from now on. False when that is known."""
    mine = models.Assignment.objects.filter(shopper_id=shopper_id, batch_id=batch_id)
    return _had_turn(shopper_id, mine, now, State.COMPLETED)


@sharding.repeatable
def release(*, shopper_id: int, batch_id: int, offer_id: int | None = None) -> bool:
    """The shopper is not wanted for the batch (any more). False when nothing was live.

    With ``offer_id`` only what belongs to that offer, or to no offer yet, is released: word of an
    offer that ended may come after the next one was made.
    """
    mine = models.Assignment.objects.filter(shopper_id=shopper_id, batch_id=batch_id)
    if offer_id is not None:
        mine = mine.filter(Q(offer_id__isnull=True) | Q(offer_id=offer_id))
    return bool(moving.assignments(mine, State.RELEASED))


def release_expired(*, using: str, now: datetime) -> int:
    """End the claims of one shard that have run out; return how many."""
    expired = sharding.owned(models.Assignment.objects, using).filter(state__in=domain.EXPIRING, expires_at__lte=now)
    return moving.assignments(expired, State.EXPIRED)


def end_abandoned_shifts(*, using: str, now: datetime) -> int:
    """Take shoppers of one shard offline who were not heard of for ``domain.SHIFT_ENDS_AFTER``; return how many."""
    silent = sharding.owned(models.Shopper.objects, using).filter(
        is_online=True, last_seen_at__lte=now - domain.SHIFT_ENDS_AFTER
    )
    return silent.update(**_OFFLINE)


def end_shifts(*, using: str, now: datetime) -> int:
    """Take shoppers of one shard offline whose shift is over and who have nothing in hand; return how many."""
    over = sharding.owned(models.Shopper.objects, using).filter(is_online=True, shift_ends_at__lte=now)
    busy = models.Assignment.objects.filter(shopper=OuterRef("pk"), state__in=domain.LIVE)
    return over.filter(~Exists(busy)).update(**_OFFLINE)


@sharding.repeatable
def note_pick(*, shopper_id: int, batch_id: int, minutes: float, expected_minutes: float, picked_at: datetime) -> bool:
    """The shopper took so long in the store for a batch; their pace follows. False when that is known. 5 queries."""
    with sharding.atomic(sharding.home("shopper", shopper_id)):
        mine = models.Shopper.objects.filter(pk=shopper_id)
        if mine.select_for_update(no_key=True).first() is None:
            return False
        picks = models.Pick.objects.filter(shopper_id=shopper_id)
        if picks.filter(batch_id=batch_id).exists():
            return False
        models.Pick.objects.create(
            shopper_id=shopper_id,
            batch_id=batch_id,
            minutes=minutes,
            expected_minutes=expected_minutes,
            picked_at=picked_at,
        )
        recent = picks.order_by("-picked_at").values_list("minutes", "expected_minutes")[: domain.RECENT_PICKS]
        mine.update(pace=domain.pace([taken / expected for taken, expected in recent]))
    return True


@sharding.repeatable
def note_rating(
    *, shopper_id: int, order_id: int, stars: int, counts: bool, version: int, delivered_at: datetime
) -> bool:
    """A customer rated a delivery, or changed that; the shopper's rating follows. False when that is known. 6 queries.

    Word of an older ``version`` changes nothing, in whatever order they come. What does not count is kept beside.
    """
    with sharding.atomic(sharding.home("shopper", shopper_id)):
        mine = models.Shopper.objects.filter(pk=shopper_id)
        if mine.select_for_update(no_key=True).first() is None:
            return False
        ratings = models.Rating.objects.filter(shopper_id=shopper_id)
        told = {"stars": stars, "counts": counts, "version": version, "delivered_at": delivered_at}
        known = ratings.filter(order_id=order_id)
        if not known.filter(version__lt=version).update(**told):
            if known.exists():
                return False
            models.Rating.objects.create(shopper_id=shopper_id, order_id=order_id, **told)
        recent = ratings.filter(counts=True).order_by("-delivered_at", "-order_id").values_list("stars", flat=True)
        of_recent = list(recent[: domain.RECENT_RATINGS])
        mine.update(rating=domain.rating(of_recent), ratings=len(of_recent))
    return True


@sharding.repeatable
def earn(
    *,
    shopper_id: int,
    batch_id: int,
    order_id: int | None,
    kind: domain.EarningKind,
    amount: Money,
    now: datetime,
    number: int = 0,
) -> bool:
    """Write one line of the shopper's ledger. False when it is there: nobody is paid twice.

    An amount of zero is no line. Tips name their order, pay none. ``number`` tells several lines of a kind apart.
    """
    if not amount:
        return False
    _, is_new = models.Earning.objects.get_or_create(
        shopper_id=shopper_id,
        batch_id=batch_id,
        order_id=order_id,
        kind=kind,
        number=number,
        defaults={"amount_cents": amount.cents, "currency": amount.currency, "earned_at": now},
    )
    return is_new


def _shopper(shopper_id: int) -> models.Shopper:
    row = models.Shopper.objects.filter(pk=shopper_id).first()
    if row is None:
        raise NotAShopper("You are not registered as a shopper.")
    return row


@sharding.repeatable
def _had_turn(
    shopper_id: int, assignments: QuerySet[models.Assignment], now: datetime, to: State, **changes: int
) -> bool:
    """Move the assignments, and note the turn with it. False when none of them is left to move."""
    with sharding.atomic(sharding.home("shopper", shopper_id)):
        shopper = models.Shopper.objects.filter(pk=shopper_id)
        shopper.select_for_update(no_key=True).first()  # before its assignments, as everybody does
        if not moving.assignments(assignments, to, **changes):
            return False
        shopper.update(turn_at=now)
    return True


def _set_state(shopper_id: int, state: domain.State) -> None:
    if not models.Shopper.objects.filter(pk=shopper_id).update(state=state):
        raise NotAShopper(f"There is no shopper {shopper_id}.")


def _seen(point: Point, at: datetime) -> dict[str, object]:
    near = domain.coarse(point)
    return {"last_lat": near.lat, "last_lng": near.lng, "last_seen_at": at}


def _note(zone_id: int, shopper_id: int, point: Point, at: datetime) -> None:
    try:
        presence.note(zone_id=zone_id, shopper_id=shopper_id, point=point, at=at)
    except presence.PresenceLost:
        logger.warning("shoppers.presence_lost shopper=%s", shopper_id)
