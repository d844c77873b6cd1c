"""Simulated people against the real marketplace in this process, and against one that fails them."""

import asyncio
import base64
import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core import signals
from django.db import close_old_connections

from apps.accounts import services as accounts
from apps.common import outbox, photos
from apps.dispatch import services as dispatch
from apps.fulfilment import selectors as fulfilment
from apps.orders import selectors as orders
from apps.payments import gateway
from apps.shoppers import presence
from apps.shoppers import selectors as shopper_selectors
from apps.simulation import clients, customers, shoppers
from apps.simulation.city import FAST
from apps.simulation.clients import Refused, Unanswered
from apps.simulation.tally import Placed, Tally
from apps.stores import selectors as stores
from apps.stores import services as store_services
from tests.accounts.factories import PASSWORD
from tests.fulfilment.replacing import make_wide_market
from tests.orders.provider import Provider
from tests.shoppers.factories import make_shopper
from tests.simulation.market import BASE, InProcess, Script

SHOPPER = "shopper-13@demo.example"
dice = random.Random


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(clients, "FIRST_PAUSE_S", 0)
    monkeypatch.setattr(customers, "WATCH_EVERY_S", 0)


@pytest.fixture
def market(db, monkeypatch, settings):
    """A store that is open now, reached through HTTP only; its card provider is played."""
    signals.request_started.disconnect(close_old_connections)  # they are the test's, and in its transaction
    signals.request_finished.disconnect(close_old_connections)
    monkeypatch.setattr(clients, "client", lambda base: httpx.AsyncClient(transport=InProcess(), base_url=base))

    async def card_token(*_):
        return "pm_card_visa"

    monkeypatch.setattr(clients, "card_token", card_token)
    settings.DISPATCH_EARLY_MINUTES = 8 * 24 * 60
    presence._redis().flushdb()
    accounts.create_oauth_apps()
    with gateway.replaced_by(Provider()):
        yield make_wide_market(now=datetime.now(UTC))
    signals.request_started.connect(close_old_connections)
    signals.request_finished.connect(close_old_connections)


def a_shopper(market):
    """One who can sign in as the simulation's thirteenth."""
    user_id = accounts.sign_up(email=SHOPPER, password=PASSWORD, name="Shopper 13", now=datetime.now(UTC))
    zone_id = stores.store(store_id=market.store_id).zone_id
    return make_shopper(zone_id, user_id=user_id, online=False, now=datetime.now(UTC)), zone_id


