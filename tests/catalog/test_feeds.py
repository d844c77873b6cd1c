from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import sharding
from apps.catalog import models, selectors, services
from apps.catalog.errors import ItemInvalid
from apps.catalog.types import FeedItem, FeedReport, RowError
from apps.common import clock, tables
from apps.common.money import Money
from apps.stores.errors import StoreNotFound
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

OWN = """\
lookup_code,name,brand_name,size,cost_price_per_unit,cost_unit,par_weight,available,balance_on_hand,department,aisle,rank,bottle_deposit,alcoholic,tax_category,max_in_cart
100,Whole Milk,Farm,1 gal,3.49,each,,true,12,Dairy & Eggs,Aisle 3,2,,,grocery,
200,Red Grapes,,,$2.99,lb,1.4,true,30.5,Produce,Aisle 1,1,,,grocery,10
300,Lager,Brew,"6 pack, 12 fl oz",9.99,each,,no,,Alcohol,Aisle 9,1,0.60,yes,,
"""


@pytest.fixture
def feed(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "feed.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def take(store_id: int, path: Path, now: datetime = NOW) -> FeedReport:
    return services.import_items(store_id=store_id, rows=services.feed_items(path), now=now)


def counts(report: FeedReport) -> tuple[int, int, int, int, int]:
    return report.rows, report.created, report.updated, report.unchanged, report.bad_rows


def by_code(store_id: int) -> dict[str, models.Item]:
    return {row.lookup_code: row for row in models.Item.objects.filter(store_id=store_id)}


def test_the_fields_own_columns_become_items(feed) -> None:
    store = make_store()
    report = take(store.id, feed(OWN))
    assert counts(report) == (3, 3, 0, 0, 0)
    rows = by_code(store.id)
    found = selectors.items_by_id(store_id=store.id, item_ids=[row.pk for row in rows.values()])
    milk, grapes, lager = (found[rows[code].pk] for code in ("100", "200", "300"))
    assert (milk.name, milk.brand, milk.size, milk.price, milk.unit_price_text) == (
        "Whole Milk", "Farm", "1 gal", Money(349), "$3.49/gal",
    )  # fmt: skip
    assert (milk.department, milk.department_slug, milk.aisle, milk.rank) == (
        "Dairy & Eggs",
        "dairy-eggs",
        "Aisle 3",
        2,
    )
    assert (milk.cost_unit, milk.sold_by, milk.par_weight, milk.max_in_cart) == ("each", "count", None, 99)
    assert (grapes.cost_unit, grapes.sold_by, grapes.par_weight, grapes.max_in_cart) == (
        "lb",
        "weight",
        Decimal("1.4"),
        10,
    )
    assert (lager.tax_category, lager.deposit, lager.alcoholic, lager.in_assortment) == (
        "alcohol",
        Money(60),
        True,
        False,
    )
    assert report.balances == {milk.id: Decimal(12), grapes.id: Decimal("30.5"), lager.id: None}


def test_a_feed_again_changes_nothing_and_what_changed_is_written(feed) -> None:
    store = make_store()
    take(store.id, feed(OWN))
    before = by_code(store.id)
    assert counts(take(store.id, feed(OWN), LATER)) == (3, 0, 0, 3, 0)
    assert {row.changed_at for row in by_code(store.id).values()} == {NOW}

    other = OWN.replace("3.49", "3.59") + "400,Tea,,,1.00,each,,,,Pantry,,,,,,\n"
    assert counts(take(store.id, feed(other), LATER)) == (4, 1, 1, 2, 0)
    after = by_code(store.id)
    assert {code: row.changed_at for code, row in after.items()} == {"100": LATER, "200": NOW, "300": NOW, "400": LATER}
    assert (after["100"].price_cents, after["100"].pk, after["100"].product_id) == (
        359, before["100"].pk, before["100"].product_id,
    )  # fmt: skip


def test_items_the_feed_does_not_name_stay(feed) -> None:
    store = make_store()
    take(store.id, feed(OWN))
    take(store.id, feed("lookup_code,name,cost_price_per_unit\n400,Tea,1.00\n"))
    assert set(by_code(store.id)) == {"100", "200", "300", "400"}


def test_stores_of_one_retailer_share_products_and_others_do_not(feed) -> None:
    stores = [make_store(), make_store(), make_store(retailer="Somebody Else")]
    for store in stores:
        take(store.id, feed(OWN))
    assert len({sharding.alias_for("store", store.id) for store in stores}) > 1
    one, two, other = ({code: row.product_id for code, row in by_code(store.id).items()} for store in stores)
    assert one == two
    assert not set(one.values()) & set(other.values())
    assert models.Product.objects.count() == models.ProductCode.objects.count() == 6


BAD = """\
lookup_code,name,cost_price_per_unit,cost_unit,balance_on_hand,tax_category
1,Good,1.00,each,3,grocery
2,Bad price,NaN,each,3,
3,Bad price,٣,each,3,
4,Bad price,1_000,each,3,
5,Bad price,1e2,each,3,
6,Bad price,-1,each,3,
7,Bad price,0.00,each,3,
8,Bad unit,1.00,stone,3,
9,Half an egg,1.00,each,3.5,
10,=cmd|'/c calc'!A0,1.00,each,3,
,No code,1.00,each,3,
12,,1.00,each,3,
1,Same code,1.00,each,3,
14,Two wrong,free,each,much,
15,Too many,1.00,each,3,,more
16,Bad tax,1.00,each,3,luxury
17,Also good,2.00,lb,3.5,
"""


def test_bad_rows_are_told_by_line_and_column_and_good_ones_are_in(feed) -> None:
    store = make_store()
    report = take(store.id, feed(BAD))
    assert counts(report) == (17, 2, 0, 0, 15)
    assert set(by_code(store.id)) == {"1", "17"}
    assert by_code(store.id)["1"].name == "Good"
    found = [(error.line, error.column, error.value, error.reason) for error in report.errors]
    price = "is not a price such as 2.15"
    assert found == [
        (3, "cost_price_per_unit", "NaN", price),
        (4, "cost_price_per_unit", "٣", price),
        (5, "cost_price_per_unit", "1_000", price),
        (6, "cost_price_per_unit", "1e2", price),
        (7, "cost_price_per_unit", "'-1", price),
        (8, "cost_price_per_unit", "0.00", "is not a price above zero"),
        (9, "cost_unit", "stone", "is not each, lb or kg"),
        (10, "balance_on_hand", "3.5", "is not whole, though the item is sold by count"),
        (11, "name", "'=cmd|'/c calc'!A0", "starts like a spreadsheet formula"),
        (12, "lookup_code", "", "is empty"),
        (13, "name", "", "is empty"),
        (14, "lookup_code", "1", "is on line 2 already"),
        (15, "cost_price_per_unit", "free", price),
        (15, "balance_on_hand", "much", "is not a quantity such as 1.250"),
        (16, "", "", "has 7 cells where the header has 6"),
        (17, "tax_category", "luxury", "is not alcohol, general, grocery"),
    ]
    run = models.FeedRun.objects.get(pk=report.run_id)
    assert (run.store_id, run.at, run.rows, run.created, run.bad_rows) == (store.id, NOW, 17, 2, 15)
    kept = models.FeedRowError.objects.filter(feed_run=run).order_by("line", "id")
    assert [(row.line, row.column, row.value, row.reason) for row in kept] == found


def test_a_file_that_breaks_off_leaves_everything_as_it_was(feed) -> None:
    store = make_store()
    take(store.id, feed(OWN))
    broken = OWN.replace("3.49", "3.59") + "x" * (tables.MAX_LINE + 1)
    with pytest.raises(tables.Unreadable):
        take(store.id, feed(broken), LATER)
    assert {row.changed_at for row in by_code(store.id).values()} == {NOW}
    assert models.FeedRun.objects.filter(store_id=store.id).count() == 1


def test_a_header_we_do_not_know_is_refused(feed) -> None:
    store = make_store()
    with pytest.raises(tables.Unreadable, match="header names neither"):
        take(store.id, feed("sku,price\n1,2.00\n"))
    assert by_code(store.id) == {}


def test_a_feed_for_no_store_is_refused(feed) -> None:
    with pytest.raises(StoreNotFound):
        take(4, feed(OWN))
    assert not models.Product.objects.exists()


def test_an_empty_feed_is_a_run_without_rows(feed) -> None:
    report = take(make_store().id, feed("lookup_code,name,cost_price_per_unit\n"))
    assert counts(report) == (0, 0, 0, 0, 0)


def test_a_thousand_items_take_as_many_queries_as_one(
    django_assert_num_queries: Callable[..., object],
) -> None:
    for count in (1, 1000):
        store = make_store(retailer=f"Retailer of {count}")
        rows: list[FeedItem | RowError] = [
            FeedItem(lookup_code=str(n), name=f"Item {n}", price_cents=n) for n in range(1, count + 1)
        ]
        alias = sharding.alias_for("store", store.id)
        with django_assert_num_queries(1 + 6 + 2, using="default"):  # store; products; savepoint
            services.import_items(store_id=store.id, rows=rows, now=NOW)
        with django_assert_num_queries(7 + 1 + 2, using=alias):  # merge; run; savepoint
            services.import_items(store_id=store.id, rows=rows, now=NOW)


def test_one_item_is_put_on_the_shelf() -> None:
    store = make_store()
    item = FeedItem(lookup_code="1", name="Tea", price_cents=199)
    item_id = services.put_item(store_id=store.id, item=item, now=NOW)
    assert services.put_item(store_id=store.id, item=item, now=LATER) == item_id
    row = by_code(store.id)["1"]
    assert (row.pk, row.price_cents, row.changed_at) == (item_id, 199, NOW)


@pytest.mark.parametrize(
    "wrong",
    [{"price_cents": 0}, {"name": ""}, {"lookup_code": ""}, {"cost_unit": "stone"}, {"tax_category": "luxury"}],
)
def test_an_item_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    store = make_store()
    values: dict[str, object] = {"lookup_code": "1", "name": "Tea", "price_cents": 199}
    with pytest.raises(ItemInvalid):
        services.put_item(store_id=store.id, item=FeedItem(**(values | wrong)), now=NOW)  # type: ignore[arg-type]
    assert by_code(store.id) == {}
    assert not models.Product.objects.exists()


SALES = """\
lookup_code,name,cost_price_per_unit,sale_price_per_unit,sale_starts_at,sale_ends_at
100,Milk,3.49,2.79,2026-03-01T06:00-05:00,2026-03-08T06:00-05:00
200,Tea,4.00,4.00,,
300,Soap,2.00,1.00,2026-03-08T00:00Z,2026-03-08T00:00Z
400,Salt,1.00,0.50,next week,
"""


def test_a_feed_brings_sales_and_the_next_one_ends_them(feed) -> None:
    store = make_store()
    report = take(store.id, feed(SALES))
    assert [(error.line, error.column) for error in report.errors] == [
        (3, "sale_price_per_unit"),
        (4, "sale_ends_at"),
        (5, "sale_starts_at"),
    ]
    (row,) = by_code(store.id).values()
    with clock.shifted_to(NOW):
        milk = selectors.item(store_id=store.id, item_id=row.pk)
    assert (milk.price, milk.list_price) == (Money(279), Money(349))
    assert milk.sale_ends_at == datetime(2026, 3, 8, 11, tzinfo=UTC)
    with clock.shifted_to(milk.sale_ends_at):
        over = selectors.item(store_id=store.id, item_id=row.pk)
    assert (over.price, over.sale_ends_at) == (Money(349), None)
    take(store.id, feed("lookup_code,name,cost_price_per_unit\n100,Milk,3.49\n"))
    with clock.shifted_to(NOW):
        assert selectors.item(store_id=store.id, item_id=row.pk).price == Money(349)


def test_a_sale_that_is_none_is_refused(feed) -> None:
    store = make_store()
    milk = FeedItem(lookup_code="1", name="Milk", price_cents=349, sale_price_cents=349)
    with pytest.raises(ItemInvalid):
        services.put_item(store_id=store.id, item=milk, now=NOW)
    assert not by_code(store.id)
