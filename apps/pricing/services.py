from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal

import sharding
from apps.common.money import Money
from apps.pricing import defaults, domain, models, promoting
from apps.pricing.errors import PromotionInvalid, PromotionUsed, RateInvalid
from apps.pricing.types import ENDINGS, Discount

RESERVED_CODES = ("", "delivery", "surge")
"""Of charges that no fee rule makes."""


def seed_defaults() -> None:
    """Put in the fees and tax rates an installation starts with. What is there already stays as it is."""
    with sharding.atomic("default"):
        models.FeeRule.objects.bulk_create([models.FeeRule(**fee) for fee in defaults.FEES], ignore_conflicts=True)
        models.EndingFee.objects.bulk_create(
            [models.EndingFee(ending=ending, flat_cents=cents) for ending, cents in defaults.ENDING_FEES.items()],
            ignore_conflicts=True,
        )
        models.TaxRate.objects.bulk_create(
            [
                models.TaxRate(state=state, postcode_prefix=prefix, tax_category=category, percent=percent)
                for state, prefix, category, percent in defaults.tax_rates()
            ],
            ignore_conflicts=True,
        )


def set_tax_rate(*, state: str, tax_category: str, percent: Decimal, postcode_prefix: str = "") -> None:
    """From now on this percentage is charged there. Raises ``RateInvalid`` outside 0 to 100."""
    if not (percent.is_finite() and 0 <= percent <= 100):
        raise RateInvalid("A tax is between 0 and 100 percent.")
    models.TaxRate.objects.update_or_create(
        state=state.upper(),
        postcode_prefix=postcode_prefix,
        tax_category=tax_category,
        defaults={"percent": percent},
    )


def set_fee(
    *,
    code: str,
    label: str,
    flat_cents: int = 0,
    percent: Decimal = Decimal(0),
    minimum_cents: int | None = None,
    maximum_cents: int | None = None,
    goods_below_cents: int | None = None,
    grams_above: int | None = None,
    distance_above_m: int | None = None,
    priority_only: bool = False,
    store_id: int | None = None,
    is_active: bool = True,
) -> None:
    """The fee of that code, for one store or (without ``store_id``) for all that have none of their own.

    The four conditions are those of ``types.Fee`` and ``selectors.fees_for``. Raises ``RateInvalid`` for anything
    negative, more than 100 percent, limits in the wrong order, or a code that the pipeline itself uses.
    """
    if code in RESERVED_CODES:
        raise RateInvalid(f"A fee cannot be called {code!r}: the window sets the delivery fee, set_surge the surge.")
    conditions = [given for given in (goods_below_cents, grams_above, distance_above_m) if given is not None]
    if any(given < 0 for given in conditions) or goods_below_cents == 0:
        raise RateInvalid("What a fee depends on is not negative.")
    limits = [cents for cents in (minimum_cents, maximum_cents) if cents is not None]
    if flat_cents < 0 or not (percent.is_finite() and 0 <= percent <= 100):
        raise RateInvalid("A fee is not negative, and at most 100 percent.")
    if any(cents < 0 for cents in limits) or limits != sorted(limits):
        raise RateInvalid("The limits of a fee are not negative, the lower one first.")
    models.FeeRule.objects.update_or_create(
        code=code,
        store_id=store_id,
        defaults={
            "label": label,
            "flat_cents": flat_cents,
            "percent": percent,
            "minimum_cents": minimum_cents,
            "maximum_cents": maximum_cents,
            "goods_below_cents": goods_below_cents,
            "grams_above": grams_above,
            "distance_above_m": distance_above_m,
            "priority_only": priority_only,
            "is_active": is_active,
        },
    )


def set_ending_fee(*, ending: str, flat_cents: int, zone_id: int | None = None) -> None:
    """What an order costs that ends so (``types.ENDINGS``), in one zone, or in all that have no rule of their own.

    Raises ``RateInvalid`` for a negative amount, or an ending that costs nothing anywhere.
    """
    if ending not in ENDINGS or flat_cents < 0:
        raise RateInvalid(f"A fee is not negative, and for one of {', '.join(ENDINGS)}.")
    models.EndingFee.objects.update_or_create(ending=ending, zone_id=zone_id, defaults={"flat_cents": flat_cents})


