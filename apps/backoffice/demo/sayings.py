"""What the demo's people said of their past deliveries: mostly kind things, and some reports that wait for a person."""

import random
from collections.abc import Collection
from datetime import datetime, timedelta

from apps.common import clock, outbox
from apps.orders import selectors as orders
from apps.orders.types import Order
from apps.support import services

_STARS = (5, 5, 5, 5, 4, 4, 3, 2)
_TAGS = {5: ("friendly", "careful"), 4: ("friendly",), 3: (), 2: ("late",)}
_WORDS = {5: "Thank you!", 2: "I had to wait."}
REPORTED_ONE_IN = 12
_REPORTS = (("missing", ""), ("poor_quality", "Bruised on one side."), ("damaged", "The lid was open."))
"""The first is believed at once, the others have no photo."""


def write(*, customer_ids: Collection[int], rng: random.Random, now: datetime) -> int:
    """Rate and report what these customers had delivered lately; returns how many deliveries were rated.

    The newest order of the first customer is left to whoever tries the demo.
    """
    rated = 0
    for number, customer_id in enumerate(customer_ids):
        lately = orders.orders(customer_id=customer_id, limit=100).orders[1 if number == 0 else 0 :]
        for summary in lately:
            order = orders.order_for_staff(order_id=summary.id)
            if order.delivered_at is not None and order.delivered_at < now:
                rated += _say(order, rng, now=min(order.delivered_at + timedelta(hours=2), now))
    with clock.shifted_to(now):
        outbox.drain()
    return rated


def _say(order: Order, rng: random.Random, *, now: datetime) -> bool:
    bought = [line for line in order.lines if line.status == "found"]
    if bought and rng.randrange(REPORTED_ONE_IN) == 0:
        line = rng.choice(bought)
        kind, words = rng.choice(_REPORTS)
        services.report(
            order_id=order.id,
            customer_id=order.customer_id,
            line_id=line.id,
            kind=kind,
            words=words,
            key=f"demo-{order.id}",
            now=now,
        )
    if rng.random() < 0.3:
        return False
    stars = rng.choice(_STARS)
    services.rate(
        order_id=order.id,
        customer_id=order.customer_id,
        stars=stars,
        tags=_TAGS[stars],
        words=_WORDS.get(stars, ""),
        now=now,
    )
    return True
