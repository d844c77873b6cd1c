"""The checker of this folder finds what it is for."""

import pytest

import sharding
from apps.common import outbox
from apps.orders import models as orders
from apps.shoppers import models as shoppers
from apps.shoppers import services as shopper_services
from apps.support import models
from tests.orders.factories import MORNING
from tests.support.factories import make_delivered, rate, report
from tests.support.invariants import violations

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def of(model, **changes):
    """Change the one row there is, past every service."""
    for alias in sharding.aliases(model.sharding.keyspace):
        model.objects.using(alias).all().update(**changes)


PLANTED = {
    "its refund is None": lambda: of(orders.OrderRefund, key="another"),
    "cents decided": lambda: of(models.OrderIssue, refund_cents=1),
    "its history has gaps": lambda: of(models.OrderIssue, sequence=9),
    "took a step that is none": lambda: of(models.IssueEvent, from_status="withdrawn"),
    "reported, 1.000 charged": lambda: of(orders.OrderLine, found_quantity=1),
    "its shopper knows of": lambda: of(shoppers.Rating, stars=1),
    "nobody gave it": lambda: of(shoppers.Rating, order_id=1),
    "3 ratings, 1 count": lambda: of(shoppers.Shopper, ratings=3),
}


@pytest.mark.parametrize("found", PLANTED)
def test_a_planted_violation_is_found(found):
    order = make_delivered()
    shopper_services.register(user_id=7, name="Grace", zone_id=1, now=MORNING)
    report(order)
    rate(order, 4)
    outbox.drain()
    assert violations() == []
    PLANTED[found]()
    assert any(found in line for line in violations())
