"""What an order costs: estimated from the cart, final from what was found, both through one pricing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.carts.types import Cart
from apps.catalog.types import Item
from apps.common.geo import Point
from apps.common.money import Money
from apps.orders import estimates, models
from apps.orders.domain import LineStatus, Phase
from apps.orders.types import ReplacementStatus
from apps.pricing import selectors as pricing
from apps.pricing.types import ITEM, Charge, Discount, Fee, Fees, PricedLine
from apps.slots.types import Window
from apps.stores.types import Store

DELIVERED = frozenset({LineStatus.FOUND, LineStatus.REPLACED})

PRICE_PROTECTION = "price_protection"
"""The code of what a replacement is cheaper by than on the shelf."""

RESCHEDULED = "rescheduled"
"""The code of what a charge differs by in another window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    charges: tuple[Charge, ...]
    total: Money
    fees: dict[str, Any]
    """The fees and rates it was made with, for the order to keep."""
    surge_percent: Decimal
    discounts: tuple[Discount, ...]


def estimate(
    *,
    customer_id: int,
    store: Store,
    window: Window,
    cart: Cart,
    tip: Money,
    point: Point,
    promotion_code: str,
    now: datetime,
) -> Estimate:
    """What ``cart`` costs brought to ``point`` in that window; raises ``TipInvalid`` and what a promotion refuses."""
    fees = estimates.fees(store=store, window=window, point=point, now=now)
    lines = estimates.priced(cart)
    discounts = estimates.discounts(customer_id=customer_id, store=store, lines=lines, code=promotion_code, now=now)
    fees = replace(fees, discounts=discounts)
    quote = pricing.quote(lines=lines, fees=fees, tip=tip)
    fees = pricing.applying(lines=lines, fees=fees)
    return Estimate(
        charges=quote.charges,
        total=quote.total,
        fees=_kept(fees),
        surge_percent=fees.surge_percent,
        discounts=discounts,
    )


def lines(order: models.Order, cart: Cart) -> list[models.OrderLine]:
    """The lines of a cart that holds only what is sold, as rows of ``order``, not saved yet; positions count from 1."""
    return [
        line_of(
            order,
            item,
            line.quantity,
            position=position,
            note=line.note,
            replacement_policy=line.replacement_policy,
            replacement_item_id=line.replacement_item_id,
            pieces=line.pieces,
        )
        for position, line in enumerate(cart.lines, start=1)
        if (item := line.item) is not None
    ]


def line_of(order: models.Order, item: Item, quantity: Decimal, **more: Any) -> models.OrderLine:
    """A line for an item at today's price, not saved yet; ``more`` are its other columns."""
    return models.OrderLine(
        order=order,
        customer_id=order.customer_id,
        item_id=item.id,
        name=item.name,
        department=item.department,
        aisle=item.aisle,
        rank=item.rank,
        cost_unit=item.cost_unit,
        sold_by=item.sold_by,
        unit_price_cents=item.price.cents,
        list_price_cents=item.list_price.cents if item.list_price != item.price else None,
        unit_grams=item.unit_grams,
        tax_category=item.tax_category,
        deposit_cents=item.deposit.cents,
        quantity=quantity,
        **more,
    )


def adjustments(
    order: models.Order,
    rows: Sequence[models.OrderLine],
    charges: Sequence[Charge],
    *,
    phase: Phase,
    reasons: Mapping[int, str] | None = None,
) -> list[models.OrderAdjustment]:
    """``charges`` as money lines of ``order``, not saved yet; ``reasons`` by position of the line they are about."""
    by_position = {row.position: row for row in rows}
    return [
        models.OrderAdjustment(
            order=order,
            customer_id=order.customer_id,
            kind=charge.kind,
            code=charge.code,
            label=charge.label,
            amount_cents=charge.amount.cents,
            base_cents=None if charge.base is None else charge.base.cents,
            line=by_position.get(charge.line_ref or 0),
            phase=phase,
            reason=(reasons or {}).get(charge.line_ref or 0, ""),
            actor="system",
        )
        for charge in charges
    ]


