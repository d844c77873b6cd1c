"""What must hold over all databases and at the payment provider once everything is quiet, whatever happened before.

Asked in SQL, past the apps' own code: a mistake of theirs is not repeated here. All orders are held in memory: this is
for an installation that was tried, not for years of history (``manage.py ledger check`` goes through those in pages).

Each broken promise is one line that begins with its number:

1. money: taken minus given back at the provider = noted on payment and order = sum of the final lines
2. one authorisation for each step of an order, none without an order, none for an order that ended
3. stock and windows: nothing below zero, what is reserved is what orders hold, on hand is the sum of movements
4. an acknowledged order exists once, in one database; a client's key made one order
5. an active order is in one batch, a batch has one shopper, a shopper one batch
6. nothing is left to tell
7. no order went a way that is none, or stands still beyond its time
8. nothing is held beyond its time
9. the databases agree: no order is half there
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

import sharding
from apps.orders import domain
from instacart.invariants.halves import ENDED, UNPLACED, halves
from instacart.invariants.provider import Intent
from instacart.invariants.reading import Row, asked, rows

LIVE = frozenset({"requires_action", "authorised", "processing"})
GOOD = frozenset({"authorised", "captured"})
GRACE = timedelta(minutes=1)
"""What has just run out may wait for the next sweep."""


def violations(
    *, now: datetime, intents: Sequence[Intent] | None = None, acknowledged: Collection[int] = ()
) -> list[str]:
    """Everything that is wrong. Without ``intents`` the provider is not asked."""
    orders = all_orders()
    return [
        *_money(orders, intents),
        *books(),
        *parties(),
        *(_authorisations(orders, intents) if intents is not None else ()),
        *(held_for_nobody(intents) if intents is not None else ()),
        *_stock(),
        *_keys(orders, acknowledged),
        *_batches(),
        *_messages(now),
        *_history(orders, now),
        *expired(now),
        *halves(orders),
    ]


def all_orders() -> list[Row]:
    return [Row(row) for row in rows("customer", _ORDERS)]


_ORDERS = """
    SELECT o.id, o.customer_id, o.store_id, o.status, o.idempotency_key, o.sequence, o.captured_cents,
        o.window_id, o.window_minutes, o.window_ends_at, o.pay_by,
        (SELECT coalesce(sum(a.amount_cents), 0) FROM orders_orderadjustment a
            WHERE a.order_id = o.id AND a.phase = 'final') AS final_cents,
        (SELECT coalesce(sum(a.amount_cents), 0) FROM orders_orderadjustment a
            WHERE a.order_id = o.id AND a.phase = 'refund') AS refund_cents,
        EXISTS (SELECT FROM payments_payment p WHERE p.order_id = o.id AND p.status = 'checked') AS is_checked,
        (SELECT coalesce(sum(p.captured_cents - p.refunded_cents), 0) FROM payments_payment p
            WHERE p.order_id = o.id) AS paid_cents,
        (SELECT coalesce(sum(a.amount_cents), 0) FROM orders_orderadjustment a
            WHERE a.order_id = o.id AND (a.phase = 'final' AND a.kind = 'tip' OR a.reason = 'tip_lowered'))
            AS tip_cents,
        (SELECT coalesce(sum(CASE 'provider_cash' WHEN l.debit THEN l.amount_cents WHEN l.credit THEN -l.amount_cents
            ELSE 0 END), 0) FROM ledger_ledgerentry l
            WHERE l.order_id = o.id AND l.cause NOT IN ('disputed', 'dispute_won', 'dispute_lost')) AS cash_cents,
        (SELECT coalesce(sum(CASE WHEN l.debit IN ('customer', 'tip') THEN l.amount_cents ELSE 0 END
            - CASE WHEN l.credit IN ('customer', 'tip') THEN l.amount_cents ELSE 0 END), 0)
            FROM ledger_ledgerentry l WHERE l.order_id = o.id) AS clearing_cents
    FROM orders_order o ORDER BY o.id
