"""Orders in windows in which their store turned out to be closed."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.test import Client

from apps.common import clock, outbox
from apps.slots import services as slots
from apps.stores import services as stores
from apps.stores.types import SpecialDay
from tests.accounts.factories import make_customer as make_person
from tests.slots.factories import make_window
from tests.stores.factories import make_store
from tests.web.pages import signed_in

pytestmark = pytest.mark.django_db(databases="__all__")

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_an_operator_sees_the_orders_of_a_day_that_was_closed(operator):
    store = make_store(opens=time(9), closes=time(17))
    window = make_window(store.id, starts_at=datetime(2026, 1, 6, 15, tzinfo=UTC))
    soon = NOW + timedelta(minutes=10)
    slots.hold(store_id=store.id, window_id=window.id, order_id=4711, minutes=20, expires_at=soon, now=NOW)
    with clock.shifted_to(NOW):
        assert "4711" not in operator.get("/admin/withdrawn/").content.decode()
        day = SpecialDay(date=window.starts_at.date(), opens=None, closes=None)
        stores.set_special_day(store_id=store.id, day=day)
        outbox.drain()
        page = operator.get("/admin/withdrawn/").content.decode()
    for text in ("4711", "/admin/orders/4711/", store.name, "Tue 6 Jan, 10:00 to 11:00"):
        assert text in page


def test_nobody_else_sees_them():
    assert Client().get("/admin/withdrawn/").status_code == 302
    assert signed_in(make_person()).get("/admin/withdrawn/").status_code in (302, 403)
