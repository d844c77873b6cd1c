from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import datetime

from django.db.models import Count, Q, QuerySet, Sum

import sharding
from apps.ledger import models
from apps.ledger.types import Account, Balances, CashMove, Cause, Entry


def entries(*, customer_id: int, order_id: int) -> tuple[Entry, ...]:
    """All that was booked for the order, oldest first. 1 query."""
    rows = models.LedgerEntry.objects.filter(customer_id=customer_id, order_id=order_id).order_by("id")
    return tuple(_entry(row) for row in rows)


def balance(*, customer_id: int, order_id: int) -> Balances | None:
    """Where the accounts of the order stand; None where nothing was booked. 1 query."""
    rows = list(models.LedgerEntry.objects.filter(customer_id=customer_id, order_id=order_id))
    return _balances(order_id, rows) if rows else None


def balances(*, using: str, order_ids: Collection[int]) -> dict[int, Balances]:
    """The same for orders of one customer shard; those for which nothing was booked are missing. 1 query."""
    found: dict[int, list[models.LedgerEntry]] = defaultdict(list)
    for row in models.LedgerEntry.objects.using(using).filter(order_id__in=order_ids):
        found[row.order_id].append(row)
    return {order_id: _balances(order_id, rows) for order_id, rows in found.items()}


def order_ids(*, using: str, after: int, limit: int) -> tuple[int, ...]:
    """Orders for which one customer shard has booked anything, in their order, above ``after``. 1 query."""
    rows = sharding.owned(models.LedgerEntry.objects, using).filter(order_id__gt=after)
    return tuple(rows.order_by("order_id").values_list("order_id", flat=True).distinct()[:limit])


def owed_to_stores(*, store_ids: Collection[int], before: datetime) -> dict[int, int]:
    """What orders left owing to these stores in cents, transfers not counted. 2 queries a customer shard."""
    owed: Counter[int] = Counter()
    for using in sharding.aliases("customer"):
        rows = sharding.owned(models.LedgerEntry.objects, using).filter(store_id__in=store_ids, at__lt=before)
        for side, sign in (("credit", 1), ("debit", -1)):
            mine = rows.filter(**{side: Account.STORE_PAYABLE}).values("store_id").annotate(cents=Sum("amount_cents"))
            for store_id, cents in mine.order_by().values_list("store_id", "cents"):
                owed[store_id or 0] += sign * cents
    return dict(owed)


def transfers_cash() -> tuple[int, int]:
    """How often money was sent to parties or taken back by the books, and what that did to our cash. 2 queries."""
    sums = [
        models.PartyEntry.objects.filter(**{side: Account.PROVIDER_CASH}).aggregate(
            n=Count("pk"), cents=Sum("amount_cents", default=0)
        )
        for side in ("debit", "credit")
    ]
    return sums[0]["n"] + sums[1]["n"], sums[0]["cents"] - sums[1]["cents"]


def cash(*, using: str, order_ids: Collection[int]) -> tuple[CashMove, ...]:
    """What these orders did to the money at the provider. 1 query."""
    return tuple(_cash_move(row) for row in _cash(using).filter(order_id__in=order_ids))


def cash_after(*, using: str, after: int, limit: int, before: datetime) -> tuple[int, tuple[CashMove, ...]]:
    """The next page of one customer shard, booked earlier than ``before``, and its last entry's id. 1 query."""
    rows = list(_cash(using).filter(pk__gt=after, at__lt=before).order_by("pk")[:limit])
    return (rows[-1].pk if rows else after), tuple(_cash_move(row) for row in rows)


def cash_totals(*, using: str, before: datetime) -> tuple[int, int]:
    """How many times money at the provider moved by the books of one shard, and by how much in all. 2 queries."""
    rows = _cash(using).filter(at__lt=before)
    sums = [
        rows.filter(**{side: Account.PROVIDER_CASH}).aggregate(n=Count("pk"), cents=Sum("amount_cents", default=0))
        for side in ("debit", "credit")
    ]
    return sums[0]["n"] + sums[1]["n"], sums[0]["cents"] - sums[1]["cents"]


def _cash(using: str) -> QuerySet[models.LedgerEntry]:
    either = Q(debit=Account.PROVIDER_CASH) | Q(credit=Account.PROVIDER_CASH)
    return sharding.owned(models.LedgerEntry.objects, using).filter(either)


def _cash_move(row: models.LedgerEntry) -> CashMove:
    return CashMove(
        customer_id=row.customer_id,
        order_id=row.order_id,
        cause=row.cause,
        step=row.step,
        version=row.version,
        cents=row.amount_cents if row.debit == Account.PROVIDER_CASH else -row.amount_cents,
        at=row.at,
    )


def _balances(order_id: int, rows: Collection[models.LedgerEntry]) -> Balances:
    cents: Counter[str] = Counter()
    sold: Counter[str] = Counter()
    for row in rows:
        cents[row.debit] += row.amount_cents
        cents[row.credit] -= row.amount_cents
        if row.cause == Cause.SOLD:
            sold[row.kind] += row.amount_cents if row.debit == Account.CUSTOMER else -row.amount_cents
    return Balances(
        order_id=order_id,
        cents=dict(cents),
        sold_cents=dict(sold),
        entries=len(rows),
        last_at=max(row.at for row in rows),
    )


def _entry(row: models.LedgerEntry) -> Entry:
    return Entry(
        id=row.pk,
        order_id=row.order_id,
        cause=row.cause,
        step=row.step,
        version=row.version,
        kind=row.kind,
        debit=row.debit,
        credit=row.credit,
        cents=row.amount_cents,
        currency=row.currency,
        at=row.at,
    )
