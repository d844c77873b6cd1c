from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from django.db.models import Q

from apps.common.money import Money
from apps.common.remembered import Remembered
from apps.pricing import domain, models, promoting
from apps.pricing.errors import (
    PromotionBelowMinimum,
    PromotionForFirstOrder,
    PromotionForOtherGoods,
    PromotionNotHere,
    PromotionNotNow,
    PromotionUnknown,
    PromotionUsed,
)
from apps.pricing.types import Discount, Fee, Fees, PricedLine, Promotion, Quote
from apps.stores.types import Store

NOT_FOR_THIS_ORDER = (
    PromotionBelowMinimum,
    PromotionForFirstOrder,
    PromotionForOtherGoods,
    PromotionNotHere,
    PromotionNotNow,
)


def fees_for(
    *, store: Store, window_fee: Money, now: datetime, distance_m: float = 0, is_priority: bool = False
) -> Fees:
    """What an order at ``store`` pays besides its goods, in a window that costs ``window_fee``.

    3 queries; none where they were asked for in the last ``REFERENCE_SECONDS``.

    The window's fee is the delivery fee. A fee rule of the store itself goes before the general one
    of the same code, and switched off takes that fee away. ``distance_m`` is how far the goods go, as the crow flies.
    """
    delivery = Fee(code="delivery", label="Delivery", flat=window_fee, tax_category="delivery")
    return Fees(
        currency=store.currency,
        fees=(delivery, *_fees(store, distance_m=distance_m, is_priority=is_priority)),
        tax_percent=_tax_percent(state=store.state, postcode=store.postcode),
        surge_percent=_surge_percent(store.zone_id, now),
    )


def discounts(
    *,
    customer_id: int,
    store: Store,
    lines: Sequence[PricedLine],
    code: str,
    now: datetime,
    has_ordered: Callable[[], bool],
) -> tuple[Discount, ...]:
    """The promotions of an order: those that are everybody's, by their age, then that of ``code`` (none for "").

    1 query where the store's promotions were not asked for lately, 1 for a code likewise, and 1 on the customer's
    shard if one of them is limited. ``has_ordered`` is asked only for a promotion for the first order.

    What is everybody's and is not for this order is left out. For the code's it is a refusal: ``PromotionUnknown`` or
    another ``Promotion…`` of ``errors``.
    """
    found: list[Discount] = []
    for promotion in _open_to_all(store):
        with suppress(*NOT_FOR_THIS_ORDER):
            found.append(_discount(promotion, store, lines, now, has_ordered))
    typed = code.strip().upper()
    if typed:
        coded = _by_code.one(typed) if typed.isascii() and typed.isalnum() else None
        if coded is None:
            raise PromotionUnknown("There is no such promotion.")
        found.append(_discount(coded, store, lines, now, has_ordered))
    used = _uses(customer_id, [discount.promotion_id for discount in found if discount.most_uses is not None])
    usable = [one for one in found if one.most_uses is None or used[one.promotion_id] < one.most_uses]
    if typed and (not usable or usable[-1] is not found[-1]):
        raise PromotionUsed("You have used this promotion already.")
    return tuple(usable)


def ending_fee(*, ending: str, zone_id: int, currency: str) -> Money:
    """What an order of the zone costs that ends so (``types.ENDINGS``); nothing where there is no rule. 1 query."""
    rules = models.EndingFee.objects.filter(Q(zone_id=None) | Q(zone_id=zone_id), ending=ending)
    rule = min(rules, key=lambda rule: rule.zone_id is None, default=None)
    return Money(rule.flat_cents if rule else 0, currency)


def applying(*, lines: Sequence[PricedLine], fees: Fees) -> Fees:
    """``fees`` without those that ``lines`` give no reason for: what an order keeps. No query."""
    return domain.applying(lines=lines, fees=fees)


def quote(*, lines: Sequence[PricedLine], fees: Fees, tip: Money) -> Quote:
    """What ``lines`` cost: see ``domain.quote``, which raises ``TipInvalid``. No query."""
    return domain.quote(lines=lines, fees=fees, tip=tip)


def _rules_of(store_ids: Collection[int]) -> dict[int, list[models.FeeRule]]:
    """The general rules and each store's own."""
    rows = list(models.FeeRule.objects.filter(Q(store_id=None) | Q(store_id__in=store_ids)))
    return {store_id: [row for row in rows if row.store_id in (None, store_id)] for store_id in store_ids}


