"""Rating a delivery and reporting a problem, on the order's page and without a script."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

import sharding
from apps.common import clock, outbox
from apps.orders import selectors as orders
from apps.support import models, selectors, services
from tests.common.test_photos import EXIF, JPEG
from tests.orders.factories import make_customer, make_placed_order
from tests.queries import counted
from tests.support.conftest import photos_of_their_own
from tests.support.factories import SOON, make_delivered, rate
from tests.support.factories import report as reported
from tests.web.pages import Html, alert, signed_in

__all__ = ["photos_of_their_own"]

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

EVIL = "\"'><script>alert(1)</script><h1>&amp;"


@pytest.fixture(autouse=True)
def an_hour_later(a_monday_morning):
    with clock.shifted_to(SOON):
        yield


@pytest.fixture
def order():
    return make_delivered()


@pytest.fixture
def browser(order):
    return signed_in(order.customer_id)


def shown(response, status=200):
    page = Html.of(response)
    assert (response.status_code, page.faults, page.h1) == (status, [], 1)
    return " ".join(page.text.split())


def form(order, browser, line=1, **changes):
    page = browser.get(f"/orders/{order.id}/report/")
    (key,) = re.findall(r'name="key" value="([^"]+)"', page.content.decode())
    return {"line": str(order.lines[line].id), "kind": "missing", "key": key, **changes}


def test_the_orders_page_asks_how_it_was(order, browser):
    text = shown(browser.get(f"/orders/{order.id}/"))
    assert "You have not rated this delivery. Rate this delivery Report a problem Until 16 March, 11:25 AM." in text
    waiting = make_placed_order()
    assert "How was it?" not in shown(signed_in(waiting.customer_id).get(f"/orders/{waiting.id}/"))
    with clock.shifted_to(SOON.replace(month=4)):
        text = shown(browser.get(f"/orders/{order.id}/"))
        assert "was over on 16 March, 11:25 AM." in text
        assert "Report a problem" not in text
        assert "for 14 days" in shown(browser.get(f"/orders/{order.id}/report/"))
        assert "for 14 days" in shown(browser.get(f"/orders/{order.id}/rate/"))


def test_a_delivery_is_rated_and_the_form_remembers_it(order, browser):
    sent = {"stars": "4", "tags": ["friendly", "fast"], "words": EVIL}
    text = shown(browser.post(f"/orders/{order.id}/rate/", sent, follow=True))
    assert "Thank you. You can change your rating until its time is over." in text
    assert "★★★★☆ You rated this delivery. Change your rating" in text
    made = selectors.rating(order_id=order.id, customer_id=order.customer_id)
    assert (made.stars, made.tags, made.words) == (4, ("fast", "friendly"), EVIL)
    page = browser.get(f"/orders/{order.id}/rate/")
    assert EVIL in shown(page)
    assert 'name="stars" value="4" checked' in page.content.decode()
    assert page.content.decode().count(" checked") == 3


@pytest.mark.parametrize(
    ("sent", "code"),
    [({"stars": "9"}, "rating_invalid"), ({}, "rating_invalid"), ({"stars": "5", "tags": ["x"]}, "rating_invalid"),
     ({"stars": "5", "words": "x" * 1001}, "issue_invalid")],
)  # fmt: skip
def test_a_rating_that_cannot_be_meant_is_said_to_be_none(order, browser, sent, code):
    response = browser.post(f"/orders/{order.id}/rate/", sent)
    shown(response, status=422)
    assert alert(response)[0] == code
    assert selectors.rating(order_id=order.id, customer_id=order.customer_id) is None


def test_what_was_missing_is_reported_and_given_back(order, browser):
    sent = form(order, browser, quantity="1", words=EVIL)
    text = shown(browser.post(f"/orders/{order.id}/report/", sent, follow=True))
    assert "Sorry about that. $3.49 goes back to your card." in text
    assert "Whole milk (1) · It was not in the bags Refunded $3.49" in text
    assert EVIL in text
    shown(browser.post(f"/orders/{order.id}/report/", sent, follow=True))  # a second click
    assert len(orders.refunds(order_id=order.id)) == 1


def test_something_about_the_whole_order(order, browser):
    sent = form(order, browser, kind="late") | {"line": "order", "quantity": "1"}
    text = shown(browser.post(f"/orders/{order.id}/report/", sent, follow=True))
    assert "The order · The order came late We are looking at it" in text


def test_photos_are_shown_to_their_customer_only(order, browser):
    picture = SimpleUploadedFile("x.html", JPEG[:2] + EXIF + JPEG[2:], content_type="text/html")
    sent = form(order, browser, kind="other", words="Odd", photos=[picture])
    text = shown(browser.post(f"/orders/{order.id}/report/", sent, follow=True))
    assert "Somebody looks at it" in text
    assert "We are looking at it" in text
    (issue,) = selectors.issues(customer_id=order.customer_id).issues
    path = f"/orders/{order.id}/reports/{issue.id}/photos/1/"
    found = browser.get(path)
    assert (found.content, found["Content-Type"], found["X-Content-Type-Options"]) == (JPEG, "image/jpeg", "nosniff")
    assert found["Content-Security-Policy"] == "default-src 'none'"
    assert browser.get(path.replace("photos/1", "photos/2")).status_code == 404
    assert signed_in(make_customer().id).get(path).status_code == 404
    assert Client().get(path).status_code == 302


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"kind": ""}, "issue_invalid", 422),
        ({"quantity": "lots"}, "invalid", 422),
        ({"quantity": "9"}, "issue_invalid", 422),
        ({"line": ""}, "invalid", 422),
        ({"line": "order"}, "issue_invalid", 422),
        ({"line": "4711"}, "issue_invalid", 422),
        ({"line": "x"}, "not_found", 404),
        ({"words": "x" * 1001}, "issue_invalid", 422),
    ],
)
def test_a_report_that_cannot_be_meant_keeps_what_was_typed(order, browser, changes, code, status):
    response = browser.post(f"/orders/{order.id}/report/", {**form(order, browser, words="It leaked"), **changes})
    text = shown(response, status=status)
    assert alert(response)[0] == code
    assert changes.get("words", "It leaked") in text
    assert not models.OrderIssue.objects.filter(customer_id=order.customer_id).exists()


def test_a_photo_that_is_none_is_asked_for_again(order, browser):
    fake = SimpleUploadedFile("x.jpg", b"<svg/>", content_type="image/jpeg")
    response = browser.post(f"/orders/{order.id}/report/", form(order, browser, photos=[fake]))
    assert "Please choose your photos again." in shown(response, status=422)
    assert not models.OrderIssue.objects.filter(customer_id=order.customer_id).exists()


def test_six_photos_are_too_many(order, browser):
    photos = [SimpleUploadedFile(f"{n}.jpg", JPEG) for n in range(9)]
    response = browser.post(f"/orders/{order.id}/report/", form(order, browser, photos=photos))
    assert "At most 5 photos fit into one report." in shown(response, status=422)
    assert not models.OrderIssue.objects.filter(customer_id=order.customer_id).exists()


def test_what_was_reported_cannot_be_chosen_again(order, browser):
    reported(order)
    page = browser.get(f"/orders/{order.id}/report/")
    shown(page)
    assert f'<option value="{order.lines[1].id}" disabled>Whole milk (reported)</option>' in page.content.decode()


def test_a_report_is_withdrawn(order, browser):
    issue = reported(order, kind="damaged")
    path = f"/orders/{order.id}/reports/{issue.id}/withdraw/"
    assert signed_in(make_customer().id).post(path).status_code == 404
    assert browser.get(path).status_code == 405
    text = shown(browser.post(path, follow=True))
    assert "Your report is withdrawn." in text
    assert "Withdraw this report" not in text
    other = reported(order, kind="damaged", key="b")
    services.decline(issue_id=other.id, user_id=1, reason="not_shown", now=SOON)
    assert "It is damaged Declined The photos do not show it." in shown(browser.get(f"/orders/{order.id}/"))
    text = shown(browser.post(f"/orders/{order.id}/reports/{other.id}/withdraw/", follow=True))
    assert "This report is declined; it cannot become withdrawn." in text


def test_nobody_else_gets_in(order):
    stranger = signed_in(make_customer().id)
    for page in ("rate", "report"):
        path = f"/orders/{order.id}/{page}/"
        assert Client().get(path).status_code == 302
        assert (stranger.get(path).status_code, stranger.post(path, {"stars": "1"}).status_code) == (404, 404)
    assert selectors.rating(order_id=order.id, customer_id=order.customer_id) is None


def test_the_page_asks_as_often_however_much_was_said(order, browser):
    outbox.drain()
    reported(order, kind="damaged")

    def asked():
        browser.get(f"/orders/{order.id}/")
        with counted() as queries:
            browser.get(f"/orders/{order.id}/")
        return queries.by_alias[sharding.alias_for("customer", order.customer_id)]

    before = asked()
    assert before == 14
    rate(order)
    reported(order, 0, kind="damaged", key="b")
    reported(order, None, kind="late", key="c")
    assert asked() == before
