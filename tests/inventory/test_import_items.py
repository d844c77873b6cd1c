"""The command as people run it, with the real catalogue of one chain and with planted errors."""

import csv
import gzip
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.catalog import selectors as catalog
from apps.common.money import Money
from apps.inventory import selectors
from apps.stores import selectors as stores
from tests import real_data
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

HEADER = "sku,name,brand_name,price_unit,formatted_price,snap_eligible,categories\n"
OWN = "lookup_code,name,cost_price_per_unit,cost_unit,balance_on_hand\n"


@pytest.fixture
def take(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def take(store: str, text: str, **options: object) -> list[str]:
        path = tmp_path / "feed.csv"
        path.write_text(text, encoding="utf-8")
        call_command("import_items", path, store=store, **options)
        return capsys.readouterr().out.splitlines()

    return take


def written(report: Path) -> list[list[str]]:
    return list(csv.reader(report.read_text(encoding="utf-8").splitlines()))


def stock(store_id: int) -> dict[str, Decimal]:
    items = catalog.items(store_id=store_id).items
    levels = selectors.levels(store_id=store_id, item_ids=[item.id for item in items])
    return {item.lookup_code: levels[item.id].on_hand for item in items}


def test_the_columns_of_aldi(take) -> None:
    store = make_store()
    out = take(
        store.code,
        HEADER
        + '1,"Bananas, per lb",,lb,$0.49,True,"Fresh Produce, Fresh Fruit"\n'
        + '2,"Granulated Sugar, 4 lb",Baker\'s,lb,$3.45,True,"Pantry Essentials, Baking, Sweet & Sour"\n'
        + '3,Asparagus,,lb,$1.88,True,"Fresh Produce, Fresh Vegetables "\n'
        + '4,"Lager Beer - 6 pack, 11.2 fl oz Bottle",Brew,fl oz,$7.99,False,"Alcohol, Beer"\n'
        + "5,Paper Bag with Handles,,ct,$0.12,False,\n",
    )
    assert out == [
        (
            f"5 rows for {store.name} ({store.code}): 5 created, 0 updated, 0 unchanged, 0 bad; "
            "stock from the feed for 0, 40 assumed for 5"
        )
    ]
    found = {item.lookup_code: item for item in catalog.items(store_id=store.id).items}
    assert [(i.name, i.size, i.cost_unit, i.unit_price_text) for i in map(found.__getitem__, "12345")] == [
        ("Bananas", "", "lb", "$0.49/lb"),
        ("Granulated Sugar", "4 lb", "each", "86.3¢/lb"),
        ("Asparagus", "", "lb", "$1.88/lb"),
        ("Lager Beer", "6 pack, 11.2 fl oz Bottle", "each", "11.9¢/fl oz"),
        ("Paper Bag with Handles", "", "each", ""),
    ]
    assert [(i.department, i.aisle, i.tax_category, i.alcoholic) for i in map(found.__getitem__, "12345")] == [
        ("Fresh Produce", "Fresh Fruit", "grocery", False),
        ("Pantry Essentials", "Baking, Sweet & Sour", "grocery", False),
        ("Fresh Produce", "Fresh Vegetables", "grocery", False),
        ("Alcohol", "Beer", "alcohol", True),
        ("Other", "", "general", False),
    ]
    assert stock(store.id) == dict.fromkeys("12345", Decimal(40))


def test_stock_comes_from_the_feed_or_is_assumed_once(take) -> None:
    store = make_store()
    rows = OWN + "1,Milk,3.49,each,12\n2,Grapes,2.99,lb,30.5\n3,Tea,1.00,each,\n"
    assert take(store.code, rows, on_hand=7)[-1].endswith("stock from the feed for 2, 7 assumed for 1")
    assert stock(store.id) == {"1": Decimal(12), "2": Decimal("30.5"), "3": Decimal(7)}
    rows = OWN + "1,Milk,3.49,each,0\n2,Grapes,2.99,lb,\n3,Tea,1.00,each,\n"
    assert take(store.code, rows, on_hand=99)[-1].endswith("stock from the feed for 1, 99 assumed for 0")
    assert stock(store.id) == {"1": Decimal(0), "2": Decimal("30.5"), "3": Decimal(7)}


def test_bad_rows_are_shown_and_written_to_the_report(take, tmp_path: Path) -> None:
    store = make_store()
    report = tmp_path / "report.csv"
    out = take(store.code, OWN + "1,Milk,3.49,each,12\n2,=Tea,free,each,1\n", report=report)
    assert out[:2] == [
        'line 3, name "\'=Tea" starts like a spreadsheet formula',
        "line 3, cost_price_per_unit 'free' is not a price such as 2.15",
    ]
    assert ": 1 created, 0 updated, 0 unchanged, 1 bad;" in out[2]
    assert written(report) == [
        ["line", "column", "value", "reason"],
        ["3", "name", "'=Tea", "starts like a spreadsheet formula"],
        ["3", "cost_price_per_unit", "free", "is not a price such as 2.15"],
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "header names neither"),
        (OWN, "No row could be read"),
        (OWN + "1,Milk,free,each,1\n", "No row could be read"),
    ],
)
def test_nothing_readable_is_an_error(take, text: str, why: str) -> None:
    store = make_store()
    with pytest.raises(CommandError, match=why):
        take(store.code, text)
    assert catalog.items(store_id=store.id).items == ()


