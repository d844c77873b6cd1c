"""What an operator may decide about one order, with the permission and without it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType

from apps.accounts import services as accounts
from apps.accounts.models import User
from apps.common import clock
from apps.dispatch import models as dispatch
from apps.dispatch import selectors
from apps.dispatch import services as dispatch_services
from apps.dispatch.steering.models import Override
from apps.dispatch.types import By
from tests.accounts.factories import make_staff
from tests.dispatch.factories import NOW, make_accepted, make_offer
from tests.fulfilment.factories import make_waiting_store_order
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store
from tests.web.pages import signed_in

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("nobody_online")]

USUAL = {"reason": "The customer called", "minutes": "20"}


@pytest.fixture(autouse=True)
def four_in_the_afternoon():
    with clock.shifted_to(NOW + timedelta(seconds=1)):
        yield


def make_operator(email="operator@example.com", *, may_decide=True):
    user_id = make_staff(email=email)
    accounts.grant_role(user_id=user_id, role="operator")
    if may_decide:
        permission, _ = Permission.objects.get_or_create(
            codename="steer_dispatch", content_type=ContentType.objects.get_for_model(Override)
        )
        User.objects.get(pk=user_id).user_permissions.add(permission)
    return signed_in(user_id)


@pytest.fixture
def decider():
    """A browser in which an operator is signed in who may decide instead of the planner."""
    return make_operator()


@pytest.fixture
def store():
    return make_store(zone="Downtown")


def path(store, order):
    return f"/admin/zones/{store.zone_id}/orders/{order}/"


def post(client, store, order, action, **fields):
    return client.post(path(store, order), USUAL | {"action": action} | fields, follow=True)


def stands(store):
    return [(one.kind, one.reason) for one in selectors.zone_overrides(store_ids=[store.id], now=clock.now())]


def test_an_order_is_assigned_together_with_another(decider, store):
    shopper = make_shopper(store.zone_id, point=store.point)
    order, other = (make_waiting_store_order(store=store) for _ in range(2))
    page = decider.get(path(store, order)).content.decode()
    assert f'name="with" value="{other}"' in page
    assert f"{shopper}: 0 m, car" in page
    answer = post(decider, store, order, "assign", shopper_id=str(shopper), **{"with": str(other)})
    assert f"Shopper {shopper} is being asked." in answer.content.decode()
    assert answer.redirect_chain == [(path(store, order), 302)]
    offer = dispatch.Offer.objects.get(store_id=store.id, status="sent")
    assert (offer.shopper_id, dispatch.BatchStop.objects.filter(batch_id=offer.batch_id).count()) == (shopper, 4)
    zone = decider.get(f"/admin/zones/{store.zone_id}/").content.decode()
    assert "An operator assigned it: The customer called" in zone


def test_an_order_is_kept_back_and_freed_again(decider, store):
    order = make_waiting_store_order(store=store)
    assert "Nobody is asked for the order until then." in post(decider, store, order, "keep_back").content.decode()
    row = Override.objects.get(store_id=store.id)
    assert row.expires_at - row.created_at == timedelta(minutes=20)
    assert "“The customer called”" in decider.get(f"/admin/zones/{store.zone_id}/").content.decode()
    undone = post(decider, store, order, "undo", override_id=str(row.pk))
    assert "Undone. The planner decides again." in undone.content.decode()
    assert stands(store) == []
    again = post(decider, store, order, "undo", override_id=str(row.pk))
    assert (again.status_code, "It is over already" in again.content.decode()) == (409, True)


def test_a_live_offer_is_kept_together_and_withdrawn(decider):
    offered = make_offer(orders=2)
    store, order = offered.store, offered.store_order_ids[0]
    assert "Assign to one shopper" not in decider.get(path(store, order)).content.decode()
    post(decider, store, order, "pin", batch_id=str(offered.batch_id))
    answer = post(decider, store, order, "withdraw", batch_id=str(offered.batch_id))
    assert "The offer is withdrawn." in answer.content.decode()
    assert dispatch.Batch.objects.get(pk=offered.batch_id).status == "open"
    assert sorted(kind for kind, _ in stands(store)) == ["pin", "pin", "withdraw", "withdraw"]


def test_an_accepted_batch_is_taken_back(decider):
    taken = make_accepted()
    (order,) = taken.store_order_ids
    answer = post(decider, taken.store, order, "take_back", batch_id=str(taken.batch_id))
    assert "The batch is taken back." in answer.content.decode()
    assert dispatch.Batch.objects.get(pk=taken.batch_id).status == "canceled"


def test_a_shopper_is_forbidden_by_number(decider, store):
    order = make_waiting_store_order(store=store)
    post(decider, store, order, "forbid", shopper_id="31")
    assert stands(store) == [("forbid", "The customer called")]
    assert Override.objects.get(store_id=store.id).shopper_id == 31


@pytest.mark.parametrize(
    ("action", "fields", "status"),
    [
        ("keep_back", {"reason": " "}, 422),
        ("keep_back", {"minutes": "0"}, 422),
        ("keep_back", {"minutes": "soon"}, 422),
        ("keep_back", {"minutes": "99999"}, 422),
        ("assign", {"shopper_id": "999"}, 409),
        ("assign", {"shopper_id": "<b>"}, 404),
        ("forbid", {}, 404),
        ("withdraw", {"batch_id": "77"}, 409),
        ("undo", {"override_id": "77"}, 409),
        ("dance", {}, 422),
    ],
)
def test_what_is_refused_says_so_and_keeps_what_was_typed(decider, store, action, fields, status):
    order = make_waiting_store_order(store=store)
    answer = post(decider, store, order, action, **fields)
    page = answer.content.decode()
    assert (answer.status_code, 'role="alert"' in page) == (status, True)
    assert fields.get("reason", "The customer called") in page
    assert "<b>" not in page
    assert not Override.objects.filter(store_id=store.id).exists()


def test_without_the_permission_there_are_no_buttons_and_nothing_is_done(store):
    order = make_waiting_store_order(store=store)
    dispatch_services.keep_back(
        store_id=store.id,
        store_order_id=order,
        by=By(operator_id=1, reason="Wait", now=clock.now()),
    )
    reader = make_operator("reader@example.com", may_decide=False)
    page = reader.get(path(store, order)).content.decode()
    assert "“Wait”" in page
    assert 'method="post"' not in page.partition('class="s"')[2].partition("</main>")[0]
    assert post(reader, store, order, "keep_back").status_code == 403
    (standing,) = Override.objects.filter(store_id=store.id)
    assert post(reader, store, order, "undo", override_id=str(standing.pk)).status_code == 403
    assert stands(store) == [("keep_back", "Wait")]


def test_only_operators_of_the_right_zone_find_the_order(decider, store):
    order = make_waiting_store_order(store=store)
    assert decider.get(f"/admin/zones/{store.zone_id + 999}/orders/{order}/").status_code == 404
    assert decider.get(path(store, 999)).status_code == 404
    clerk = signed_in(make_staff(email="clerk@example.com"))
    assert clerk.get(path(store, order)).status_code == 403
    assert post(clerk, store, order, "keep_back").status_code == 403
    assert stands(store) == []
