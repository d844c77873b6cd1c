"""Six integers that say whether anything was lost. All are 0, or something is wrong."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from typing_extensions import override

import sharding
from apps.orders import services as orders
from apps.payments import services as payments
from instacart.invariants import rules
from instacart.invariants.provider import Intent, at_provider
from instacart.invariants.reading import Row, rows

UNEXPLAINED = "ledger"
"""What ``manage.py ledger check`` would list stands under this name instead of a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    orders_lost: int
    """Acknowledged orders that are not there exactly once, and orders that stand still beyond their time."""
    cents_of_difference: int
    """Between what was noted, what is in the books and what the provider took and gave back, order by order."""
    double_charges: int
    """Holds and charges beyond the first for one step of an order."""
    oversold_units: int
    """Units promised beyond what is on hand, or taken from where there were none."""
    doubled_batches: int
    """Orders in two batches, batches of two shoppers, shoppers with two batches."""
    undrained_jobs: int
    """Messages not delivered or in quarantine, and the provider's events not handled."""
    violations: tuple[str, ...]
    """Everything that is wrong, in one line each."""

    @property
    def integers(self) -> dict[str, int]:
        names = ("orders_lost", "cents_of_difference", "double_charges", "oversold_units", "doubled_batches")
        return {name: int(getattr(self, name)) for name in (*names, "undrained_jobs")}

    @property
    def is_clean(self) -> bool:
        return not self.violations and not any(self.integers.values())

    @override
    def __str__(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in self.integers.items())


def score(*, now: datetime, acknowledged: Collection[int] = (), asks_provider: bool = True) -> Score:
    """Look at all databases, and at the provider, once everything is quiet.

    ``acknowledged`` are orders of which a client was told that they were placed. Raises ``ProviderUnavailable``.
    """
    intents = at_provider() if asks_provider else None
    rows = rules.all_orders()
    unexplained, moved_cents = _unexplained(now, asks_provider=asks_provider)
    violations = rules.violations(now=now, intents=intents, acknowledged=acknowledged)
    of_rule = Counter(line.partition(" ")[0] for line in violations)
    return Score(
        orders_lost=_lost(rows, acknowledged, now),
        cents_of_difference=max(_difference(rows, intents), moved_cents),
        double_charges=double_charges(intents or ()),
        oversold_units=_oversold(),
        doubled_batches=of_rule["5"],
        undrained_jobs=of_rule["6"],
        violations=(*violations, *(f"{UNEXPLAINED} {what}" for what in unexplained)),
    )


def _lost(rows: Sequence[Row], acknowledged: Collection[int], now: datetime) -> int:
    there = Counter(order.id for order in rows)
    still = {order.id for order in rows if rules.is_unplaced_for_long(order, now) or rules.is_stuck(order, now)}
    return len(still | {order_id for order_id in acknowledged if there[order_id] != 1})


def _difference(rows: Sequence[Row], intents: Sequence[Intent] | None) -> int:
    taken: Counter[int | None] = Counter()
    for intent in intents or ():
        taken[intent.order_id] += intent.received_cents - intent.refunded_cents
    cents = 0
    for order in rows:
        kept = (order.captured_cents or 0) + order.refund_cents
        at_provider = taken.pop(order.id, 0)
        due = order.final_cents if order.status == "delivered" or order.captured_cents is not None else 0
        cents += max(
            abs((order.captured_cents or 0) - due),
            abs(order.paid_cents - kept),
            abs(order.cash_cents - order.paid_cents),
            abs(order.clearing_cents),
            abs(at_provider - kept) if intents is not None else 0,
        )
    return cents + sum(abs(of_nobody) for of_nobody in taken.values())


def double_charges(intents: Sequence[Intent]) -> int:
    good = Counter((one.order_id, one.step) for one in intents if one.status in rules.GOOD and one.order_id is not None)
    return sum(count - 1 for count in good.values())


def _oversold() -> int:
    levels = [Row(row) for row in rows("store", rules.LEVELS)]
    return sum(max(0, one.reserved - one.on_hand, one.promised - one.on_hand, -one.on_hand) for one in levels)


def _unexplained(now: datetime, *, asks_provider: bool) -> tuple[list[str], int]:
    """What ``manage.py ledger check`` would list a minute from now, and how many cents moved that are in no book.

    Those cents are of the provider's list of movements alone: the books of an order are in ``_difference`` already.
    """
    found: list[str] = []
    moved = 0
    later = now + payments.PATIENCE + timedelta(seconds=1)

    def tell_moved(what: str, cents: int) -> None:
        nonlocal moved
        found.append(what)
        moved += cents

    for alias in sharding.aliases("customer"):
        orders.audit(using=alias, now=later, tell=lambda what, cents: found.append(what))
    if asks_provider:
        payments.compare_with_provider(now=later, tell=tell_moved)
    return found, moved
