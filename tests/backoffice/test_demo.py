"""The demo city: exact, the same at every start, and never lost by starting again."""

import random
from collections import Counter
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.accounts import selectors as accounts
from apps.backoffice.demo import city, people, sayings
from apps.backoffice.demo.goods import goods
from apps.catalog import selectors as catalog
from apps.common import clock, outbox
from apps.inventory import selectors as inventory
from apps.shoppers import selectors as shoppers
from apps.slots import selectors as slots
from apps.stores import selectors as stores
from apps.support import selectors as support
from tests.orders.factories import MORNING, make_customer, make_market
from tests.orders.snapshots import changed, snapshot
from tests.support.conftest import photos_of_their_own
from tests.support.factories import SOON, make_delivered, now_of
from tests.support.invariants import violations
from tests.web.pages import Html

__all__ = ["photos_of_their_own"]

PASSWORD = "demo-password-4711"


@pytest.fixture
def demo(settings):
    settings.DEMO, settings.DEMO_PASSWORD = True, PASSWORD


def load():
    said = StringIO()
    call_command("load_demo", past_orders=0, stdout=said)
    return said.getvalue()


def shelf(store_id):
    items, after = [], None
    while True:
        page = catalog.items(store_id=store_id, after=after, limit=100)
        items += page.items
        after = page.next_cursor
        if after is None:
            return items


SHELVES = {
    "marigold-1": (255, 100),
    "marigold-2": (253, 100),
    "harbor-1": (252, 113),
    "harbor-2": (253, 113),
    "vine-1": (260, 87),
    "mill-1": (253, 87),
    "dover-1": (256, 100),
    "pantry-1": (258, 155),
}
"""Items and scheduled windows that can be ordered in on a Monday at ten."""


@pytest.mark.django_db(databases="__all__")
class TestTheCity:
    def test_it_has_these_stores_goods_and_windows(self, demo):
        load()
        found = {}
        for store_id in city.store_ids():
            on_shelf = shelf(store_id)
            windows = Counter(w.kind for w in slots.open_windows(store_id=store_id, now=MORNING, minutes=30))
            found[stores.store(store_id=store_id).code] = (len(on_shelf), windows["scheduled"])
            assert windows["immediate"] == 1
            assert len({item.lookup_code for item in on_shelf}) == len(on_shelf)
            left = inventory.available(store_id=store_id, item_ids=[item.id for item in on_shelf])
            assert sum(level == 0 for level in left.values()) == 3  # something is always out
        assert found == SHELVES
        assert sum(items for items, _ in found.values()) == 2040

    def test_everybody_lives_there(self, demo):
        load()
        emails = [people.CUSTOMER, people.SHOPPER, people.STORE, people.ADMIN, "shopper-25@demo.example"]
        ids = {email: accounts.user_id_by_email(email=email) for email in emails}
        assert None not in ids.values()
        (home,) = accounts.addresses(customer_id=ids[people.CUSTOMER])
        assert len(stores.stores_delivering_to(point=home.point)) == 8
        assert accounts.staff_store_ids(user_id=ids[people.STORE]) == (city.store_ids()[0],)
        assert shoppers.shopper(shopper_id=ids[people.SHOPPER]).name == "Sam Carter"
        assert accounts.user_id_by_email(email="shopper-26@demo.example") is None

    def test_starting_again_changes_nothing(self, demo):
        load()
        before = snapshot()
        load()
        assert changed(before, snapshot()) == set()

    def test_a_day_later_there_are_the_windows_of_one_more_day(self, demo):
        load()
        before = snapshot()
        with clock.shifted_to(MORNING + timedelta(days=1)):
            load()
        assert changed(before, snapshot()) == {"slots_deliverywindow"}

    def test_a_start_that_was_interrupted_before_the_stock_was_set_is_finished(self, demo, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setattr(city.inventory, "set_on_hand", lambda **_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                load()
        load()
        store_id = city.store_ids()[0]
        left = inventory.available(store_id=store_id, item_ids=[item.id for item in shelf(store_id)])
        assert sum(level == 0 for level in left.values()) == 3

    @pytest.mark.parametrize(
        ("role", "lands_on", "heading"),
        [
            ("customer", "/stores/", "Delivering to 27 Elm Court"),
            ("shopper", "/api/v1/docs/", None),
            ("store", "/store/", "Orders to come"),
            ("admin", "/admin/", "Larder"),
        ],
    )
    def test_one_tap_signs_in(self, demo, client, role, lands_on, heading):
        load()
        response = client.post(f"/demo/sign-in/{role}/")
        assert (response.status_code, response["Location"]) == (302, lands_on)
        page = client.get(lands_on)
        assert page.status_code == 200
        assert heading is None or heading in Html.of(page).text


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(("is_demo", "password"), [(False, PASSWORD), (True, "")])
def test_elsewhere_it_is_refused_before_anything_is_made(settings, is_demo, password):
    settings.DEMO, settings.DEMO_PASSWORD = is_demo, password
    before = snapshot()
    with pytest.raises(CommandError):
        load()
    assert changed(before, snapshot()) == set()


@pytest.mark.parametrize("percent", sorted({grocer.price_percent for grocer in city.GROCERS}))
def test_the_table_of_goods(percent):
    table = list(goods(price_percent=percent))
    assert len(table) == len({good.lookup_code for good in table}) == 266
    assert [good.name for good in table if good.price_cents % 10 != 9 or good.price_cents <= 0] == []
    assert [good.name for good in table if (good.cost_unit == "lb") != bool(good.par_weight)] == []
    assert [good.name for good in table if good.is_alcoholic != (good.department == "Beer & Wine")] == []
    ranks = [(good.department, good.rank) for good in table]
    assert len(set(ranks)) == len(ranks)
    deposits = {good.size: good.deposit_cents for good in table if good.deposit_cents}
    assert deposits == {
        "8 cans": 80,
        "12 cans": 120,
        "4 cans": 40,
        "24 bottles": 240,
        "6 bottles": 60,
        "2 L": 10,
    }


def test_dearer_stores_are_dearer_in_everything():
    cheap, usual, dear = (list(goods(price_percent=percent)) for percent in (92, 100, 124))
    for low, middle, high in zip(cheap, usual, dear, strict=True):
        assert low.lookup_code == middle.lookup_code == high.lookup_code
        assert low.price_cents <= middle.price_cents <= high.price_cents


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_people_say_what_they_thought_of_their_past_deliveries(photos_of_their_own, monkeypatch):
    """The newest order of the first customer is left to whoever tries the demo."""
    monkeypatch.setattr(sayings, "REPORTED_ONE_IN", 2)
    market, first, other = make_market(), make_customer(), make_customer()
    made = [make_delivered(market=market, customer=one) for one in (first, other) for _ in range(6)]
    rated = sayings.write(customer_ids=[first.id, other.id], rng=random.Random(3), now=SOON)  # noqa: S311
    outbox.drain()
    said = {order.id: support.after_delivery(order=now_of(order)) for order in made}
    assert rated == sum(one.rating is not None for one in said.values()) > 3
    assert said[made[5].id].rating is None
    assert said[made[5].id].issues == ()
    assert {issue.kind for one in said.values() for issue in one.issues} <= {"missing", "poor_quality", "damaged"}
    assert any(one.issues for one in said.values())
    assert [line for line in violations() if "its shopper knows" not in line] == []  # nobody is shopper 7 here