def _rates_of(states: Collection[str]) -> dict[str, list[models.TaxRate]]:
    rows = list(models.TaxRate.objects.filter(state__in=states))
    return {state: [row for row in rows if row.state == state] for state in states}


def _surges_of(zone_ids: Collection[int]) -> dict[int, models.Surge | None]:
    rows = {row.zone_id: row for row in models.Surge.objects.filter(zone_id__in=zone_ids)}
    return {zone_id: rows.get(zone_id) for zone_id in zone_ids}


def _automatic_of(store_ids: Collection[None]) -> dict[None, list[Promotion]]:
    rows = models.Promotion.objects.filter(code="", is_active=True).order_by("pk")
    return {None: [_promotion(row) for row in rows]}


def _coded_of(codes: Collection[str]) -> dict[str, Promotion]:
    return {row.code: _promotion(row) for row in models.Promotion.objects.filter(code__in=codes, is_active=True)}


_fee_rules = Remembered(_rules_of)
_automatic = Remembered(_automatic_of)
_by_code = Remembered(_coded_of)
_tax_rates = Remembered(_rates_of)
_surges = Remembered(_surges_of)


def _fees(store: Store, *, distance_m: float, is_priority: bool) -> tuple[Fee, ...]:
    rows = _fee_rules.one(store.id) or ()
    by_code = {row.code: row for row in sorted(rows, key=lambda row: row.store_id is not None)}
    active = [
        row
        for row in by_code.values()
        if row.is_active
        and (row.distance_above_m is None or distance_m > row.distance_above_m)
        and (is_priority or not row.priority_only)
    ]
    return tuple(_fee(row, store.currency) for row in sorted(active, key=lambda row: (row.position, row.code)))


def _fee(row: models.FeeRule, currency: str) -> Fee:
    return Fee(
        code=row.code,
        label=row.label,
        flat=Money(row.flat_cents, currency),
        percent=row.percent,
        minimum=None if row.minimum_cents is None else Money(row.minimum_cents, currency),
        maximum=None if row.maximum_cents is None else Money(row.maximum_cents, currency),
        tax_category=row.tax_category,
        goods_below=None if row.goods_below_cents is None else Money(row.goods_below_cents, currency),
        grams_above=row.grams_above,
    )


def _surge_percent(zone_id: int, now: datetime) -> Decimal:
    surge = _surges.one(zone_id)
    return surge.percent if surge is not None and now < surge.ends_at else Decimal(0)


def _tax_percent(*, state: str, postcode: str) -> dict[str, Decimal]:
    rows = _tax_rates.one(state) or ()
    near = [row for row in rows if postcode.startswith(row.postcode_prefix)]
    return {row.tax_category: row.percent for row in sorted(near, key=lambda row: len(row.postcode_prefix))}


def _open_to_all(store: Store) -> list[Promotion]:
    return [promotion for promotion in _automatic.one(None) or () if promoting.is_for_store(promotion, store)]


def _discount(
    promotion: Promotion, store: Store, lines: Sequence[PricedLine], now: datetime, has_ordered: Callable[[], bool]
) -> Discount:
    found = promoting.discount(promotion, store=store, lines=lines, now=now)
    if promotion.first_order_only and has_ordered():
        raise PromotionForFirstOrder("This promotion is for a first order.")
    return found


def _uses(customer_id: int, promotion_ids: Collection[int]) -> Counter[int]:
    """How often the customer has used each."""
    if not promotion_ids:
        return Counter()
    rows = models.Redemption.objects.filter(customer_id=customer_id, promotion_id__in=promotion_ids)
    return Counter(rows.values_list("promotion_id", flat=True))


def _promotion(row: models.Promotion) -> Promotion:
    return Promotion(
        id=row.pk,
        code=row.code,
        label=row.label,
        amount=Money(row.amount_cents, row.currency),
        percent=row.percent,
        minimum_cents=row.minimum_cents,
        store_id=row.store_id,
        retailer_id=row.retailer_id,
        departments=frozenset(row.departments),
        item_codes=frozenset(row.item_codes),
        per_customer_limit=row.per_customer_limit,
        first_order_only=row.first_order_only,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
    )
