"""What a shopper's phone sends twice with one ``Idempotency-Key`` happens once and is answered once."""

from collections import Counter
from datetime import timedelta
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from rest_framework.test import APIClient

import sharding
from apps.accounts.api.jwt import Claims
from apps.common import clock, idempotency
from apps.common.api import idempotency as header
from apps.common.models import OutboxMessage, ShopperAnswer, StoreAnswer
from apps.common.tasks import forget_answers
from apps.dispatch import models
from apps.fulfilment import models as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.orders.errors import OrderNotFound
from apps.shoppers import models as shoppers
from tests.dispatch.factories import NOW, make_accepted, make_offer
from tests.dispatch.test_rest import ROUTES
from tests.orders.snapshots import changed
from tests.orders.snapshots import snapshot as snapshot_of
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

HERE = {"lat": 39.96, "lng": -82.99}
BY_PIN = {"proof": {"kind": "pin", "pin": "1234"}}


@pytest.fixture(autouse=True)
def afternoon():
    with clock.shifted_to(NOW):
        yield


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


class Phone:
    def __init__(self, shopper_id):
        self.client = APIClient(raise_request_exception=False)
        claims = Claims(user_id=shopper_id, client_id="shopper-app", scopes=frozenset({"shopper"}))
        self.client.force_authenticate(get_user_model()(pk=shopper_id), token=claims)

    def send(self, path, body=None, *, key="k", verb="post"):
        headers = {} if key is None else {"Idempotency-Key": key}
        return getattr(self.client, verb)(f"/api/v1/shopper/{path}", body, format="json", headers=headers)


def said(answer):
    """What the caller reads, and whether it is said again."""
    code = answer.json().get("code", "") if answer.content else ""
    return answer.status_code, code, answer.headers.get("Idempotent-Replayed", "")


def at_once(send, n):
    """What ``send(0)`` … ``send(n - 1)`` were answered in threads of their own, in the afternoon of all of them."""

    def sent(i):
        with clock.shifted_to(NOW):
            return send(i)

    return answers_at_once(sent, n)


def told(store_id, name):
    return OutboxMessage.objects.using(sharding.alias_for("store", store_id)).filter(name=name).count()


def snapshot():
    return snapshot_of(also=["shoppers", "fulfilment", "dispatch"])


def kept():
    return sum(
        table.objects.using(alias).count()
        for table, keyspace in ((StoreAnswer, "store"), (ShopperAnswer, "shopper"))
        for alias in sharding.aliases(keyspace)
    )


STEPS = ["start-picking", "line", "checkout", "receipt", "bags", "start-delivery", "deliver"]
"""Of an order, in their sequence."""


def about_to(name):
    """A phone whose next request is ``name``, and that request."""
    if name in ("online", "offline", "positions"):
        shopper = make_shopper(7, online=name != "online", now=NOW - timedelta(minutes=2))
        positions = {"positions": [{**HERE, "at": NOW.isoformat()}]}
        return Phone(shopper), (name, {"online": HERE, "positions": positions}.get(name)), "post"
    if name in ("accept", "decline"):
        offered = make_offer(orders=2)
        return Phone(offered.shopper_id), (f"offers/{offered.offer_id}/{name}", None), "post"
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    phone = Phone(taken.shopper_id)
    first, *others = fulfilment.PickLine.objects.filter(store_order_id=order_id).order_by("pk")
    requests = {step: ((f"orders/{order_id}/{step}", None), "post") for step in STEPS}
    requests["line"] = ((f"orders/{order_id}/lines/{first.line_id}", {"status": "to_refund", "reason": "other"}), "put")
    requests["receipt"] = ((f"orders/{order_id}/receipt", {"total_cents": 0, "attempt": 1}), "post")
    requests["bags"] = ((f"orders/{order_id}/bags", {"count": 1}), "post")
    requests["deliver"] = ((f"orders/{order_id}/deliver", BY_PIN), "post")
    find = {"name": "Beans of the region", "price_cents": 149, "quantity": "2"}
    requests["replacement"] = ((f"orders/{order_id}/lines/{first.line_id}/replacement", find), "post")
    for step in STEPS[: STEPS.index("line" if name == "replacement" else name)]:
        request, verb = requests[step]
        assert phone.send(*request, key=None, verb=verb).status_code == 200
        if step == "line":
            fulfilment.PickLine.objects.filter(pk__in=[line.pk for line in others]).update(status="to_refund")
    return phone, *requests[name]