@pytest.mark.django_db(databases="__all__")
class TestInTheMarket:
    def test_an_order_from_the_cart_to_the_door(self, market, monkeypatch):
        monkeypatch.setattr(shoppers, "SLIP_SHARE", 1)  # the first total is a slip of the finger
        store_services.set_receipt_check(store_id=market.store_id, is_on=True)
        shopper_id, zone_id = a_shopper(market)
        tally = Tally(wanted=1)
        self.play(zone_id, tally)
        (order,) = tally.orders.values()
        real = orders.order_for_staff(order_id=int(order.order_id))
        assert (order.status, order.is_checked, order.difference_cents) == ("delivered", True, 0)
        assert (real.status, real.captured) == ("delivered", real.total)
        receipt = fulfilment.receipt(store_id=market.store_id, order_id=real.id)
        assert (receipt.attempt, receipt.state, receipt.has_photo) == (2, "passed", True)
        assert "bags_check" in [event.to_status for event in real.events]
        assert (tally.is_done, tally.is_good, tally.deliveries, tally.claimed) == (True, True, 1, 1)
        assert tally.summary()["lost"] == 0
        assert not shopper_selectors.shopper(shopper_id=shopper_id).is_online

    def play(self, zone_id, tally, *, pace=FAST, shoppers_tally=None):
        """One customer's order and the shopper who brings it, while relays and planner run."""

        def plan():
            outbox.drain()
            dispatch.plan(zone_id=zone_id, now=datetime.now(UTC))

        async def scene():
            life = asyncio.create_task(customers.live(BASE, tally, dice(5), 0))
            mine = shoppers_tally or tally
            work = asyncio.create_task(shoppers.live(BASE, mine, dice(2), pace, email=SHOPPER, password=PASSWORD))
            async with asyncio.timeout(60):
                while not life.done() and not work.done():
                    await sync_to_async(plan)()
                    await asyncio.sleep(0.05)
                await life
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

        async_to_sync(scene)()

    @pytest.mark.parametrize("answer", ["yes", "no", "something else", "nothing"])
    def test_whatever_customers_say_to_replacements_every_cent_is_explained(self, market, monkeypatch, answer):
        monkeypatch.setattr(shoppers, "NOT_FOUND_SHARE", 1)
        monkeypatch.setattr(shoppers, "PROPOSED_SHARE", 1)
        monkeypatch.setattr(customers, "YES_BELOW", 1 if answer == "yes" else 0)
        monkeypatch.setattr(customers, "ELSE_FROM", -1 if answer == "something else" else 2)
        if answer == "nothing":
            monkeypatch.setattr(customers, "_consider", lambda *_: asyncio.sleep(0))
        _, zone_id = a_shopper(market)
        tally = Tally(wanted=1)
        self.play(zone_id, tally, pace=replace(FAST, poll=0.05, patience=0.2 if answer == "nothing" else 60))
        (order,) = tally.orders.values()
        real = orders.order_for_staff(order_id=int(order.order_id))
        asked = {one.status for one in real.replacements}
        assert asked <= ALLOWED[answer]
        assert asked & CERTAIN[answer]
        assert (order.status, order.difference_cents, real.questions) == ("delivered", 0, ())
        assert real.captured == real.total

    def test_a_stranger_is_asked_one_question(self, market, monkeypatch):
        monkeypatch.setattr(shoppers, "NOT_FOUND_SHARE", 0)
        _, zone_id = a_shopper(market)
        tally = Tally(wanted=1)
        pace = replace(FAST, poll=0.05, asks_strangers=True)
        self.play(zone_id, tally, pace=pace, shoppers_tally=Tally())
        (order,) = tally.orders.values()
        real = orders.order_for_staff(order_id=int(order.order_id))
        assert len({one.line_id for one in real.replacements}) == 1
        assert (order.status, order.difference_cents) == ("delivered", 0)

    def test_a_refusal_is_counted_by_its_code_and_nothing_is_placed(self, market):
        tally = Tally(wanted=1)

        async def scene():
            ada = await customers.sign_up(BASE, dice(1))
            ada.card_id = "1"
            return await customers.order_once(ada, tally)

        order = async_to_sync(scene)()
        assert (order, dict(tally.refusals), tally.orders) == (None, {"card_not_found": 1}, {})

    def test_a_wrong_password_is_a_refusal(self, market):
        a_shopper(market)
        with pytest.raises(Refused) as refusal:
            async_to_sync(shoppers.live)(BASE, Tally(), dice(1), FAST, email=SHOPPER, password="not-this-one-77")
        assert refusal.value.code == "sign_in_refused"


ALLOWED = {
    "yes": {"approved"},
    "no": {"rejected"},
    "something else": {"rejected", "approved"},
    "nothing": {"withdrawn"},
}
CERTAIN = {"yes": {"approved"}, "no": {"rejected"}, "something else": {"approved"}, "nothing": {"withdrawn"}}


# Against a market that fails


def a_customer(script):
    http = script.client()
    tokens = clients.Tokens(http, "customer-app", "a", "r", float("inf"), sign_in_again=None)
    return customers.Customer(http, tokens, "1", "2", "3", dice(1))


def seen(status, *, captured=None, receipt=()):
    lines = [{"phase": "final", "amountCents": cents} for cents in receipt]
    return {
        "data": {
            "order": {
                "status": status,
                "pin": "1234",
                "capturedCents": captured,
                "questions": [],
                "adjustments": [*lines, {"phase": "estimate", "amountCents": 9999}],
                "events": [{"toStatus": "acknowledged"}] if status != "brand_new" else [],
            }
        }
    }


