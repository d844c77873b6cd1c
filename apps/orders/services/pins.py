"""The four digits a customer says at the door."""

import hmac

from django.db.models import F

import sharding
from apps.orders import domain, models
from apps.orders.errors import OrderNotFound, PinLocked


@sharding.repeatable
def check_pin(*, order_id: int, pin: str) -> bool:
    """Whether ``pin`` is the order's. Wrong ones are counted: from the eleventh on raises ``PinLocked`` for any.

    The try is counted before it is looked at, and the next waits for it, so guessing many at once wins nothing.
    """
    orders = models.Order.objects.filter(pk=order_id)
    order = orders.first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        if not orders.filter(pin_failures__lt=domain.MAX_PIN_FAILURES).update(pin_failures=F("pin_failures") + 1):
            raise PinLocked("Too many wrong PINs for this order; prove the delivery with a photo.")
        is_right = bool(order.pin) and hmac.compare_digest(order.pin.encode(), pin.encode())
        if is_right:
            orders.update(pin_failures=F("pin_failures") - 1)
    return is_right
