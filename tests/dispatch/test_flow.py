"""From a paid order to the customer's door, the shopper's part over HTTP with a token got by OAuth.

The order is a real one: placed, stocked and authorised. Events are delivered between the steps, in
their order, doubled, or the last one first.
"""

import base64
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.files.storage import default_storage

import sharding
from apps.accounts import services as accounts
from apps.common import clock, outbox
from apps.common.models import OutboxMessage, QuarantinedMessage
from apps.common.money import Money
from apps.dispatch import domain, models, selectors, services
from apps.fulfilment import models as fulfilment_models
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.fulfilment.types import ProofInput
from apps.inventory import selectors as inventory
from apps.orders import selectors as orders
from apps.orders import services as order_services
from apps.payments import gateway
from apps.shoppers import selectors as shoppers
from apps.stores import selectors as stores
from tests.accounts.factories import PASSWORD
from tests.accounts.oauth import App
from tests.common.test_photos import EXIF, JPEG
from tests.orders.factories import BANANAS, BEER, MILK, MORNING, make_market, make_placed_order
from tests.orders.provider import Provider
from tests.queries import counted
from tests.shoppers.factories import make_shopper

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def monday_morning():
    with clock.shifted_to(MORNING):
        yield


@pytest.fixture(autouse=True)
def provider():
    played = Provider()
    with gateway.replaced_by(played):
        yield played


@pytest.fixture(autouse=True)
def photos(media):
    """Kept apart from those of other tests."""


class Phone:
    """The shopper's app."""

    def __init__(self, client, email):
        accounts.create_oauth_apps()
        assert client.login(username=email, password=PASSWORD)
        with clock.shifted_to(datetime.now(UTC)):  # whether a token is over is asked of the real clock
            tokens = App(client, "shopper-app").tokens()
        client.logout()
        self.client, self.headers = client, {"Authorization": f"Bearer {tokens['access_token']}"}

    def get(self, path):
        return self._ok(self.client.get(f"/api/v1/shopper/{path}", headers=self.headers))

    def post(self, path, body=None):
        return self._ok(self.send("post", path, body))

    def put(self, path, body):
        return self._ok(self.send("put", path, body))

    def send(self, verb, path, body=None):
        send = getattr(self.client, verb)
        return send(f"/api/v1/shopper/{path}", body or {}, content_type="application/json", headers=self.headers)

    def _ok(self, response):
        assert response.status_code in (200, 204), response.content
        return response.json() if response.content else None


def deliver_events():
    outbox.drain()
    for alias in sharding.all_aliases():
        assert not OutboxMessage.objects.using(alias).exists()
        assert not QuarantinedMessage.objects.using(alias).exists()


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def zone_id(market):
    return stores.store(store_id=market.store_id).zone_id


@pytest.fixture
def phone(client, market, zone_id):
    email = "grace@example.com"
    user_id = accounts.sign_up(email=email, password=PASSWORD, name="Grace Hopper", now=MORNING)
    make_shopper(zone_id, user_id=user_id, online=False, now=MORNING)
    phone = Phone(client, email)
    phone.shopper_id = user_id
    phone.post("online", {"lat": 39.9612, "lng": -82.9988})
    return phone


def offer_of(phone, zone_id):
    assert services.plan(zone_id=zone_id, now=clock.now()).offers_sent == 1
    (offer,) = phone.get("offers")["offers"]
    return offer


def lines_by_name(order):
    return {line["name"]: line for line in order["lines"]}


def pick_everything(phone, store_order_id, after_each=lambda: None):
    """Bananas are heavier than ordered, of two milks one is left, the root beer is sold out."""
    order = phone.post(f"orders/{store_order_id}/start-picking")
    after_each()
    lines = lines_by_name(order)
    for name, outcome in [
        ("Bananas", {"status": "found", "quantity": "2.75"}),
        ("Whole milk", {"status": "found", "quantity": "1"}),
        ("Root beer, 6 bottles", {"status": "to_refund", "reason": "out_of_stock"}),
    ]:
        phone.put(f"orders/{store_order_id}/lines/{lines[name]['id']}", outcome)
        after_each()


def words(told):
    """All text in what was told, word by word."""
    if isinstance(told, dict):
        told = list(told.values())
    if isinstance(told, list):
        return [word for one in told for word in words(one)]
    return told.split() if isinstance(told, str) else []