WRITES = ["online", "offline", "positions", "accept", "decline", "replacement", *STEPS]


def test_every_write_is_sent_again_below():
    assert len(WRITES) == sum(verb != "get" for verb, _ in ROUTES.values())


@pytest.fixture
def pins_are_right(monkeypatch):
    monkeypatch.setattr(fulfilment_services.delivering.orders, "check_pin", lambda **_: True)


@pytest.mark.usefixtures("pins_are_right")
@pytest.mark.parametrize("name", WRITES)
def test_each_write_is_done_once_and_answered_alike(name):
    phone, request, verb = about_to(name)
    untouched = snapshot()
    first = phone.send(*request, verb=verb)
    done = snapshot()
    again = phone.send(*request, verb=verb)
    assert (first.status_code in (200, 204), first.headers.get("Idempotent-Replayed")) == (True, None)
    assert (again.status_code, again.content, again.headers["Idempotent-Replayed"]) == (
        first.status_code,
        first.content,
        "true",
    )
    assert changed(untouched, done) - {"common_storeanswer", "common_shopperanswer"} != set()
    assert changed(done, snapshot()) == set()


@pytest.mark.usefixtures("pins_are_right")
@pytest.mark.parametrize("name", WRITES)
def test_each_write_killed_after_its_answer_was_kept_is_answered_so(name):
    phone, request, verb = about_to(name)
    with mock.patch.object(header, "_response", side_effect=Killed), pytest.raises(Killed):
        phone.send(*request, verb=verb)
    connections.close_all()
    done = snapshot()
    assert phone.send(*request, verb=verb).headers["Idempotent-Replayed"] == "true"
    assert changed(done, snapshot()) == set()


@pytest.mark.usefixtures("pins_are_right")
@pytest.mark.parametrize("name", WRITES)
def test_each_write_killed_before_its_answer_was_kept_is_done_once(name):
    phone, request, verb = about_to(name)
    untouched = snapshot()
    with mock.patch.object(idempotency, "keep", side_effect=Killed), pytest.raises(Killed):
        phone.send(*request, verb=verb)
    connections.close_all()
    if name not in ("accept", "replacement", "receipt", "deliver"):  # several transactions, each of which stands
        assert changed(untouched, snapshot()) == set()
    answer = phone.send(*request, verb=verb)
    assert (answer.status_code in (200, 204), answer.headers.get("Idempotent-Replayed")) == (True, None)
    assert kept() == 1


def test_the_first_answer_is_given_again_although_things_have_moved_on():
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    phone = Phone(taken.shopper_id)
    first = phone.send(f"orders/{order_id}/start-picking", key="begin")
    line = first.json()["lines"][0]["id"]
    phone.send(f"orders/{order_id}/lines/{line}", {"status": "to_refund", "reason": "other"}, verb="put", key="line")
    again = phone.send(f"orders/{order_id}/start-picking", key="begin")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert {line["status"] for line in again.json()["lines"]} == {"not_picked"}
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert again["Content-Type"] == first["Content-Type"]
    assert phone.send(f"orders/{order_id}/start-picking", key=None).json()["lines"][0]["status"] == "to_refund"


def test_an_empty_answer_is_given_again():
    offered = make_offer()
    phone = Phone(offered.shopper_id)
    answers = [phone.send(f"offers/{offered.offer_id}/decline") for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]
    assert told(offered.store.id, "dispatch.offer_closed") == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [("online", {**HERE, "lat": 39.97}), ("offline", None)],
    ids=["another body", "another path"],
)
def test_a_key_used_for_something_else_is_refused_and_nothing_happens(path, body):
    shopper = make_shopper(7, online=False)
    phone = Phone(shopper)
    phone.send("online", HERE)
    before = shoppers.Shopper.objects.filter(pk=shopper).values().get()
    assert said(phone.send(path, body)) == (422, "idempotency_conflict", "")
    assert shoppers.Shopper.objects.filter(pk=shopper).values().get() == before
    assert kept() == 1


