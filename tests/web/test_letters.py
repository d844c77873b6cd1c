"""Each thing that happens to an order is told once, in the customer's language, with the right cents in it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client

import sharding
from apps.accounts import services as accounts
from apps.common import clock, outbox
from apps.common.models import OutboxMessage
from apps.common.money import Money
from apps.notifications import selectors as told
from apps.notifications import services as notifications
from apps.orders import models, services
from apps.slots import selectors as slots
from apps.stores import selectors as stores
from tests.orders.factories import MORNING, bring_to, make_placed_order, make_ready
from tests.web.pages import Html, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")

MINUTE = timedelta(minutes=1)


def drain_thrice():
    """Every event that waits is delivered three times."""
    for alias in sharding.all_aliases():
        rows = list(OutboxMessage.objects.using(alias).all())
        copies = [OutboxMessage(name=r.name, payload=r.payload, message_id=uuid4()) for r in rows * 2]
        OutboxMessage.objects.using(alias).bulk_create(copies)
    outbox.drain()


def send(after=timedelta(0)):
    mail.outbox.clear()
    for alias in sharding.aliases("customer"):
        notifications.send_due(using=alias, now=clock.now() + after)
    return list(mail.outbox)


def subjects(after=timedelta(0)):
    return [letter.subject for letter in send(after)]


def kinds(customer_id):
    return sorted((one.kind, one.status) for one in told.to_customer(customer_id=customer_id))


def store_name(order):
    return stores.store(store_id=order.store_id).name


def test_placed_on_the_way_and_delivered_are_told_once_each_whatever_is_delivered_again():
    order = make_placed_order(drain=False)
    drain_thrice()
    store = store_name(order)
    (placed,) = send()
    assert placed.subject == f"We have your order from {store}"
    assert f"The estimate is {order.total}." in placed.body
    assert f"never more than the {order.authorised} " in placed.body
    assert "Monday 2 March" in placed.body
    assert f"See your order: http://127.0.0.1:8000/orders/{order.id}/" in placed.body
    bring_to(order, "delivering")
    drain_thrice()
    assert subjects() == [f"Your order from {store} is on its way"]
    bring_to(order, "delivered")
    drain_thrice()
    assert subjects() == [f"Your receipt from {store}"]
    assert subjects(5 * MINUTE) == []
    assert kinds(order.customer_id) == [
        ("order_delivered", "sent"),
        ("order_on_the_way", "sent"),
        ("order_placed", "sent"),
    ]


@pytest.mark.parametrize(
    ("locale", "subject", "said"),
    [
        (
            "en-US",
            "Your receipt from",
            [
                "- 2.25 lb Bananas: $1.33\n  ordered 2.5 lb · $0.59/lb · Found in part by your shopper",
                "- 2 Whole milk: $6.98\n  $3.49 · Found by your shopper",
                "- 0 Root beer, 6 bottles: $0.00\n  ordered 1 · $10.99 · Not found by your shopper, not charged",
                "= Total: {total}",
                "Your card was charged {total}.",
                "Visa ending in 4242",
                "delivered Monday 2 March 2026, 10:25 AM EST",
            ],
        ),
        (
            "es-US",
            "Tu recibo de",
            [
                "- 2.25 lb Bananas: $1.33\n  pedido: 2.5 lb · $0.59/lb · Encontrado en parte por tu comprador",
                "= Total: {total}",
                "Se han cobrado {total} en tu tarjeta.",
                "Visa terminada en 4242",
                "se entregó 2 de marzo de 2026, 10:25 AM EST",
            ],
        ),
    ],
)
def test_the_receipt_is_in_the_letter_in_both_languages(locale, subject, said):
    order = make_placed_order()
    send()
    accounts.set_locale(customer_id=order.customer_id, locale=locale)
    ids = {line.name: line.id for line in order.lines}
    order = bring_to(order, "delivered", found={ids["Bananas"]: "2.25", ids["Root beer, 6 bottles"]: "0"})
    outbox.drain()
    (letter,) = send()
    assert letter.subject == f"{subject} {store_name(order)}"
    for text in said:
        assert text.format(total=order.total) in letter.body, letter.body
    assert f"/orders/{order.id}/receipt/" in letter.body
    html = letter.alternatives[0][0]
    assert str(order.total) in html
    assert "20 Spring Street" not in letter.body + html


def test_a_silent_provider_is_told_of_once_and_so_is_how_it_ended(provider):
    ready = make_ready()
    provider.is_down = True
    order_id = ready.place().order_id
    drain_thrice()
    (letter,) = send()
    assert letter.subject.endswith("waits for the payment provider")
    assert "Nothing was charged." in letter.body
    provider.is_down = False
    services.resume(order_id=order_id, now=MORNING + MINUTE)
    drain_thrice()
    (letter,) = send()
    assert letter.subject.startswith("We have your order from")


def test_who_was_told_that_the_payment_waits_is_told_of_the_refusal_and_who_was_not_is_not(provider):
    waiting = make_ready()
    provider.is_down = True
    order_id = waiting.place().order_id
    outbox.drain()
    send()
    provider.is_down, provider.declines_from_now = False, True
    services.resume(order_id=order_id, now=MORNING + MINUTE)
    drain_thrice()
    (letter,) = send()
    assert letter.subject.endswith("could not be placed")
    assert "Your bank declined the card." in letter.body
    provider.declines_from_now = False
    declined = make_ready()
    provider.declines_from_now = True
    assert declined.place().status == "rejected"
    drain_thrice()
    assert send() == []
    assert kinds(declined.customer.id) == []


def test_a_wait_that_is_over_before_anybody_is_told_is_not_told(provider):
    ready = make_ready()
    provider.is_down = True
    order_id = ready.place().order_id
    provider.is_down = False
    services.resume(order_id=order_id, now=MORNING + MINUTE)
    drain_thrice()
    assert [subject[:20] for subject in subjects()] == ["We have your order f"]
    assert kinds(ready.customer.id) == [("order_placed", "sent"), ("payment_waiting", "skipped")]


def test_each_new_delivery_time_is_told_once():
    order = make_placed_order()
    send()
    windows = slots.open_windows(store_id=order.store_id, now=MORNING, minutes=1)
    others = [window for window in windows if window.kind == "scheduled" and window.id != order.window_id]
    for window in others[:2]:
        services.reschedule(order_id=order.id, customer_id=order.customer_id, window_id=window.id, now=MORNING)
        drain_thrice()
    found = send()
    assert [letter.subject for letter in found] == [f"New delivery time for your order from {store_name(order)}"] * 2
    assert len({letter.body for letter in found}) == 2


@pytest.mark.parametrize(
    ("locale", "why"), [("en-US", "You canceled this order."), ("es-US", "Cancelaste este pedido.")]
)
def test_a_canceled_order_is_told_once_with_why(locale, why):
    order = make_placed_order(drain=False)
    accounts.set_locale(customer_id=order.customer_id, locale=locale)
    services.cancel(order_id=order.id, customer_id=order.customer_id, reason="customer asked", now=MORNING)
    drain_thrice()
    (letter,) = send()
    assert why in letter.body
    assert kinds(order.customer_id) == [("order_canceled", "sent"), ("order_placed", "skipped")]


def test_each_refund_is_told_once_when_the_money_was_sent():
    order = bring_to(make_placed_order(), "delivered")
    outbox.drain()
    send()
    for n in (1, 2):
        services.refund(
            order_id=order.id, key=str(n), reason="late", actor="staff:5", now=clock.now(), amount=Money(100 * n)
        )
    assert send() == []
    drain_thrice()
    assert sorted(subjects()) == ["$1.00 is on its way back to you", "$2.00 is on its way back to you"]
    assert send() == []


def test_the_receipt_waits_for_the_charge_and_not_for_ever(provider):
    order = make_placed_order()
    send()
    provider.is_down = True
    with clock.shifted_to(MORNING + 25 * MINUTE):
        order = bring_to(order, "delivered")
        outbox.drain()
        assert send() == []
    with clock.shifted_to(MORNING + 36 * MINUTE):
        (letter,) = send()
    assert f"Your card will be charged {order.total} shortly." in letter.body
    assert f"= Total: {order.total}" in letter.body


def test_a_receipt_that_does_not_add_up_is_not_in_the_letter(caplog):
    order = bring_to(make_placed_order(), "delivered")
    outbox.drain()
    models.OrderAdjustment.objects.filter(order_id=order.id, phase="final", kind="tip").delete()
    (letter,) = [one for one in send() if one.subject.startswith("Your receipt")]
    assert "Your receipt is being checked" in letter.body
    assert "Total" not in letter.body
    assert f"orders.receipt_inconsistent {order.id}" in caplog.text


# The account page and the demo's outbox


def test_the_account_page_says_what_is_wanted_and_in_which_language():
    order = make_placed_order()
    client = signed_in(order.customer_id)
    assert 'value="order_on_the_way" checked' in client.get("/account/").content.decode()
    answer = client.post("/account/letters/", {"locale": "es-US"})
    assert (answer.status_code, answer.url) == (302, "/account/")
    wishes = told.preferences(customer_id=order.customer_id)
    assert (wishes.language, wishes.muted) == ("es", {"order_on_the_way"})
    page = client.get("/account/")
    assert Html.of(page).faults == []
    assert 'value="order_on_the_way">' in page.content.decode()
    assert '<option value="es-US" selected>' in page.content.decode()
    client.post("/account/letters/", {"locale": "en-US", "kind": "order_on_the_way"})
    assert told.preferences(customer_id=order.customer_id).muted == frozenset()


def test_a_language_that_is_none_changes_nothing():
    order = make_placed_order()
    client = signed_in(order.customer_id)
    page = client.post("/account/letters/", {"locale": "tlh"}, follow=True)
    assert "Choose one of en-US, es-US." in page.content.decode()
    wishes = told.preferences(customer_id=order.customer_id)
    assert (wishes.language, wishes.muted) == ("en", frozenset())


def test_the_demos_outbox_shows_what_would_have_been_sent(settings, tmp_path):
    settings.EMAIL_BACKEND = "apps.notifications.demo_outbox.OutboxBackend"
    settings.EMAIL_FOLDER = tmp_path
    empty = Client().get("/demo/outbox/")
    assert "No letters yet" in Html.of(empty).text
    order = make_placed_order()
    send()
    page = Client().get("/demo/outbox/")
    assert Html.of(page).faults == []
    assert f"We have your order from {store_name(order)}" in page.content.decode()
    (shown,) = told.shown_letters()
    letter = Client().get(f"/demo/outbox/{shown.name}/")
    assert Html.of(letter).faults == []
    assert "sandbox srcdoc=" in letter.content.decode()
    assert Client().get("/demo/outbox/nothing/").status_code == 404
    settings.DEMO = False
    assert Client().get("/demo/outbox/").status_code == 404
    assert Client().get(f"/demo/outbox/{shown.name}/").status_code == 404