def test_the_way_of_an_order_to_the_door(phone, market, zone_id, provider):
    order = make_placed_order(market=market)
    offer = offer_of(phone, zone_id)
    assert (offer["items"], offer["units"], offer["tips_cents"]) == (3, 4, 300)

    phone.post(f"offers/{offer['id']}/accept")
    deliver_events()
    assert orders.order_for_staff(order_id=order.id).status == "acknowledged"
    batch = phone.get("batch")["batch"]
    (entry,) = batch["orders"]
    store_order_id = entry["store_order_id"]
    assert (entry["drop_off"]["line1"], entry["drop_off"]["instructions"]) == ("20 Spring Street", "Blue door")
    assert [line["aisle"] for line in entry["lines"]] == ["1", "7", "9"]
    assert order.pin not in set(words(batch))  # as digits it may be in an id or a price

    pick_everything(phone, store_order_id, after_each=deliver_events)
    assert orders.order_for_staff(order_id=order.id).status == "picking"
    phone.post(f"orders/{store_order_id}/checkout")
    deliver_events()
    assert orders.order_for_staff(order_id=order.id).status == "checkout"
    phone.post(f"orders/{store_order_id}/start-delivery")
    deliver_events()
    assert orders.order_for_staff(order_id=order.id).status == "delivering"
    phone.post(f"orders/{store_order_id}/deliver", {"proof": {"kind": "pin", "pin": order.pin}})
    deliver_events()

    done = orders.order_for_staff(order_id=order.id)
    assert done.status == "delivered"
    assert [(line.name, line.status, line.found_quantity) for line in done.lines] == [
        ("Bananas", "found", Decimal("2.750")),
        ("Whole milk", "found", Decimal(1)),
        ("Root beer, 6 bottles", "to_refund", Decimal(0)),
    ]
    final = [adjustment.amount for adjustment in done.adjustments if adjustment.phase == "final"]
    assert Money.total(final) == done.total == done.captured
    goods = [entry.amount.cents for entry in done.adjustments if entry.phase == "final" and entry.kind == "item"]
    assert sorted(goods) == [0, 162, 349]  # nothing for the beer, 2.75 lb at 59 cents, one milk

    on_shelf = inventory.available(store_id=market.store_id, item_ids=market.item_ids.values())
    assert {code: on_shelf[item] for code, item in market.item_ids.items()} == {
        BANANAS: Decimal("497.25"),
        MILK: Decimal(499),
        BEER: Decimal(0),  # nobody has counted since
    }

    assert phone.get("batch") == {"batch": None}
    assert models.Batch.objects.get(pk=offer["batch_id"]).status == "completed"
    earned = phone.get("earnings")
    assert {(line["kind"], line["amount_cents"]) for line in earned["earnings"]} == {
        ("batch_pay", offer["pay_cents"]),
        ("tip", 300),
    }
    assert earned["total_cents"] == offer["pay_cents"] + 300


def statuses_of(order_id):
    return [event.to_status for event in orders.order_for_staff(order_id=order_id).events if event.from_status]


def work_without_a_relay(phone, order, zone_id):
    """Everything the shopper does while no event is delivered."""
    offer = offer_of(phone, zone_id)
    phone.post(f"offers/{offer['id']}/accept")
    store_order_id = str(fulfilment.of_order(store_id=order.store_id, order_id=order.id).id)
    pick_everything(phone, store_order_id)
    phone.post(f"orders/{store_order_id}/checkout")
    phone.post(f"orders/{store_order_id}/start-delivery")
    phone.post(f"orders/{store_order_id}/deliver", {"proof": {"kind": "pin", "pin": order.pin}})
    return offer


@pytest.mark.parametrize("seed", range(6))
def test_events_in_any_order_and_doubled_lead_to_the_same_end(phone, market, zone_id, seed):
    order = make_placed_order(market=market)
    offer = work_without_a_relay(phone, order, zone_id)
    alias = sharding.alias_for("store", market.store_id)
    messages = list(OutboxMessage.objects.using(alias).order_by("id"))
    shuffled = messages * 2
    if seed:
        random.Random(seed).shuffle(shuffled)  # noqa: S311
    else:
        shuffled.reverse()
    OutboxMessage.objects.using(alias).all().delete()
    for message in shuffled:  # each delivered to the end before the next one is there
        for event, handle in outbox._handlers.get(message.name, []):
            handle(event(**message.payload), str(message.message_id))
    deliver_events()

    done = orders.order_for_staff(order_id=order.id)
    assert done.status == "delivered"
    assert done.total == done.captured
    assert statuses_of(order.id)[:6] == [
        "brand_new",
        "acknowledged",
        "picking",
        "checkout",
        "delivering",
        "delivered",
    ]
    assert [line.found_quantity for line in done.lines] == [Decimal("2.750"), Decimal(1), Decimal(0)]
    available = inventory.available(store_id=market.store_id, item_ids=[market.item_ids[MILK]])
    assert available[market.item_ids[MILK]] == 499
    assert models.Batch.objects.get(pk=offer["batch_id"]).status == "completed"
    assert shoppers.live_assignment(shopper_id=phone.shopper_id) is None
    assert shoppers.earnings(shopper_id=phone.shopper_id).total.cents == offer["pay_cents"] + 300


