"""The provider failing around a second payment and a tip, races of money, and violations the checker must see."""

import json
from datetime import timedelta
from itertools import permutations

import pytest
import stripe

import sharding
from apps.common import clock, outbox
from apps.common.money import Money
from apps.fulfilment import selectors as fulfilment_selectors
from apps.fulfilment import services as fulfilment
from apps.ledger import models as ledger_models
from apps.ledger import services as ledger
from apps.ledger.types import Line
from apps.orders import models, selectors, services
from apps.payments import models as payment_models
from apps.payments import selectors as payments
from apps.payments import services as payment_services
from tests.orders.factories import (
    MORNING,
    bring_to,
    make_customer,
    make_market,
    make_placed_order,
    make_ready,
    relay_once,
)
from tests.orders.invariants import violations
from tests.orders.shop_floor import at_store, check_out, hand_over, hold_only, leave
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__")

SECRET = "whsec_tests"
SECOND = timedelta(seconds=1)


@pytest.fixture
def market():
    return make_market()


def over(provider, market):
    """An order at the till that came to more than is held, untold."""
    order = make_placed_order(market=market)
    hold_only(provider, order.id, 2000)
    check_out(order)
    return order


def tippable(market):
    order = bring_to(make_placed_order(market=market), "delivered")
    outbox.drain()
    return order


def raise_tip(order, cents=800):
    return services.raise_tip(
        order_id=order.id, customer_id=order.customer_id, to=Money(cents), now=MORNING + timedelta(hours=1)
    )


def finish(order):
    leave(order)
    hand_over(order)
    outbox.drain()


def sweep(order, minutes):
    now = MORNING + timedelta(hours=1, minutes=minutes)
    alias = sharding.alias_for("customer", order.customer_id)
    with clock.shifted_to(now):
        services.sweep(using=alias, now=now)
        payment_services.sweep(using=alias, now=now)
        outbox.drain()


def steps(order):
    made = payments.payments(customer_id=order.customer_id, order_id=order.id)
    return [(one.step, one.status) for one in made]


class TestWebhooks:
    @pytest.fixture(autouse=True)
    def secrets(self, settings):
        settings.STRIPE_WEBHOOK_SECRETS = (SECRET,)

    def tell(self, client, number, kind, intent):
        event = {"id": f"evt_{number}", "object": "event", "type": kind, "data": {"object": {"id": intent}}}
        payload, at = json.dumps(event), int(MORNING.timestamp())
        signed = stripe.WebhookSignature.generate_signature_header(payload, SECRET, timestamp=at)
        with clock.shifted_to(MORNING):
            answer = client.post(
                "/webhooks/stripe/", payload, content_type="application/json", headers={"Stripe-Signature": signed}
            )
        assert answer.status_code == 204

    @pytest.mark.parametrize("order_of_news", list(permutations(range(3))))
    def test_news_of_both_payments_twice_and_in_any_order_changes_nothing(
        self, client, provider, market, order_of_news
    ):
        order = over(provider, market)
        outbox.drain()
        finish(order)
        raise_tip(order)
        outbox.drain()
        before = selectors.order_for_staff(order_id=order.id), steps(order), provider.taken_cents
        intents = {one.reference.step: one.id for one in provider.intents_of(order.id)}
        news = [
            ("payment_intent.amount_capturable_updated", intents["overage"]),
            ("payment_intent.succeeded", intents["overage"]),
            ("payment_intent.succeeded", intents["tip:1"]),
        ]
        for place in order_of_news:
            for _ in range(2):
                self.tell(client, place, *news[place])
        outbox.drain()
        assert (selectors.order_for_staff(order_id=order.id), steps(order), provider.taken_cents) == before
        assert violations(provider, store_id=market.store_id) == []

    def test_news_of_a_tip_whose_answer_was_lost_ends_it(self, client, provider, market):
        order = tippable(market)
        provider.fail_next("charge", after_work=True)
        assert raise_tip(order) == "asked"
        (intent,) = [one for one in provider.intents_of(order.id) if one.reference.step == "tip:1"]
        self.tell(client, 1, "payment_intent.succeeded", intent.id)
        outbox.drain()
        sweep(order, 1)
        assert selectors.order_for_staff(order_id=order.id).tip == Money(800)
        assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("after_work", [True, False])
