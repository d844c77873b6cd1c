"""Tips after the delivery: raised by the customer, lowered for a reason, and every cent the shopper's."""

from datetime import timedelta

import pytest

import sharding
from apps.common import clock, outbox
from apps.common.errors import DomainError
from apps.common.money import Money
from apps.dispatch import services as dispatch
from apps.dispatch.models import Offer
from apps.fulfilment import services as fulfilment
from apps.fulfilment.types import ProofInput
from apps.ledger import selectors as ledger
from apps.orders import models, selectors, services
from apps.payments import selectors as payments
from apps.payments import services as payment_services
from apps.shoppers import selectors as shoppers
from apps.stores import selectors as stores
from tests.orders.factories import MORNING, make_customer, make_market, make_placed_order
from tests.orders.invariants import violations
from tests.orders.shop_floor import at_store
from tests.orders.snapshots import changed, snapshot
from tests.shoppers.factories import make_shopper
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__")

DELIVERED_AT = MORNING + timedelta(minutes=25)
LAST_MOMENT = DELIVERED_AT + timedelta(hours=72)


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    return delivered(make_placed_order(market=market))


def delivered(order):
    """By a shopper who was offered it, so that somebody is there to be tipped."""
    store = stores.store(store_id=order.store_id)
    shopper_id = make_shopper(store.zone_id, point=store.point, now=MORNING)
    dispatch.plan(zone_id=store.zone_id, now=MORNING)
    offer = Offer.objects.get(store_id=store.id, shopper_id=shopper_id, status="sent")
    dispatch.accept(offer_id=offer.pk, shopper_id=shopper_id, now=MORNING)
    bring(order, shopper_id)
    outbox.drain()
    models.Order.objects.filter(pk=order.id).update(delivered_at=DELIVERED_AT)
    return selectors.order_for_staff(order_id=order.id)


def bring(order, shopper_id):
    mine = {"store_order_id": at_store(order).id, "shopper_id": shopper_id, "now": MORNING}
    fulfilment.start_picking(**mine)
    for line in order.lines:
        fulfilment.mark_found(**mine, line_id=line.id, quantity=line.quantity)
    fulfilment.check_out(**mine)
    fulfilment.start_delivery(**mine)
    fulfilment.deliver(**mine, proof=ProofInput(kind="pin", pin=order.pin))


def raise_to(order, cents, *, now=DELIVERED_AT, **named):
    return services.raise_tip(order_id=order.id, customer_id=order.customer_id, to=Money(cents), now=now, **named)


def lower_to(order, cents, *, key="a", **named):
    asked = {"actor": "staff:1", "now": DELIVERED_AT, "issue_id": 7} | named
    services.lower_tip(order_id=order.id, to=Money(cents), key=key, **asked)


def shopper_of(order):
    return at_store(order).shopper_id


def earned(order):
    page = shoppers.earnings(shopper_id=shopper_of(order))
    return sorted((one.kind, one.amount.cents) for one in page.earnings if one.order_id == order.id)


def tips(order):
    made = payments.payments(customer_id=order.customer_id, order_id=order.id)
    return [(one.step, one.status, one.captured.cents, one.refunded.cents) for one in made if one.is_charge]


def tip(order):
    return selectors.tip(order_id=order.id, customer_id=order.customer_id, now=DELIVERED_AT)


def account(order, name):
    return ledger.balance(customer_id=order.customer_id, order_id=order.id).cents.get(name, 0)


def test_a_raise_is_a_payment_of_its_own_and_all_of_it_the_shoppers(provider, market, order):
    before = provider.taken_cents
    assert raise_to(order, 800) == "charged"
    assert raise_to(order, 1000) == "charged"
    outbox.drain()
    assert tips(order) == [("tip:1", "captured", 500, 0), ("tip:2", "captured", 200, 0)]
    assert provider.taken_cents == before + 700
    assert earned(order) == [("tip", 200), ("tip", 300), ("tip", 500)]
    assert shoppers.earnings(shopper_id=shopper_of(order)).tips == Money(1000)
    assert account(order, "shopper_payable") == -1000
    assert account(order, "tip") == account(order, "customer") == 0
    found = selectors.order_for_staff(order_id=order.id)
    assert (found.tip, found.total, found.captured) == (Money(1000), Money(before + 700), Money(before + 700))
    assert [event.name for event in found.events][-2:] == ["tip_raised", "tip_raised"]
    assert violations(provider, store_id=market.store_id) == []


def test_said_again_it_is_charged_once(order):
    assert [raise_to(order, 800), raise_to(order, 800)] == ["charged", "charged"]
    assert tips(order) == [("tip:1", "captured", 500, 0)]


