"""Statements are read from the books each time; nothing of them is stored."""

from datetime import date, tzinfo

from apps.common.api import ids
from apps.ledger import selectors as ledger
from apps.payments import selectors as payments
from apps.shoppers import selectors as shoppers
from apps.shoppers.types import Earning
from apps.statements import domain
from apps.statements.types import Move, Row, Span, Statement

MAX_PAGE = 500


def span(period: str, day: date, zone: tzinfo) -> Span:
    """The day, week (from Monday) or month with ``day`` in it, by the clock of ``zone``. Raises ``PeriodInvalid``."""
    return domain.span(period, day, zone)


def of_store(*, store_id: int, span: Span, after: str | None = None, limit: int = 100) -> Statement:
    """A store's statement, by order; whoever asks has been checked. ``after`` is the last page's ``next_cursor``.

    5 queries on each customer shard (4 where no order of this page is) and 3 on the global database, however many
    orders there are. Raises ``NotFound`` for a cursor that is none.
    """
    limit = max(1, min(limit, MAX_PAGE))
    since, before = span.starts_at, span.ends_at
    found = ledger.orders_of_store(
        store_id=store_id, since=since, before=before, after=ids.parse(after) if after else 0, limit=limit + 1
    )
    rows = []
    for order_id, entries in list(found.items())[:limit]:
        cents, net = domain.parts(entries)
        rows.append(Row(ref=order_id, at=max(entry.at for entry in entries), cents=cents, net=net))
    totals, net = domain.parts(ledger.of_store(store_id=store_id, since=since, before=before))
    owed = ledger.owed_to_stores(store_ids=[store_id], before=since).get(store_id, 0)
    return _statement("store", store_id, span, owed, rows, totals, net, has_more=len(found) > limit)


def of_shopper(*, shopper_id: int, span: Span, after: str | None = None, limit: int = 100) -> Statement:
    """A shopper's statement, by batch. 4 queries on the shopper's shard and 3 on the global database.

    Raises ``NotFound`` for a cursor that is none.
    """
    limit = max(1, min(limit, MAX_PAGE))
    found = shoppers.batches(
        shopper_id=shopper_id,
        since=span.starts_at,
        before=span.ends_at,
        after=ids.parse(after) if after else 0,
        limit=limit + 1,
    )
    rows = [_batch(batch_id, earnings) for batch_id, earnings in list(found.items())[:limit]]
    before = shoppers.earned(shopper_ids=[shopper_id], before=span.starts_at).get(shopper_id, {})
    until = shoppers.earned(shopper_ids=[shopper_id], before=span.ends_at).get(shopper_id, {})
    totals = {kind: until.get(kind, 0) - before.get(kind, 0) for kind in {*domain.COLUMNS["shopper"], *until}}
    return _statement(
        "shopper",
        shopper_id,
        span,
        sum(before.values()),
        rows,
        totals,
        sum(totals.values()),
        has_more=len(found) > limit,
    )


def _statement(
    party_kind: str,
    party_id: int,
    span: Span,
    owed_before: int,
    rows: list[Row],
    totals: dict[str, int],
    net: int,
    *,
    has_more: bool,
) -> Statement:
    sent = ledger.sent_to(party_kind=party_kind, party_ids=[party_id], before=span.starts_at).get(party_id, 0)
    moves = _moves(party_kind, party_id, span)
    moved = sum(move.cents for move in moves)
    opening = owed_before - sent
    known = domain.COLUMNS[party_kind]
    notes = domain.NOTES[party_kind]
    return Statement(
        party_kind=party_kind,
        party_id=party_id,
        span=span,
        columns=(*known, *sorted(totals.keys() - {*known, *notes})),
        notes=notes,
        opening=opening,
        rows=tuple(rows),
        totals=totals,
        net=net,
        moves=moves,
        moved=moved,
        closing=opening + net - moved,
        next_cursor=str(rows[-1].ref) if has_more else None,
    )


def _moves(party_kind: str, party_id: int, span: Span) -> tuple[Move, ...]:
    booked = ledger.party_moves(party_kind=party_kind, party_id=party_id, since=span.starts_at, before=span.ends_at)
    transfers = payments.transfers_by_id(transfer_ids={move.transfer_id for move in booked})
    return tuple(
        Move(
            transfer_id=move.transfer_id,
            payout=transfers[move.transfer_id].sent_id if move.transfer_id in transfers else "",
            day=transfers[move.transfer_id].day if move.transfer_id in transfers else move.at.date(),
            at=move.at,
            cents=move.cents,
        )
        for move in booked
    )


def _batch(batch_id: int, earnings: tuple[Earning, ...]) -> Row:
    cents = dict.fromkeys(domain.COLUMNS["shopper"], 0)
    for earning in earnings:
        cents[earning.kind] = cents.get(earning.kind, 0) + earning.amount.cents
    last = max(earning.earned_at for earning in earnings)
    return Row(ref=batch_id, at=last, cents=cents, net=sum(cents.values()))
