from datetime import datetime

from apps.common import clock, outbox
from apps.orders.events import OrderStatusChanged
from apps.shoppers import services as shoppers
from apps.support import services
from apps.support.events import IssueOpened, OrderRated


@outbox.on(OrderRated)
def rate_the_shopper(event: OrderRated, message_id: str) -> None:
    shoppers.note_rating(
        shopper_id=event.shopper_id,
        order_id=event.order_id,
        stars=event.stars,
        counts=event.counts,
        version=event.version,
        delivered_at=datetime.fromisoformat(event.delivered_at),
    )


@outbox.on(IssueOpened)
def decide_what_was_charged_meanwhile(event: IssueOpened, message_id: str) -> None:
    services.decide_waiting(order_id=event.order_id, customer_id=event.customer_id, now=clock.now())


@outbox.on(OrderStatusChanged)
def decide_what_waited_for_the_charge(event: OrderStatusChanged, message_id: str) -> None:
    if event.status == "delivered":
        services.decide_waiting(order_id=event.order_id, customer_id=event.customer_id, now=clock.now())
