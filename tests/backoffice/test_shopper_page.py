"""Certificates, entered by an operator."""

from datetime import timedelta

import pytest

from apps.accounts import services as accounts
from apps.accounts.selectors import user_id_by_email
from apps.common import clock
from apps.shoppers import selectors as shoppers
from tests.accounts.factories import make_customer as make_person
from tests.accounts.factories import make_staff
from tests.shoppers.factories import NOW, make_shopper
from tests.web.pages import signed_in

pytestmark = pytest.mark.django_db(databases="__all__")

TODAY = NOW.date()


@pytest.fixture(autouse=True)
def afternoon():
    with clock.shifted_to(NOW):
        yield


@pytest.fixture
def page():
    return f"/admin/shoppers/{make_shopper(7, name='Grace Hopper')}/"


def number(page):
    return int(page.strip("/").rpartition("/")[2])


def enter(operator, page, first=TODAY, days=30):
    return operator.post(page, {"valid_from": first, "valid_until": first + timedelta(days=days)})


def test_a_certificate_is_entered_shown_and_withdrawn(operator, page):
    assert "None. Orders with alcohol go to others." in operator.get(page).content.decode()
    assert enter(operator, page).status_code == 302
    (held,) = shoppers.certifications(shopper_id=number(page))
    assert (held.kind, held.valid_until - held.valid_from) == ("alcohol", timedelta(days=30))
    assert held.checked_by == user_id_by_email(email="operator@example.com")
    shown = operator.get(page).content.decode()
    assert "The certificate is entered." in shown
    assert "<td>3 Jun 2026</td>" in shown
    for told in ("The certificate is withdrawn.", "That certificate was withdrawn before."):
        operator.post(f"{page}certificates/{held.id}/withdraw/")
        assert told in operator.get(page).content.decode()
    assert shoppers.certifications(shopper_id=number(page))[0].withdrawn_at is not None
    assert "withdrawn 4 May 2026" in operator.get(page).content.decode()


@pytest.mark.parametrize(("first", "days"), [(TODAY, -1), (TODAY, 5_000)])
def test_what_is_no_period_is_refused_with_the_reason(operator, page, first, days):
    refused = enter(operator, page, first, days)
    assert (refused.status_code, "for ten years at most" in refused.content.decode()) == (422, True)
    assert shoppers.certifications(shopper_id=number(page)) == ()
    unread = operator.post(page, {"valid_from": "soon"})
    assert (unread.status_code, "Enter both days" in unread.content.decode()) == (422, True)


def test_a_shopper_is_found_by_address_or_number(operator):
    person = make_person(email="grace@example.com")
    assert operator.get("/admin/shoppers/", {"who": "grace@example.com"}).status_code == 404  # no shopper yet
    make_shopper(7, user_id=person)
    for who in ("grace@example.com", str(person)):
        assert operator.get("/admin/shoppers/", {"who": who}).url == f"/admin/shoppers/{person}/"
    assert operator.get("/admin/shoppers/", {"who": "<b>"}).status_code == 404
    assert operator.get("/admin/shoppers/77/").status_code == 404
    assert "E-mail address or number" in operator.get("/admin/shoppers/").content.decode()


def test_only_operators_enter_certificates(page):
    clerk = make_staff(email="clerk@example.com")
    accounts.grant_role(user_id=clerk, role="store_staff", store_id=17)
    for somebody, status in ((signed_in(clerk), 403), (signed_in(make_person()), 302)):
        assert enter(somebody, page).status_code == status
        assert somebody.post(f"{page}certificates/1/withdraw/").status_code == status
        assert somebody.get("/admin/shoppers/", {"who": "x"}).status_code == status
    assert shoppers.certifications(shopper_id=number(page)) == ()