def bring_to_the_door(phone, market, zone_id):
    order = make_placed_order(market=market)
    offer = offer_of(phone, zone_id)
    phone.post(f"offers/{offer['id']}/accept")
    store_order_id = str(fulfilment.of_order(store_id=order.store_id, order_id=order.id).id)
    pick_everything(phone, store_order_id)
    phone.post(f"orders/{store_order_id}/checkout")
    phone.post(f"orders/{store_order_id}/start-delivery")
    return order, store_order_id


def test_a_wrong_pin_delivers_nothing_and_after_ten_only_a_photo_helps(phone, market, zone_id, media):
    order, store_order_id = bring_to_the_door(phone, market, zone_id)
    wrong = {"proof": {"kind": "pin", "pin": str((int(order.pin) + 1) % 10_000).zfill(4)}}
    codes = [phone.send("post", f"orders/{store_order_id}/deliver", wrong).json()["code"] for _ in range(11)]
    assert codes == ["pin_wrong"] * 10 + ["pin_locked"]
    right = phone.send("post", f"orders/{store_order_id}/deliver", {"proof": {"kind": "pin", "pin": order.pin}})
    assert (right.status_code, right.json()["code"]) == (403, "pin_locked")
    assert fulfilment_models.StoreOrder.objects.get(pk=int(store_order_id)).status == "delivering"

    photo = JPEG[:2] + EXIF + JPEG[2:]
    shown = {"proof": {"kind": "photo", "photo": base64.b64encode(photo).decode()}}
    phone.post(f"orders/{store_order_id}/deliver", shown)
    phone.post(f"orders/{store_order_id}/deliver", shown)  # the answer was lost, the app sends it again
    proof = fulfilment_models.Proof.objects.get(store_order_id=int(store_order_id))
    assert proof.kind == "photo"
    with default_storage.open(proof.reference) as kept:
        assert kept.read() == JPEG  # where it was taken is gone
    assert len(list((media / "proofs").iterdir())) == 1
    deliver_events()
    assert orders.order_for_staff(order_id=order.id).status == "delivered"


def test_a_photo_is_not_kept_when_the_delivery_fails(phone, market, zone_id, media, monkeypatch):
    _, store_order_id = bring_to_the_door(phone, market, zone_id)
    monkeypatch.setattr(fulfilment_models.Proof.objects, "create", lambda **_: 1 / 0)
    shown = {"proof": {"kind": "photo", "photo": base64.b64encode(JPEG).decode()}}
    with pytest.raises(ZeroDivisionError):
        phone.send("post", f"orders/{store_order_id}/deliver", shown)
    assert list((media / "proofs").iterdir()) == []
    assert fulfilment_models.StoreOrder.objects.get(pk=int(store_order_id)).status == "delivering"


def test_a_delivery_while_the_payment_provider_is_silent_is_charged_later(phone, market, zone_id, provider):
    order, store_order_id = bring_to_the_door(phone, market, zone_id)
    deliver_events()
    provider.is_down = True
    phone.post(f"orders/{store_order_id}/deliver", {"proof": {"kind": "pin", "pin": order.pin}})
    outbox.drain()
    waiting = orders.order_for_staff(order_id=order.id)
    assert (waiting.status, waiting.captured) == ("delivered", None)
    assert phone.get("batch") == {"batch": None}  # the shopper does not wait for the bank
    provider.is_down = False
    for alias in sharding.aliases("customer"):
        OutboxMessage.objects.using(alias).update(due_at=MORNING)  # the put-off message's turn has come
    deliver_events()
    charged = orders.order_for_staff(order_id=order.id)
    assert charged.captured == charged.total


def test_a_canceled_order_is_withdrawn_from_the_shopper_who_was_asked(phone, market, zone_id):
    order = make_placed_order(market=market)
    offer = offer_of(phone, zone_id)
    order_services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=clock.now())
    deliver_events()
    assert phone.get("offers") == {"offers": []}
    late = phone.send("post", f"offers/{offer['id']}/accept")
    assert (late.status_code, late.json()["code"]) == (409, "offer_gone")
    assert shoppers.live_assignment(shopper_id=phone.shopper_id) is None
    assert models.Batch.objects.get(pk=offer["batch_id"]).status == "canceled"