def test_a_body_is_the_same_however_it_is_written_down():
    phone = Phone(make_shopper(7, online=False))
    phone.send("online", HERE)
    assert said(phone.send("online", dict(reversed(HERE.items()))))[2] == "true"


def test_keys_are_the_callers_own():
    for shopper in (make_shopper(7, online=False), make_shopper(7, online=False)):
        assert said(Phone(shopper).send("online", HERE)) == (200, "", "")
    assert kept() == 2


def test_a_refusal_is_given_again_even_where_it_would_be_no_more():
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    phone = Phone(taken.shopper_id)
    phone.send(f"orders/{order_id}/start-picking", key="begin")
    early = phone.send(f"orders/{order_id}/checkout", key="out")
    fulfilment.PickLine.objects.filter(store_order_id=order_id).update(status="to_refund")
    again = phone.send(f"orders/{order_id}/checkout", key="out")
    assert (said(early), said(again)) == ((409, "lines_open", ""), (409, "lines_open", "true"))
    assert again["Content-Type"] == "application/problem+json"
    assert again.content == early.content
    assert said(phone.send(f"orders/{order_id}/checkout", key="out again")) == (200, "", "")


@pytest.mark.parametrize("body", [{}, {"lat": 91, "lng": 0}], ids=["no fields", "a bad field"])
def test_what_is_not_valid_keeps_no_answer(body):
    phone = Phone(make_shopper(7, online=False))
    assert said(phone.send("online", body)) == (422, "invalid", "")
    assert kept() == 0
    assert said(phone.send("online", HERE)) == (200, "", "")


def test_a_failure_of_ours_keeps_no_answer_and_undoes_what_was_done(monkeypatch):
    shopper = make_shopper(7, online=False)
    phone = Phone(shopper)
    with mock.patch("apps.shoppers.api.rest.selectors.shopper", side_effect=RuntimeError):
        assert phone.send("online", HERE).status_code == 500
    assert (kept(), shoppers.Shopper.objects.get(pk=shopper).is_online) == (0, False)
    assert said(phone.send("online", HERE)) == (200, "", "")
    assert shoppers.Shopper.objects.get(pk=shopper).is_online is True


@pytest.mark.parametrize("key", ["", " ", "x" * 81, "café", '""'])
def test_a_key_that_is_none_is_refused_and_nothing_happens(key):
    shopper = make_shopper(7, online=False)
    assert said(Phone(shopper).send("online", HERE, key=key)) == (422, "idempotency_key_missing", "")
    assert shoppers.Shopper.objects.get(pk=shopper).is_online is False


def test_the_quotes_of_the_draft_are_no_part_of_the_key():
    phone = Phone(make_shopper(7, online=False))
    phone.send("online", HERE, key='"8e03978e-40d5-43dd-bc93-6894a57f9324"')
    assert said(phone.send("online", HERE, key="8e03978e-40d5-43dd-bc93-6894a57f9324"))[2] == "true"


def test_ids_that_nobody_was_given_are_answered_as_ever():
    phone = Phone(make_shopper(7))
    for absent in ("1", str(2**62 + 12_345 * 256), str(2**63 - 1), "abc"):
        unkeyed = phone.send(f"offers/{absent}/accept", key=None)
        answer = phone.send(f"offers/{absent}/accept", key=f"of {absent}")
        assert (answer.status_code, answer.json()) == (404, unkeyed.json())
    assert kept() == 1  # of the one whose bucket there is


