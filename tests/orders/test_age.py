"""Alcohol: who may order it, and where it may go."""

from datetime import UTC, date, datetime

import pytest

from apps.carts import domain
from apps.carts import services as carts
from apps.carts.errors import UnderAge
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.common.errors import DomainError
from apps.orders import models
from tests.orders.factories import BEER, MILK, MORNING, make_market, make_ready
from tests.orders.snapshots import changed, snapshot

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def ready():
    market = make_market()
    lager = FeedItem(lookup_code=BEER, name="Lager", price_cents=1099, alcoholic=True, tax_category="alcohol")
    catalog.put_item(store_id=market.store_id, item=lager, now=MORNING)
    return make_ready(market=market)


@pytest.mark.parametrize(
    ("born", "code"),
    [
        (None, "birth_date_missing"),
        (date(2026, 3, 3), "birth_date_missing"),
        (date(1895, 3, 1), "birth_date_missing"),
        (date(2005, 3, 3), "under_age"),
    ],
)
def test_alcohol_is_for_who_is_old_enough(ready, born, code):
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        ready.place(birth_date=born)
    assert refusal.value.code == code
    assert changed(before, snapshot()) == set()


def test_on_the_birthday_at_the_store_one_is_old_enough(ready):
    late = datetime(2026, 3, 3, 1, tzinfo=UTC)  # the evening before, in Columbus
    with pytest.raises(DomainError) as refusal:
        ready.place(birth_date=date(2005, 3, 3), now=late, window_id=ready.market.window_ids[-1])
    assert refusal.value.code == "under_age"
    placed = ready.place(birth_date=date(2005, 3, 2))
    assert placed.status == "brand_new"
    assert models.Order.objects.get(pk=placed.order_id).minimum_age == 21


def test_born_on_a_leap_day():
    with pytest.raises(UnderAge):
        domain.check_age(date(2004, 2, 29), today=date(2025, 2, 28), least=21)
    domain.check_age(date(2004, 2, 29), today=date(2025, 3, 1), least=21)


def test_nobody_is_asked_for_milk():
    ready = make_ready(quantities={MILK: "2"})
    placed = ready.place()
    assert models.Order.objects.get(pk=placed.order_id).minimum_age == 0


def test_where_alcohol_may_not_go_the_longest_prefix_says(ready):
    carts.set_alcohol_rule(state="OH", is_allowed=True)
    carts.set_alcohol_rule(state="OH", postcode_prefix="432", is_allowed=False)
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        ready.place(birth_date=date(1990, 1, 1))
    assert refusal.value.code == "alcohol_not_here"
    assert changed(before, snapshot()) == set()
    carts.set_alcohol_rule(state="OH", postcode_prefix="43215", is_allowed=True)
    assert ready.place(birth_date=date(1990, 1, 1)).status == "brand_new"