class TestProviderFails:
    def test_a_tip_is_charged_once(self, provider, market, after_work, is_kept):
        order = tippable(market)
        before = provider.taken_cents
        provider.fail_next("charge", after_work=after_work, is_kept=is_kept)
        assert raise_tip(order) == "asked"
        for minutes in (1, 5):
            sweep(order, minutes)
        assert provider.taken_cents == before + 500
        assert violations(provider, store_id=market.store_id) == []

    def test_the_overage_is_held_once_and_taken_once(self, provider, market, after_work, is_kept):
        order = over(provider, market)
        provider.fail_next("authorise", after_work=after_work, is_kept=is_kept)
        relay_once()  # the store tells several times; the second look goes on
        outbox.drain()
        finish(order)
        provider.fail_next("capture", after_work=after_work, is_kept=is_kept)
        for minutes in (1, 5, 9):
            sweep(order, minutes)
        assert steps(order) == [("estimate", "captured"), ("overage", "captured")]
        assert (provider.taken_cents, provider.held_cents) == (2704, 0)
        assert violations(provider, store_id=market.store_id) == []


@pytest.mark.django_db(transaction=True, databases="__all__")
class TestRaces:
    def test_word_of_the_check_out_ten_times_at_once_holds_once(self, provider, market):
        order = over(provider, market)
        store_order_id = at_store(order).id
        answers_at_once(lambda i: fulfilment.report(store_order_id=store_order_id, now=MORNING), 10)
        outbox.drain()
        assert steps(order) == [("estimate", "authorised"), ("overage", "authorised")]
        assert provider.held_cents == 2704
        finish(order)
        assert provider.taken_cents == 2704
        assert violations(provider, store_id=market.store_id) == []

    def test_capture_beside_refund_and_tip_never_gives_more_than_was_taken(self, provider, market):
        order = over(provider, market)
        outbox.drain()
        leave(order)
        hand_over(order)
        acts = (
            lambda: outbox.drain(),
            lambda: services.settle(order_id=order.id, now=MORNING),
            lambda: services.refund(order_id=order.id, key="a", reason="late", actor="staff:1", now=MORNING),
            lambda: services.refund(order_id=order.id, key="b", reason="late", actor="staff:1", now=MORNING),
            lambda: raise_tip(order),
        )
        answers_at_once(lambda i: acts[i](), len(acts))
        for minutes in (1, 5):
            sweep(order, minutes)
        given = sum(provider.returned_cents(one.id) for one in provider.intents_of(order.id))
        assert given <= provider.taken_cents
        assert violations(provider, store_id=market.store_id) == []


class TestProviderDown:
    """P1: the customer is told within 60 seconds, and all is settled within 5 minutes of the return."""

    def live(self, market, *, since, until, every=10 * SECOND):
        """What beat does, in virtual time: sweeps and relays every ten seconds."""
        now = since
        while now <= until:
            with clock.shifted_to(now):
                for alias in sharding.aliases("customer"):
                    services.sweep(using=alias, now=now)
                outbox.drain()
            now += every

    def test_thirty_minutes_without_a_provider(self, provider, market):
        customers = [make_ready(market=market, customer=make_customer()) for _ in range(12)]
        provider.is_down = True
        times = [MORNING + n * 5 * SECOND for n in range(12)]
        placed = [(at, ready.place(now=at).order_id) for at, ready in zip(times, customers, strict=True)]
        for at, order_id in placed:
            found = selectors.order_for_staff(order_id=order_id)
            assert found.status == "payment_pending"
            assert found.events[-1].at - at <= 60 * SECOND
        back = MORNING + timedelta(minutes=30)
        self.live(market, since=MORNING + timedelta(minutes=28), until=back - SECOND)
        for _, order_id in placed:
            found = selectors.order_for_staff(order_id=order_id)
            assert found.status == "payment_pending"
            assert at_store_or_none(found) is None  # so nobody is sent
        provider.is_down = False
        self.live(market, since=back, until=back + timedelta(minutes=5))
        found = [selectors.order_for_staff(order_id=order_id) for _, order_id in placed]
        assert {order.status for order in found} == {"brand_new"}
        assert max(order.confirmed_at for order in found) - back <= timedelta(minutes=5)
        assert all(at_store_or_none(order) is not None for order in found)
        assert violations(provider, store_id=market.store_id) == []

    def test_a_customer_whose_request_died_is_told_within_the_minute_too(self, provider, market, monkeypatch):
        class Died(BaseException):
            pass

        def die(**_):
            raise Died

        ready = make_ready(market=market)
        with monkeypatch.context() as patch:
            patch.setattr(payment_services, "authorise", die)
            with pytest.raises(Died):
                ready.place(key="only")
        (order,) = models.Order.objects.filter(customer_id=ready.customer.id)
        assert order.status == "pending"
        provider.is_down = True
        self.live(market, since=MORNING, until=MORNING + 60 * SECOND)
        (told,) = selectors.order_for_staff(order_id=order.pk).events[1:]
        assert told.to_status == "payment_pending"
        assert told.at - MORNING <= 60 * SECOND

    def test_a_delivered_order_is_paid_within_five_minutes_of_the_return(self, provider, market):
        order = make_placed_order(market=market)
        provider.is_down = True
        bring_to(order, "delivered")
        outbox.drain()
        assert provider.taken_cents == 0
        back = MORNING + timedelta(minutes=60)
        provider.is_down = False
        self.live(market, since=back, until=back + timedelta(minutes=5))
        assert models.Order.objects.get(pk=order.id).settled_at - back <= timedelta(minutes=5)
        assert provider.taken_cents == 2704


