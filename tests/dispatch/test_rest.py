"""The shopper's app against the interface: who may see and do what, and in which words it is refused."""

import base64
import json

import pytest
from django.contrib.auth import get_user_model
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from apps.accounts.api.jwt import Claims
from apps.common import clock
from apps.dispatch import models
from apps.fulfilment import models as fulfilment_models
from apps.fulfilment import selectors as fulfilment
from apps.shoppers import models as shopper_models
from instacart.env import ROOT
from tests.dispatch.factories import NOW, make_accepted, make_offer
from tests.queries import counted
from tests.shoppers.factories import make_shopper

pytestmark = pytest.mark.django_db(databases="__all__")

ABSENT = 9_000_000_000_000_000_000


@pytest.fixture(autouse=True)
def afternoon():
    with clock.shifted_to(NOW):
        yield


def app(user_id, scopes=("shopper",)):
    client = APIClient()
    if user_id is not None:
        claims = Claims(user_id=user_id, client_id="shopper-app", scopes=frozenset(scopes))
        client.force_authenticate(get_user_model()(pk=user_id), token=claims)
    return client


def call(client, verb, path, body=None):
    headers = {"Idempotency-Key": "only"} if path.endswith("/replacement") else {}
    return getattr(client, verb)(f"/api/v1/{path}", body, format="json", headers=headers)


PHOTO = base64.b64encode(b"GIF89a").decode()
BODIES = {
    "shopper-order-receipt": {"total_cents": 1, "attempt": 1},
    "shopper-order-bags": {"count": 1},
    "shopper-online": {"lat": 39.96, "lng": -82.99},
    "shopper-positions": {"positions": [{"lat": 39.96, "lng": -82.99, "at": NOW.isoformat()}]},
    "shopper-order-line": {"status": "found", "quantity": "1"},
    "shopper-order-replacement": {"item_id": "1", "quantity": "1"},
    "shopper-order-deliver": {"proof": {"kind": "photo", "photo": PHOTO}},
}
ROUTES = {
    "shopper-me": ("get", "shopper/me"),
    "shopper-online": ("post", "shopper/online"),
    "shopper-offline": ("post", "shopper/offline"),
    "shopper-positions": ("post", "shopper/positions"),
    "shopper-earnings": ("get", "shopper/earnings"),
    "shopper-statement": ("get", "shopper/statements"),
    "shopper-offers": ("get", "shopper/offers"),
    "shopper-heat-map": ("get", "shopper/heat-map"),
    "shopper-batch": ("get", "shopper/batch"),
    "shopper-offer-accept": ("post", "shopper/offers/{offer}/accept"),
    "shopper-offer-decline": ("post", "shopper/offers/{offer}/decline"),
    "shopper-order": ("get", "shopper/orders/{order}"),
    "shopper-order-start-picking": ("post", "shopper/orders/{order}/start-picking"),
    "shopper-order-line": ("put", "shopper/orders/{order}/lines/{line}"),
    "shopper-order-suggestions": ("get", "shopper/orders/{order}/lines/{line}/suggestions"),
    "shopper-order-replacement": ("post", "shopper/orders/{order}/lines/{line}/replacement"),
    "shopper-order-checkout": ("post", "shopper/orders/{order}/checkout"),
    "shopper-order-receipt": ("post", "shopper/orders/{order}/receipt"),
    "shopper-order-bags": ("post", "shopper/orders/{order}/bags"),
    "shopper-order-start-delivery": ("post", "shopper/orders/{order}/start-delivery"),
    "shopper-order-deliver": ("post", "shopper/orders/{order}/deliver"),
}
WITH_AN_ID = {name: route for name, route in ROUTES.items() if "{" in route[1]}


def names(patterns):
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield pattern.name


def test_every_route_of_the_shopper_is_in_this_table():
    assert {name for name in names(get_resolver().url_patterns) if name.startswith("shopper-")} == set(ROUTES)


@pytest.mark.parametrize("name", ROUTES)
def test_nobody_without_a_shoppers_token_gets_anywhere(name):
    verb, path = ROUTES[name]
    path = path.format(offer=1, order=1, line=1)
    anonymous = call(app(None), verb, path, BODIES.get(name))
    assert (anonymous.status_code, anonymous["WWW-Authenticate"]) == (401, "Bearer")
    customer = call(app(5, scopes=["customer"]), verb, path, BODIES.get(name))
    assert customer.status_code == 403
    for answer in (anonymous, customer):
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json().keys() == {"type", "title", "status", "code", "detail"}


