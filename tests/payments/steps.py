"""The steps of one payment, as orders take them."""

from apps.common.money import Money
from apps.payments import selectors, services
from tests.payments.factories import NOW

ADA, BOB = 1, 5_001  # on different shards
ORDER = 7_654_321


def authorise(card_id, *, customer_id=ADA, cents=5000, step="estimate", now=NOW):
    return services.authorise(
        customer_id=customer_id,
        order_id=ORDER,
        step=step,
        amount=Money(cents),
        card_id=card_id,
        return_url="http://127.0.0.1:8000/orders/7654321/",
        now=now,
    )


def capture(cents, *, customer_id=ADA, step="estimate", now=NOW):
    return services.capture(customer_id=customer_id, order_id=ORDER, step=step, amount=Money(cents), now=now)


def void(*, customer_id=ADA, now=NOW):
    services.void(customer_id=customer_id, order_id=ORDER, now=now)


def refresh(*, now=NOW):
    return services.refresh(customer_id=ADA, order_id=ORDER, step="estimate", now=now)


def status(customer_id=ADA):
    [payment] = selectors.payments(customer_id=customer_id, order_id=ORDER)
    return payment.status
