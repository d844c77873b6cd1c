from collections.abc import Collection, Mapping
from decimal import Decimal

from apps.catalog import selectors as catalog
from apps.catalog.types import Item
from apps.inventory import models
from apps.inventory.types import FoundRate, Level


def available(*, store_id: int, item_ids: Collection[int]) -> dict[int, Decimal]:
    """What can still be promised of each item, in its ``cost_unit``; 0 for one whose stock was never set. 1 query.

    May be out of date by the time it is read: only ``services.reserve`` decides.
    """
    found = levels(store_id=store_id, item_ids=item_ids)
    return {item_id: found[item_id].available if item_id in found else Decimal(0) for item_id in item_ids}


_LOOKED_AT = 40


def alternatives(
    *, store_id: int, item_id: int, quantity: Decimal, chosen_id: int | None = None, limit: int = 6
) -> tuple[Item, ...]:
    """What is there of ``catalog.similar`` in that quantity, the customer's own choice first. 4 or 6 queries."""
    similar = catalog.similar(store_id=store_id, item_id=item_id, limit=_LOOKED_AT)
    chosen = catalog.items_by_id(store_id=store_id, item_ids=[chosen_id]).values() if chosen_id else ()
    items = [item for item in chosen if item.in_assortment] + [item for item in similar if item.id != chosen_id]
    there = available(store_id=store_id, item_ids=[item.id for item in items])
    return tuple(item for item in items if there[item.id] >= quantity)[:limit]


def levels(*, store_id: int, item_ids: Collection[int]) -> Mapping[int, Level]:
    """The stock of those items whose stock was ever set, by item id. 1 query."""
    wanted = [item_id for item_id in item_ids if 0 < item_id < 2**63]
    rows = models.StockLevel.objects.filter(store_id=store_id, item_id__in=wanted)
    return {
        item_id: Level(on_hand=on_hand, reserved=reserved, is_missing=missing_since is not None)
        for item_id, on_hand, reserved, missing_since in rows.values_list(
            "item_id", "on_hand", "reserved", "missing_since"
        )
    }


def missing(*, store_id: int) -> tuple[int, ...]:
    """Ids of the items that a shopper found none of, and that nobody has counted since; the latest first. 1 query."""
    rows = models.StockLevel.objects.filter(store_id=store_id, missing_since__isnull=False)
    return tuple(rows.order_by("-missing_since", "item_id").values_list("item_id", flat=True))


def found_rates(*, store_id: int, item_id: int) -> dict[int, FoundRate]:
    """By hour of the week (0 is Monday after midnight by the store's clock), where the item was asked for. 1 query."""
    rows = models.FoundStat.objects.filter(store_id=store_id, item_id=item_id).order_by("hour_of_week")
    return {row.hour_of_week: FoundRate(asked=row.asked, found=row.found, partly=row.partly) for row in rows}