def final(order: models.Order, picked: Sequence[models.OrderLine]) -> list[models.OrderAdjustment]:
    """The final money lines of a picked order: every line at its found quantity, the estimate's fees and rates.

    Where nothing at all was found only the lines remain, at 0: nobody pays a fee or a tip for an empty bag.
    """
    bought = [line for line in picked if line.status in DELIVERED]
    named = [line.replacement_id for line in bought if line.replacement_id]
    instead = {one.pk: one for one in order.replacements.filter(pk__in=named)} if named else {}
    priced = [_delivered(line, instead.get(line.replacement_id or 0), order.currency) for line in bought]
    tip = Money(order.tip_cents, order.currency)
    fees = _fees(order, order.fees)
    fees = replace(fees, discounts=(*_protection(bought, instead, order.currency), *fees.discounts))
    charges = pricing.quote(lines=priced, fees=fees, tip=tip).charges if bought else ()
    refunded = [
        Charge(kind=ITEM, code=ITEM, label=line.name, amount=Money(0, order.currency), line_ref=line.position)
        for line in picked
        if line.status not in DELIVERED
    ]
    reasons = {line.position: _reason(line, instead.get(line.replacement_id or 0)) for line in picked}
    return adjustments(order, picked, [*charges, *refunded], phase=Phase.FINAL, reasons=reasons)


def estimated(order: models.Order, rows: Sequence[models.OrderLine]) -> tuple[Charge, ...]:
    """The charges of the order's estimate if ``rows`` were its lines, with the fees and rates it was placed with."""
    lines = [_priced(line, line.quantity, order.currency) for line in rows if not line.is_taken_out]
    tip = Money(order.tip_cents, order.currency)
    return pricing.quote(lines=lines, fees=_fees(order, order.fees), tip=tip).charges


def moved(
    order: models.Order, rows: Sequence[models.OrderLine], *, window_fee: Money
) -> tuple[dict[str, Any], tuple[Charge, ...]]:
    """The fees the order has in a window of that fee, and by how much each charge of its estimate differs then."""
    fees = {
        **order.fees,
        "fees": [{**fee, "flat": window_fee.cents} if fee["code"] == "delivery" else fee for fee in order.fees["fees"]],
    }
    lines = [_priced(line, line.quantity, order.currency) for line in rows if not line.is_taken_out]
    tip = Money(order.tip_cents, order.currency)
    before, after = (
        pricing.quote(lines=lines, fees=_fees(order, kept), tip=tip).charges for kept in (order.fees, fees)
    )
    cents: dict[tuple[str, str, int | None], int] = {}
    for sign, charges in ((-1, before), (1, after)):
        for charge in charges:
            key = (charge.kind, charge.label, charge.line_ref)
            cents[key] = cents.get(key, 0) + sign * charge.amount.cents
    return fees, tuple(
        Charge(kind=kind, code=RESCHEDULED, label=label, amount=Money(difference, order.currency), line_ref=line_ref)
        for (kind, label, line_ref), difference in cents.items()
        if difference
    )


def _delivered(line: models.OrderLine, other: models.Replacement | None, currency: str) -> PricedLine:
    """The line as it is paid for: what was found of it, or the ``other`` that it was replaced by."""
    if other is None:
        return _priced(line, line.found_quantity or Decimal(0), currency)
    return PricedLine(
        line_ref=line.position,
        name=other.name,
        quantity=other.quantity,
        unit_price=Money(other.list_price_cents, currency),
        sale_price=Money(other.unit_price_cents, currency),
        unit_grams=other.unit_grams,
        tax_category=other.tax_category,
        deposit=Money(other.deposit_cents, currency),
    )


