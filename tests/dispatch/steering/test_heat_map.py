"""What a shopper's app is told of where shoppers are short."""

import pytest

from apps.common import clock
from apps.dispatch import services
from tests.dispatch.factories import NOW
from tests.dispatch.test_rest import app, call
from tests.fulfilment.factories import make_waiting_store_order
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def afternoon():
    with clock.shifted_to(NOW):
        yield


def test_a_shopper_sees_the_cells_of_their_own_zone_and_how_much_more_is_paid():
    store, elsewhere = make_store(zone="Hot"), make_store(zone="Cold")
    for _ in range(4):
        make_waiting_store_order(store=store)
    shopper = make_shopper(store.zone_id, point=store.point)
    for minute in range(2):
        for zone_id in (store.zone_id, elsewhere.zone_id):
            services.weigh_cells(zone_id=zone_id, now=NOW.replace(minute=minute))
    with clock.shifted_to(NOW.replace(minute=1)):
        with counted() as queries:
            answer = call(app(shopper), "get", "shopper/heat-map")
        assert queries.total == 2
        (cell,) = answer.json()["cells"]
        assert (cell["level"], cell["extra_pay_cents"], cell["currency"]) == (3, 300, "USD")
        assert cell.keys() == {"index", "level", "extra_pay_cents", "currency", "boundary"}
        assert len(cell["boundary"]) == 6
        outsider = make_shopper(elsewhere.zone_id)
        assert [cell["level"] for cell in call(app(outsider), "get", "shopper/heat-map").json()["cells"]] == [0]
        unweighed = make_shopper(make_store(zone="New").zone_id)
        assert call(app(unweighed), "get", "shopper/heat-map").json() == {"cells": []}


def test_others_are_not_told():
    assert call(app(None), "get", "shopper/heat-map").status_code == 401
    assert call(app(7, scopes=("customer",)), "get", "shopper/heat-map").status_code == 403
    assert call(app(7), "get", "shopper/heat-map").status_code in (403, 404)
