"""An order stands alike in all databases: with its customer, in its store, on the shelf, in its window, in earnings."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from instacart.invariants.reading import Row, rows

UNPLACED = frozenset({"pending", "payment_pending"})
ENDED = frozenset({"rejected", "canceled", "returned"})
STORE_STATUS = {
    "brand_new": "waiting",
    "acknowledged": "assigned",
    "picking": "picking",
    "verifying_replacements": "picking",
    "checkout": "checkout",
    "bags_check": "checkout",
    "delivering": "delivering",
    "customer_missing": "delivering",
    "delivered": "delivered",
}
"""How an order stands in its store's database when it stands so in its customer's."""
PICKED = frozenset({"checkout", "bags_check", "delivering", "customer_missing", "delivered"})

_HOLDS = """
    SELECT DISTINCT ON (order_id) order_id, state, window_id,
        count(*) FILTER (WHERE state <> 'released') OVER (PARTITION BY order_id) AS held
    FROM slots_windowhold ORDER BY order_id, state = 'released', version DESC
"""
_RESERVED = "SELECT order_id, array_agg(DISTINCT state) AS states FROM inventory_reservation GROUP BY order_id"
_LINES = "SELECT order_id, item_id, status, coalesce(found_quantity, 0) AS found FROM orders_orderline"
_PICKED = """
    SELECT s.order_id, l.item_id, l.status, coalesce(p.quantity, l.found_quantity) AS found
    FROM fulfilment_pickline l JOIN fulfilment_storeorder s ON s.id = l.store_order_id
        LEFT JOIN fulfilment_proposal p ON p.id = l.replaced_by_id
"""
_STORE_ORDERS = """
    SELECT s.order_id, s.status, s.shopper_id, b.id AS batch_id, b.status AS batch_status, b.pay_cents, b.peak_cents
    FROM fulfilment_storeorder s
    LEFT JOIN dispatch_batchstop t ON t.store_order_id = s.id AND t.kind = 'drop' AND t.state <> 'dropped'
    LEFT JOIN dispatch_batch b ON b.id = t.batch_id
"""
_EARNINGS = """
    SELECT shopper_id, batch_id, order_id, whole AS kind, sum(amount_cents)::bigint AS amount_cents
    FROM (SELECT *, CASE kind WHEN 'tip_lowered' THEN 'tip' ELSE kind END AS whole
        FROM shoppers_earning) e
    GROUP BY shopper_id, batch_id, order_id, whole HAVING sum(amount_cents) <> 0
"""
_PAYS = "SELECT id, pay_cents FROM dispatch_batch"


def halves(orders: list[Row]) -> Iterator[str]:
    by_id = {order.id: order for order in orders}
    in_store = {row["order_id"]: Row(row) for row in rows("store", _STORE_ORDERS)}
    reserved = {row["order_id"]: set(row["states"]) for row in rows("store", _RESERVED)}
    holds = {row["order_id"]: row for row in rows("store", _HOLDS)}
    for where, seen in (("store", in_store), ("stock", reserved), ("window", holds)):
        yield from (f"9 {where}: order {order_id} does not exist" for order_id in seen.keys() - by_id.keys())
    for order in orders:
        there = in_store.get(order.id)
        wanted = STORE_STATUS.get(order.status)
        if wanted and (there is None or there.status != wanted):
            yield f"9 order {order.id} is {order.status}, in its store {there and there.status}"
        if order.status in ENDED and there is not None and there.status != "canceled":
            yield f"9 order {order.id} is {order.status}, in its store {there.status}"
        if order.status in UNPLACED:
            continue
        expected = {"released"} if order.status in ENDED else {"consumed" if order.status in PICKED else "committed"}
        if order.status == "returned":  # what was picked is put back by hand and counted again
            expected = {"consumed"}
        states = reserved.get(order.id, {"released"} if order.status in ENDED else set())
        if order.status not in PICKED:  # of what was missing on the shelf nothing is reserved
            states = {state for state in states if state != "missing"} or (expected if states else states)
        if states != expected:
            yield f"9 order {order.id} is {order.status}, its stock {sorted(states)}"
        hold = holds.get(order.id, {"state": "released", "window_id": None, "held": 0})
        if hold["state"] != ("released" if order.status in ENDED else "confirmed"):
            yield f"9 order {order.id} is {order.status}, its window {hold['state']}"
        elif order.status not in ENDED and (hold["window_id"], hold["held"]) != (order.window_id, 1):
            yield f"9 order {order.id} is in window {order.window_id}, holds {hold['held']}, last {hold['window_id']}"
    yield from _lines_that_differ({order.id for order in orders if order.status in PICKED})
    yield from _earnings_that_differ(by_id, in_store)


def _lines_that_differ(picked: set[int]) -> Iterator[str]:
    sides: list[dict[int, set[tuple[Any, ...]]]] = []
    for keyspace, statement in (("customer", _LINES), ("store", _PICKED)):
        lines: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
        for row in rows(keyspace, statement):
            lines[row["order_id"]].add((row["item_id"], row["status"], row["found"]))
        sides.append(lines)
    for order_id in sorted(picked):
        if sides[0][order_id] != sides[1][order_id]:
            yield f"9 order {order_id}: customer and store do not agree on what was found"


def _earnings_that_differ(orders: dict[int, Row], in_store: dict[int, Row]) -> Iterator[str]:
    due: Counter[tuple[Any, ...]] = Counter()
    for order_id, there in in_store.items():
        if there.status != "delivered" or order_id not in orders:
            continue
        if there.batch_status != "completed":
            yield f"9 order {order_id} was delivered, its batch is {there.batch_status}"
            continue
        due[there.shopper_id, there.batch_id, None, "batch_pay", there.pay_cents - there.peak_cents] = 1
        if there.peak_cents:
            due[there.shopper_id, there.batch_id, None, "peak_pay", there.peak_cents] = 1
        if orders[order_id].tip_cents:
            due[there.shopper_id, there.batch_id, order_id, "tip", orders[order_id].tip_cents] = 1
    names = ("shopper_id", "batch_id", "order_id", "kind", "amount_cents")
    lines = [tuple(row[name] for name in names) for row in rows("shopper", _EARNINGS)]
    booked = Counter(line for line in lines if line[3] != "work_pay")
    yield from _work_that_differs([line for line in lines if line[3] == "work_pay"])
    yield from (f"9 shopper {line[0]} did not get {line[3]} of {line[4]}" for line in due - booked)
    yield from (f"9 shopper {line[0]} got {line[3]} of {line[4]} for nothing" for line in booked - due)


def _work_that_differs(lines: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    """Work that came to nothing pays for a batch that is there, and no more than the batch would have paid."""
    pays = {row["id"]: row["pay_cents"] for row in rows("store", _PAYS)} if lines else {}
    for shopper_id, batch_id, _, kind, cents in lines:
        if cents > pays.get(batch_id, 0):
            yield f"9 shopper {shopper_id} got {kind} of {cents} for nothing"
