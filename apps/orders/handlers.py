"""What follows from an order's steps on other shards, and what a payment's news means for its order."""

from apps.common import clock, outbox
from apps.orders import services
from apps.orders.events import (
    OrderCanceled,
    OrderConfirmed,
    OrderDelivered,
    OrderRefunded,
    OrderRejected,
    OrderRescheduled,
    OrderReturned,
)
from apps.payments.events import PaymentUpdated, RefundUpdated

TIP = "tip:"
DECIDED = frozenset({"authorised", "declined", "expired"})
"""What a placement may be waiting to hear of its payment."""


@outbox.on(OrderConfirmed)
def keep_what_was_reserved(event: OrderConfirmed, message_id: str) -> None:
    services.secure(order_id=event.order_id, now=clock.now())


@outbox.on(OrderRescheduled)
def leave_the_old_window(event: OrderRescheduled, message_id: str) -> None:
    services.secure(order_id=event.order_id, now=clock.now())


@outbox.on(OrderCanceled)
def give_back_after_cancel(event: OrderCanceled, message_id: str) -> None:
    services.undo(order_id=event.order_id, now=clock.now())


@outbox.on(OrderReturned)
def give_back_after_return(event: OrderReturned, message_id: str) -> None:
    services.undo(order_id=event.order_id, now=clock.now())


@outbox.on(OrderRejected)
def give_back_after_rejection(event: OrderRejected, message_id: str) -> None:
    services.return_to_cart(order_id=event.order_id)
    services.undo(order_id=event.order_id, now=clock.now())


@outbox.on(OrderDelivered)
def take_the_money(event: OrderDelivered, message_id: str) -> None:
    services.settle(order_id=event.order_id, now=clock.now())


@outbox.on(OrderRefunded)
def give_the_money_back(event: OrderRefunded, message_id: str) -> None:
    services.pay_refund(order_id=event.order_id, number=event.number, now=clock.now())


@outbox.on(RefundUpdated)
def note_what_became_of_a_refund(event: RefundUpdated, message_id: str) -> None:
    services.note_refund(order_id=event.order_id, request=event.request, now=clock.now())


@outbox.on(PaymentUpdated)
def go_on_with_the_order(event: PaymentUpdated, message_id: str) -> None:
    if event.status in DECIDED or (event.status == "captured" and event.step.startswith(TIP)):
        services.resume(order_id=event.order_id, now=clock.now())