def test_the_last_moment_is_72_hours_after_the_delivery(order):
    with pytest.raises(DomainError) as late:
        raise_to(order, 800, now=LAST_MOMENT + timedelta(seconds=1))
    assert (late.value.code, str(late.value)) == (
        "tip_not_now",
        "A tip can be raised within 72 hours of the delivery.",
    )
    assert tips(order) == []
    assert raise_to(order, 800, now=LAST_MOMENT) == "charged"


@pytest.mark.parametrize(
    ("cents", "says"),
    [
        (5001, "For this order a tip can be $50.00 at most."),
        (299, "A tip goes down only for a problem with the order: report it, and say what you would tip."),
        (349, "Raise the tip by $0.50 or more."),
    ],
)
def test_what_is_no_raise_is_refused_and_charges_nothing(order, cents, says):
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        raise_to(order, cents)
    assert (refusal.value.code, str(refusal.value)) == ("tip_invalid", says)
    assert changed(before, snapshot()) == set()


def test_a_large_order_may_be_tipped_as_much_as_it_cost(market):
    order = delivered(make_placed_order(market=market, quantities={"milk": "20"}))
    paid = order.total - order.tip
    assert tip(order).most == paid > Money(5000)
    assert raise_to(order, paid.cents) == "charged"
    with pytest.raises(DomainError):
        raise_to(order, paid.cents + 50)


def test_an_order_that_is_not_delivered_or_not_theirs_takes_no_tip(market, order):
    young = make_placed_order(market=market)
    with pytest.raises(DomainError) as refusal:
        raise_to(young, 800)
    assert refusal.value.code == "tip_not_now"
    with pytest.raises(DomainError) as refusal:
        services.raise_tip(order_id=order.id, customer_id=young.customer_id, to=Money(800), now=MORNING)
    assert refusal.value.code == "order_not_found"
    with pytest.raises(DomainError) as refusal:
        raise_to(order, 800, card_id=payments.cards(customer_id=young.customer_id)[0].id)
    assert refusal.value.code == "card_not_found"
    assert tips(order) == tips(young) == []


@pytest.mark.parametrize("card", ["pm_card_chargeCustomerFail", "pm_card_authenticationRequired"])
def test_a_card_that_declines_costs_nothing_and_another_one_may_be_taken(provider, market, order, card):
    bad = payment_services.add_card(customer_id=order.customer_id, payment_method=card, now=MORNING)
    assert raise_to(order, 800, card_id=bad) == "declined"
    assert raise_to(order, 800, card_id=bad) == "declined"  # the same wish: the bank is not asked again so soon
    assert tips(order) == [("tip:1", "declined", 0, 0)]
    assert tip(order).declined_code in ("generic_decline", "authentication_required")
    outbox.drain()
    assert earned(order) == [("tip", 300)]
    assert raise_to(order, 800) == "charged"
    outbox.drain()
    assert tip(order).declined_code == ""
    assert earned(order) == [("tip", 300), ("tip", 500)]
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize("after_work", [True, False])
def test_a_provider_that_does_not_answer_is_asked_again_by_the_sweep(provider, market, order, after_work):
    provider.fail_next("charge", after_work=after_work)
    assert raise_to(order, 800) == "asked"
    assert tip(order).is_under_way
    with pytest.raises(DomainError) as refusal:
        raise_to(order, 900)
    assert refusal.value.code == "tip_under_way"
    with pytest.raises(DomainError) as refusal:
        lower_to(order, 0)
    assert refusal.value.code == "tip_under_way"
    sweep(order, DELIVERED_AT + timedelta(seconds=29))
    assert tip(order).is_under_way
    sweep(order, DELIVERED_AT + timedelta(seconds=30))
    assert tips(order) == [("tip:1", "captured", 500, 0)]
    outbox.drain()
    assert earned(order) == [("tip", 300), ("tip", 500)]
    assert violations(provider, store_id=market.store_id) == []


def sweep(order, now):
    with clock.shifted_to(now):
        services.sweep(using=sharding.alias_for("customer", order.customer_id), now=now)


def test_the_providers_news_ends_a_tip_whose_answer_was_lost(provider, order):
    provider.fail_next("charge", after_work=True)
    assert raise_to(order, 800) == "asked"
    payment_services.refresh(
        customer_id=order.customer_id, order_id=order.id, step="tip:1", now=DELIVERED_AT
    )  # as a webhook, or the payments' own sweep, does
    outbox.drain()
    assert tip(order).amount == Money(800)
    assert earned(order) == [("tip", 300), ("tip", 500)]
    assert models.Order.objects.get(pk=order.id).due_at is None


