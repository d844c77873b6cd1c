"""The real stores of one city and the real catalogue of one chain, imported as people import them, and ordered from."""

import gzip
from decimal import Decimal

import pytest
from django.core.management import call_command

import sharding
from apps.catalog import selectors as catalog
from apps.common import outbox
from apps.inventory import models as inventory
from apps.slots import tasks as slots
from apps.stores import selectors as stores
from instacart import invariants
from tests import real_data
from tests.flows import people, steps
from tests.flows.people import Customer, Shopper
from tests.orders.factories import MORNING

pytestmark = pytest.mark.django_db(databases="__all__")

STORE = "aldi-24"
CHIPS = "0000000000000005"
SPOILT = {  # line -> what stands there, what is put there, the report
    3: ("$4.39", "4.399", "line 3, formatted_price '4.399' is not a price such as 2.15"),
    4: ("$3.85", "", "line 4, formatted_price '' is empty"),
    5: ("0000000000000010", CHIPS, f"line 5, sku '{CHIPS}' is on line 2 already"),
    6: (",True,", ",maybe,", "line 6, snap_eligible 'maybe' is neither true nor false"),
}


@pytest.fixture
def feed(tmp_path):
    """The catalogue as it came, four of its rows spoilt and one line too short put in."""
    lines = gzip.decompress(real_data.file("aldi_us/products.csv.gz").read_bytes()).decode().split("\n")
    for number, (real, planted, _) in SPOILT.items():
        assert real in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(real, planted)
    lines.insert(6, "one,cell,too,few")
    path = tmp_path / "products.csv"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    return path


@pytest.fixture
def directory(tmp_path):
    """The stores as they came, and one without a place on Earth."""
    path = tmp_path / "stores.csv"
    real = real_data.file("stores_us/stores_columbus_oh.csv").read_text(encoding="utf-8")
    path.write_text(real.rstrip("\n") + "\nALDI,999,Nowhere,1 Road,Columbus,OH,43215,north,-82.9\n", encoding="utf-8")
    return path


def test_real_goods_from_a_real_store_come_to_the_door(bank, feed, directory, capsys):
    call_command("import_stores", directory, only_metro="columbus")
    told = capsys.readouterr().out.splitlines()
    last_line = len(directory.read_text(encoding="utf-8").splitlines())
    assert f"line {last_line}, lat 'north' is not a number of degrees between -90 and 90" in told
    call_command("import_items", feed, store=STORE)
    *bad, summary = capsys.readouterr().out.splitlines()
    assert bad == [report for _, _, report in SPOILT.values()] + ["line 7, row '' has 4 cells where the header has 13"]
    store = stores.store_by_code(code=STORE)
    assert summary == (
        f"2360 rows for {store.name} (aldi-24): 2355 created, 0 updated, 0 unchanged, 5 bad; "
        "stock from the feed for 0, 40 assumed for 2355"
    )
    assert sum(department.item_count for department in catalog.departments(store_id=store.id)) == 2355
    slots.open_windows()

    shop = sharding.alias_for("store", store.id)
    elsewhere = str(1 - int(shop[-1]))
    customer = Customer(bank, at=store.point, shard=f"customer_{elsewhere}")
    shopper = Shopper(zone_id=store.zone_id, at=store.point, shard=f"shopper_{elsewhere}")
    shelf = {item["lookupCode"]: item for item in items(customer, store.id, "original kettle chips clancy's")}
    chips = shelf[CHIPS]
    bananas = next(item for item in items(customer, store.id, "bananas") if item["name"] == "Bananas")
    assert (chips["soldBy"], chips["priceCents"]) == ("count", 215)
    assert (bananas["soldBy"], bananas["costUnit"], bananas["priceCents"]) == ("weight", "lb", 18)

    customer.set_line(store.id, bananas["id"], "3.5")
    cart = customer.set_line(store.id, chips["id"], "5")
    assert cart["subtotalCents"] == 63 + 1075
    placed = customer.place(customer.request(store.id, cart["version"]))
    assert placed["status"] == "brand_new"
    outbox.drain()
    steps.take_offer(shopper)
    outbox.drain()
    entry = shopper.only_order()
    outcomes = {
        "Bananas": {"status": "found", "quantity": "3.395"},
        chips["name"]: {"status": "found", "quantity": "5"},
    }
    steps.pick(shopper, entry["store_order_id"], outcomes=outcomes)
    steps.bring(shopper, entry["store_order_id"], customer.order(placed["orderId"])["pin"])

    order = customer.order(placed["orderId"])
    goods = {line["label"]: line["amountCents"] for line in order["adjustments"] if line["phase"] == "final"}
    assert (order["status"], goods["Bananas"], goods[chips["name"]]) == ("delivered", 61, 1075)
    assert order["capturedCents"] == sum(goods.values()) == order["totalCents"]
    (intent,) = bank.objects("payment_intent")
    assert intent["amount_received"] == order["capturedCents"]
    levels = inventory.StockLevel.objects.filter(store_id=store.id, item_id__in=[int(chips["id"]), int(bananas["id"])])
    assert dict(levels.values_list("item_id", "on_hand")) == {
        int(chips["id"]): Decimal(35),
        int(bananas["id"]): Decimal("36.605"),
    }
    assert (
        invariants.violations(now=MORNING, intents=invariants.at_provider(), acknowledged=[int(placed["orderId"])])
        == []
    )


def items(customer, store_id, text):
    return customer.ask(people.ITEMS, id=str(store_id), text=text)["store"]["items"]["nodes"]
