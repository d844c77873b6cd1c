"""Changing the lines of an order in tests, and what must hold afterwards on both shards."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from apps.common import outbox
from apps.fulfilment import models as fulfilment
from apps.fulfilment import services
from apps.fulfilment.types import ProofInput
from apps.inventory import models as inventory
from apps.orders import models, selectors
from apps.orders.domain import Phase
from apps.orders.services import amounts
from apps.orders.types import LineWish, Order
from tests.orders.factories import MORNING, Market

SHOPPER = 31


def edit(
    order: Order,
    market: Market,
    quantities: Mapping[str, str],
    *,
    key: str = "",
    customer_id: int = 0,
    now: datetime = MORNING,
    birth_date: date | None = None,
) -> None:
    """By lookup code. Without a ``key``, one that these quantities alone have."""
    services.edit(
        order_id=order.id,
        customer_id=customer_id or order.customer_id,
        wishes=[LineWish(item_id=market.item_ids[code], quantity=Decimal(q)) for code, q in quantities.items()],
        idempotency_key=key or repr(sorted(quantities.items())),
        birth_date=birth_date,
        now=now,
    )


def wanted(order: Order, market: Market) -> dict[str, str]:
    """By lookup code, what the customer's order is of."""
    codes = {item_id: code for code, item_id in market.item_ids.items()}
    lines = selectors.order_for_staff(order_id=order.id).lines
    return {codes[line.item_id]: f"{line.quantity.normalize():f}" for line in lines if not line.is_taken_out}


def store_order(order: Order) -> fulfilment.StoreOrder:
    return fulfilment.StoreOrder.objects.get(store_id=order.store_id, order_id=order.id)


def with_shopper(order: Order, *, now: datetime = MORNING) -> dict[str, object]:
    """Somebody has taken the order and begins; what the shopper's calls name it by."""
    row = store_order(order)
    services.assign(store_id=order.store_id, store_order_ids=[row.pk], shopper_id=SHOPPER, now=now)
    mine = {"store_order_id": row.pk, "shopper_id": SHOPPER, "now": now}
    services.start_picking(**mine)  # type: ignore[arg-type]
    return mine


def check_out(order: Order, mine: Mapping[str, object]) -> None:
    """Everything that is still to be found is found as ordered."""
    for line in store_order(order).lines.filter(status="not_picked"):
        services.mark_found(**mine, line_id=line.line_id, quantity=line.quantity)  # type: ignore[arg-type]
    services.check_out(**mine)  # type: ignore[arg-type]


def bring(order: Order, mine: Mapping[str, object]) -> None:
    """From the till to the door, and paid: holds that nobody needed are given back then."""
    outbox.drain()
    services.start_delivery(**mine)  # type: ignore[arg-type]
    pin = selectors.order_for_staff(order_id=order.id).pin
    services.deliver(**mine, proof=ProofInput(kind="pin", pin=pin))  # type: ignore[arg-type]
    outbox.drain()


def disagreements(order: Order) -> list[str]:
    """Where the customer's order, its money, the store's list and the reservations do not say the same."""
    found = []
    row = models.Order.objects.get(pk=order.id)
    lines = list(row.lines.order_by("position"))
    quantities = {line.item_id: line.quantity for line in lines if not line.is_taken_out}
    priced = sum(charge.amount.cents for charge in amounts.estimated(row, lines))
    noted = sum(row.adjustments.filter(phase=Phase.ESTIMATE).values_list("amount_cents", flat=True))
    if priced != noted:
        found.append(f"the estimate's lines come to {noted} cents, the goods to {priced}")
    in_store = store_order(order)
    listed = {line.item_id: line.quantity for line in in_store.lines.all() if not line.is_taken_out}
    if listed != quantities:
        found.append(f"the store lists {listed}, the order {quantities}")
    if (in_store.edits, in_store.line_count) != (row.edits, len(quantities)):
        found.append(f"the store counts {in_store.edits} edits and {in_store.line_count} lines")
    reserved = inventory.Reservation.objects.filter(store_id=order.store_id, order_id=order.id, state="committed")
    promised = dict(reserved.values_list("item_id", "quantity"))
    if promised != quantities:
        found.append(f"{promised} is reserved, the order wants {quantities}")
    levels = inventory.StockLevel.objects.filter(store_id=order.store_id)
    for level in levels:
        rows = inventory.Reservation.objects.filter(store_id=order.store_id, item_id=level.item_id)
        live = sum(rows.filter(state__in=["held", "committed"]).values_list("quantity", flat=True))
        if live != level.reserved:
            found.append(f"item {level.item_id}: {level.reserved} reserved, {live} promised")
    return found
