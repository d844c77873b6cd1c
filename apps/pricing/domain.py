"""What an order costs. One function prices the estimate and, from the quantities found, the final bill.

The stages, in this order, each a charge of its own that names it (``Charge.code``):

1. *item*: the shelf price times the quantity;
2. *sale*: what the store's sale price takes off that line;
3. promotions, one after the other, each spread over the lines it is for, and never more than is left of them;
4. fees: flat + percent of the goods after 2 and 3, then held within the fee's limits;
5. *deposit*: the unit's deposit times the quantity;
6. tax: percent of the sum of what a tax category holds (goods after discounts, and fees; not deposits, not
   the tip), so that ten lines of one category are not rounded ten times. Laws and tills differ here; taxing
   the invoice's sum instead of its lines is allowed in every US state we know of;
7. *tip*;
8. *surge*: percent of all fees together, at most ``MAX_SURGE_PERCENT``; never of goods, deposits, tax or tip. A
   place that taxes it has a rate for the category ``surge``.

The one rounding rule: every charge is a whole number of cents, half a cent rounding away from zero, and is rounded
once, when it is made. A promotion is rounded as a whole; its parts on the lines are cut so that they sum to it.

The total is the sum of the charges, never computed beside them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from apps.common.money import Money
from apps.pricing.errors import TipInvalid
from apps.pricing.types import (
    DEPOSIT,
    DISCOUNT,
    FEE,
    ITEM,
    SALE,
    SURGE,
    TAX,
    TIP,
    Charge,
    Discount,
    Fee,
    Fees,
    PricedLine,
    Quote,
)

MAX_TIP_CENTS = 50_000
MAX_SURGE_PERCENT: Final = 30

TAX_LABELS = {
    "grocery": "Tax on groceries",
    "general": "Sales tax",
    "alcohol": "Tax on alcohol",
    "service": "Tax on service fees",
    "delivery": "Tax on delivery",
    "surge": "Tax on the busy time fee",
}


def quote(*, lines: Sequence[PricedLine], fees: Fees, tip: Money) -> Quote:
    """The charges of ``lines`` in their order, then those of the stages above.

    A line always has its item charge, also when it comes to nothing; of the others only those are
    made that come to something. Without lines there are no fees: an order of which nothing was
    found costs its tip. Raises ``TipInvalid`` for a tip below zero or above ``MAX_TIP_CENTS``.
    """
    if not 0 <= tip.cents <= MAX_TIP_CENTS:
        raise TipInvalid(f"A tip is between {Money(0)} and {Money(MAX_TIP_CENTS)}.")
    currency = fees.currency
    taxable: dict[str, Money] = {}

    def tax_later(category: str, amount: Money) -> None:
        taxable[category] = taxable.get(category, Money(0, currency)) + amount

    items = [
        Charge(
            kind=ITEM,
            code=ITEM,
            label=line.name,
            amount=line.unit_price.times(line.quantity),
            line_ref=line.line_ref,
        )
        for line in lines
    ]
    sales = [
        Charge(
            kind=DISCOUNT,
            code=SALE,
            label=f"Sale, {line.name}",
            amount=(line.sale_price or line.unit_price).times(line.quantity) - item.amount,
            line_ref=line.line_ref,
        )
        for line, item in zip(lines, items, strict=True)
    ]
    left = [item.amount + sale.amount for item, sale in zip(items, sales, strict=True)]
    discounts = [charge for discount in fees.discounts for charge in _discounted(discount, lines, left)]
    for line, amount in zip(lines, left, strict=True):
        tax_later(line.tax_category, amount)
    goods = Money.total(left, currency)
    charged = [
        Charge(kind=FEE, code=fee.code, label=fee.label, amount=_fee(fee, goods))
        for fee in applying(lines=lines, fees=fees).fees
    ]
    categories = {fee.code: fee.tax_category for fee in fees.fees}
    for charge in charged:
        tax_later(categories[charge.code], charge.amount)
    deposits = [
        Charge(
            kind=DEPOSIT,
            code=DEPOSIT,
            label=f"Deposit, {line.name}",
            amount=line.deposit.times(line.quantity),
            line_ref=line.line_ref,
        )
        for line in lines
    ]
    surge = _surge(Money.total((charge.amount for charge in charged), currency), fees.surge_percent)
    tax_later(SURGE, surge.amount)
    charges = (
        *items,
        *_that_cost(sales),
        *_that_cost(discounts),
        *_that_cost(charged),
        *_that_cost(deposits),
        *_that_cost(_taxes(taxable, fees.tax_percent)),
        *_that_cost([Charge(kind=TIP, code=TIP, label="Tip", amount=tip), surge]),
    )
    return Quote(charges=charges, total=Money.total((charge.amount for charge in charges), currency))


def applying(*, lines: Sequence[PricedLine], fees: Fees) -> Fees:
    """``fees`` without those that ``lines`` give no reason for: none at all where there are no lines.

    The order keeps these. At the final bill a fee may fall away with its reason (the heavy item was out), and none
    comes: nobody pays for a small basket because the store had run out.
    """
    if not lines:
        return replace(fees, fees=())
    basket = Money.total(((line.sale_price or line.unit_price).times(line.quantity) for line in lines), fees.currency)
    grams = sum(line.quantity * line.unit_grams for line in lines)
    return replace(
        fees,
        fees=tuple(
            fee
            for fee in fees.fees
            if (fee.goods_below is None or basket < fee.goods_below)
            and (fee.grams_above is None or grams > fee.grams_above)
        ),
    )


def spread(amount: int, over: Sequence[int]) -> list[int]:
    """``amount`` cut in proportion to ``over``: whole parts that sum to it, none above its own share's whole.

    ``0 <= amount <= sum(over)``; what is above is cut off.
    """
    whole = sum(over)
    amount = min(amount, whole)
    parts, reached, given = [], 0, 0
    for weight in over:
        reached += weight
        due = (2 * amount * reached + whole) // (2 * whole) if whole else 0
        parts.append(due - given)
        given = due
    return parts


def _discounted(discount: Discount, lines: Sequence[PricedLine], left: list[Money]) -> list[Charge]:
    """What ``discount`` takes off each line it is for; ``left`` is what remains of the lines, and is brought down."""
    places = [place for place, line in enumerate(lines) if line.line_ref in discount.line_refs]
    goods = Money.total((left[place] for place in places), discount.amount.currency)
    amount = discount.amount + goods.times(discount.percent / 100)
    parts = spread(amount.cents, [left[place].cents for place in places])
    for place, cents in zip(places, parts, strict=True):
        left[place] -= Money(cents, discount.amount.currency)
    return [
        Charge(
            kind=DISCOUNT,
            code=discount.code,
            label=discount.label,
            amount=Money(-cents, discount.amount.currency),
            line_ref=lines[place].line_ref,
        )
        for place, cents in zip(places, parts, strict=True)
    ]


def _fee(fee: Fee, goods: Money) -> Money:
    amount = fee.flat + goods.times(fee.percent / 100)
    if fee.minimum is not None:
        amount = max(amount, fee.minimum)
    if fee.maximum is not None:
        amount = min(amount, fee.maximum)
    return amount


def _surge(fees: Money, percent: Decimal) -> Charge:
    percent = min(percent, Decimal(MAX_SURGE_PERCENT))
    return Charge(
        kind=FEE,
        code=SURGE,
        label=f"Busy time, {percent.normalize():f} % of the fees",
        amount=fees.times(percent / 100),
        base=fees,
    )


def _taxes(taxable: Mapping[str, Money], percents: Mapping[str, Decimal]) -> list[Charge]:
    return [
        Charge(
            kind=TAX,
            code=category,
            label=TAX_LABELS.get(category, f"Tax, {category}"),
            amount=amount.times(percents.get(category, Decimal(0)) / 100),
            base=amount,
        )
        for category, amount in sorted(taxable.items())
    ]


def _that_cost(charges: Iterable[Charge]) -> list[Charge]:
    return [charge for charge in charges if charge.amount]