def test_an_order_is_watched_through_any_silence():
    end = seen("delivered", captured=700, receipt=(500, 200))
    silence = [502] * 7 + [httpx.ConnectError("away")] * 6 + [httpx.ReadTimeout("lost")]
    script = Script(seen("brand_new"), *silence, seen("picking"), seen("delivered"), end)
    order = Placed("7", "brand_new", placed_at=0)
    asyncio.run(customers.watch(a_customer(script), order))
    assert (order.status, order.is_checked, order.difference_cents, order.pin) == ("delivered", True, 0, "1234")
    assert order.assigned_at is not None


@pytest.mark.parametrize(("captured", "difference"), [(700, 0), (701, -1), (650, 50)])
def test_the_receipt_is_compared_with_the_charge(captured, difference):
    order = Placed("7", "brand_new", placed_at=0)
    script = Script(seen("delivered", captured=captured, receipt=(500, 200)))
    asyncio.run(customers.watch(a_customer(script), order))
    assert order.difference_cents == difference


@pytest.mark.parametrize(("captured", "difference"), [(None, 0), (0, 0), (700, 700)])
def test_what_was_not_delivered_must_not_be_charged(captured, difference):
    order = Placed("7", "brand_new", placed_at=0)
    asyncio.run(customers.watch(a_customer(Script(seen("canceled", captured=captured))), order))
    assert (order.is_checked, order.difference_cents) == (True, difference)


def test_an_unanswered_placement_is_asked_about_until_it_is_answered(monkeypatch):
    async def fill_cart(_):
        return 3

    monkeypatch.setattr(customers, "_fill_cart", fill_cart)
    windows = {"data": {"store": {"windows": [{"id": "9", "startsAt": ""}]}}}
    answer = {"data": {"placeOrder": {"orderId": "7", "status": "brand_new"}}}
    script = Script(windows, *[httpx.ReadTimeout("lost")] * 11, answer)
    tally = Tally(wanted=1)
    order = asyncio.run(customers.order_once(a_customer(script), tally))
    assert (order.order_id, list(tally.orders), tally.refusals.total()) == ("7", ["7"], 0)
    placements = {request.content for request in script.requests[1:]}
    assert (len(script.requests), len(placements)) == (13, 1)  # the same key each time


def test_what_fails_before_the_order_gives_its_number_back(monkeypatch):
    async def sign_up(*_):
        return a_customer(Script(503))

    monkeypatch.setattr(customers, "sign_up", sign_up)
    tally = Tally(wanted=1)
    with pytest.raises(Unanswered):
        asyncio.run(customers.live(BASE, tally, dice(1), 0))
    assert (tally.claimed, tally.orders, tally.is_done) == (0, {}, False)


def test_the_photo_at_the_door_is_one_the_marketplace_takes():
    picture = base64.b64decode(shoppers._photo())
    assert photos.cleaned(picture) == photos.Photo(picture, "png")


def test_the_proof_is_the_pin_where_a_simulated_customer_opens():
    assert shoppers._proof(Placed("1", "delivering", 0, pin="0042")) == {"kind": "pin", "pin": "0042"}
    for nobody in (None, Placed("1", "delivering", 0)):
        assert shoppers._proof(nobody) == {"kind": "photo", "photo": shoppers._photo()}


@pytest.mark.parametrize("quantity", ["0.5", "1.25", "2"])
def test_what_the_scale_says_is_what_may_have_been_found(quantity):
    for seed in range(200):
        line = {"quantity": quantity, "sold_by": "weight"}
        result = shoppers._result(dice(seed), line)
        if result["status"] == "found":
            weighed = Decimal(result["quantity"])
            assert Decimal(quantity) * Decimal("0.92") <= weighed <= Decimal(quantity) * Decimal("1.1")
            assert -weighed.as_tuple().exponent <= 3
    assert shoppers._result(dice(1), {"quantity": "2.000", "sold_by": "count"}) == {
        "status": "found",
        "quantity": "2",
    }