"""


def _money(orders: list[Row], intents: Sequence[Intent] | None) -> Iterator[str]:
    at_provider: Counter[int | None] = Counter()
    for intent in intents or ():
        at_provider[intent.order_id] += intent.received_cents - intent.refunded_cents
    for order in orders:
        noted = order.captured_cents or 0
        kept = noted + order.refund_cents
        if order.status == "delivered" and order.captured_cents is None:
            yield f"1 order {order.id} was delivered and not paid for"
        if order.captured_cents is not None and noted != order.final_cents:
            yield f"1 order {order.id}: {noted} cents captured, its final lines come to {order.final_cents}"
        if order.paid_cents != kept:
            yield f"1 order {order.id}: {kept} cents noted, its payments come to {order.paid_cents}"
        if order.clearing_cents:
            yield f"1 order {order.id}: {order.clearing_cents} cents are left on its clearing accounts"
        if intents is not None and at_provider[order.id] != kept:
            yield f"1 order {order.id}: {kept} cents noted, the provider took {at_provider[order.id]}"
    noted_in_all = sum((order.captured_cents or 0) + order.refund_cents for order in orders)
    if intents is not None and at_provider.total() != noted_in_all:
        yield f"1 {noted_in_all} cents noted in all, the provider took {at_provider.total()}"


_BOOKS = """
    SELECT order_id, coalesce(paid.cents, 0) AS paid_cents, coalesce(booked.cents, 0) AS cash_cents
    FROM (SELECT order_id, sum(captured_cents - refunded_cents) AS cents FROM payments_payment GROUP BY order_id) paid
    FULL JOIN (SELECT order_id, sum(CASE 'provider_cash' WHEN debit THEN amount_cents WHEN credit THEN -amount_cents
            ELSE 0 END) AS cents FROM ledger_ledgerentry
            WHERE cause NOT IN ('disputed', 'dispute_won', 'dispute_lost') GROUP BY order_id) booked USING (order_id)
    WHERE coalesce(paid.cents, 0) <> coalesce(booked.cents, 0) ORDER BY order_id
"""


def books() -> Iterator[str]:
    """Payments against the ledger."""
    for row in map(Row, rows("customer", _BOOKS)):
        yield f"1 order {row.order_id}: its payments come to {row.paid_cents} cents, its ledger to {row.cash_cents}"


_TRANSFERS = """
    SELECT t.id, t.amount_cents - t.reversed_cents AS sent,
        (SELECT coalesce(sum(CASE 'provider_cash' WHEN e.credit THEN e.amount_cents WHEN e.debit THEN -e.amount_cents
            ELSE 0 END), 0) FROM ledger_partyentry e WHERE e.transfer_id = t.id) AS booked
    FROM payments_transfer t WHERE t.status IN ('sent', 'reversed')
"""


def parties() -> Iterator[str]:
    for row in map(Row, asked("default", _TRANSFERS)):
        if row.sent != row.booked:
            yield f"1 transfer {row.id}: {row.sent} cents sent, {row.booked} booked"


def _authorisations(orders: list[Row], intents: Sequence[Intent]) -> Iterator[str]:
    status = {order.id: order.status for order in orders}
    good = Counter((i.order_id, i.step) for i in intents if i.status in GOOD)
    yield from (f"2 order {order_id}: {n} authorisations of {step}" for (order_id, step), n in good.items() if n > 1)
    for intent in intents:
        if intent.order_id not in status:
            yield f"2 {intent.amount_cents} cents were {intent.status} for order {intent.order_id}, which is nowhere"
        elif status[intent.order_id] in ENDED and intent.status in LIVE:
            yield f"2 order {intent.order_id} is {status[intent.order_id]}, its payment {intent.status}"
    checked = {order.id for order in orders if order.is_checked}  # held when the window is nearer
    placed = {order_id for order_id, s in status.items() if s not in ENDED | UNPLACED} - checked
    unpaid = placed - {intent.order_id for intent in intents if intent.status in GOOD}
    nothing_found = {order.id for order in orders if order.captured_cents == 0}
    yield from (f"2 order {order_id} is {status[order_id]} without a payment" for order_id in unpaid - nothing_found)


_OPEN_PAYMENTS = """
    SELECT order_id, step FROM payments_payment
    WHERE status IN ('authorising', 'requires_action', 'authorised', 'capturing', 'voiding')
