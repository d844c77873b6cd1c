"""What an order costs. One function prices the estimate and, from the quantities found, the final bill.

The one rounding rule: every charge is a whole number of cents, half a cent rounding up, and is
rounded once, when it is made:

- an item or a deposit: the unit amount times the quantity;
- a fee: flat + percent of all items, then held within its limits;
- a tax: percent of the sum of what its tax category holds (items and fees; not deposits, not the
  tip), so that ten lines of one category are not rounded ten times. Laws and tills differ here;
  taxing the invoice's sum instead of its lines is allowed in every US state we know of.

The total is the sum of the charges, never computed beside them.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from apps.common.money import Money
from apps.pricing.errors import TipInvalid
from apps.pricing.types import DEPOSIT, FEE, ITEM, TAX, TIP, Charge, Fee, Fees, PricedLine, Quote

MAX_TIP_CENTS = 50_000

TAX_LABELS = {
    "grocery": "Tax on groceries",
    "general": "Sales tax",
    "alcohol": "Tax on alcohol",
    "service": "Tax on service fees",
    "delivery": "Tax on delivery",
}


def quote(*, lines: Sequence[PricedLine], fees: Fees, tip: Money) -> Quote:
    """The charges of ``lines`` in their order, then deposits, fees, taxes and the tip.

    A line always has its item charge, also when it comes to nothing; of the others only those are
    made that come to something. Without lines there are no fees: an order of which nothing was
    found costs its tip. Raises ``TipInvalid`` for a tip below zero or above ``MAX_TIP_CENTS``.
    """
    if not 0 <= tip.cents <= MAX_TIP_CENTS:
        raise TipInvalid(f"A tip is between {Money(0)} and {Money(MAX_TIP_CENTS)}.")
    taxable: dict[str, Money] = {}

    def tax_later(category: str, amount: Money) -> None:
        taxable[category] = taxable.get(category, Money(0, fees.currency)) + amount

    items = [
        Charge(kind=ITEM, label=line.name, amount=line.unit_price.times(line.quantity), line_ref=line.line_ref)
        for line in lines
    ]
    for line, item in zip(lines, items, strict=True):
        tax_later(line.tax_category, item.amount)
    deposits = [
        Charge(
            kind=DEPOSIT,
            label=f"Deposit, {line.name}",
            amount=line.deposit.times(line.quantity),
            line_ref=line.line_ref,
        )
        for line in lines
    ]
    goods = Money.total((item.amount for item in items), fees.currency)
    charged = [Charge(kind=FEE, label=fee.label, amount=_fee(fee, goods)) for fee in fees.fees] if lines else []
    for fee, charge in zip(fees.fees, charged, strict=False):
        tax_later(fee.tax_category, charge.amount)
    taxes = _taxes(taxable, fees.tax_percent)
    tips = [Charge(kind=TIP, label="Tip", amount=tip)]
    charges = (*items, *_that_cost(deposits), *_that_cost(charged), *_that_cost(taxes), *_that_cost(tips))
    return Quote(charges=charges, total=Money.total((charge.amount for charge in charges), fees.currency))


def _fee(fee: Fee, goods: Money) -> Money:
    amount = fee.flat + goods.times(fee.percent / 100)
    if fee.minimum is not None:
        amount = max(amount, fee.minimum)
    if fee.maximum is not None:
        amount = min(amount, fee.maximum)
    return amount


def _taxes(taxable: Mapping[str, Money], percents: Mapping[str, Decimal]) -> list[Charge]:
    return [
        Charge(
            kind=TAX,
            label=TAX_LABELS.get(category, f"Tax, {category}"),
            amount=amount.times(percents.get(category, Decimal(0)) / 100),
        )
        for category, amount in sorted(taxable.items())
    ]


def _that_cost(charges: Iterable[Charge]) -> list[Charge]:
    return [charge for charge in charges if charge.amount]