def at_store_or_none(order):
    return fulfilment_selectors.of_order(store_id=order.store_id, order_id=order.id)


class TestPlanted:
    """The checker sees each of these."""

    def found(self, order):
        said = []
        services.audit(
            using=sharding.alias_for("customer", order.customer_id),
            now=clock.now() + timedelta(days=2),
            tell=lambda what, cents: said.append((what.partition(": ")[2], cents)),
        )
        return said

    def test_a_tip_that_was_charged_and_not_written_down(self, market):
        order = tippable(market)
        payment_services.charge(
            customer_id=order.customer_id,
            order_id=order.id,
            step="tip:1",
            amount=Money(500),
            card_id=models.Order.objects.get(pk=order.id).card_id,
            now=MORNING,
        )
        assert self.found(order) == [("500 cents owed to the customer (delivered, USD)", 500)]

    def test_a_tip_that_did_not_reach_the_shopper(self, market):
        order = tippable(market)
        raise_tip(order)
        with sharding.atomic(sharding.alias_for("customer", order.customer_id)):
            ledger.post(
                customer_id=order.customer_id,
                order_id=order.id,
                cause="sold",
                step="tip:2",
                version=1,
                lines=[Line(debit="customer", credit="tip", cents=77, kind="tip")],
                currency="USD",
                now=MORNING,
            )
        assert self.found(order) == [
            ("its tip lines come to 800 cents, 877 were booked", 77),
            ("77 cents the customer owes (delivered, USD)", 77),
            ("77 cents of tip did not reach the shopper's account", 77),
        ]

    def test_a_part_that_was_forgiven_without_being_booked(self, provider, market):
        order = over(provider, market)
        provider.declines_from_now = True
        leave(order)
        hand_over(order)
        outbox.drain()
        assert self.found(order) == []
        lines = models.OrderAdjustment.objects.filter(order_id=order.id, kind="forgiven")
        lines.update(amount_cents=-700)
        assert self.found(order) == [("its forgiven lines come to -700 cents, -704 were booked", 4)]

    def test_a_fee_of_a_canceled_order_that_was_never_booked(self, market):
        order = make_placed_order(market=market)
        services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING)
        outbox.drain()
        row = models.Order.objects.get(pk=order.id)
        models.OrderAdjustment.objects.create(
            order=row,
            customer_id=row.customer_id,
            kind="fee",
            label="Cancellation fee",
            amount_cents=500,
            phase="final",
            actor="nobody",
        )
        assert self.found(order) == [("its fee lines come to 500 cents, 0 were booked", 500)]

    def test_a_second_capture_for_one_step_is_refused_by_the_database(self, market):
        order = tippable(market)
        raise_tip(order)
        made = payment_models.Payment.objects.get(customer_id=order.customer_id, order_id=order.id, step="tip:1")
        made.pk = None
        with (
            pytest.raises(Exception, match="payments_one_per_order_and_step"),
            sharding.atomic(sharding.alias_for("customer", order.customer_id)),
        ):
            made.save(force_insert=True, using=sharding.alias_for("customer", order.customer_id))
        entries = ledger_models.LedgerEntry.objects.filter(customer_id=order.customer_id, order_id=order.id)
        assert entries.filter(cause="captured", step="tip:1").count() == 1