@pytest.mark.parametrize("name", WITH_AN_ID)
def test_what_is_anothers_and_what_is_absent_is_answered_alike_and_untouched(name):
    verb, path = WITH_AN_ID[name]
    offered, begun = make_offer(), make_accepted()
    stranger = app(make_shopper(offered.store.zone_id))
    line = fulfilment_models.PickLine.objects.filter(store_order_id=begun.store_order_ids[0]).first()
    others = path.format(offer=offered.offer_id, order=begun.store_order_ids[0], line=line.line_id)
    absents = [path.format(offer=absent, order=absent, line=1) for absent in (offered.offer_id + 1, 1, ABSENT, 2**63)]
    nonsense = [path.format(offer=absent, order=absent, line=1) for absent in ("-1", "1e3", "٣", "abc", "9" * 40)]

    foreign = call(stranger, verb, others, BODIES.get(name))

    assert foreign.status_code == 404
    for absent in absents[:3]:
        answer = call(stranger, verb, absent, BODIES.get(name))
        assert (answer.status_code, answer.json()) == (404, foreign.json())
    for unlikely in [absents[3], *nonsense]:
        assert call(stranger, verb, unlikely, BODIES.get(name)).status_code == 404
    assert models.Offer.objects.get(pk=offered.offer_id).status == "sent"
    (order,) = fulfilment.store_orders(store_order_ids=begun.store_order_ids).values()
    assert (order.status, order.shopper_id) == ("assigned", begun.shopper_id)
    assert {line.status for line in order.lines} == {"not_picked"}


@pytest.mark.parametrize("name", ["shopper-me", "shopper-online", "shopper-offline", "shopper-positions"])
def test_a_token_does_not_make_a_shopper(name):
    verb, path = ROUTES[name]
    answer = call(app(77), verb, path, BODIES.get(name))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_a_shopper")
    assert not shopper_models.Shopper.objects.filter(pk=77).exists()


def test_going_online_and_off():
    shopper = make_shopper(7, online=False, name="Grace Hopper")
    online = call(
        app(shopper), "post", "shopper/online", {"lat": 39.96, "lng": -82.99, "until": "2026-05-04T20:30:00Z"}
    )
    assert online.status_code == 200
    assert online.json() == {
        "id": str(shopper),
        "name": "Grace Hopper",
        "zone_id": "7",
        "vehicle": "car",
        "state": "active",
        "is_online": True,
        "online_since": online.json()["online_since"],
        "shift_ends_at": "2026-05-04T20:30:00Z",
        "rating": None,
        "ratings": 0,
    }
    offline = call(app(shopper), "post", "shopper/offline").json()
    assert (offline["is_online"], offline["online_since"], offline["shift_ends_at"]) == (False, None, None)


@pytest.mark.parametrize(
    ("until", "code"), [("2026-05-04T15:59:00Z", "shift_invalid"), ("tomorrow", "invalid"), (None, "invalid")]
)
def test_an_end_of_the_shift_that_is_none_is_refused(until, code):
    shopper = make_shopper(7, online=False)
    answer = call(app(shopper), "post", "shopper/online", {"lat": 39.96, "lng": -82.99, "until": until})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert shopper_models.Shopper.objects.get(pk=shopper).is_online is False