"""


def held_for_nobody(intents: Sequence[Intent]) -> Iterator[str]:
    """Holds and questions of banks that no open payment of ours is about."""
    open_ones = {(row["order_id"], row["step"]) for row in rows("customer", _OPEN_PAYMENTS)}
    for one in intents:
        if one.status in LIVE and (one.order_id, one.step) not in open_ones:
            yield f"2 order {one.order_id}: its {one.step} is {one.status} for no open payment of ours"


LEVELS = """
    SELECT l.store_id, l.item_id, l.on_hand, l.reserved,
        (SELECT coalesce(sum(r.quantity), 0) FROM inventory_reservation r
            WHERE r.store_id = l.store_id AND r.item_id = l.item_id AND r.state IN ('held', 'committed'))
        + (SELECT coalesce(sum(h.quantity), 0) FROM inventory_replacementhold h
            WHERE h.store_id = l.store_id AND h.item_id = l.item_id AND h.state = 'committed') AS promised,
        (SELECT coalesce(sum(m.delta), 0) FROM inventory_stockmovement m
            WHERE m.store_id = l.store_id AND m.item_id = l.item_id) AS moved
    FROM inventory_stocklevel l
"""
_WINDOWS = """
    SELECT w.id, w.held_minutes, w.capacity_minutes,
        (SELECT coalesce(sum(h.minutes), 0) FROM slots_windowhold h
            WHERE h.window_id = w.id AND h.state <> 'released') AS promised
    FROM slots_deliverywindow w
"""


def _stock() -> Iterator[str]:
    for row in map(Row, rows("store", LEVELS)):
        what = f"3 item {row.item_id} of store {row.store_id}"
        if not 0 <= row.reserved <= row.on_hand:
            yield f"{what}: {row.on_hand} on hand, {row.reserved} reserved"
        if row.reserved != row.promised:
            yield f"{what}: {row.reserved} reserved, orders hold {row.promised}"
        if row.on_hand != row.moved:
            yield f"{what}: {row.on_hand} on hand, its movements come to {row.moved}"
    for row in map(Row, rows("store", _WINDOWS)):
        if row.held_minutes != row.promised or row.held_minutes > row.capacity_minutes:
            yield (
                f"3 window {row.id}: {row.held_minutes} of {row.capacity_minutes} minutes held, "
                f"orders hold {row.promised}"
            )


def _keys(orders: list[Row], acknowledged: Collection[int]) -> Iterator[str]:
    there = Counter(order.id for order in orders)
    yield from (f"4 order {i} was acknowledged and is there {there[i]} times" for i in acknowledged if there[i] != 1)
    for order in orders:
        home = sharding.alias_for("customer", order.customer_id)
        if not home == order.alias == sharding.alias_of_id("customer", order.id):
            yield f"4 order {order.id} is in {order.alias}, its home is {home}"
    keys = Counter((order.customer_id, order.idempotency_key) for order in orders if order.idempotency_key)
    yield from (f"4 customer {who} has {n} orders of the key {key}" for (who, key), n in keys.items() if n > 1)


_IN_BATCHES = """
    SELECT s.id, s.status, s.shopper_id, array_agg(b.shopper_id) FILTER (WHERE b.id IS NOT NULL) AS shoppers
    FROM fulfilment_storeorder s
    LEFT JOIN dispatch_batchstop t ON t.store_order_id = s.id AND t.kind = 'drop' AND t.state <> 'dropped'
    LEFT JOIN dispatch_batch b ON b.id = t.batch_id AND b.status <> 'canceled'
    WHERE s.status <> 'canceled' GROUP BY s.id
"""
_UNDER_WAY = "SELECT id, shopper_id FROM dispatch_batch WHERE status IN ('acknowledged', 'picking')"
_ACCEPTED = "SELECT batch_id, shopper_id FROM shoppers_assignment WHERE state = 'accepted'"
_LIVE_OFFERS = "SELECT batch_id, count(*) AS n FROM dispatch_offer WHERE status = 'sent' GROUP BY batch_id"


def _batches() -> Iterator[str]:
    for row in map(Row, rows("store", _IN_BATCHES)):
        batches = row.shoppers or []
        if len(batches) > 1 or (row.status != "waiting" and batches != [row.shopper_id]):
            yield f"5 store order {row.id} ({row.status}) of shopper {row.shopper_id} is in batches of {batches}"
    under_way = [Row(row) for row in rows("store", _UNDER_WAY)]
    yield from (f"5 batch {batch.id} is under way with nobody" for batch in under_way if batch.shopper_id is None)
    busy = Counter(batch.shopper_id for batch in under_way)
    yield from (f"5 shopper {shopper_id} has {n} batches" for shopper_id, n in busy.items() if n > 1)
    accepted = {(row["batch_id"], row["shopper_id"]) for row in rows("shopper", _ACCEPTED)}
    for batch_id, shopper_id in sorted(accepted ^ {(batch.id, batch.shopper_id) for batch in under_way}, key=str):
        yield f"5 store and shopper do not agree whether shopper {shopper_id} has batch {batch_id}"
    yield from (
        f"5 batch {row['batch_id']}: {row['n']} live offers" for row in rows("store", _LIVE_OFFERS) if row["n"] > 1
    )


def _messages(now: datetime) -> Iterator[str]:
    for row in map(Row, rows("*", "SELECT name, message_id, attempts FROM common_outboxmessage")):
        yield f"6 {row.alias}: {row.name} {row.message_id} was not delivered in {row.attempts} tries"
    for row in map(Row, rows("*", "SELECT name, message_id, reason FROM common_quarantinedmessage")):
        yield f"6 {row.alias}: {row.name} {row.message_id} is in quarantine: {row.reason}"
    unhandled = "SELECT id, type FROM payments_stripeevent WHERE handled_at IS NULL AND received_at < %s"
    for row in map(Row, asked("default", unhandled, [now - GRACE])):
        yield f"6 {row.type} {row.id} of the provider was not handled"


_EVENTS = """
    SELECT order_id, array_agg(sequence ORDER BY sequence) AS sequences,
        array_agg(from_status || '>' || to_status ORDER BY sequence) AS steps
    FROM orders_orderevent GROUP BY order_id
