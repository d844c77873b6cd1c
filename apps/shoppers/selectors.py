import logging
from collections.abc import Collection, Iterable
from datetime import datetime

from django.db.models import Q, Sum

import sharding
from apps.common import crypto, databases
from apps.common.api import ids
from apps.common.geo import Point
from apps.common.money import Money
from apps.shoppers import domain, models, presence
from apps.shoppers.errors import NotAShopper
from apps.shoppers.types import (
    TIPS,
    Assignment,
    AvailableShopper,
    BusyShopper,
    Certification,
    Earning,
    EarningsPage,
    Present,
    Shopper,
    Tip,
)

logger = logging.getLogger(__name__)

MAX_PAGE = 100


def shopper(*, shopper_id: int) -> Shopper:
    """Who this shopper is; raises ``NotAShopper`` for everybody else. 1 query."""
    row = models.Shopper.objects.filter(pk=shopper_id).first()
    if row is None:
        raise NotAShopper("You are not registered as a shopper.")
    return Shopper(
        id=row.pk,
        name=crypto.decrypt(bytes(row.name_encrypted), key=crypto.data_key(bytes(row.data_key))),
        zone_id=row.zone_id,
        vehicle=row.vehicle,
        state=row.state,
        is_online=row.is_online,
        online_since=row.online_since,
        shift_ends_at=row.shift_ends_at,
        pace=row.pace,
        rating=row.rating,
        ratings=row.ratings,
    )


def available(*, zone_id: int, now: datetime) -> tuple[AvailableShopper, ...]:
    """Shoppers of the zone who may be offered work now, in order of their ids. As many queries as ``present``."""
    return present(zone_id=zone_id, now=now).available


def present(*, zone_id: int, now: datetime) -> Present:
    """Who works in the zone now, with something to do or without, in order of their ids.

    3 queries for each shopper shard that has one, whatever their number. While Redis does not know
    (it is down, or has lost its memory) 1 query more on every shard, and positions are about 100 m coarse.
    Who lives on a shard that is away is left out: they could not be offered anything.
    """
    places = _places(zone_id=zone_id, now=now)
    on_shift: dict[int, AvailableShopper] = {}
    live: dict[int, tuple[int, str]] = {}
    living = _by_shard(places)

    def look(alias: str) -> None:
        shopper_ids = living[alias]
        online = models.Shopper.objects.using(alias).filter(
            models.on_shift(now), pk__in=shopper_ids, zone_id=zone_id, is_online=True, state="active"
        )
        held = models.Certification.objects.using(alias).filter(models.valid(now), shopper_id__in=shopper_ids)
        certificates: dict[int, set[str]] = {}
        for shopper_id, kind in held.values_list("shopper_id", "kind"):
            certificates.setdefault(shopper_id, set()).add(kind)
        found = [
            _available(row, places[row.pk], certificates.get(row.pk, ()))
            for row in online.only("vehicle", "shift_ends_at", "pace", "online_since", "turn_at")
        ]
        assigned = models.Assignment.objects.using(alias).filter(shopper_id__in=shopper_ids, state__in=domain.LIVE)
        ran_out = Q(state__in=domain.EXPIRING, expires_at__lte=now)
        rows = assigned.exclude(ran_out).values_list("shopper_id", "batch_id", "state")
        live.update((shopper_id, (batch_id, state)) for shopper_id, batch_id, state in rows)
        on_shift.update((one.shopper_id, one) for one in found)

    databases.for_each(living, look)
    return Present(
        available=tuple(one for shopper_id, one in sorted(on_shift.items()) if shopper_id not in live),
        busy=tuple(
            BusyShopper(shopper=one, batch_id=live[shopper_id][0])
            for shopper_id, one in sorted(on_shift.items())
            if live.get(shopper_id, (0, ""))[1] == "accepted"
        ),
    )


def _available(row: models.Shopper, point: Point, certificates: Collection[str]) -> AvailableShopper:
    return AvailableShopper(
        shopper_id=row.pk,
        point=point,
        vehicle=row.vehicle,
        shift_ends_at=row.shift_ends_at,
        certificates=frozenset(certificates),
        pace=row.pace,
        waiting_since=max((at for at in (row.online_since, row.turn_at) if at is not None), default=None),
    )


