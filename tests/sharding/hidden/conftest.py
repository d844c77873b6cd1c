"""The orders that are asked about, and ways to look at them."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import models

import sharding
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.shop.models import Customer, Line, Order

LOOSE = Line.objects.filter(quantity=2)
"""Lines of every shard."""
TOTALS = [0, 1, 2, 10, 11, 12, 20, 21, 22]


@pytest.fixture
def orders() -> dict[int, list[Order]]:
    """Three orders each, of two lines each: totals 0, 1, 2 for ONE, 10, 11, 12 for SAME_SHARD, 20, 21, 22 for OTHER."""
    made = {}
    for tens, customer_id in enumerate((ONE, SAME_SHARD, OTHER)):
        Customer.objects.create(id=customer_id, name=f"customer {customer_id}")
        made[customer_id] = [
            Order.objects.create(customer_id=customer_id, store_id=3, total=10 * tens + n, placed=date(2026, 1, 1 + n))
            for n in range(3)
        ]
        for order in made[customer_id]:
            for quantity in (1, 2):
                Line.objects.create(order=order, customer_id=customer_id, quantity=quantity, price=Decimal(quantity))
    return made


def totals(queryset: models.QuerySet[Order]) -> list[int]:
    return sorted(order.total for order in queryset)


def everywhere(model: type[models.Model], column: str) -> list[object]:
    parts = [model.objects.using(alias) for alias in sharding.aliases("customer")]
    found = [value for part in parts for value in part.values_list(column, flat=True)]
    return sorted(found, key=lambda value: (value is None, value))
