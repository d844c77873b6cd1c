"""Money goes back once, never more than was taken, whatever is lost, doubled or late on the way."""

import json
from datetime import timedelta

import pytest

import sharding
from apps.common import outbox
from apps.common.money import Money
from apps.ledger import selectors as ledger
from apps.payments import models, selectors, services
from apps.payments.errors import RefundConflict, RefundTooLarge
from tests.payments.factories import NOW, make_card
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ADA, GRACE = 1, 9_001
"""On different shards."""
ORDER = 77


@pytest.fixture(params=[ADA, GRACE])
def paid(request, fake_gateway):
    """Fifty dollars held, forty taken."""
    return pay(request.param)


def pay(customer_id, *, order_id=ORDER, step="estimate", cents=4000):
    card_id = make_card(customer_id)
    named = {"customer_id": customer_id, "order_id": order_id, "step": step, "now": NOW}
    services.authorise(
        **named, amount=Money(cents + 1000), card_id=card_id, return_url="https://shop.example/orders/77/"
    )
    services.capture(**named, amount=Money(cents))
    return customer_id


def give_back(customer_id, cents, request="issue-1", now=NOW, order_id=ORDER):
    made = services.refund(
        customer_id=customer_id, order_id=order_id, request=request, amount=Money(cents), reason="missing", now=now
    )
    return [(one.step, one.amount.cents, one.status) for one in made]


def sums(customer_id):
    row = models.Payment.objects.get(customer_id=customer_id, order_id=ORDER, step="estimate")
    return row.captured_cents, row.refunded_cents, row.refunding_cents


def cash(customer_id):
    return ledger.balance(customer_id=customer_id, order_id=ORDER).cents["provider_cash"]


def returned(fake):
    return [(one.cents, one.status) for refunds in fake.given_back.values() for one in refunds]


def sweep(customer_id, now):
    return services.sweep(using=sharding.alias_for("customer", customer_id), now=now)


def test_a_part_then_the_rest_goes_back(paid, fake_gateway):
    assert give_back(paid, 1500) == [("estimate", 1500, "succeeded")]
    assert give_back(paid, 2500, "issue-2") == [("estimate", 2500, "succeeded")]
    assert returned(fake_gateway) == [(1500, "succeeded"), (2500, "succeeded")]
    assert sums(paid) == (4000, 4000, 0)
    assert cash(paid) == 0
    keys = [key for method, key in fake_gateway.calls if method == "refund"]
    assert keys == ["order-77:estimate.refund-1:1", "order-77:estimate.refund-2:1"]


def test_the_same_request_again_gives_back_nothing_more(paid, fake_gateway):
    assert give_back(paid, 1500) == give_back(paid, 1500)
    assert returned(fake_gateway) == [(1500, "succeeded")]
    with pytest.raises(RefundConflict):
        give_back(paid, 1501)
    assert sums(paid) == (4000, 1500, 0)


@pytest.mark.parametrize("cents", [4001, 0, -5])
def test_more_than_was_taken_is_refused_and_nothing_changes(paid, fake_gateway, cents):
    with pytest.raises(RefundTooLarge):
        give_back(paid, cents)
    assert returned(fake_gateway) == []
    assert sums(paid) == (4000, 0, 0)
    assert selectors.refunds(customer_id=paid, order_id=ORDER) == ()


def test_nothing_goes_back_before_anything_was_taken(fake_gateway):
    card_id = make_card(ADA)
    services.authorise(
        customer_id=ADA, order_id=ORDER, step="estimate", amount=Money(5000), card_id=card_id, return_url="", now=NOW
    )
    with pytest.raises(RefundTooLarge):
        give_back(ADA, 100)
    assert returned(fake_gateway) == []


def test_a_request_takes_from_each_payment_of_the_order_in_turn(paid, fake_gateway):
    pay(paid, step="tip", cents=500)
    assert give_back(paid, 4200) == [("estimate", 4000, "succeeded"), ("tip", 200, "succeeded")]
    assert sorted(cents for cents, _ in returned(fake_gateway)) == [200, 4000]


@pytest.mark.parametrize("after_work", [False, True])
@pytest.mark.parametrize("is_kept", [False, True])
def test_a_lost_answer_is_found_out_and_not_repeated(paid, fake_gateway, after_work, is_kept):
    fake_gateway.fail_next("refund", after_work=after_work, is_kept=is_kept)
    assert give_back(paid, 1500) == [("estimate", 1500, "requested")]
    assert sums(paid) == (4000, 0, 1500)
    with pytest.raises(RefundTooLarge):
        give_back(paid, 2501, "issue-2")  # what is on its way is not there twice
    assert sweep(paid, NOW + timedelta(minutes=3)) == 1
    assert give_back(paid, 1500) == [("estimate", 1500, "succeeded")]
    assert returned(fake_gateway) == [(1500, "succeeded")]
    assert sums(paid) == (4000, 1500, 0)
    assert cash(paid) == 2500


def test_a_key_that_the_provider_forgot_is_not_used_before_looking(paid, fake_gateway):
    fake_gateway.fail_next("refund", after_work=True)
    give_back(paid, 1500)
    fake_gateway._answers.clear()  # a day later
    sweep(paid, NOW + timedelta(hours=30))
    assert returned(fake_gateway) == [(1500, "succeeded")]
    assert sums(paid) == (4000, 1500, 0)


