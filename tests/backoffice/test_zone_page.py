"""A zone before the eyes of an operator, as it is and as it was."""

import re
from datetime import timedelta

import pytest

from apps.common import clock
from apps.common.geo import Point
from apps.dispatch import selectors as dispatch
from apps.dispatch import services as dispatch_services
from apps.fulfilment.models import StoreOrder
from tests.accounts.factories import make_customer as make_person
from tests.accounts.factories import make_staff
from tests.dispatch.factories import NOW, make_offer
from tests.fulfilment.factories import make_waiting_store_order
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store
from tests.web.pages import Html, signed_in

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("nobody_online")]


def seen(operator, store, *, minutes=0, ago=0, heat=0):
    asked = {name: value for name, value in (("ago", ago), ("heat", heat)) if value}
    with clock.shifted_to(NOW + timedelta(minutes=minutes)):
        return operator.get(f"/admin/zones/{store.zone_id}/", asked).content.decode()


def states(page):
    return re.findall(r"<polyline class=\"(\w+)\"", page)


def test_a_batch_is_drawn_as_it_stands_and_as_it_stood(operator):
    offered = make_offer(orders=2)
    late = make_waiting_store_order(store=offered.store, now=NOW + timedelta(minutes=3))
    dispatch_services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW + timedelta(seconds=20))
    page = seen(operator, offered.store, minutes=5)
    assert states(page) == ["taken"]
    assert page.count("<circle") == 3
    assert page.count('<circle class="waiting"') == 1
    assert offered.store.name in page
    assert f"with shopper {offered.shopper_id} (chosen)" in page
    assert "with nobody" in page
    assert "somebody had to leave by" in page
    StoreOrder.objects.filter(pk=late).update(drop_lat=float("nan"))
    assert seen(operator, offered.store, minutes=5).count("<circle") == 2  # listed, but nowhere on the map
    earlier = seen(operator, offered.store, minutes=5, ago=5)  # the moment of the offer
    assert states(earlier) == ["offered"]
    assert earlier.count("<circle") == 2
    before = seen(operator, offered.store, minutes=5, ago=6)
    assert states(before) == []
    assert "No batches at that moment." in before
    assert "Every order is in a batch." in before
    assert late not in offered.store_order_ids


def test_free_shoppers_are_shown_now_and_not_for_the_past(operator):
    store = make_store(zone="Quiet")
    make_shopper(store.zone_id, point=store.point, now=NOW)
    assert "1 could be offered work now." in seen(operator, store)
    assert seen(operator, store).count('transform="translate(') == 2  # the store and the shopper
    assert "Free shoppers" not in seen(operator, store, ago=1)
    assert 'http-equiv="refresh"' in seen(operator, store)
    assert 'http-equiv="refresh"' not in seen(operator, store, ago=1)


@pytest.mark.parametrize("ago", ["-1", "abc", "1.5", "٣", "9999"])
def test_a_moment_that_makes_no_sense_is_now_or_an_hour_ago(operator, ago):
    store = make_store(zone="Odd")
    response = operator.get(f"/admin/zones/{store.zone_id}/", {"ago": ago})
    assert response.status_code == 200
    assert f'value="{60 if ago == "9999" else 0}"' in response.content.decode()


def test_everything_lies_within_the_map(operator):
    store = make_store(zone="Wide")
    for lat, lng in ((0.2, 0.1), (-0.1, -0.3), (0.0, 0.0)):
        make_waiting_store_order(store=store, drop=Point(store.point.lat + lat, store.point.lng + lng), now=NOW)
    page = seen(operator, store)
    places = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', page)]
    assert len(places) == 3
    assert all(0 < x < 1000 and 0 < y < 620 for x, y in places)
    north = max(places, key=lambda place: -place[1])
    assert north[0] == max(x for x, _ in places)  # the first is north and east of the others


def test_zones_are_listed_and_unknown_ones_are_not_found(operator):
    store = make_store(zone="Here")
    assert f"/admin/zones/{store.zone_id}/" in operator.get("/admin/zones/").content.decode()
    assert operator.get("/admin/zones/999999/").status_code == 404
    assert dispatch.zone_picture(zone_id=999999, at=NOW, now=NOW) is None


def test_only_operators_see_where_everybody_lives():
    store = make_store(zone="Private")
    for user_id, status in ((make_staff(email="clerk@example.com"), 403), (make_person(), 302)):
        assert signed_in(user_id).get(f"/admin/zones/{store.zone_id}/").status_code == status
        assert signed_in(user_id).get("/admin/zones/").status_code == status


def test_names_cannot_become_markup(operator):
    store = make_store(name="<script>alert(1)</script>", zone="<b>Zone</b>")
    make_waiting_store_order(store=store, now=NOW)
    page = seen(operator, store)
    assert "<script>alert(1)" not in page
    assert "<b>Zone" not in page
    assert Html.of(operator.get(f"/admin/zones/{store.zone_id}/")).text


def test_where_shoppers_are_short_is_laid_over_the_map_when_asked_for(operator):
    store = make_store(zone="Hot")
    for _ in range(4):
        make_waiting_store_order(store=store, now=NOW)
    page = seen(operator, store, heat=1)
    assert "was not weighed in the last minutes" in page
    for minute in (1, 2):
        dispatch_services.weigh_cells(zone_id=store.zone_id, now=NOW + timedelta(minutes=minute))
    page = seen(operator, store, minutes=2, heat=1)
    (area,) = re.findall(r'<polygon class="(\w+)" points="([^"]+)"', page)
    corners = [tuple(map(float, corner.split(","))) for corner in area[1].split()]
    assert (area[0], len(corners)) == ("heat5", 6)
    assert all(0 <= x <= 1000 and 0 <= y <= 620 for x, y in corners)
    assert "Level 5: 4 orders and 0 shoppers near, $5.00 more a batch" in page
    assert "<polygon" not in seen(operator, store, minutes=2)
    assert "Where shoppers were short is not kept" in seen(operator, store, minutes=2, ago=1, heat=1)