def _protection(
    lines: Sequence[models.OrderLine], instead: Mapping[int, models.Replacement], currency: str
) -> Iterator[Discount]:
    """What is taken off replacements that come to more than their customer is charged for them; the platform's."""
    for line in lines:
        other = instead.get(line.replacement_id or 0)
        if other is not None and other.charged_cents is not None and other.charged_cents < other.shown_cents:
            yield Discount(
                code=PRICE_PROTECTION,
                label=f"Price protection, {other.name}",
                amount=Money(other.shown_cents - other.charged_cents, currency),
                line_refs=frozenset({line.position}),
                promotion_id=0,
            )


def _priced(line: models.OrderLine, quantity: Decimal, currency: str) -> PricedLine:
    return PricedLine(
        line_ref=line.position,
        name=line.name,
        quantity=quantity,
        unit_price=Money(line.list_price_cents or line.unit_price_cents, currency),
        sale_price=Money(line.unit_price_cents, currency),
        unit_grams=line.unit_grams,
        tax_category=line.tax_category,
        deposit=Money(line.deposit_cents, currency),
    )


def _reason(line: models.OrderLine, other: models.Replacement | None) -> str:
    if other is not None:
        return _why_replaced(line, other)
    if line.is_taken_out:
        return "taken out by the customer"
    if line.status != LineStatus.FOUND:
        return f"refunded: 0 of {line.quantity.normalize():f} {line.cost_unit}"
    found = line.found_quantity or Decimal(0)
    return f"found {found.normalize():f} of {line.quantity.normalize():f} {line.cost_unit}"


def _why_replaced(line: models.OrderLine, other: models.Replacement) -> str:
    ordered = f"{line.quantity.normalize():f} {line.cost_unit} {line.name}"
    who = "approved by you" if other.status == ReplacementStatus.APPROVED else "as you had said when ordering"
    return f"instead of {ordered[:120]}: out of stock, {who}"


def _kept(fees: Fees) -> dict[str, Any]:
    """``fees`` as JSON for the order's row; ``_fees`` reads it back."""
    return {
        "currency": fees.currency,
        "tax_percent": {category: str(percent) for category, percent in fees.tax_percent.items()},
        "fees": [
            {
                "code": fee.code,
                "label": fee.label,
                "flat": fee.flat.cents,
                "percent": str(fee.percent),
                "minimum": None if fee.minimum is None else fee.minimum.cents,
                "maximum": None if fee.maximum is None else fee.maximum.cents,
                "tax_category": fee.tax_category,
                "goods_below": None if fee.goods_below is None else fee.goods_below.cents,
                "grams_above": fee.grams_above,
            }
            for fee in fees.fees
        ],
        "discounts": [
            {
                "code": discount.code,
                "label": discount.label,
                "amount": discount.amount.cents,
                "percent": str(discount.percent),
                "lines": sorted(discount.line_refs),
                "promotion": str(discount.promotion_id),
            }
            for discount in fees.discounts
        ],
    }


def _fees(order: models.Order, kept: Mapping[str, Any]) -> Fees:
    currency = kept["currency"]

    def money(cents: int | None) -> Money | None:
        return None if cents is None else Money(cents, currency)

    return Fees(
        currency=currency,
        surge_percent=order.surge_percent,
        tax_percent={category: Decimal(percent) for category, percent in kept["tax_percent"].items()},
        fees=tuple(
            Fee(
                code=fee["code"],
                label=fee["label"],
                flat=Money(fee["flat"], currency),
                percent=Decimal(fee["percent"]),
                minimum=money(fee["minimum"]),
                maximum=money(fee["maximum"]),
                tax_category=fee["tax_category"],
                goods_below=money(fee.get("goods_below")),  # orders of before there were conditions have none
                grams_above=fee.get("grams_above"),
            )
            for fee in kept["fees"]
        ),
        discounts=tuple(
            Discount(
                code=discount["code"],
                label=discount["label"],
                amount=Money(discount["amount"], currency),
                percent=Decimal(discount["percent"]),
                line_refs=frozenset(discount["lines"]),
                promotion_id=int(discount["promotion"]),
            )
            for discount in kept.get("discounts", ())
        ),
    )
