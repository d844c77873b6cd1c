from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import datetime

from django.db.models import Count, Max, Q, QuerySet, Sum

import sharding
from apps.ledger import models
from apps.ledger.types import Account, Balances, CashMove, Cause, Entry, PartyMove, Posted


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


def store_ids(*, using: str) -> frozenset[int]:
    """Stores that one customer shard has booked anything for. 1 query."""
    rows = sharding.owned(models.LedgerEntry.objects, using).filter(store_id__isnull=False)
    found = rows.order_by().values_list("store_id", flat=True).distinct()
    return frozenset(store_id for store_id in found if store_id is not None)


def of_store(*, store_id: int, since: datetime, before: datetime) -> tuple[Posted, ...]:
    """What was booked for a store's orders in that time, summed up by what is alike. 1 query a customer shard."""
    alike = ("cause", "kind", "debit", "credit")
    return tuple(
        Posted(order_id=0, cents=row.pop("cents"), at=row.pop("last_at"), **row)
        for using in sharding.aliases("customer")
        for row in _of_store(using, store_id, since, before)
        .values(*alike)
        .annotate(cents=Sum("amount_cents"), last_at=Max("at"))
        .order_by(*alike)
    )


def orders_of_store(
    *, store_id: int, since: datetime, before: datetime, after: int, limit: int
) -> dict[int, tuple[Posted, ...]]:
    """The same by order: of the next ``limit`` orders above ``after``, in the order of their ids.

    2 queries a customer shard, 1 where it has none of them.
    """
    known: dict[int, str] = {}
    for using in sharding.aliases("customer"):
        rows = _of_store(using, store_id, since, before).filter(order_id__gt=after).order_by("order_id")
        known |= dict.fromkeys(rows.values_list("order_id", flat=True).distinct()[:limit], using)
    page = sorted(known)[:limit]
    found: dict[int, list[Posted]] = {order_id: [] for order_id in page}
    for using in sorted({known[order_id] for order_id in page}):
        mine = [order_id for order_id in page if known[order_id] == using]
        for row in _of_store(using, store_id, since, before).filter(order_id__in=mine).order_by("pk"):
            found[row.order_id].append(
                Posted(
                    order_id=row.order_id,
                    cause=row.cause,
                    kind=row.kind,
                    debit=row.debit,
                    credit=row.credit,
                    cents=row.amount_cents,
                    at=row.at,
                )
            )
    return {order_id: tuple(rows) for order_id, rows in found.items()}


def party_moves(*, party_kind: str, party_id: int, since: datetime, before: datetime) -> tuple[PartyMove, ...]:
    """What was sent to a store or shopper in that time, and taken back, oldest first. 1 query."""
    rows = _sent().filter(party_kind=party_kind, party_id=party_id, at__gte=since, at__lt=before)
    return tuple(
        PartyMove(
            transfer_id=row.transfer_id, cause=row.cause, cents=_sent_cents(row.cause, row.amount_cents), at=row.at
        )
        for row in rows.order_by("at", "pk")
    )


def sent_to(*, party_kind: str, before: datetime, party_ids: Collection[int] | None = None) -> dict[int, int]:
    """What these parties (all of them, unless named) were sent in all, less what was taken back. 1 query."""
    rows = _sent().filter(party_kind=party_kind, at__lt=before)
    if party_ids is not None:
        rows = rows.filter(party_id__in=party_ids)
    sent: Counter[int] = Counter()
    sums = rows.values("party_id", "cause").annotate(cents=Sum("amount_cents")).order_by()
    for party_id, cause, cents in sums.values_list("party_id", "cause", "cents"):
        sent[party_id] += _sent_cents(cause, cents)
    return dict(sent)


def tips_passed_on(*, using: str, order_ids: Collection[int]) -> dict[int, int]:
    """What shoppers are owed of these orders' tips, less what was lowered, by order of one customer shard. 1 query."""
    either = Q(credit=Account.SHOPPER_PAYABLE) | Q(debit=Account.SHOPPER_PAYABLE)
    rows = models.LedgerEntry.objects.using(using).filter(either, order_id__in=order_ids)
    passed: Counter[int] = Counter()
    for order_id, credit, cents in rows.values_list("order_id", "credit", "amount_cents"):
        passed[order_id] += cents if credit == Account.SHOPPER_PAYABLE else -cents
    return dict(passed)


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


def _of_store(using: str, store_id: int, since: datetime, before: datetime) -> QuerySet[models.LedgerEntry]:
    rows = sharding.owned(models.LedgerEntry.objects, using)
    return rows.filter(store_id=store_id, at__gte=since, at__lt=before)


def _sent() -> QuerySet[models.PartyEntry]:
    return models.PartyEntry.objects.filter(cause__in=[Cause.TRANSFERRED, Cause.TAKEN_BACK])


def _sent_cents(cause: str, cents: int) -> int:
    return cents if cause == Cause.TRANSFERRED else -cents


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
