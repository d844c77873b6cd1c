"""One real order, from a web page to a doorstep, seen through a browser."""

import re
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import DESKTOP, PHONE

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]  # one installation for all of them

DELIVERED_WITHIN_MS = 150_000
PICKED_WITHIN_MS = 30_000
PASSWORD = "a-long-enough-passphrase"


def sign_up(page: Page) -> None:
    page.goto("/sign-up/")
    page.get_by_label("Your name").fill("Nora Newcomer")
    page.get_by_label("E-mail").fill(f"nora-{uuid.uuid4().hex[:10]}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def add_address(page: Page) -> None:
    page.goto("/account/")
    page.get_by_label("Street and number").fill("14 Elm Court")
    page.get_by_label("City").fill("Alder Falls")
    page.get_by_label("State").fill("OH")
    page.get_by_label("ZIP code").fill("43901")
    page.get_by_role("button", name="Save address").click()
    expect(page.get_by_role("heading", name="Delivering to 14 Elm Court")).to_be_visible()


def fill_cart(page: Page) -> None:
    """Two things by the piece and one by weight, out of two departments."""
    page.get_by_role("link", name=re.compile("Marigold Market")).click()
    page.get_by_label("Departments").get_by_role("link", name=re.compile("^Produce")).click()
    bananas = page.get_by_label("lb of Bananas", exact=True)
    bananas.fill("2.5")
    bananas.locator("xpath=ancestor::form").get_by_role("button").click()
    expect(page.locator("#cartbar")).to_contain_text("1 item")
    page.get_by_label("Departments").get_by_role("link", name=re.compile("^Pantry")).click()
    pasta = page.get_by_label("How many Spaghetti", exact=True).first
    pasta.fill("8")
    pasta.locator("xpath=ancestor::form").get_by_role("button").click()
    expect(page.locator("#cartbar")).to_contain_text("2 items")


def check_out(page: Page) -> None:
    page.get_by_role("link", name="Go to cart").click()
    page.get_by_role("link", name="Check out").click()
    page.get_by_role("link", name="Add a card").click()
    page.get_by_label("Card number").fill("4242 4242 4242 4242")
    page.locator("input[name=expiry], input[name=exp]").first.fill("12/40")
    page.locator("input[name=cvc]").fill("123")
    page.get_by_role("button", name="Save card").click()
    expect(page.get_by_text("Visa ending in 4242")).to_be_visible()
    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#order-live")).to_be_visible()


def sign_in_as(page: Page, role: str) -> None:
    page.goto("/demo/")
    page.locator(f"form[action$='/demo/sign-in/{role}/'] button").click()


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_an_order_is_placed_watched_and_delivered_without_reloading(page: Page) -> None:
    sign_up(page)
    add_address(page)
    fill_cart(page)
    check_out(page)
    desk = page.context.new_page()
    desk.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    desk.goto(page.url)
    for watched in (page, desk):
        watched.evaluate("window.neverReloaded = true")
        expect(watched.locator("[data-state]")).to_have_attribute("data-state", "open")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile("Shopping|Checking|On the way|Delivered"), timeout=PICKED_WITHIN_MS
    )
    agree(page, desk)
    for watched in (page, desk):
        expect(watched.get_by_role("heading", level=1)).to_have_text("Delivered", timeout=DELIVERED_WITHIN_MS)
        expect(watched.get_by_role("heading", name="Receipt")).to_be_visible()
        assert watched.evaluate("window.neverReloaded") is True

    rows = page.locator("aside table").first.locator("tbody tr td.num").all_inner_texts()
    total = page.locator("aside table").first.locator("tfoot td.num").inner_text()
    assert sum(map(cents, rows)) == cents(total)

    order_id = page.url.rstrip("/").rpartition("/")[2]
    page.context.clear_cookies()
    see_it_in_the_admin(page, order_id, total)


def agree(page: Page, desk: Page) -> None:
    """The demo's shopper asks a newcomer one question; answered on one screen, it is answered on both."""
    for watched in (page, desk):
        expect(watched.get_by_role("button", name="Yes, bring it")).to_be_visible(timeout=PICKED_WITHIN_MS)
    page.get_by_role("button", name="Yes, bring it").click()
    for watched in (page, desk):
        expect(watched.get_by_role("button", name="Yes, bring it")).to_have_count(0)


def see_it_in_the_admin(page: Page, order_id: str, total: str) -> None:
    sign_in_as(page, "admin")
    page.goto(f"/admin/orders/?id={order_id}")
    expect(page).to_have_url(re.compile(f"/admin/orders/{order_id}/$"))
    content = page.locator("body")
    for text in ("Bananas", "Spaghetti", "captured", "completed", "Delivered", total):
        expect(content).to_contain_text(text)


def test_someone_elses_order_and_no_order_look_alike(page: Page) -> None:
    sign_up(page)
    add_address(page)
    fill_cart(page)
    check_out(page)
    theirs = page.url
    page.context.clear_cookies()
    sign_up(page)
    foreign = page.goto(theirs)
    text = page.locator("main").inner_text()
    absent = page.goto("/orders/7000000000000000001/")
    assert foreign is not None
    assert absent is not None
    assert (foreign.status, absent.status) == (404, 404)
    assert page.locator("main").inner_text() == text


def test_everybody_gets_in_with_one_tap(page: Page) -> None:
    for role, heading in (("customer", "Delivering to 27 Elm Court"), ("store", "Orders to come")):
        sign_in_as(page, role)
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        page.context.clear_cookies()
    sign_in_as(page, "admin")
    expect(page).to_have_url(re.compile("/admin/$"))


def cents(text: str) -> int:
    return int(re.sub(r"[^0-9-]", "", text))