"""


def _history(orders: list[Row], now: datetime) -> Iterator[str]:
    events = {row["order_id"]: Row(row) for row in rows("customer", _EVENTS)}
    for order in orders:
        known = events.get(order.id)
        if known is None or known.sequences != list(range(1, order.sequence + 1)):
            yield f"7 order {order.id}: its history has gaps"
            continue
        before = ""
        for step in known.steps:
            left, _, right = step.partition(">")
            if left != before or not (left == right or _may_follow(left, right)):
                yield f"7 order {order.id} went from {before or 'nothing'} by {step}"
            before = right
        if before != order.status:
            yield f"7 order {order.id} is {order.status}, its history ends {before}"
        if is_unplaced_for_long(order, now):
            yield f"7 order {order.id} is still {order.status}"
        if is_stuck(order, now):
            yield f"7 order {order.id} is {order.status} long after its window"


def is_unplaced_for_long(order: Row, now: datetime) -> bool:
    return order.status in UNPLACED and bool(order.pay_by < now - GRACE)


def is_stuck(order: Row, now: datetime) -> bool:
    return order.status not in domain.TERMINAL and bool(order.window_ends_at < now - domain.STUCK_AFTER)


def _may_follow(left: str, right: str) -> bool:
    return right == "pending" if left == "" else domain.may_follow(left, right)


_HELD = (
    (
        "store",
        (
            "SELECT id, 'reservation of order ' || order_id AS what FROM inventory_reservation"
            " WHERE state = 'held' AND expires_at < %s"
        ),
    ),
    (
        "store",
        (
            "SELECT id, 'window of order ' || order_id AS what FROM slots_windowhold"
            " WHERE state = 'held' AND expires_at < %s"
        ),
    ),
    ("store", "SELECT id, 'offer' AS what FROM dispatch_offer WHERE status = 'sent' AND expires_at < %s"),
    (
        "shopper",
        (
            "SELECT id, 'claim on shopper ' || shopper_id AS what FROM shoppers_assignment"
            " WHERE state IN ('claimed', 'offered') AND expires_at < %s"
        ),
    ),
    (
        "customer",
        (
            "SELECT id, 'payment of order ' || order_id AS what FROM payments_payment"
            " WHERE status = 'authorised' AND capture_before < %s"
        ),
    ),
    (
        "customer",
        (
            "SELECT id, 'patience with a payment of order ' || order_id AS what FROM payments_payment"
            " WHERE status IN ('capturing', 'voiding') AND changed_at + interval '1 hour' < %s"
        ),
    ),
    (
        "customer",
        (
            "SELECT id, 'patience with a refund of order ' || order_id AS what FROM payments_refund"
            " WHERE status = 'requested' AND changed_at + interval '1 hour' < %s"
        ),
    ),
    (
        "default",
        (
            "SELECT id, 'patience with transfer ' || id AS what FROM payments_transfer"
            " WHERE status = 'requested' AND changed_at + interval '1 hour' < %s"
        ),
    ),
)


def expired(now: datetime) -> Iterator[str]:
    for keyspace, statement in _HELD:
        for row in map(Row, rows(keyspace, statement, [now - GRACE])):
            yield f"8 {row.alias}: the {row.what} has run out"
