"""Promotions: what they take off, whom they refuse, and that a use is counted once and given back."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.common import outbox
from apps.common.errors import DomainError
from apps.common.money import Money
from apps.orders import selectors, services
from apps.pricing import models
from apps.pricing import services as pricing
from apps.stores import selectors as stores
from tests.orders.factories import (
    BEER,
    DECLINES,
    MILK,
    MORNING,
    bring_to,
    make_customer,
    make_market,
    make_ready,
)
from tests.orders.snapshots import changed, snapshot
from tests.orders.test_races import at_once

pytestmark = pytest.mark.django_db(databases="__all__")


def add(code="SAVE", **said):
    said = {"percent": Decimal(10)} | said if "amount" not in said else said
    return pricing.add_promotion(**({"code": code, "label": "Spring", "starts_at": MORNING} | said))


def placed(ready, code="SAVE", **changes):
    return selectors.order_for_staff(order_id=ready.place(promotion_code=code, **changes).order_id)


def discounts(order, phase="estimate"):
    return [
        (a.code, a.label, a.amount.cents, a.line_id)
        for a in order.adjustments
        if a.kind == "discount" and a.phase == phase
    ]


def uses(customer_id):
    rows = models.Redemption.objects.filter(customer_id=customer_id)
    return sorted(rows.values_list("promotion_id", "number"))


def test_a_code_takes_its_part_off_every_line_and_follows_to_the_final_bill():
    number = add()
    ready = make_ready()
    order = placed(ready, " save ")
    bananas, milk, beer = order.lines
    told = [
        ("SAVE", "Spring", -15, bananas.id),
        ("SAVE", "Spring", -70, milk.id),
        ("SAVE", "Spring", -110, beer.id),
    ]
    assert discounts(order) == told  # 194.5 cents of 19.45, rounded once
    assert uses(ready.customer.id) == [(number, None)]
    models.Promotion.objects.update(percent=Decimal(50), is_active=False)
    assert discounts(bring_to(order, "checkout"), "final") == told


def test_an_amount_is_for_the_goods_it_names_and_no_more_than_they_cost():
    market = make_market()
    add("DAIRY", amount=Money(500), departments=["dairy"])
    add("", amount=Money(100), item_codes=[BEER], label="Beer week")
    order = placed(make_ready(market=market, quantities={MILK: "1", BEER: "1"}), "DAIRY")
    milk, beer = order.lines
    assert discounts(order)[1:] == [("DAIRY", "Spring", -349, milk.id)]
    assert discounts(order)[0][1:] == ("Beer week", -100, beer.id)
    assert order.total == Money(1099 - 100 + 60 + 399 + 300)


def test_what_is_everybodys_is_left_out_where_it_does_not_fit():
    market = make_market()
    add("", minimum_cents=100_000)
    add("", store_id=make_market().store_id)
    add("", departments=["bakery"])
    add("", starts_at=MORNING + timedelta(days=1))
    add("", amount=Money(100, "CAD"))
    assert discounts(placed(make_ready(market=market), "")) == []


def own_store(market):
    store = stores.store(store_id=market.store_id)
    return {"store_id": store.id, "retailer_id": store.retailer_id}


REFUSED = [
    ("promotion_unknown", {"code": "OTHER"}),
    ("promotion_not_now", {"starts_at": MORNING + timedelta(minutes=1)}),
    ("promotion_not_now", {"starts_at": MORNING - timedelta(days=2), "ends_at": MORNING}),
    ("promotion_not_here", {"store_id": 4_000_000}),
    ("promotion_not_here", {"retailer_id": 4_000_000}),
    ("promotion_not_here", {"amount": Money(100, "CAD")}),
    ("promotion_for_other_goods", {"departments": ["bakery"], "item_codes": ["bread"]}),
    ("promotion_below_minimum", {"minimum_cents": 1946}),
]


@pytest.mark.parametrize(("code", "said"), REFUSED)
def test_a_code_that_is_not_for_this_order_is_refused_and_leaves_nothing_behind(code, said):
    ready = make_ready()
    add(**said)
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        ready.place(promotion_code="SAVE")
    assert refusal.value.code == code
    assert changed(before, snapshot()) == set()


def test_a_promotion_of_this_very_store_and_minimum_counts():
    market = make_market()
    add(minimum_cents=1945, **own_store(market))
    assert len(discounts(placed(make_ready(market=market)))) == 3


def test_a_limit_is_per_customer_and_a_use_that_came_to_nothing_is_given_back():
    number = add(per_customer_limit=1)
    market, customer = make_market(), make_customer()
    first = placed(make_ready(market=market, customer=customer))
    again = make_ready(market=market, customer=customer)
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        again.place(promotion_code="SAVE")
    assert refusal.value.code == "promotion_used"
    assert changed(before, snapshot()) == set()
    assert len(discounts(placed(make_ready(market=market)))) == 3  # somebody else

    services.cancel(order_id=first.id, customer_id=customer.id, reason="", now=MORNING)
    assert uses(customer.id) == []
    assert len(discounts(placed(again))) == 3
    assert uses(customer.id) == [(number, 1)]


def test_a_declined_card_costs_no_use():
    add(per_customer_limit=1)
    ready = make_ready(customer=make_customer(card=DECLINES))
    assert ready.place(promotion_code="SAVE").status == "rejected"
    outbox.drain()
    assert uses(ready.customer.id) == []


def test_a_first_order_is_one_that_no_other_came_before():
    add("WELCOME", per_customer_limit=1, first_order_only=True)
    market, customer = make_market(), make_customer()
    first = placed(make_ready(market=market, customer=customer), "")
    again = make_ready(market=market, customer=customer)
    with pytest.raises(DomainError) as refusal:
        again.place(promotion_code="WELCOME")
    assert refusal.value.code == "promotion_for_first_order"
    services.cancel(order_id=first.id, customer_id=customer.id, reason="", now=MORNING)
    assert len(discounts(placed(again, "WELCOME"))) == 3


def test_the_same_request_with_another_code_is_another_request():
    add()
    ready = make_ready()
    ready.place(key="k")
    with pytest.raises(DomainError) as refusal:
        ready.place(key="k", promotion_code="SAVE")
    assert refusal.value.code == "idempotency_conflict"


def test_a_price_that_rose_is_refused_and_one_that_fell_is_charged():
    ready = make_ready()
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        ready.place(seen_total=Money(2703))
    assert (refusal.value.code, refusal.value.total) == ("price_changed", Money(2704))
    assert "$27.04, not $27.03" in str(refusal.value)
    assert changed(before, snapshot()) == set()
    add("", amount=Money(100))
    assert placed(ready, "", seen_total=Money(2704)).total == Money(2604)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_the_last_use_goes_to_one_of_many_orders_at_once():
    """At four stores, so that the carts do not stand in each other's way."""
    number = add(per_customer_limit=2)
    customer = make_customer()
    ready = [make_ready(market=make_market(), customer=customer) for _ in range(4)]
    answers = at_once(*[lambda one=one: one.place(promotion_code="SAVE").status for one in ready])
    assert sorted(answers) == ["brand_new", "brand_new", "promotion_used", "promotion_used"]
    assert uses(customer.id) == [(number, 1), (number, 2)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"percent": Decimal(101)},
        {"percent": Decimal(0)},
        {"amount": Money(100), "percent": Decimal(5)},
        {"amount": Money(-1)},
        {"code": "lower"},
        {"code": "A B"},
        {"per_customer_limit": 0},
        {"first_order_only": True},
        {"minimum_cents": -1},
        {"ends_at": MORNING},
    ],
)
def test_an_impossible_promotion_is_refused(wrong):
    with pytest.raises(DomainError) as refusal:
        add(**wrong)
    assert refusal.value.code == "promotion_invalid"
    assert not models.Promotion.objects.exists()


def test_a_code_is_given_once():
    add()
    with pytest.raises(DomainError) as refusal:
        add()
    assert refusal.value.code == "promotion_invalid"
    assert models.Promotion.objects.count() == 1
