"""How short of shoppers each cell of a zone is, reckoned once a minute."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings

from apps.common.geo import Point
from apps.dispatch import domain, selectors
from apps.dispatch.steering import heat, peaks, standing
from apps.dispatch.steering.models import ZoneHeat
from apps.dispatch.types import ZonePicture
from apps.fulfilment.types import Standing


def weigh_cells(*, zone_id: int, now: datetime) -> bool:
    """Take one more reading of the zone. False when one was taken just now, or by somebody else meanwhile.

    Queries: 2, 1 a shard of its stores, and those of ``selectors.zone_picture``.
    """
    last = ZoneHeat.objects.filter(zone_id=zone_id).first()
    if last is not None and last.weighed_at > now - peaks.WEIGH_EVERY / 2:
        return False
    picture = selectors.zone_picture(zone_id=zone_id, at=now, now=now)
    if picture is None:
        return False
    is_fresh = last is not None and last.weighed_at > now - peaks.KEPT
    kept_back = standing.overrides(store_ids=[store.id for store in picture.stores], now=now).kept_back
    orders, shoppers = _counted(picture, kept_back, now)
    found = peaks.weigh(
        {peaks.cell_of(store.point) for store in picture.stores},
        orders=orders,
        shoppers=shoppers,
        before=peaks.from_json(last.cells) if last is not None and is_fresh else {},
        highest=heat.highest_level(),
    )
    kept = peaks.to_json(found)
    if last is None:
        row = ZoneHeat(zone_id=zone_id, weighed_at=now, cells=kept)
        ZoneHeat.objects.bulk_create([row], ignore_conflicts=True)
        return ZoneHeat.objects.filter(zone_id=zone_id, weighed_at=now).exists()
    mine = ZoneHeat.objects.filter(zone_id=zone_id, weighed_at=last.weighed_at)
    return bool(mine.update(weighed_at=now, cells=kept))


def _counted(picture: ZonePicture, kept_back: Collection[int], now: datetime) -> tuple[Counter[str], Counter[str]]:
    """Orders that need somebody within ``peaks.LOOK_AHEAD``, at their stores, and shoppers who could come, by cell.

    What an operator keeps back needs nobody. An offered batch counts with the shopper who is asked; one who is at his
    last doors is soon free there.
    """
    cell_of_store = {store.id: peaks.cell_of(store.point) for store in picture.stores}
    due = (order for order in picture.loose if order.id not in kept_back and _is_due(order, now))
    orders: Counter[str] = Counter(cell_of_store[order.store_id] for order in due)
    places: list[Point] = [shopper.point for shopper in picture.idle or ()]
    for batch in picture.batches:
        if batch.state == "taken":
            if batch.orders and all(order.stage == "delivering" for order in batch.orders):
                places += [drop for order in batch.orders[-1:] if (drop := order.drop)]
            continue
        orders[cell_of_store[batch.store_id]] += len(batch.orders)
        if batch.state == "offered":
            places.append(next(store.point for store in picture.stores if store.id == batch.store_id))
    return orders, Counter(map(peaks.cell_of, places))


def _is_due(order: Standing, now: datetime) -> bool:
    """Whether a shopper has to set out for it within ``peaks.LOOK_AHEAD``."""
    if order.stage != "waiting" or order.drop is None:
        return False
    early = timedelta(minutes=settings.DISPATCH_EARLY_MINUTES)
    work = timedelta(seconds=domain.APPROACH_S + domain.IN_STORE_S + domain.PER_LINE_S * order.line_count)
    return order.window_starts_at - early - work <= now + peaks.LOOK_AHEAD
