"""A rating is given once, may be changed, and reaches the shopper exactly once in effect."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from apps.accounts.api.jwt import Claims
from apps.common import outbox
from apps.orders.errors import OrderNotFound
from apps.orders.models import Order
from apps.shoppers import selectors as shoppers
from apps.shoppers import services as shopper_services
from apps.support import models, selectors, services
from apps.support.errors import IssueInvalid, NotDelivered, RatingInvalid, TooLate
from tests.orders.factories import MORNING, make_customer, make_placed_order
from tests.shoppers.factories import NOW, make_shopper
from tests.support.factories import DELIVERED, SHOPPER, make_delivered, rate, report
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def shopper():
    shopper_services.register(user_id=SHOPPER, name="Grace", zone_id=1, now=NOW)
    return SHOPPER


def stars_of(shopper_id):
    """(ratings, stars together) as the shopper's shard knows them."""
    found = shoppers.shopper(shopper_id=shopper_id)
    return found.ratings, round(found.rating * (found.ratings + 10) - 47, 6)


def test_a_rating_reaches_the_shopper(shopper):
    order = make_delivered()
    made = rate(order, 4, tags=["friendly", "fast"], words="Thank you")
    assert (made.stars, made.tags, made.words, made.counts, made.shopper_id) == (
        4, ("fast", "friendly"), "Thank you", True, SHOPPER,
    )  # fmt: skip
    assert stars_of(shopper) == (0, 0)
    outbox.drain()
    assert stars_of(shopper) == (1, 4)
    assert shoppers.shopper(shopper_id=shopper).rating == pytest.approx((4 + 47) / 11)
    assert selectors.rating(order_id=order.id, customer_id=order.customer_id) == made


def test_a_shopper_reads_it_by_rest(shopper):
    claims = Claims(user_id=shopper, client_id="shopper-app", scopes=frozenset({"shopper"}))
    app = APIClient()
    app.force_authenticate(get_user_model()(pk=shopper), token=claims)

    def read():
        found = app.get("/api/v1/shopper/me").json()
        return found["rating"], found["ratings"]

    assert read() == (None, 0)
    rate(make_delivered(), 4)
    outbox.drain()
    assert read() == (4.64, 1)


def test_a_changed_rating_corrects_and_does_not_add(shopper):
    order = make_delivered()
    rate(order, 1)
    outbox.drain()
    rate(order, 5, now=DELIVERED + timedelta(days=14))
    rate(order, 5, now=DELIVERED + timedelta(days=14))
    assert models.Rating.objects.get(customer_id=order.customer_id).version == 2
    outbox.drain()
    assert stars_of(shopper) == (1, 5)


def test_news_that_comes_late_or_twice_changes_nothing(shopper):
    order = make_delivered()
    told = {"shopper_id": shopper, "order_id": order.id, "counts": True, "delivered_at": DELIVERED}
    assert shopper_services.note_rating(**told, stars=5, version=2)
    assert not shopper_services.note_rating(**told, stars=1, version=1)
    assert not shopper_services.note_rating(**told, stars=5, version=2)
    assert stars_of(shopper) == (1, 5)
    assert not shopper_services.note_rating(**{**told, "shopper_id": 12}, stars=5, version=1)


def test_only_the_last_hundred_that_count_are_in_it():
    shopper_id = make_shopper(1)
    for n in range(130):
        shopper_services.note_rating(
            shopper_id=shopper_id,
            order_id=n,
            stars=1 if n < 20 else 5,
            counts=n % 13 != 5,
            version=1,
            delivered_at=DELIVERED + timedelta(minutes=n),
        )
    assert stars_of(shopper_id) == (100, 500)


@pytest.mark.parametrize(
    ("later", "refusal"),
    [(timedelta(days=14), None), (timedelta(days=14, seconds=1), TooLate)],
)
def test_fourteen_days_and_no_more(later, refusal):
    order = make_delivered()
    if refusal is None:
        assert rate(order, now=order.delivered_at + later).stars == 5
    else:
        with pytest.raises(refusal):
            rate(order, now=order.delivered_at + later)
        assert models.Rating.objects.filter(customer_id=order.customer_id).count() == 0


def test_nobody_rates_what_they_cannot():
    waiting = make_placed_order()
    with pytest.raises(NotDelivered):
        rate(waiting)
    order = make_delivered()
    with pytest.raises(OrderNotFound):
        rate(order, customer_id=make_customer().id)
    for bad, error in (
        ({"stars": 0}, RatingInvalid),
        ({"tags": ["x"]}, RatingInvalid),
        ({"words": "x" * 1001}, IssueInvalid),
    ):
        with pytest.raises(error):
            rate(order, **bad)
    for one in (waiting, order):
        assert selectors.rating(order_id=one.id, customer_id=one.customer_id) is None


def test_a_low_rating_for_what_was_sold_out_does_not_count(shopper):
    order = make_delivered(found={1: "0"})
    assert not rate(order, 2, tags=["out_of_stock"]).counts
    outbox.drain()
    assert stars_of(shopper) == (0, 0)
    assert rate(order, 2, tags=["out_of_stock", "careless"]).counts
    outbox.drain()
    assert stars_of(shopper) == (1, 2)


@pytest.mark.parametrize(("takes", "fault", "counts"), [(6, "dispatch", False), (5, "shopper", True)])
def test_late_counts_against_who_made_it_late(shopper, takes, fault, counts):
    """The shopper took it at five past; the window ended at ten past, the door bell rang at twenty-five past."""
    order = make_delivered()
    Order.objects.filter(pk=order.id).update(window_ends_at=MORNING + timedelta(minutes=10), window_minutes=takes)
    assert rate(order, 2, tags=["late"]).counts is counts
    assert report(order, None, kind="late").fault == fault
    outbox.drain()
    assert stars_of(shopper) == ((1, 2) if counts else (0, 0))


def test_a_report_changes_whether_it_counts_and_taking_it_back_changes_it_back(shopper):
    order = make_delivered(found={0: "0"})
    assert not rate(order, 1, tags=["out_of_stock"]).counts
    outbox.drain()
    assert stars_of(shopper) == (0, 0)
    issue = report(order, 2, kind="damaged")  # without a photo: a person has to look
    outbox.drain()
    assert stars_of(shopper) == (1, 1)
    services.withdraw(issue_id=issue.id, customer_id=order.customer_id, now=DELIVERED + timedelta(hours=2))
    outbox.drain()
    assert stars_of(shopper) == (0, 0)
    assert models.Rating.objects.get(customer_id=order.customer_id).version == 3


def test_two_devices_make_one_rating(shopper):
    order = make_delivered()
    answers = answers_at_once(lambda n: rate(order, 1 + n % 5), 20)
    assert {type(answer).__name__ for answer in answers} == {"Rating"}
    row = models.Rating.objects.get(customer_id=order.customer_id)
    outbox.drain()
    assert stars_of(shopper) == (1, row.stars)
