"""The orders asked about by example, and the samples asked about at random."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.sharding import samples
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.shop.models import Customer, Line, Order

NAMES = {ONE: "ä", SAME_SHARD: "z", OTHER: "\U0001f34e"}


@pytest.fixture
def orders() -> dict[int, list[Order]]:
    """Three orders each, with a line of 1.00 and one without a price: totals 0, 1, 2, then 10, 11, 12, then 20, 21, 22.

    The first customer and the second are on the first shard, the third on the last.
    """
    made = {}
    for tens, customer_id in enumerate((ONE, SAME_SHARD, OTHER)):
        Customer.objects.create(id=customer_id, name=NAMES[customer_id])
        made[customer_id] = [
            Order.objects.create(customer_id=customer_id, store_id=n, total=10 * tens + n) for n in range(3)
        ]
        for order in made[customer_id]:
            Line.objects.create(order=order, customer_id=customer_id, quantity=1, price=Decimal(1))
            Line.objects.create(order=order, customer_id=customer_id, quantity=2, price=None)
    return made


def totals(queryset: Any) -> list[int]:
    return [order.total for order in queryset]


@pytest.fixture(scope="module", params=["settled", "moving"])
def world(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    copies = samples.COPIES if request.param == "moving" else ()
    with django_db_blocker.unblock(), samples.opened(copies=copies):
        yield
