"""The order's page asks: yes, no, or something else."""

import re

import pytest

from tests.fulfilment.replacing import CREAM, OAT, Picking
from tests.orders.factories import BANANAS, BEER, MILK
from tests.web.pages import Html, alert, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def picking():
    picking = Picking()
    picking.propose(MILK, CREAM)
    return picking


def words(page):
    """The page's text; ``x`` is the sign of multiplication."""
    text = " ".join(Html.of(page).text.split()).replace("\N{MULTIPLICATION SIGN}", "x")
    return re.sub(r" ([.,])", r"\1", text)


def page_of(picking, browser):
    return browser.get(f"/orders/{picking.order_id}/")


def address(picking):
    return f"/orders/{picking.order_id}/replacements/{picking.question(MILK).id}/"


def test_the_page_asks_and_says_what_happens_without_an_answer(picking):
    page = page_of(picking, signed_in(picking.customer_id))
    assert Html.of(page).faults == []
    text = words(page)
    assert "Whole milk is out" in text
    assert "Your shopper can bring 2 x Cream for $10.40. You ordered 2 for $6.98." in text
    assert "After that we bring it, and you pay at most a tenth more" in text
    assert "Whole milk is out; Cream was proposed" in text


def test_a_yes_without_scripts(picking):
    browser = signed_in(picking.customer_id)
    answered = browser.post(address(picking), {"answer": "yes"}, follow=True)
    assert answered.redirect_chain == [(f"/orders/{picking.order_id}/", 302)]
    text = words(answered)
    assert "Yes, bring it" not in text
    assert "Cream instead of 2 x Whole milk, as you agreed" in text
    assert picking.line(MILK).status == "replaced"


def test_a_no_with_htmx_changes_the_part_that_is_live(picking):
    browser = signed_in(picking.customer_id)
    part = browser.post(address(picking), {"answer": "no"}, headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "<html" not in part.content.decode()
    assert "Yes, bring it" not in part.content.decode()
    assert picking.line(MILK).status == "to_refund"


def test_an_answer_that_comes_too_late_says_what_was_answered(picking):
    browser, where = signed_in(picking.customer_id), address(picking)
    picking.answer(picking.question(MILK).id, approve=True)
    again = browser.post(where, {"answer": "yes"}, headers={"HX-Request": "true"})
    assert alert(again) is None
    other = browser.post(where, {"answer": "no"}, headers={"HX-Request": "true"})
    assert alert(other) == ("replacement_answered", "This question is closed: you have approved the replacement.")
    plain = browser.post(where, {"answer": "no"}, follow=True)
    assert "This question is closed" in words(plain)
    assert picking.line(MILK).status == "replaced"


def test_nobody_else_answers_or_looks(picking):
    where = address(picking)
    stranger = signed_in(Picking(market=picking.market).customer_id)
    line_id = picking.line(MILK).id
    assert stranger.post(where, {"answer": "yes"}).status_code == 404
    assert stranger.get(f"/orders/{picking.order_id}/lines/{line_id}/instead/").status_code == 404
    stranger.post(f"/orders/{picking.order_id}/lines/{line_id}/choose/", {"item": picking.market.item_ids[OAT]})
    assert picking.question(MILK).name == "Cream"


def test_something_else_is_chosen_from_what_is_there(picking):
    browser = signed_in(picking.customer_id)
    line_id = picking.line(MILK).id
    page = browser.get(f"/orders/{picking.order_id}/lines/{line_id}/instead/")
    assert Html.of(page).faults == []
    offered = [int(item_id) for item_id in re.findall(r'name="item" value="(\d+)"', page.content.decode())]
    assert offered == [picking.market.item_ids[OAT], picking.market.item_ids[CREAM]]  # nearest in price first
    assert "2 for $7.38" in words(page)
    chosen = browser.post(f"/orders/{picking.order_id}/lines/{line_id}/choose/", {"item": offered[0]}, follow=True)
    assert "Your shopper knows what you want instead." in words(chosen)
    assert "You asked for Oat milk instead of Whole milk" in words(chosen)
    assert picking.order.questions == ()


def test_what_was_found_cannot_be_chosen_for(picking):
    picking.found(BEER)
    browser, line_id = signed_in(picking.customer_id), picking.line(BEER).id
    page = browser.get(f"/orders/{picking.order_id}/lines/{line_id}/instead/")
    assert "Your shopper is done with this item" in words(page)
    refused = browser.post(
        f"/orders/{picking.order_id}/lines/{line_id}/choose/", {"item": picking.market.item_ids[OAT]}, follow=True
    )
    assert "Your shopper is done with this item" in words(refused)
    assert picking.line(BEER).status == "found"


def test_the_receipt_says_what_came_instead(picking):
    browser = signed_in(picking.customer_id)
    browser.post(address(picking), {"answer": "yes"})
    picking.tell()
    picking.found(BANANAS)
    picking.found(BEER)
    picking.check_out()
    text = words(page_of(picking, browser))
    assert "Cream $10.40" in text
    assert "Whole milk, as you agreed" in text
