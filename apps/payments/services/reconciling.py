"""Our books against the provider's: every movement there is one entry here, and the other way round."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sharding
from apps.ledger import selectors as ledger
from apps.ledger.types import CashMove
from apps.payments import gateway, models
from apps.payments.errors import UnknownObject
from apps.payments.gateway import Movement
from apps.payments.types import TransferStatus

PATIENCE = timedelta(seconds=60)
"""A movement may be this young before it has to be explained: its answer or its webhook is on the way."""
_PAGE = 500
OF_ORDERS = frozenset({"captured", "refunded", "refund_failed", "disputed", "dispute_won"})
_NOTHING = (0, "", "", 0)

Tell = Callable[[str, int], None]
"""Takes what is wrong and how many cents it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Figures of a comparison."""

    movements: int
    cents: int
    """Captured less refunded at the provider."""


def compare_with_provider(*, now: datetime, tell: Tell) -> Compared:
    """Go through all movements at the provider and ``tell`` of each cent that our ledger does not explain.

    Holds one page of movements in memory. What is younger than a minute may still be on its way and is left out.
    Raises ``ProviderUnavailable``.
    """
    seen = cents = matched = sent = 0
    for page in _pages():
        explained = _explained(page)
        known = _known_transfers(page)
        for movement in page:
            if movement.cause in ("transferred", "taken_back"):
                sent += movement.cents
                if movement.source not in known:
                    tell(f"{_named(movement)} and is no transfer of ours", abs(movement.cents))
            if movement.cause not in OF_ORDERS:
                continue
            seen += 1
            cents += movement.cents
            move = explained.get(movement.id)
            if move is not None:
                matched += move.at < now - PATIENCE
            elif movement.at < now - PATIENCE:
                tell(f"{_named(movement)} and is in no ledger", abs(movement.cents))
    booked = sum(ledger.cash_totals(using=alias, before=now - PATIENCE)[0] for alias in sharding.aliases("customer"))
    if booked != matched:
        for alias in sharding.aliases("customer"):
            _doubt(alias, now=now, tell=tell)
    booked_sent = ledger.transfers_cash()[1]
    if booked_sent != sent and not models.Transfer.objects.filter(status=TransferStatus.REQUESTED).exists():
        tell(f"the provider sent {-sent} cents to accounts, {-booked_sent} are booked", abs(booked_sent - sent))
    return Compared(movements=seen, cents=cents)


def _pages() -> Iterator[Sequence[Movement]]:
    after = ""
    while page := gateway.current().movements(after=after):
        yield page
        after = page[-1].id


def _explained(page: Sequence[Movement]) -> dict[str, CashMove]:
    """By movement the entry that is about it: same step, same amount, and the payment names the same intent."""
    ours: dict[str, list[Movement]] = defaultdict(list)
    for movement in page:
        if movement.reference is not None:
            ours[sharding.alias_for("customer", movement.reference.customer_id)].append(movement)
        elif movement.cause in OF_ORDERS:  # by hand: only the refund's name says whose it is
            for alias in sharding.aliases("customer"):
                ours[alias].append(movement)
    found: dict[str, CashMove] = {}
    for alias, movements in ours.items():
        order_ids = {movement.reference.order_id for movement in movements if movement.reference}
        nameless = [movement.source for movement in movements if movement.reference is None]
        if nameless:
            by_hand = models.Refund.objects.using(alias).filter(refund_id__in=nameless)
            order_ids |= set(by_hand.values_list("order_id", flat=True))
            disputed = models.Dispute.objects.using(alias).filter(dispute_id__in=nameless)
            order_ids |= set(disputed.values_list("order_id", flat=True))
        booked = {move.key: move for move in ledger.cash(using=alias, order_ids=order_ids)}
        sources = _sources(alias, order_ids)
        for movement in movements:
            move = booked.get(sources.get((movement.cause, movement.source), _NOTHING))
            if move is not None and move.cents == movement.cents:
                found[movement.id] = move
    return found


def _sources(alias: str, order_ids: set[int]) -> dict[tuple[str, str], tuple[int, str, str, int]]:
    """Cause and the provider's name of what moved -> which entry should be about it. 3 queries."""
    rows = models.Payment.objects.using(alias).filter(order_id__in=order_ids).exclude(intent_id="")
    named = {("captured", row.intent_id): (row.order_id, "captured", row.step, row.attempt) for row in rows}
    refunds = models.Refund.objects.using(alias).filter(order_id__in=order_ids).exclude(refund_id="")
    for row in refunds.select_related("payment"):
        for cause in ("refunded", "refund_failed"):
            named[cause, row.refund_id] = (row.order_id, cause, row.payment.step, row.number)
    for dispute in models.Dispute.objects.using(alias).filter(order_id__in=order_ids).select_related("payment"):
        for cause in ("disputed", "dispute_won"):
            named[cause, dispute.dispute_id] = (dispute.order_id, cause, dispute.payment.step, dispute.number)
    return named


def _known_transfers(page: Sequence[Movement]) -> set[str]:
    named = [movement.source for movement in page if movement.cause in ("transferred", "taken_back")]
    if not named:
        return set()
    return set(models.Transfer.objects.filter(sent_id__in=named).values_list("sent_id", flat=True))


def _doubt(alias: str, *, now: datetime, tell: Tell) -> None:
    """Ask the provider about every entry of one shard: some are of movements that it has not made."""
    after, moves = ledger.cash_after(using=alias, after=0, limit=_PAGE, before=now - PATIENCE)
    while moves:
        for move in moves:
            at_provider = _at_provider(move)
            if at_provider != move.cents:
                tell(
                    f"order {move.order_id}: {move.cents} cents {move.cause} ({move.step} {move.version}) are booked, "
                    f"the provider says {at_provider}",
                    abs(move.cents - at_provider),
                )
        after, moves = ledger.cash_after(using=alias, after=after, limit=_PAGE, before=now - PATIENCE)


def _at_provider(move: CashMove) -> int:
    row = models.Payment.objects.filter(customer_id=move.customer_id, order_id=move.order_id, step=move.step).first()
    if row is None or not row.intent_id:
        return 0
    try:
        if move.cause == "captured":
            is_it = row.attempt == move.version
            return gateway.current().retrieve(row.intent_id).received_cents if is_it else 0
        if move.cause in ("disputed", "dispute_won"):
            dispute = models.Dispute.objects.get(customer_id=row.customer_id, payment=row, number=move.version)
            found = next(
                (one for one in gateway.current().disputes(row.intent_id) if one.id == dispute.dispute_id), None
            )
            is_there = found is not None and (move.cause == "disputed" or found.status == "won")
            return move.cents if found is not None and is_there and found.cents == abs(move.cents) else 0
        refund = models.Refund.objects.filter(customer_id=row.customer_id, payment=row, number=move.version).first()
        there = [one for one in gateway.current().refunds(row.intent_id) if refund and one.id == refund.refund_id]
        if move.cause == "refund_failed":
            return sum(one.cents for one in there if one.status == "failed")
        return -sum(one.cents for one in there)
    except UnknownObject:
        return 0


def _named(movement: Movement) -> str:
    whose = "of no order of ours"
    if movement.reference is not None:
        whose = f"of order {movement.reference.order_id}, step {movement.reference.step}"
    return f"provider: {movement.id} {whose} moved {movement.cents} cents ({movement.cause} {movement.source})"
