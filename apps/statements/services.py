"""Do statements tie to the books? Part of ``manage.py ledger check``."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import sharding
from apps.ledger import selectors as ledger
from apps.payments import selectors as payments
from apps.payments.services import PATIENCE, Tell
from apps.shoppers import selectors as shoppers
from apps.statements import domain, selectors
from apps.statements.types import Span, Statement


def audit(*, now: datetime, tell: Tell) -> int:
    """Go through the statements of this month of all stores and shoppers; ``tell`` of each that does not tie.

    Returns how many statements there are. Told is: rows that do not come to the closing balance, a closing balance
    that is not what the ledger owes, transfers that the books do not know, and tips in a shopper's earnings that no
    order passed on. What happened within the last minute may still be followed by its other half and is left out.
    """
    span = _month(now)
    for party_kind in domain.COLUMNS:
        _transfers(party_kind, now, tell)
    return _stores(span, tell) + _shoppers(span, tell)


def _month(now: datetime) -> Span:
    """Of the month so far, UTC, what is older than a minute; in its first minute, the month before."""
    until = now - PATIENCE
    return replace(domain.span("month", until.astimezone(UTC).date(), UTC), ends_at=until)


def _transfers(party_kind: str, now: datetime, tell: Tell) -> None:
    made, booked = payments.sent_by_transfers(party_kind=party_kind), ledger.sent_to(party_kind=party_kind, before=now)
    for party_id in sorted(made.keys() | booked.keys()):
        sent, noted = made.get(party_id, 0), booked.get(party_id, 0)
        if sent != noted:
            tell(
                f"{party_kind} {party_id}: its transfers come to {sent} cents, the books to {noted}", abs(sent - noted)
            )


def _stores(span: Span, tell: Tell) -> int:
    ids = sorted({store_id for using in sharding.aliases("customer") for store_id in ledger.store_ids(using=using)})
    owed = ledger.owed_to_stores(store_ids=ids, before=span.ends_at)
    sent = ledger.sent_to(party_kind="store", before=span.ends_at)
    for store_id in ids:
        page = partial(selectors.of_store, store_id=store_id, span=span, limit=selectors.MAX_PAGE)
        _ties(page, owed.get(store_id, 0) - sent.get(store_id, 0), tell)
    return len(ids)


def _shoppers(span: Span, tell: Tell) -> int:
    sent = ledger.sent_to(party_kind="shopper", before=span.ends_at)
    n = 0
    for using in sharding.aliases("shopper"):
        ids = sorted(shoppers.earners(using=using))
        earned = shoppers.earned(shopper_ids=ids, before=span.ends_at)
        for shopper_id in ids:
            page = partial(selectors.of_shopper, shopper_id=shopper_id, span=span, limit=selectors.MAX_PAGE)
            _ties(page, sum(earned.get(shopper_id, {}).values()) - sent.get(shopper_id, 0), tell)
        _tips(using, span.ends_at, tell)
        n += len(ids)
    return n


def _ties(page: Callable[..., Statement], owed: int, tell: Tell) -> None:
    """The rows of all pages come to the statement's sum, and that to what the ledger says is owed."""
    found = page()
    net, shown = sum(row.net for row in found.rows), found
    while shown.next_cursor is not None:
        shown = page(after=shown.next_cursor)
        net += sum(row.net for row in shown.rows)
    what = f"statement of {found.party_kind} {found.party_id}"
    if net != found.net:
        tell(f"{what}: its rows come to {net} cents, their sum to {found.net}", abs(net - found.net))
    if found.closing != owed:
        tell(f"{what}: it closes with {found.closing} cents, the ledger owes {owed}", abs(found.closing - owed))


def _tips(using: str, before: datetime, tell: Tell) -> None:
    """A tip in a shopper's earnings was passed on by its order."""
    after = 0
    while page := shoppers.tips(using=using, after=after, before=before, limit=selectors.MAX_PAGE):
        after = page[-1].id
        homes = defaultdict(set)
        for tip in page:
            homes[sharding.alias_of_id("customer", tip.order_id)].add(tip.order_id)
        passed: dict[int, int] = {}
        for home, order_ids in homes.items():
            passed |= ledger.tips_passed_on(using=home, order_ids=order_ids)
        for tip in page:
            there = passed.get(tip.order_id, 0)
            if there != tip.cents:
                what = f"shopper {tip.shopper_id}: {tip.cents} cents of tip of order {tip.order_id} in the earnings"
                tell(f"{what}, {there} in the ledger", abs(there - tip.cents))
