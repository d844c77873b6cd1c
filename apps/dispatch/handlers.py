from typing import Literal

from apps.common import clock, outbox
from apps.common.money import Money
from apps.dispatch import services
from apps.dispatch.events import BatchCanceled, BatchCompleted, BatchReopened, OfferAccepted, OfferClosed
from apps.fulfilment.events import Delivered, PickingStarted, StoreOrderCanceled
from apps.orders.events import OrderDelivered, OrderTipChanged
from apps.shoppers import services as shoppers


@outbox.on(OfferAccepted)
def keep_the_shopper(event: OfferAccepted, message_id: str) -> None:
    services.tell_accepted(batch_id=event.batch_id, offer_id=event.offer_id, shopper_id=event.shopper_id)


@outbox.on(OfferClosed)
def free_whom_we_asked(event: OfferClosed, message_id: str) -> None:
    shoppers.release(shopper_id=event.shopper_id, batch_id=event.batch_id, offer_id=event.offer_id)


@outbox.on(BatchReopened)
def free_who_did_not_begin(event: BatchReopened, message_id: str) -> None:
    shoppers.release(shopper_id=event.shopper_id, batch_id=event.batch_id)
    _pay_for_work(event, event.shopper_id)


@outbox.on(BatchCanceled)
def free_who_has_nothing_left(event: BatchCanceled, message_id: str) -> None:
    if event.shopper_id is not None:
        shoppers.release(shopper_id=event.shopper_id, batch_id=event.batch_id)
        _pay_for_work(event, event.shopper_id)


def _pay_for_work(event: BatchReopened | BatchCanceled, shopper_id: int) -> None:
    shoppers.earn(
        shopper_id=shopper_id,
        batch_id=event.batch_id,
        order_id=None,
        kind="work_pay",
        number=event.offer_id,
        amount=Money(event.work_cents, event.currency),
        now=clock.now(),
    )


@outbox.on(BatchCompleted)
def pay_the_shopper(event: BatchCompleted, message_id: str) -> None:
    parts: tuple[tuple[Literal["batch_pay", "peak_pay"], int], ...] = (
        ("batch_pay", event.pay_cents - event.peak_cents),
        ("peak_pay", event.peak_cents),
    )
    for kind, cents in parts:
        shoppers.earn(
            shopper_id=event.shopper_id,
            batch_id=event.batch_id,
            order_id=None,
            kind=kind,
            amount=Money(cents, event.currency),
            now=clock.now(),
        )
    shoppers.complete(shopper_id=event.shopper_id, batch_id=event.batch_id, now=clock.now())


@outbox.on(BatchCompleted)
def measure_the_pace(event: BatchCompleted, message_id: str) -> None:
    services.tell_pick(batch_id=event.batch_id, shopper_id=event.shopper_id)


@outbox.on(OrderDelivered)
def pass_on_the_tip(event: OrderDelivered, message_id: str) -> None:
    tip = Money(event.tip_cents, event.currency)
    services.tell_tip(store_id=event.store_id, order_id=event.order_id, tip=tip, now=clock.now())


@outbox.on(OrderTipChanged)
def change_the_tip(event: OrderTipChanged, message_id: str) -> None:
    changed = Money(event.amount_cents, event.currency)
    services.tell_tip(
        store_id=event.store_id, order_id=event.order_id, tip=changed, number=event.number, now=clock.now()
    )


@outbox.on(PickingStarted)
def note_picking(event: PickingStarted, message_id: str) -> None:
    services.note_picking(store_id=event.store_id, store_order_id=event.store_order_id)


@outbox.on(Delivered)
def finish_order(event: Delivered, message_id: str) -> None:
    services.finish_order(store_id=event.store_id, store_order_id=event.store_order_id, now=clock.now())


@outbox.on(StoreOrderCanceled)
def drop_order(event: StoreOrderCanceled, message_id: str) -> None:
    services.drop_order(store_id=event.store_id, store_order_id=event.store_order_id, now=clock.now())