def test_an_unknown_store_is_an_error(take) -> None:
    with pytest.raises(CommandError, match="no store with the code nowhere-1"):
        take("nowhere-1", OWN + "1,Milk,3.49,each,12\n")


def test_too_many_bytes_are_an_error(tmp_path: Path) -> None:
    store = make_store()
    path = tmp_path / "feed.csv.gz"
    path.write_bytes(gzip.compress((OWN + "1,Milk,3.49,each,12\n" * 1000).encode()))
    with pytest.raises(CommandError, match="more than 10,000 bytes"):
        call_command("import_items", path, store=store.code, max_bytes=10_000)
    assert catalog.items(store_id=store.id).items == ()


def test_the_real_catalogue_in_a_real_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    feed = real_data.file("aldi_us/products.csv.gz")
    call_command("import_stores", real_data.file("stores_us/stores_columbus_oh.csv"), only_metro="columbus")
    store = stores.store_by_code(code="aldi-24")

    def take(path: Path) -> str:
        capsys.readouterr()
        call_command("import_items", path, store="aldi-24")
        return capsys.readouterr().out.splitlines()[-1]

    start = f"2359 rows for {store.name} (aldi-24): "
    assert take(feed) == (
        start + "2359 created, 0 updated, 0 unchanged, 0 bad; stock from the feed for 0, 40 assumed for 2359"
    )
    assert take(feed) == (
        start + "0 created, 0 updated, 2359 unchanged, 0 bad; stock from the feed for 0, 40 assumed for 0"
    )

    departments = catalog.departments(store_id=store.id)
    assert (len(departments), sum(department.item_count for department in departments)) == (21, 2359)
    assert {d.name: d.item_count for d in departments}["Fresh Produce"] == 94
    chips = catalog.items(store_id=store.id, text="original kettle chips clancy's").items
    assert [(i.lookup_code, i.size, i.price, i.unit_price_text) for i in chips] == [
        ("0000000000000005", "8 oz", Money(215), "26.9¢/oz")
    ]
    shelves = catalog.first_pages(store_ids=[store.id], department="fresh-produce", limit=100)[store.id].items
    assert {i.name: (i.sold_by, i.price) for i in shelves}["Bananas"] == ("weight", Money(18))

    # The same file with one price changed, four rows spoilt and one line too many.
    lines = gzip.decompress(feed.read_bytes()).decode().split("\n")
    lines[1] = lines[1].replace("$2.15", "$2.25")
    lines[2] = lines[2].replace("$4.39", "4.399")
    lines[3] = lines[3].replace("$3.85", "NaN")
    lines[4] = lines[4].replace("0000000000000010", "0000000000000005")
    lines[5] = lines[5].replace(",True,", ",maybe,")
    spoilt = tmp_path / "spoilt.csv"
    spoilt.write_text("\n".join([*lines[:6], "one,cell,too,few", *lines[6:]]), encoding="utf-8", newline="")
    report = tmp_path / "report.csv"
    capsys.readouterr()
    call_command("import_items", spoilt, store="aldi-24", report=report)
    assert capsys.readouterr().out.splitlines()[-1] == (
        "2360 rows for ALDI Hilliard (aldi-24): 0 created, 1 updated, 2354 unchanged, 5 bad; "
        "stock from the feed for 0, 40 assumed for 0"
    )
    assert written(report)[1:] == [
        ["3", "formatted_price", "4.399", "is not a price such as 2.15"],
        ["4", "formatted_price", "NaN", "is not a price such as 2.15"],
        ["5", "sku", "0000000000000005", "is on line 2 already"],
        ["6", "snap_eligible", "maybe", "is neither true nor false"],
        ["7", "", "", "has 4 cells where the header has 13"],
    ]