def test_a_day_later_the_key_is_new():
    shopper = make_shopper(7, online=False)
    phone = Phone(shopper)
    phone.send("online", HERE, key="day")
    phone.send("offline", key="night")
    with clock.shifted_to(NOW + timedelta(hours=23, minutes=59)):
        assert said(phone.send("online", HERE, key="day"))[2] == "true"
    assert shoppers.Shopper.objects.get(pk=shopper).is_online is False
    with clock.shifted_to(NOW + timedelta(hours=24, minutes=1)):
        assert said(phone.send("online", HERE, key="day")) == (200, "", "")
        assert said(phone.send("online", HERE, key="day"))[2] == "true"
    assert shoppers.Shopper.objects.get(pk=shopper).is_online is True
    assert kept() == 2


def test_old_answers_are_forgotten_on_every_shard(monkeypatch):
    monkeypatch.setattr(idempotency, "BATCH", 2)
    everybody = [Phone(make_shopper(7, online=False)) for _ in range(8)]
    for phone in everybody:
        phone.send("online", HERE)
    with clock.shifted_to(NOW + timedelta(hours=1)):
        everybody[0].send("offline", key="later")
    with clock.shifted_to(NOW + timedelta(hours=24, minutes=1)):
        forget_answers()
    assert kept() == 1


def test_a_key_costs_two_questions_and_no_key_none():
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    phone = Phone(taken.shopper_id)
    phone.send(f"orders/{order_id}/start-picking", key=None)
    lines = fulfilment.PickLine.objects.filter(store_order_id=order_id).order_by("pk")
    one, other = (f"orders/{order_id}/lines/{line.line_id}" for line in lines)
    found = {"status": "found", "quantity": "1"}
    with mock.patch.object(idempotency, "kept") as asked, counted() as without:
        phone.send(one, found, verb="put", key=None)
    assert not asked.called
    with counted() as first:
        phone.send(other, found, verb="put")
    with counted() as replayed:
        phone.send(other, found, verb="put")
    assert first.total - without.total == 2
    assert (replayed.total, len(first.by_alias)) == (1, 1)


def test_one_key_twenty_times_at_once_from_two_devices_is_one_answer():
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    answers = at_once(lambda _: Phone(taken.shopper_id).send(f"orders/{order_id}/start-picking"), 20)
    assert Counter(map(said, answers)) == {(200, "", ""): 1, (200, "", "true"): 19}
    assert len({answer.content for answer in answers}) == 1
    assert told(taken.store.id, "fulfilment.picking_started") == 1


def test_one_key_twenty_times_at_once_through_several_databases_is_one_answer():
    offered = make_offer(orders=2)
    answers = at_once(lambda _: Phone(offered.shopper_id).send(f"offers/{offered.offer_id}/accept"), 20)
    assert Counter(map(said, answers)) == {(200, "", ""): 1, (200, "", "true"): 19}
    assert told(offered.store.id, "dispatch.offer_accepted") == 1


def test_two_requests_with_one_key_at_once_are_one_and_a_refusal():
    shopper = make_shopper(7, online=False)
    bodies = [HERE, {**HERE, "lat": 41.0}]
    answers = at_once(lambda i: Phone(shopper).send("online", bodies[i % 2]), 10)
    counts = Counter(map(said, answers))
    assert counts == {(200, "", ""): 1, (200, "", "true"): 4, (422, "idempotency_conflict", ""): 5}
    done = next(i for i, answer in enumerate(answers) if said(answer) == (200, "", ""))
    assert shoppers.Shopper.objects.get(pk=shopper).last_lat == bodies[done % 2]["lat"]


def test_what_was_done_through_several_databases_is_said_although_the_key_was_taken_meanwhile():
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    phone = Phone(taken.shopper_id)
    phone.send(f"offers/{taken.offer_id}/accept")
    fulfilment.StoreOrder.objects.filter(pk=order_id).update(status="delivering")
    real, asked = idempotency.kept, mock.Mock()
    asked.side_effect = lambda *args, **known: None if asked.call_count == 1 else real(*args, **known)
    with (
        mock.patch.object(idempotency, "kept", asked),
        mock.patch.object(fulfilment_services.delivering.orders, "check_pin", return_value=True),
    ):
        delivered = phone.send(f"orders/{order_id}/deliver", BY_PIN)
    assert (said(delivered), delivered.json()["status"]) == ((200, "", ""), "delivered")
    assert said(phone.send(f"orders/{order_id}/deliver", BY_PIN)) == (422, "idempotency_conflict", "")


