"""The rules of replacing a line that need no database: who may answer what, and what an answer costs."""

from decimal import Decimal
from typing import Final

from apps.carts.types import BEST_MATCH, ITEM
from apps.catalog.types import Item
from apps.common.money import Money
from apps.orders.types import ReplacementStatus

R = ReplacementStatus

ACCEPTED: Final = frozenset({R.APPROVED, R.AUTO_APPROVED})
"""The line is delivered as its replacement."""

MOST_PERCENT: Final = 110
"""Of what the line would have cost: the most an auto-approved replacement costs."""


def quantity_of(item: Item, ordered: Decimal, *, sold_by: str, pieces: int | None) -> Decimal:
    """How much of ``item`` is as much as was ordered: the same, in pieces for a weight, or what pieces weigh."""
    if item.sold_by == sold_by:
        return ordered
    if item.sold_by == "count":
        return Decimal(pieces or 1)
    return round(ordered * item.par_weight, 3) if item.par_weight else Decimal(1)


def cost(unit_price: Money, deposit: Money, quantity: Decimal) -> Money:
    """What so much of something costs, deposit included, tax not: each rounded once, as on the bill."""
    return unit_price.times(quantity) + deposit.times(quantity)


def most_unasked(ordered: Money) -> Money:
    """The most a customer pays for a replacement that nobody approved; a part of a cent is theirs."""
    return Money(ordered.cents * MOST_PERCENT // 100, ordered.currency)


def charged(status: ReplacementStatus, *, shown: Money, ordered: Money) -> Money:
    """What an accepted replacement costs: what the question showed, unasked no more than ``most_unasked``."""
    return min(shown, most_unasked(ordered)) if status is R.AUTO_APPROVED else shown


def unanswered(
    policy: str, *, wished_item_id: int | None, item_id: int | None, ordered: Money, deposit: Money
) -> ReplacementStatus:
    """What becomes of a question that the customer left open, by what they had said about the line.

    ``deposit`` is the whole one of what is proposed: it cannot be taken off, so where it alone is more than may be
    charged unasked, nobody has approved it.
    """
    is_theirs = policy == BEST_MATCH or (policy == ITEM and item_id is not None and item_id == wished_item_id)
    return R.AUTO_APPROVED if is_theirs and deposit <= most_unasked(ordered) else R.REJECTED
