"""Operators see which letters failed, and write to a refused address again."""

import smtplib

import pytest

import sharding
from apps.common import clock, outbox
from apps.notifications import selectors
from apps.notifications import services as notifications
from tests.accounts.factories import make_staff
from tests.notifications.conftest import server
from tests.orders.factories import make_customer, make_market, make_placed_order
from tests.web.pages import signed_in

__all__ = ["server"]
pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

PAGES = ("notifications/notification", "notifications/refusedaddress")


@pytest.fixture
def refused(server):
    """Two customers of different shards whose addresses the mail server does not have."""
    market, orders = make_market(), []
    while len({sharding.alias_of_id("customer", order.id) for order in orders}) < 2:
        orders.append(make_placed_order(market=market, customer=make_customer()))
    server.faults = [smtplib.SMTPRecipientsRefused({"a@example.com": (550, b"no")}) for _ in orders]
    outbox.drain()
    for alias in sharding.aliases("customer"):
        notifications.send_due(using=alias, now=clock.now())
    return [order.customer_id for order in orders]


def test_both_lists_hold_the_rows_of_all_shards(operator, refused):
    for page in PAGES:
        listed = operator.get(f"/admin/{page}/").content.decode()
        for customer_id in refused:
            assert str(customer_id) in listed
    failed = operator.get("/admin/notifications/notification/?status__exact=failed").content.decode()
    assert failed.count("address_refused") == len(refused)
    found = operator.get(f"/admin/notifications/notification/?q={refused[0]}").content.decode()
    assert str(refused[0]) in found
    assert str(refused[1]) not in found


def test_a_refused_address_is_written_to_again_when_an_operator_says_so(operator, refused):
    chosen, other = refused[:2]
    form = {"action": "write_again", "_selected_action": [str(chosen)]}
    page = operator.post("/admin/notifications/refusedaddress/", form, follow=True)
    assert "Letters go to 1 of them again" in page.content.decode()
    assert selectors.preferences(customer_id=chosen).is_reachable
    assert not selectors.preferences(customer_id=other).is_reachable


def test_others_are_kept_out(refused):
    staff = signed_in(make_staff())
    for page in PAGES:
        assert staff.get(f"/admin/{page}/").status_code == 403
    form = {"action": "write_again", "_selected_action": [str(refused[0])]}
    assert staff.post("/admin/notifications/refusedaddress/", form).status_code == 403
    assert not selectors.preferences(customer_id=refused[0]).is_reachable