def test_killed_after_the_commit_the_caller_gets_the_first_answer():
    offered = make_offer()
    phone = Phone(offered.shopper_id)
    with mock.patch.object(header, "_response", side_effect=Killed), pytest.raises(Killed):
        phone.send(f"offers/{offered.offer_id}/decline")
    connections.close_all()
    assert models.Offer.objects.get(pk=offered.offer_id).status == "declined"
    assert said(phone.send(f"offers/{offered.offer_id}/decline")) == (204, "", "true")
    assert told(offered.store.id, "dispatch.offer_closed") == 1


def test_killed_before_the_commit_nothing_was_done():
    offered = make_offer()
    phone = Phone(offered.shopper_id)
    with mock.patch.object(idempotency, "keep", side_effect=Killed), pytest.raises(Killed):
        phone.send(f"offers/{offered.offer_id}/decline")
    connections.close_all()
    assert (models.Offer.objects.get(pk=offered.offer_id).status, kept()) == ("sent", 0)
    assert said(phone.send(f"offers/{offered.offer_id}/decline")) == (204, "", "")


def test_killed_between_several_databases_the_caller_gets_what_was_done():
    offered = make_offer()
    phone = Phone(offered.shopper_id)
    with mock.patch.object(idempotency, "keep", side_effect=Killed), pytest.raises(Killed):
        phone.send(f"offers/{offered.offer_id}/accept")
    connections.close_all()
    assert models.Batch.objects.get(pk=offered.batch_id).shopper_id == offered.shopper_id
    first = phone.send(f"offers/{offered.offer_id}/accept")
    again = phone.send(f"offers/{offered.offer_id}/accept")
    assert (said(first), said(again)) == ((200, "", ""), (200, "", "true"))
    assert first.json()["batch_id"] == str(offered.batch_id)
    assert told(offered.store.id, "dispatch.offer_accepted") == 1


def test_an_answer_lies_with_the_bucket_it_is_about_and_cannot_be_read_there():
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    Phone(taken.shopper_id).send(f"orders/{order_id}/start-picking")
    (answer,) = StoreAnswer.objects.using(sharding.alias_of_id("store", order_id))
    assert answer.place == sharding.bucket_of_id(answer.pk) == sharding.bucket_of_id(order_id)
    assert answer.owner == taken.shopper_id
    assert b"Beans" not in bytes(answer.body)
    shopper = make_shopper(7, online=False, name="Grace Hopper")
    Phone(shopper).send("online", HERE)
    (mine,) = ShopperAnswer.objects.filter(place=sharding.bucket_of_key(shopper), owner=shopper)
    assert b"Grace" not in bytes(mine.body)


def test_a_wrong_pin_counts_once_however_often_it_is_sent():
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    phone = Phone(taken.shopper_id)
    fulfilment.StoreOrder.objects.filter(pk=order_id).update(status="delivering")
    tried = []

    def check(**order):
        tried.append(order)
        return False

    with mock.patch.object(fulfilment_services.delivering.orders, "check_pin", check):
        answers = [phone.send(f"orders/{order_id}/deliver", BY_PIN) for _ in range(3)]
    assert [said(answer)[:2] for answer in answers] == [(answers[0].status_code, "pin_wrong")] * 3
    assert len(tried) == 1


def test_what_may_work_later_is_not_kept():
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    phone = Phone(taken.shopper_id)
    with mock.patch.object(fulfilment_services, "start_picking", side_effect=OrderNotFound("gone")) as called:
        phone.send(f"orders/{order_id}/start-picking")
        phone.send(f"orders/{order_id}/start-picking")
    assert called.call_count == 1
    with mock.patch.object(
        fulfilment_services, "start_picking", side_effect=sharding.ShardUnavailable("store_0", "away")
    ) as called:
        for _ in range(2):
            away = phone.send(f"orders/{order_id}/start-picking", key="other")
            assert (away.status_code, away["Retry-After"]) == (503, "2")
    assert called.call_count == 2