def certifications(*, shopper_id: int) -> tuple[Certification, ...]:
    """All the shopper ever had, the newest first. 1 query."""
    rows = models.Certification.objects.filter(shopper_id=shopper_id).order_by("-valid_from", "-pk")
    return tuple(
        Certification(
            id=row.pk,
            kind=row.kind,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            checked_by=row.checked_by,
            checked_at=row.checked_at,
            withdrawn_at=row.withdrawn_at,
        )
        for row in rows
    )


def lacks(*, shopper_id: int, needs: Collection[str], now: datetime) -> frozenset[str]:
    """Which of the certificates the shopper does not have now. 1 query, none when nothing is needed."""
    if not needs:
        return frozenset()
    held = models.Certification.objects.filter(models.valid(now), shopper_id=shopper_id)
    return frozenset(needs) - set(held.values_list("kind", flat=True))


def heard_of(*, shopper_ids: Collection[int], since: datetime) -> frozenset[int]:
    """Those of the shoppers whose position came after ``since``, which is known up to a minute late. 1 query a shard.

    Who lives on a shard that is away counts as heard of: nothing is known against them.
    """
    silent: set[int] = set()
    living = _by_shard(shopper_ids)

    def look(alias: str) -> None:
        rows = models.Shopper.objects.using(alias).filter(pk__in=living[alias])
        quiet = rows.filter(Q(last_seen_at__isnull=True) | Q(last_seen_at__lte=since))
        silent.update(quiet.values_list("pk", flat=True))

    databases.for_each(living, look)
    return frozenset(shopper_ids) - silent


def live_assignment(*, shopper_id: int) -> Assignment | None:
    """What the shopper is asked for or works on; at most one. 1 query."""
    row = models.Assignment.objects.filter(shopper_id=shopper_id, state__in=domain.LIVE).first()
    if row is None:
        return None
    return Assignment(
        id=row.pk,
        shopper_id=row.shopper_id,
        batch_id=row.batch_id,
        store_id=row.store_id,
        offer_id=row.offer_id,
        state=row.state,
        expires_at=row.expires_at,
    )


def position(*, shopper_id: int, now: datetime) -> Point | None:
    """Where the shopper is, if heard of lately; about 100 m coarse while Redis is away. 1 query."""
    row = models.Shopper.objects.filter(pk=shopper_id).first()
    if row is None:
        return None
    try:
        return presence.place(zone_id=row.zone_id, shopper_id=shopper_id, now=now)
    except presence.PresenceLost:
        last = row.last_seen
        return last[0] if last and last[1] > now - domain.PRESENCE - domain.STORE_EVERY else None


def earnings(*, shopper_id: int, after: str | None = None, limit: int = 50) -> EarningsPage:
    """The shopper's ledger, newest first. 2 queries. Raises ``NotFound`` for a cursor that is none."""
    limit = max(1, min(limit, MAX_PAGE))
    ledger = models.Earning.objects.filter(shopper_id=shopper_id)
    total = ledger.aggregate(cents=Sum("amount_cents"), tips=Sum("amount_cents", filter=Q(kind__in=TIPS)))
    page = ledger if after is None else ledger.filter(pk__lt=ids.parse(after))
    rows = list(page.order_by("-pk")[: limit + 1])
    return EarningsPage(
        earnings=tuple(_earning(row) for row in rows[:limit]),
        total=Money(total["cents"] or 0),
        tips=Money(total["tips"] or 0),
        next_cursor=str(rows[limit - 1].pk) if len(rows) > limit else None,
    )


def batches(
    *, shopper_id: int, since: datetime, before: datetime, after: int = 0, limit: int = 50
) -> dict[int, tuple[Earning, ...]]:
    """What was earned in that time by the next ``limit`` batches above ``after``, by the batch's id. 2 queries."""
    rows = models.Earning.objects.filter(shopper_id=shopper_id, earned_at__gte=since, earned_at__lt=before)
    page = rows.filter(batch_id__gt=after).order_by("batch_id").values_list("batch_id", flat=True).distinct()[:limit]
    found: dict[int, list[Earning]] = {batch_id: [] for batch_id in page}
    for row in rows.filter(batch_id__in=list(found)).order_by("pk"):
        found[row.batch_id].append(_earning(row))
    return {batch_id: tuple(earnings) for batch_id, earnings in found.items()}