def test_a_refund_made_by_hand_is_taken_down_once(paid, fake_gateway):
    (intent,) = fake_gateway.given_back or fake_gateway.intents
    made = fake_gateway.give_back(intent, 700)
    for number in (1, 2):
        tell(f"evt_{number}", "charge.refunded", intent)
    assert sums(paid) == (4000, 700, 0)
    (refund,) = selectors.refunds(customer_id=paid, order_id=ORDER)
    assert (refund.request, refund.status, refund.reason) == (f"provider:{made.id}", "succeeded", "by_hand")
    assert ledger.balance(customer_id=paid, order_id=ORDER).cents == {
        "provider_cash": 3300,
        "customer": -4000,  # nothing was sold in this test
        "platform_revenue": 700,
    }


def tell(event_id, kind, intent):
    """The webhook's news, without its signature."""
    models.StripeEvent.objects.create(
        id=event_id, type=kind, payload={"object": "re_1", "owner": "", "intent": intent}, received_at=NOW
    )
    services.handle_event(event_id=event_id, now=NOW)


def test_when_somebody_gave_everything_back_by_hand_ours_fails(paid, fake_gateway):
    (intent,) = fake_gateway.intents
    fake_gateway.give_back(intent, 4000)
    assert give_back(paid, 1500) == [("estimate", 1500, "failed")]
    tell("evt_1", "refund.created", intent)
    assert sums(paid) == (4000, 4000, 0)
    assert returned(fake_gateway) == [(4000, "succeeded")]


def test_what_the_customers_bank_sends_back_is_ours_again(paid, fake_gateway):
    give_back(paid, 1500)
    (intent,) = fake_gateway.intents
    fake_gateway.send_back(intent, "re_1")
    tell("evt_1", "refund.failed", intent)
    tell("evt_2", "refund.created", intent)  # older news, later
    (refund,) = selectors.refunds(customer_id=paid, order_id=ORDER)
    assert (refund.status, refund.failure_code) == ("failed", "lost_or_stolen_card")
    assert sums(paid) == (4000, 0, 0)
    assert cash(paid) == 4000
    steps = models.RefundChange.objects.filter(customer_id=paid).order_by("id").values_list("from_status", "to_status")
    assert list(steps) == [("", "requested"), ("requested", "succeeded"), ("succeeded", "failed")]


def test_of_many_refunds_at_once_no_more_goes_back_than_was_taken(paid, fake_gateway):
    def ask(number):
        try:
            return give_back(paid, 1500, f"issue-{number}")[0][2]
        except RefundTooLarge:
            return "refused"

    said = answers_at_once(ask, 6)
    assert sorted(said) == ["refused"] * 4 + ["succeeded"] * 2
    assert returned(fake_gateway) == [(1500, "succeeded")] * 2
    assert sums(paid) == (4000, 3000, 0)


def test_the_same_refund_from_many_sides_at_once_goes_back_once(paid, fake_gateway):
    answers_at_once(lambda _: give_back(paid, 1500), 6)
    assert returned(fake_gateway) == [(1500, "succeeded")]
    assert sums(paid) == (4000, 1500, 0)


def test_a_refund_that_races_the_capture_gives_back_what_was_taken_or_nothing(fake_gateway):
    for order_id in range(100, 106):
        card_id = make_card(ADA)
        named = {"customer_id": ADA, "order_id": order_id, "step": "estimate", "now": NOW}
        services.authorise(**named, amount=Money(5000), card_id=card_id, return_url="")

        def work(number, named=named, order_id=order_id):
            if number == 0:
                return services.capture(**named, amount=Money(4000)).status
            try:
                return give_back(ADA, 4000, order_id=order_id)[0][2]
            except RefundTooLarge:
                return "refused"

        said = answers_at_once(work, 2)
        assert said[0] == "captured"
        assert said[1] in ("refused", "succeeded")
        row = models.Payment.objects.get(customer_id=ADA, order_id=order_id)
        gone = fake_gateway.returned_cents(row.intent_id)
        assert gone == row.refunded_cents == (4000 if said[1] == "succeeded" else 0)
        assert row.refunding_cents == 0


# Over HTTP, with the real SDK


@pytest.mark.parametrize("kind", ["drop_after", "500_after", "503_after", "drop_before", "500_before", "429"])
def test_the_sandbox_gives_back_once_whatever_happens_to_the_answer(sandbox, kind):
    customer_id = pay(GRACE)
    sandbox.fail("POST /v1/refunds", kind)
    assert give_back(customer_id, 1500) == [("estimate", 1500, "requested")]
    sweep(customer_id, NOW + timedelta(minutes=3))
    assert give_back(customer_id, 1500) == [("estimate", 1500, "succeeded")]
    real = [one["amount"] for one in sandbox.objects("refund") if one["balance_transaction"]]
    assert real == [1500]
    assert sums(customer_id) == (4000, 1500, 0)


def test_the_sandbox_refuses_more_than_is_left_and_ours_fails(sandbox):
    customer_id = pay(ADA)
    (charge,) = sandbox.objects("charge")
    sandbox.refund_by_hand(charge["id"], 3000)
    assert give_back(customer_id, 1500) == [("estimate", 1500, "failed")]
    assert sums(customer_id) == (4000, 3000, 0)  # the other was noticed on the way
    outbox.drain()
    assert json.dumps(sandbox.intents()) == json.dumps([["succeeded", 5000, 4000]])
