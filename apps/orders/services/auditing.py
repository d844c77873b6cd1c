"""Every cent of every order explained: its money lines, its payments and the ledger say the same."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum

import sharding
from apps.ledger import selectors as ledger
from apps.ledger.types import Account, Balances
from apps.orders import models
from apps.orders.domain import Phase, Status
from apps.payments import selectors as payments
from apps.payments.services import PATIENCE, Tell

_PAGE = 500
_CHARGED = (Status.DELIVERED, Status.CANCELED, Status.RETURNED)
"""Their final lines are owed; of those that ended otherwise that is a fee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """Figures of one shard."""

    orders: int
    entries: int
    cents: int
    """What the provider holds for these orders, by our books."""


def audit(*, using: str, now: datetime, tell: Tell) -> Audited:
    """Go through all orders of one customer shard and ``tell`` of each cent that is not explained.

    Holds 500 orders in memory, 5 queries for each such page. What was booked within the last minute may still be
    followed by its other half and is left out.
    """
    orders = entries = cents = last = 0
    while page := list(sharding.owned(models.Order.objects, using).filter(pk__gt=last).order_by("pk")[:_PAGE]):
        last = page[-1].pk
        order_ids = [order.pk for order in page]
        balances = ledger.balances(using=using, order_ids=order_ids)
        paid = payments.sums(using=using, order_ids=order_ids)
        lines = _lines(using, order_ids)
        for order in page:
            balance = balances.get(order.pk)
            for what, amount in _unexplained(order, balance, paid.get(order.pk, 0), lines[order.pk], now):
                tell(f"order {order.pk}: {what}", abs(amount))
            if balance is not None:
                entries += balance.entries
                cents += balance.cents.get(Account.PROVIDER_CASH, 0)
        orders += len(page)
    _strangers(using, tell)
    return Audited(orders=orders, entries=entries, cents=cents)


def _lines(using: str, order_ids: Collection[int]) -> Mapping[int, Mapping[str, int]]:
    """Final money lines in cents, by order and kind."""
    rows = models.OrderAdjustment.objects.using(using).filter(order_id__in=order_ids, phase=Phase.FINAL)
    sums: dict[int, dict[str, int]] = defaultdict(dict)
    for row in rows.values("order_id", "kind").annotate(cents=Sum("amount_cents")).order_by():
        sums[row["order_id"]][row["kind"]] = row["cents"]
    return sums


def _unexplained(
    order: models.Order, balance: Balances | None, paid: int, lines: Mapping[str, int], now: datetime
) -> Iterator[tuple[str, int]]:
    cents = balance.cents if balance else {}
    cash = cents.get(Account.PROVIDER_CASH, 0)
    if cash != paid:
        yield f"its payments come to {paid} cents, the ledger's to {cash}", paid - cash
    sold = dict(balance.sold_cents) if balance else {}
    if "commission" in sold:
        sold["item"] = sold.get("item", 0) + sold.pop("commission")
    charged = {kind: amount for kind, amount in lines.items() if amount} if order.status in _CHARGED else {}
    for kind in sorted(sold.keys() | charged.keys()):
        if sold.get(kind, 0) != charged.get(kind, 0):
            difference = charged.get(kind, 0) - sold.get(kind, 0)
            yield f"its {kind} lines come to {charged.get(kind, 0)} cents, {sold.get(kind, 0)} were booked", difference
    if balance is not None and balance.last_at < now - PATIENCE:
        if owed := cents.get(Account.CUSTOMER, 0):
            whose = "the customer owes" if owed > 0 else "owed to the customer"
            yield f"{abs(owed)} cents {whose} ({order.status}, {order.currency})", owed
        if tip := cents.get(Account.TIP, 0):
            yield f"{-tip} cents of tip did not reach the shopper's account", tip


def _strangers(using: str, tell: Tell) -> None:
    """Entries of orders that do not exist."""
    after = 0
    while order_ids := ledger.order_ids(using=using, after=after, limit=_PAGE):
        after = order_ids[-1]
        known = set(models.Order.objects.using(using).filter(pk__in=order_ids).values_list("pk", flat=True))
        strange = [order_id for order_id in order_ids if order_id not in known]
        for order_id, balance in ledger.balances(using=using, order_ids=strange).items() if strange else ():
            moved = sum(abs(amount) for amount in balance.cents.values()) // 2
            tell(f"order {order_id}: does not exist, {balance.entries} entries are about it", moved)
