from datetime import datetime
from decimal import Decimal

from apps.common import clock, outbox
from apps.common.geo import Point
from apps.fulfilment import services
from apps.fulfilment.events import (
    CheckedOut,
    Delivered,
    DeliveryStarted,
    LinePicked,
    ListEdited,
    OrderAssigned,
    OrderUnassigned,
    PickingStarted,
    ReceiptPassed,
    ReplacementProposed,
    ReplacementWithdrawn,
)
from apps.fulfilment.types import NewLine
from apps.orders.events import (
    LineWishChanged,
    OrderCanceled,
    OrderConfirmed,
    OrderRescheduled,
    OrderReturned,
    ReplacementAnswered,
)


@outbox.on(OrderConfirmed)
def put_before_the_store(event: OrderConfirmed, message_id: str) -> None:
    services.project(
        store_id=event.store_id,
        order_id=event.order_id,
        customer_id=event.customer_id,
        window_starts_at=datetime.fromisoformat(event.window_starts_at),
        window_ends_at=datetime.fromisoformat(event.window_ends_at),
        drop=Point(event.lat, event.lng),
        tip_cents=event.tip_cents,
        lines=[NewLine(**{**line, "quantity": Decimal(line["quantity"])}) for line in event.lines],
        now=clock.now(),
        message_id=message_id,
    )


@outbox.on(OrderRescheduled)
def follow_the_window(event: OrderRescheduled, message_id: str) -> None:
    services.reschedule(
        store_id=event.store_id,
        order_id=event.order_id,
        version=event.window_version,
        starts_at=datetime.fromisoformat(event.window_starts_at),
        ends_at=datetime.fromisoformat(event.window_ends_at),
    )


@outbox.on(OrderCanceled)
def take_from_the_store(event: OrderCanceled, message_id: str) -> None:
    services.cancel(store_id=event.store_id, order_id=event.order_id, customer_id=event.customer_id, now=clock.now())


@outbox.on(OrderReturned)
def bring_it_back(event: OrderReturned, message_id: str) -> None:
    services.cancel(
        store_id=event.store_id,
        order_id=event.order_id,
        customer_id=event.customer_id,
        is_coming_back=True,
        now=clock.now(),
    )


@outbox.on(LinePicked)
def report_line(event: LinePicked, message_id: str) -> None:
    services.report_line(store_order_id=event.store_order_id, line_id=event.line_id, now=clock.now())


@outbox.on(ReplacementAnswered)
def hear_answer(event: ReplacementAnswered, message_id: str) -> None:
    services.hear_answer(proposal_id=event.proposal_id, now=clock.now())


@outbox.on(LineWishChanged)
def note_wish(event: LineWishChanged, message_id: str) -> None:
    services.note_wish(
        store_id=event.store_id,
        order_id=event.order_id,
        line_id=event.line_id,
        policy=event.replacement_policy,
        item_id=event.replacement_item_id,
        version=event.wish_version,
    )


def report_proposal(event: ReplacementProposed | ReplacementWithdrawn, message_id: str) -> None:
    services.report_proposal(proposal_id=event.proposal_id, now=clock.now())


outbox.on(ReplacementProposed)(report_proposal)
outbox.on(ReplacementWithdrawn)(report_proposal)


@outbox.on(ListEdited)
def write_edits(event: ListEdited, message_id: str) -> None:
    services.tell_edits(store_order_id=event.store_order_id, now=clock.now())


def report(
    event: OrderAssigned | OrderUnassigned | PickingStarted | CheckedOut | ReceiptPassed | DeliveryStarted | Delivered,
    message_id: str,
) -> None:
    services.report(store_order_id=event.store_order_id, now=clock.now())


outbox.on(OrderAssigned)(report)
outbox.on(OrderUnassigned)(report)
outbox.on(PickingStarted)(report)
outbox.on(CheckedOut)(report)
outbox.on(ReceiptPassed)(report)
outbox.on(DeliveryStarted)(report)
outbox.on(Delivered)(report)
