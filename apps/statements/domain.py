"""Which time a statement is about, and what each entry of the books means on it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from apps.ledger.types import Account, Cause, Posted
from apps.statements.errors import PeriodInvalid
from apps.statements.types import Span

PERIODS: Final = ("day", "week", "month")

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "store": ("goods", "commission", "deposits", "refunds", "other"),
    "shopper": ("batch_pay", "peak_pay", "tip"),
}
NOTES: Final[Mapping[str, tuple[str, ...]]] = {"store": ("discounts", "fees", "taxes", "tips"), "shopper": ()}

_SOLD: Final = {"item": "goods", "deposit": "deposits"}
_NOTED: Final = {"discount": "discounts", "fee": "fees", "tax": "taxes", "tip": "tips"}


def span(period: str, day: date, zone: tzinfo) -> Span:
    """The day, week or month with ``day`` in it, by the clock of ``zone``. Raises ``PeriodInvalid``."""
    if period not in PERIODS:
        raise PeriodInvalid(f"A statement is for a {', a '.join(PERIODS)}.")
    if not date(2000, 1, 1) <= day <= date(2999, 12, 1):
        raise PeriodInvalid("Choose a day of this century.")
    first = last = day
    if period == "week":
        first = day - timedelta(days=day.weekday())
        last = first + timedelta(days=6)
    elif period == "month":
        first = day.replace(day=1)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)

    def midnight(of: date) -> datetime:
        return datetime.combine(of, time(), tzinfo=zone).astimezone(UTC)

    return Span(
        period=period, first=first, last=last, starts_at=midnight(first), ends_at=midnight(last + timedelta(days=1))
    )


def parts(entries: Iterable[Posted]) -> tuple[dict[str, int], int]:
    """What ``entries`` of a store's orders mean, by column, and what they did to what it is owed.

    Goods are at what was charged for them, the commission below zero. What changes the balance and is of no kind that
    is known here is ``other``, so that the columns come to the balance whatever is booked one day.
    """
    cents: Counter[str] = Counter()
    net = 0
    for entry in entries:
        effect = entry.cents * ((entry.credit == Account.STORE_PAYABLE) - (entry.debit == Account.STORE_PAYABLE))
        net += effect
        if entry.cause == Cause.SOLD:
            charged = entry.cents * ((entry.debit == Account.CUSTOMER) - (entry.credit == Account.CUSTOMER))
            if entry.kind == "commission":
                cents["goods"] += charged
                cents["commission"] -= charged
            elif entry.kind in _NOTED:
                cents[_NOTED[entry.kind]] += charged
            else:
                cents[_SOLD.get(entry.kind, "other")] += effect
        else:
            cents["refunds" if entry.cause == Cause.CREDITED else "other"] += effect
    names = (*COLUMNS["store"], *NOTES["store"])
    return {name: cents[name] for name in names}, net
