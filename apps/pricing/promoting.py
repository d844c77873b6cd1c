"""Whether a promotion is for an order, and what it takes off: rules that need no database."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from apps.common.money import Money
from apps.pricing.errors import (
    PromotionBelowMinimum,
    PromotionForOtherGoods,
    PromotionNotHere,
    PromotionNotNow,
)
from apps.pricing.types import Discount, PricedLine, Promotion
from apps.stores.types import Store


def is_for_store(promotion: Promotion, store: Store) -> bool:
    """An amount is of one currency: it is nothing elsewhere."""
    return (
        promotion.store_id in (None, store.id)
        and promotion.retailer_id in (None, store.retailer_id)
        and promotion.amount.currency == store.currency
    )


def is_for_line(promotion: Promotion, line: PricedLine) -> bool:
    """A promotion that names neither departments nor items is for everything; one that names both, for either."""
    if not promotion.departments and not promotion.item_codes:
        return True
    return line.department in promotion.departments or line.item_code in promotion.item_codes


def discount(promotion: Promotion, *, store: Store, lines: Sequence[PricedLine], now: datetime) -> Discount:
    """What ``promotion`` takes off ``lines``.

    Raises ``PromotionNotNow``, ``PromotionNotHere``, ``PromotionForOtherGoods`` and ``PromotionBelowMinimum``; the
    minimum is of the whole basket at sale prices.
    """
    if now < promotion.starts_at or (promotion.ends_at is not None and now >= promotion.ends_at):
        raise PromotionNotNow("This promotion is over, or has not begun.")
    if not is_for_store(promotion, store):
        raise PromotionNotHere(f"This promotion is not for {store.name}.")
    refs = frozenset(line.line_ref for line in lines if is_for_line(promotion, line))
    if not refs:
        raise PromotionForOtherGoods("Nothing in your cart takes part in this promotion.")
    basket = Money.total(((line.sale_price or line.unit_price).times(line.quantity) for line in lines), store.currency)
    if basket.cents < promotion.minimum_cents:
        raise PromotionBelowMinimum(
            f"This promotion is for {Money(promotion.minimum_cents, store.currency)} of goods and more."
        )
    return Discount(
        code=promotion.code or f"promotion:{promotion.id}",
        label=promotion.label,
        amount=promotion.amount,
        percent=promotion.percent,
        line_refs=refs,
        promotion_id=promotion.id,
        most_uses=promotion.per_customer_limit,
    )


def faults(
    *,
    code: str,
    percent: Decimal,
    amount_cents: int,
    first_order_only: bool,
    per_customer_limit: int | None,
) -> str:
    """What is wrong with a promotion; empty where nothing is."""
    if code != code.upper() or not (code == "" or (code.isascii() and code.isalnum())) or len(code) > 30:
        return "A code has up to 30 capital letters and digits, or is empty: then everybody gets it."
    if not (percent.is_finite() and 0 <= percent <= 100) or amount_cents < 0 or bool(percent) == bool(amount_cents):
        return "A promotion is either a percentage up to 100 or an amount."
    if per_customer_limit is not None and not 0 < per_customer_limit <= 1_000:
        return "One customer may use a promotion between 1 and 1,000 times; leave it empty for no limit."
    if first_order_only and per_customer_limit != 1:
        return "A promotion for the first order is used once: set the limit per customer to 1."
    return ""