def set_surge(*, zone_id: int, percent: Decimal, ends_at: datetime, reason: str = "") -> None:
    """Until ``ends_at``, orders of the zone's stores pay this percentage on their fees; 0 ends it.

    Orders that were placed keep the percentage they were placed with. Raises ``RateInvalid`` outside 0 to
    ``domain.MAX_SURGE_PERCENT``.
    """
    if not (percent.is_finite() and 0 <= percent <= domain.MAX_SURGE_PERCENT):
        raise RateInvalid(f"A surge is between 0 and {domain.MAX_SURGE_PERCENT} percent.")
    models.Surge.objects.update_or_create(
        zone_id=zone_id, defaults={"percent": percent, "ends_at": ends_at, "reason": reason}
    )


def add_promotion(
    *,
    label: str,
    starts_at: datetime,
    code: str = "",
    percent: Decimal = Decimal(0),
    amount: Money | None = None,
    minimum_cents: int = 0,
    store_id: int | None = None,
    retailer_id: int | None = None,
    departments: Collection[str] = (),
    item_codes: Collection[str] = (),
    per_customer_limit: int | None = None,
    first_order_only: bool = False,
    ends_at: datetime | None = None,
) -> int:
    """A promotion's id; without a ``code`` everybody who orders there gets it. Raises ``PromotionInvalid``."""
    fault = promoting.faults(
        code=code,
        percent=percent,
        amount_cents=amount.cents if amount else 0,
        first_order_only=first_order_only,
        per_customer_limit=per_customer_limit,
    )
    if fault:
        raise PromotionInvalid(fault)
    if minimum_cents < 0 or (ends_at is not None and ends_at <= starts_at):
        raise PromotionInvalid("A minimum is not negative, and a promotion ends after it starts.")
    if code and models.Promotion.objects.filter(code=code).exists():
        raise PromotionInvalid(f"There is a promotion {code} already.")
    made = models.Promotion.objects.create(
        label=label,
        starts_at=starts_at,
        code=code,
        percent=percent,
        amount_cents=amount.cents if amount else 0,
        currency=amount.currency if amount else "USD",
        minimum_cents=minimum_cents,
        store_id=store_id,
        retailer_id=retailer_id,
        departments=list(departments),
        item_codes=list(item_codes),
        per_customer_limit=per_customer_limit,
        first_order_only=first_order_only,
        ends_at=ends_at,
    )
    return made.pk


def redeem(*, customer_id: int, order_id: int, discounts: Sequence[Discount], now: datetime) -> None:
    """Note that the order uses these promotions, in the transaction on the customer's shard that makes it.

    3 queries for each of them. Of two orders that use a promotion's last time at once, the second waits for the first
    and is refused with ``PromotionUsed``.
    """
    for discount in sorted(discounts, key=lambda one: one.promotion_id):  # so that nobody waits for each other
        while not _redeemed(customer_id, order_id, discount, now):
            continue


def give_back(*, customer_id: int, order_id: int) -> None:
    """The order came to nothing: its promotions may be used again. Repeating is harmless. 1 query."""
    models.Redemption.objects.filter(customer_id=customer_id, order_id=order_id).delete()


def _redeemed(customer_id: int, order_id: int, discount: Discount, now: datetime) -> bool:
    """False when somebody else took the number meanwhile. Raises ``PromotionUsed`` when none is left."""
    mine = models.Redemption.objects.filter(customer_id=customer_id, promotion_id=discount.promotion_id)
    number = None
    if discount.most_uses is not None:
        taken = set(mine.values_list("number", flat=True))
        number = next((n for n in range(1, discount.most_uses + 1) if n not in taken), None)
        if number is None:
            raise PromotionUsed("You have used this promotion already.")
    use = models.Redemption(
        customer_id=customer_id, promotion_id=discount.promotion_id, order_id=order_id, number=number, at=now
    )
    models.Redemption.objects.bulk_create([use], ignore_conflicts=True)
    return mine.filter(order_id=order_id).exists()