@pytest.mark.parametrize("body", [{}, {"lat": 91, "lng": 0}, {"lat": "NaN", "lng": 0}, {"lat": 39.9}, [], "x"])
def test_a_place_that_is_none_is_refused(body):
    shopper = make_shopper(7, online=False)
    answer = call(app(shopper), "post", "shopper/online", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert shopper_models.Shopper.objects.get(pk=shopper).is_online is False


def test_an_hour_of_positions_at_once_is_taken_and_only_the_newest_counts():
    shopper = make_shopper(7)
    old = [{"lat": 40.5, "lng": -83.5, "at": f"2026-05-04T15:{minute:02}:00Z"} for minute in range(56)]
    assert call(app(shopper), "post", "shopper/positions", {"positions": old}).json() == {"is_used": False}
    fresh = [*old, {"lat": 40.1, "lng": -83.1, "at": "2026-05-04T16:00:00Z"}, old[3]]
    assert call(app(shopper), "post", "shopper/positions", {"positions": fresh}).json() == {"is_used": True}
    assert call(app(shopper), "post", "shopper/positions", {"positions": []}).status_code == 422
    assert call(app(shopper), "post", "shopper/positions", {"positions": old * 10}).status_code == 422


def test_an_offer_is_shown_accepted_twice_and_shown_no_more():
    offered = make_offer(orders=2)
    phone = app(offered.shopper_id)
    with counted() as queries:
        (offer,) = call(phone, "get", "shopper/offers").json()["offers"]
    assert queries.total == 7
    assert (offer["id"], offer["batch_id"]) == (str(offered.offer_id), str(offered.batch_id))
    assert (offer["order_count"], offer["items"], offer["units"], offer["tips_cents"]) == (2, 4, 6, 600)
    first = call(phone, "post", f"shopper/offers/{offered.offer_id}/accept")
    again = call(phone, "post", f"shopper/offers/{offered.offer_id}/accept")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert call(phone, "get", "shopper/offers").json() == {"offers": []}


def test_a_declined_offer_cannot_be_accepted():
    offered = make_offer()
    phone = app(offered.shopper_id)
    assert call(phone, "post", f"shopper/offers/{offered.offer_id}/decline").status_code == 204
    assert call(phone, "post", f"shopper/offers/{offered.offer_id}/decline").status_code == 204
    late = call(phone, "post", f"shopper/offers/{offered.offer_id}/accept")
    assert (late.status_code, late.json()["code"]) == (409, "offer_gone")


def test_without_a_batch_there_is_none():
    assert call(app(make_shopper(7)), "get", "shopper/batch").json() == {"batch": None}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"status": "found"}, "invalid"),
        ({"status": "stolen", "quantity": "1"}, "invalid"),
        ({"status": "found", "quantity": "NaN"}, "invalid"),
        ({"status": "found", "quantity": "1e9999"}, "invalid"),
        ({"status": "found", "quantity": "1.0001"}, "invalid"),
        ({"status": "found", "quantity": "-1"}, "found_quantity_invalid"),
        ({"status": "found", "quantity": "0"}, "found_quantity_invalid"),
        ({"status": "found", "quantity": "3"}, "found_quantity_invalid"),
        ({"status": "found", "quantity": "1.5"}, "found_quantity_invalid"),
        ({"status": "to_refund", "reason": "sold out"}, "invalid"),
        ({"status": "to_refund", "reason": "taken_out"}, "invalid"),
        ({"status": "to_refund"}, "invalid"),
    ],
)
def test_a_line_that_cannot_be_so_is_refused_and_not_written(body, code):
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    phone = app(taken.shopper_id)
    call(phone, "post", f"shopper/orders/{order_id}/start-picking")
    line = fulfilment_models.PickLine.objects.get(store_order_id=order_id, sold_by="count")
    answer = call(phone, "put", f"shopper/orders/{order_id}/lines/{line.line_id}", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    line.refresh_from_db()
    assert line.status == "not_picked"


def test_steps_out_of_turn_are_refused_with_their_reason():
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    phone = app(taken.shopper_id)
    early = call(phone, "post", f"shopper/orders/{order_id}/checkout")
    assert (early.status_code, early.json()["code"]) == (409, "wrong_stage")
    call(phone, "post", f"shopper/orders/{order_id}/start-picking")
    still_open = call(phone, "post", f"shopper/orders/{order_id}/checkout")
    assert (still_open.status_code, still_open.json()["code"]) == (409, "lines_open")


@pytest.mark.parametrize(
    ("proof", "code"),
    [
        ({"kind": "photo", "photo": base64.b64encode(b"<svg/>").decode()}, "photo_invalid"),
        ({"kind": "photo", "photo": "not base64!"}, "photo_invalid"),
        ({"kind": "photo"}, "invalid"),
        ({"kind": "pin", "pin": "12"}, "invalid"),
        ({"kind": "pin"}, "invalid"),
        ({"kind": "word of honour"}, "invalid"),
    ],
)
def test_what_proves_nothing_delivers_nothing(proof, code):
    taken = make_accepted()
    (order_id,) = taken.store_order_ids
    fulfilment_models.StoreOrder.objects.filter(pk=order_id).update(status="delivering")
    answer = call(app(taken.shopper_id), "post", f"shopper/orders/{order_id}/deliver", {"proof": proof})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert fulfilment_models.StoreOrder.objects.get(pk=order_id).status == "delivering"
    assert not fulfilment_models.Proof.objects.filter(store_order_id=order_id).exists()


def test_the_schema_is_complete_and_without_warnings(capsys, client):
    schema = client.get("/api/v1/schema/?format=json")
    assert schema.status_code == 200
    document = json.loads(schema.content)
    documented = {(path, verb) for path, verbs in document["paths"].items() for verb in verbs}
    for verb, path in ROUTES.values():
        spelled = path.format(offer="{offer_id}", order="{store_order_id}", line="{line_id}")
        assert (f"/api/v1/{spelled}", verb) in documented
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_the_schema_in_docs_is_the_one_that_is_served(client):
    """``manage.py spectacular --format openapi-json --file docs/openapi.json`` writes it anew."""
    served = json.loads(client.get("/api/v1/schema/?format=json").content)
    written = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert written == served