def test_an_order_canceled_before_word_of_its_acceptance_came_stays_canceled(phone, market, zone_id):
    order = make_placed_order(market=market)
    offer = offer_of(phone, zone_id)
    phone.post(f"offers/{offer['id']}/accept")
    store_order = fulfilment.of_order(store_id=order.store_id, order_id=order.id)
    phone.post(f"orders/{store_order.id}/start-picking")
    order_services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=clock.now())
    fulfilment_services.report(store_order_id=store_order.id, now=clock.now())  # overtakes the cancelation
    deliver_events()
    assert orders.order_for_staff(order_id=order.id).status == "canceled"
    gone = phone.send("post", f"orders/{store_order.id}/checkout")
    assert (gone.status_code, gone.json()["code"]) == (409, "order_was_canceled")
    assert phone.get("batch") == {"batch": None}
    assert shoppers.live_assignment(shopper_id=phone.shopper_id) is None
    assert shoppers.earnings(shopper_id=phone.shopper_id).total == Money(0)


def test_a_batch_taken_back_makes_the_order_new_again(phone, market, zone_id):
    order = make_placed_order(market=market)
    offer = offer_of(phone, zone_id)
    phone.post(f"offers/{offer['id']}/accept")
    deliver_events()
    alias = sharding.alias_for("store", market.store_id)
    with clock.shifted_to(clock.now().replace(hour=clock.now().hour + 1)):
        assert services.reclaim_stale(using=alias, now=clock.now()) == 1
        deliver_events()
    assert orders.order_for_staff(order_id=order.id).status == "brand_new"
    assert shoppers.live_assignment(shopper_id=phone.shopper_id) is None
    assert selectors.batch_of_order(store_id=order.store_id, order_id=order.id).shopper_id is None


def test_an_order_whose_shopper_fell_silent_is_new_again_and_finished_by_the_next(phone, market, zone_id):
    order = make_placed_order(market=market)
    offer = offer_of(phone, zone_id)
    phone.post(f"offers/{offer['id']}/accept")
    store_order_id = fulfilment.of_order(store_id=order.store_id, order_id=order.id).id
    begun = phone.post(f"orders/{store_order_id}/start-picking")
    bananas = lines_by_name(begun)["Bananas"]["id"]
    phone.put(f"orders/{store_order_id}/lines/{bananas}", {"status": "found", "quantity": "2.75"})
    deliver_events()
    assert orders.order_for_staff(order_id=order.id).status == "picking"
    late = clock.now() + domain.SILENT_FOR
    second = make_shopper(zone_id, point=stores.store(store_id=market.store_id).point, now=late)
    alias = sharding.alias_for("store", market.store_id)
    told = []
    with clock.shifted_to(late):
        assert services.reclaim_silent(using=alias, now=late) == 1
        told += OutboxMessage.objects.using(alias).all()
        deliver_events()
        assert orders.order_for_staff(order_id=order.id).status == "brand_new"
        assert shoppers.live_assignment(shopper_id=phone.shopper_id) is None
        gone = phone.send("put", f"orders/{store_order_id}/lines/{bananas}", {"status": "found", "quantity": "2.5"})
        assert (gone.status_code, gone.json()["code"]) == (404, "store_order_not_found")

        assert services.plan(zone_id=zone_id, now=late).offers_sent == 1
        (again,) = selectors.offers_of(shopper_id=second, now=late)
        services.accept(offer_id=again.id, shopper_id=second, now=late)
        mine = {"store_order_id": store_order_id, "shopper_id": second, "now": late}
        fulfilment_services.start_picking(**mine)
        told += OutboxMessage.objects.using(alias).all()
        deliver_events()
        assert orders.order_for_staff(order_id=order.id).status == "picking"
        for line in fulfilment.store_order(store_order_id=store_order_id, shopper_id=second).lines:
            if line.status == "not_picked":
                fulfilment_services.mark_refund(line_id=line.id, reason="out_of_stock", **mine)
        fulfilment_services.check_out(**mine)
        fulfilment_services.start_delivery(**mine)
        fulfilment_services.deliver(proof=ProofInput(kind="pin", pin=order.pin), **mine)
        told += OutboxMessage.objects.using(alias).all()
        deliver_events()
        for message in told:  # and once more, the first of them too
            for event, handle in outbox._handlers.get(message.name, []):
                handle(event(**message.payload), str(message.message_id))
        deliver_events()
    done = orders.order_for_staff(order_id=order.id)
    assert (done.status, done.total) == ("delivered", done.captured)
    assert lines_found(done) == {"Bananas": Decimal("2.750"), "Whole milk": 0, "Root beer, 6 bottles": 0}
    assert shoppers.earnings(shopper_id=phone.shopper_id).total == Money(0)
    assert shoppers.earnings(shopper_id=second).total.cents == offer["pay_cents"] + 300


def lines_found(order):
    return {line.name: line.found_quantity for line in order.lines}


def test_the_current_batch_takes_as_many_queries_however_long_the_list(phone, market, zone_id):
    make_placed_order(market=market)
    offer = offer_of(phone, zone_id)
    phone.post(f"offers/{offer['id']}/accept")
    with counted() as queries:
        selectors.current_batch(shopper_id=phone.shopper_id)
    assert queries.total == 10