def earners(*, using: str) -> frozenset[int]:
    """Who of one shopper shard has ever earned anything. 1 query."""
    rows = sharding.owned(models.Earning.objects, using).order_by()
    return frozenset(rows.values_list("shopper_id", flat=True).distinct())


def tips(*, using: str, after: int, before: datetime, limit: int) -> tuple[Tip, ...]:
    """Tips in the earnings of one shopper shard, earned before that time, above an earning's id ``after``. 2 queries.

    One for each line of a tip; ``cents`` is what all lines of its order come to.
    """
    rows = sharding.owned(models.Earning.objects, using).filter(kind__in=TIPS, pk__gt=after, earned_at__lt=before)
    page = list(rows.order_by("pk")[:limit])
    lines = models.Earning.objects.using(using).filter(kind__in=TIPS, order_id__in={row.order_id for row in page})
    of_order = dict(lines.values_list("order_id").annotate(cents=Sum("amount_cents")).order_by())
    return tuple(
        Tip(id=row.pk, shopper_id=row.shopper_id, order_id=row.order_id or 0, cents=of_order[row.order_id])
        for row in page
    )


def earned(*, shopper_ids: Collection[int], before: datetime) -> dict[int, dict[str, int]]:
    """What these shoppers earned in all before that time, in cents by kind. 1 query a shard that holds one of them."""
    by_alias: dict[str, list[int]] = {}
    for shopper_id in shopper_ids:
        by_alias.setdefault(sharding.alias_for("shopper", shopper_id), []).append(shopper_id)
    found: dict[int, dict[str, int]] = {}
    for alias, asked in by_alias.items():
        rows = models.Earning.objects.using(alias).filter(shopper_id__in=asked, earned_at__lt=before)
        for row in rows.values("shopper_id", "kind").annotate(cents=Sum("amount_cents")).order_by():
            found.setdefault(row["shopper_id"], {})[row["kind"]] = row["cents"]
    return found


def _earning(row: models.Earning) -> Earning:
    return Earning(
        id=row.pk,
        batch_id=row.batch_id,
        order_id=row.order_id,
        kind=row.kind,
        amount=Money(row.amount_cents, row.currency),
        earned_at=row.earned_at,
    )


def _places(*, zone_id: int, now: datetime) -> dict[int, Point]:
    try:
        return presence.in_zone(zone_id=zone_id, now=now)
    except presence.PresenceLost:
        known = _stored_places(zone_id=zone_id, now=now)
    try:
        presence.refill(zone_id=zone_id, known=known, now=now)
        return presence.in_zone(zone_id=zone_id, now=now)
    except presence.PresenceLost:
        logger.warning("shoppers.presence_lost zone=%s: positions come from the databases", zone_id)
        return {shopper_id: point for shopper_id, point, _ in known}


def _stored_places(*, zone_id: int, now: datetime) -> list[tuple[int, Point, datetime]]:
    """What the databases know of who is online; they hear of it up to ``STORE_EVERY`` late."""
    since = now - domain.PRESENCE - domain.STORE_EVERY
    online = models.Shopper.objects.filter(zone_id=zone_id, is_online=True, last_seen_at__gt=since)
    found: list[tuple[int, Point, datetime]] = []

    def look(alias: str) -> None:
        found.extend((row.pk, *last) for row in sharding.owned(online, alias) if (last := row.last_seen))

    databases.for_each(sharding.aliases("shopper"), look)
    return found


def _by_shard(shopper_ids: Iterable[int]) -> dict[str, list[int]]:
    shards: dict[str, list[int]] = {}
    for shopper_id in shopper_ids:
        shards.setdefault(sharding.alias_for("shopper", shopper_id), []).append(shopper_id)
    return shards