def test_a_tip_is_lowered_from_the_last_payment_on_and_the_shopper_gives_it_back(provider, market, order):
    raise_to(order, 800)
    outbox.drain()
    lower_to(order, 100)
    outbox.drain()
    assert tips(order) == [("tip:1", "captured", 500, 500)]
    (estimate, _) = payments.payments(customer_id=order.customer_id, order_id=order.id)
    assert estimate.refunded == Money(200)
    assert earned(order) == [("tip", 300), ("tip", 500), ("tip_lowered", -700)]
    assert tip(order).amount == Money(100)
    assert account(order, "shopper_payable") == -100
    (refund,) = selectors.refunds(order_id=order.id)
    assert (refund.amount, refund.reason, refund.status) == (Money(700), "tip_lowered", "paid")
    lowered = next(e for e in selectors.order_for_staff(order_id=order.id).events if e.name == "tip_lowered")
    assert (lowered.actor, lowered.data) == ("staff:1", {"cents": -700, "issue": "7", "reason": ""})
    assert violations(provider, store_id=market.store_id) == []


def test_lowered_twice_with_one_key_it_is_lowered_once_and_may_be_raised_again(provider, market, order):
    lower_to(order, 100)
    lower_to(order, 100)
    lower_to(order, 0, key="b", issue_id=None, reason="rude to the customer")
    outbox.drain()
    assert tip(order).amount == Money(0)
    assert raise_to(order, 400) == "charged"
    outbox.drain()
    assert earned(order) == [("tip", 300), ("tip", 400), ("tip_lowered", -200), ("tip_lowered", -100)]
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize(
    ("cents", "why"),
    [(100, {"issue_id": None}), (100, {"issue_id": None, "reason": " \x00"}), (300, {}), (400, {}), (-1, {})],
)
def test_a_tip_is_not_lowered_without_a_reason_or_to_more_than_it_is(order, cents, why):
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        lower_to(order, cents, **why)
    assert refusal.value.code == "tip_not_lowered"
    assert changed(before, snapshot()) == set()


def test_what_was_given_back_before_is_not_given_back_as_a_tip_again(provider, market, order):
    services.refund(order_id=order.id, key="all", reason="other", actor="staff:1", now=DELIVERED_AT)
    with pytest.raises(DomainError) as refusal:
        lower_to(order, 0)
    assert refusal.value.code == "not_refundable"
    outbox.drain()
    assert earned(order) == [("tip", 300)]
    assert violations(provider, store_id=market.store_id) == []


def test_everything_left_goes_back_with_the_raised_tip_and_the_shopper_keeps_it(provider, market, order):
    raise_to(order, 800)
    lower_to(order, 600)
    outbox.drain()
    services.refund(order_id=order.id, key="all", reason="other", actor="staff:1", now=DELIVERED_AT)
    outbox.drain()
    assert provider.taken_cents == sum(provider.returned_cents(intent.id) for intent in provider.intents_of(order.id))
    assert earned(order) == [("tip", 300), ("tip", 500), ("tip_lowered", -200)]
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.django_db(transaction=True, databases="__all__")
class TestRaces:
    def test_twenty_clicks_are_one_tip(self, provider, market):
        order = delivered(make_placed_order(market=market))
        before = provider.taken_cents
        said = answers_at_once(lambda i: raise_to(order, 800), 20)
        assert set(said) <= {"charged", "asked", ""}, said
        sweep(order, DELIVERED_AT + timedelta(minutes=1))
        outbox.drain()
        assert tips(order) == [("tip:1", "captured", 500, 0)]
        assert provider.taken_cents == before + 500
        assert earned(order) == [("tip", 300), ("tip", 500)]
        assert violations(provider, store_id=market.store_id) == []

    def test_two_devices_with_two_thoughts_end_at_one_of_them(self, provider, market):
        order = delivered(make_placed_order(market=market))
        answers_at_once(lambda i: raise_to(order, (800, 1200)[i % 2]), 6)
        sweep(order, DELIVERED_AT + timedelta(minutes=1))
        outbox.drain()
        assert tip(order).amount in (Money(800), Money(1200))
        assert sum(cents for _, cents in earned(order)) == tip(order).amount.cents
        assert violations(provider, store_id=market.store_id) == []


def test_nobodys_tip_is_known_before_the_delivery(market):
    young = make_placed_order(market=market)
    assert tip(young) is None
    with pytest.raises(DomainError) as refusal:
        selectors.tip(order_id=young.id, customer_id=make_customer().id, now=MORNING)
    assert refusal.value.code == "order_not_found"
