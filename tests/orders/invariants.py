"""What must hold once everything is quiet, whatever happened before. Each broken promise is one line of text."""

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import timedelta

import sharding
from apps.common import clock
from apps.common.models import OutboxMessage, QuarantinedMessage
from apps.inventory import models as inventory
from apps.orders import domain, models, services
from apps.orders.domain import Phase, Status
from apps.payments import services as payments
from apps.payments.gateway import Intent
from apps.slots import models as slots
from tests.orders.provider import Provider

HOLDING = frozenset(Status) - domain.UNDONE - domain.UNPLACED
"""In these an order has its goods and its window, until fulfilment takes the goods off the shelf."""


def violations(provider: Provider, *, store_id: int, waiting: Collection[int] = ()) -> list[str]:
    """Everything that is wrong with the orders of one store, and everything that waits to be told anywhere.

    ``waiting`` names the orders that may still wait for their customer's bank.
    """
    orders = [
        order
        for alias in sharding.aliases("customer")
        for order in models.Order.objects.using(alias).filter(store_id=store_id)
    ]
    holding = [order for order in orders if order.status in HOLDING or order.pk in waiting]
    return [
        *_orders(orders, waiting),
        *_money(orders, provider, waiting),
        *_ledger(),
        *_stock(store_id, holding, waiting),
        *_windows(store_id, holding, waiting),
        *_messages(),
    ]


def _orders(orders: list[models.Order], waiting: Collection[int]) -> Iterator[str]:
    for order in orders:
        if order.status in domain.UNPLACED and order.pk not in waiting:
            yield f"{order}: its placement came to no end"
        events = list(order.events.order_by("sequence"))
        if [event.sequence for event in events] != list(range(1, order.sequence + 1)):
            yield f"{order}: its history has gaps"
        if events[-1].to_status != order.status:
            yield f"{order}: its history ends elsewhere"
        for event in events:
            if event.from_status not in ("", event.to_status) and not domain.may_follow(
                event.from_status, event.to_status
            ):
                yield f"{order}: took a step that is none, {event}"
    keys = Counter((order.customer_id, order.idempotency_key) for order in orders if order.idempotency_key)
    yield from (f"{count} orders of one key {key}" for key, count in keys.items() if count > 1)


def _money(orders: list[models.Order], provider: Provider, waiting: Collection[int]) -> Iterator[str]:
    for order in orders:
        intents = provider.intents_of(order.pk)
        live = [i for i in intents if i.status in ("authorised", "requires_action", "processing")]
        is_held = order.pk in waiting or (order.status in HOLDING and order.captured_cents is None)
        is_over = order.overage == "held"
        expected = (order.authorise_cents + is_over * order.overage_cents) if is_held else 0
        held = sum(provider.amounts[i.id] for i in live)
        if held != expected or (is_held and not live):
            yield f"{order}: {held} cents are authorised instead of {expected}"
        if order.edits == 0 and len(live) > 1 + is_over:
            yield f"{order}: {len(live)} authorisations instead of {1 + is_over}"
        agreed = {"estimate": order.authorise_cents, "overage": order.overage_cents}
        if order.edits == 0 and any(
            provider.amounts[i.id] != agreed.get(_step(i), provider.amounts[i.id]) for i in intents
        ):
            yield f"{order}: another amount was authorised"
        taken = sum(intent.received_cents for intent in intents)
        if taken != (order.captured_cents or 0):
            yield f"{order}: {taken} cents were taken, {order.captured_cents} noted"
        back = sum(provider.returned_cents(i.id) for i in intents)
        decided = -sum(order.adjustments.filter(phase=Phase.REFUND).values_list("amount_cents", flat=True))
        if back != decided:
            yield f"{order}: {back} cents were given back, {decided} decided to be"
        final = sum(order.adjustments.filter(phase=Phase.FINAL).values_list("amount_cents", flat=True))
        if order.captured_cents is not None and order.captured_cents != final:
            yield f"{order}: {order.captured_cents} cents captured, the final lines come to {final}"
        if order.status == Status.DELIVERED and order.captured_cents is None:
            yield f"{order}: delivered and not paid for"


def _step(intent: Intent) -> str:
    return intent.reference.step if intent.reference else ""


def _ledger() -> list[str]:
    """Every cent of every order, as ``manage.py ledger check`` explains it an hour later."""
    found: list[str] = []
    later = clock.now() + timedelta(hours=1)
    for alias in sharding.aliases("customer"):
        services.audit(using=alias, now=later, tell=lambda what, cents: found.append(what))
    payments.compare_with_provider(now=later, tell=lambda what, cents: found.append(what))
    return found


def _stock(store_id: int, holding: list[models.Order], waiting: Collection[int]) -> Iterator[str]:
    promised: Counter[int] = Counter()
    left = inventory.Reservation.objects.filter(store_id=store_id, state="consumed").values_list("order_id", flat=True)
    off_the_shelf = set(left)
    for order in (order for order in holding if order.pk not in off_the_shelf):
        for item_id, quantity in order.lines.exclude(reason="taken_out").values_list("item_id", "quantity"):
            promised[item_id] += quantity
    for level in inventory.StockLevel.objects.filter(store_id=store_id):
        if level.reserved != promised[level.item_id]:
            yield f"item {level.item_id}: {level.reserved} reserved, orders need {promised[level.item_id]}"
    held = inventory.Reservation.objects.filter(store_id=store_id, state="held")
    yield from (f"{row}: held for no placement" for row in held.exclude(order_id__in=list(waiting)))


def _windows(store_id: int, holding: list[models.Order], waiting: Collection[int]) -> Iterator[str]:
    needed: Counter[int] = Counter()
    for order in holding:
        needed[order.window_id] += order.window_minutes
    for window in slots.DeliveryWindow.objects.filter(store_id=store_id):
        if window.held_minutes != needed[window.pk]:
            yield f"window {window.pk}: {window.held_minutes} minutes held, orders need {needed[window.pk]}"
    held = slots.WindowHold.objects.filter(store_id=store_id, state="held")
    yield from (f"{row}: held for no placement" for row in held.exclude(order_id__in=list(waiting)))


def _messages() -> Iterator[str]:
    for alias in sharding.all_aliases():
        yield from (f"{alias}: {m} was not delivered" for m in OutboxMessage.objects.using(alias))
        yield from (f"{alias}: {m} is in quarantine" for m in QuarantinedMessage.objects.using(alias))
