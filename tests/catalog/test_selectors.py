from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sharding
from apps.catalog import models, selectors
from apps.catalog.errors import CursorInvalid, ItemNotFound
from apps.catalog.types import Department, Item
from tests.catalog.factories import make_item
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")


def names(items: tuple[Item, ...]) -> list[str]:
    return [item.name for item in items]


def pages(store_id: int, limit: int, **question: str) -> list[list[str]]:
    found, after = [], None
    while True:
        page = selectors.items(store_id=store_id, after=after, limit=limit, **question)
        found.append(names(page.items))
        after = page.next_cursor
        if after is None:
            return found


def test_departments_are_counted_by_name_without_what_is_not_sold() -> None:
    store_id = make_store().id
    make_item(store_id, department="Produce", on_hand=None)
    make_item(store_id, department="Dairy & Eggs", on_hand=None)
    make_item(store_id, department="Dairy & Eggs", on_hand=None)
    make_item(store_id, department="Seasonal", available=False, on_hand=None)
    make_item(make_store().id, department="Elsewhere", on_hand=None)
    assert selectors.departments(store_id=store_id) == (
        Department(slug="dairy-eggs", name="Dairy & Eggs", item_count=2),
        Department(slug="produce", name="Produce", item_count=1),
    )


def test_items_are_listed_in_shelf_order() -> None:
    store_id = make_store().id
    for name, department, aisle, rank in (
        ("Yogurt", "Dairy", "2", 0), ("Butter", "Dairy", "1", 2), ("Milk", "Dairy", "1", 1),
        ("Cream", "Dairy", "1", 2), ("Apples", "Produce", "0", 0),
    ):  # fmt: skip
        make_item(store_id, name=name, department=department, aisle=aisle, rank=rank, on_hand=None)
    make_item(store_id, name="Gone", department="Dairy", available=False, on_hand=None)
    assert pages(store_id, 48) == [["Milk", "Butter", "Cream", "Yogurt", "Apples"]]
    assert pages(store_id, 2) == [["Milk", "Butter"], ["Cream", "Yogurt"], ["Apples"]]
    assert pages(store_id, 2, department="dairy") == [["Milk", "Butter"], ["Cream", "Yogurt"]]
    assert pages(store_id, 48, department="nothing") == [[]]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xY"), st.integers(0, 2)), min_size=1, max_size=12),
    st.integers(1, 5),
)
def test_pages_hold_every_item_once(places: list[tuple[str, str, int]], limit: int) -> None:
    store_id = make_store().id
    for department, aisle, rank in places:
        make_item(store_id, name="Same", department=department, aisle=aisle, rank=rank, on_hand=None)
    after, found = None, []
    while True:
        page = selectors.items(store_id=store_id, after=after, limit=limit)
        found += [item.id for item in page.items]
        if (after := page.next_cursor) is None:
            break
    everything = selectors.items(store_id=store_id, limit=100).items
    assert found == [item.id for item in everything]
    assert len(set(found)) == len(places)


def test_every_word_is_looked_for_in_name_and_brand() -> None:
    store_id = make_store().id
    make_item(store_id, name="Kettle Chips", brand="Clancy's", on_hand=None)
    make_item(store_id, name="Kettle", brand="Home", on_hand=None)
    make_item(store_id, name="100% Juice_", on_hand=None)
    assert pages(store_id, 48, text="clancy KETTLE") == [["Kettle Chips"]]
    assert pages(store_id, 48, text="100%") == [["100% Juice_"]]
    assert pages(store_id, 48, text="e_t") == [[]]  # no wildcard
    assert pages(store_id, 48, text="kettle\x00chips") == [["Kettle Chips"]]


@pytest.mark.parametrize("after", ["", "x", "WyJhIl0", "é", "AAAA" * 1000])
def test_a_made_up_cursor_is_refused(after: str) -> None:
    with pytest.raises(CursorInvalid):
        selectors.items(store_id=make_store().id, after=after)


def test_an_item_of_another_store_or_out_of_assortment_is_not_found() -> None:
    stores = [make_store(), make_store(), make_store()]
    assert len({sharding.alias_for("store", store.id) for store in stores}) > 1
    item = make_item(stores[0].id)
    gone = make_item(stores[0].id, available=False)
    assert selectors.item(store_id=stores[0].id, item_id=item.id) == item
    for store_id, item_id in [(stores[1].id, item.id), (stores[2].id, item.id), (stores[0].id, gone.id), (4, 4)]:
        with pytest.raises(ItemNotFound):
            selectors.item(store_id=store_id, item_id=item_id)
    for store in stores[1:]:
        assert selectors.items_by_id(store_id=store.id, item_ids=[item.id, gone.id, 0, 2**70]) == {}
    assert selectors.items_by_id(store_id=stores[0].id, item_ids=[item.id, gone.id]) == {item.id: item, gone.id: gone}


def test_lists_take_the_same_queries_however_long(django_assert_num_queries: Callable[..., object]) -> None:
    stores = [make_store() for _ in range(4)]
    for store in stores:
        for number in range(6):
            make_item(store.id, department=f"Department {number % 2}", on_hand=None)
    ids = [store.id for store in stores]
    shards = {sharding.alias_for("store", store_id) for store_id in ids}
    one = sharding.alias_for("store", ids[0])
    some = list(models.Item.objects.filter(store_id=ids[0]).values_list("id", flat=True))
    for ask, store_queries, global_queries in (
        (lambda: selectors.departments(store_id=ids[0]), 1, 0),
        (lambda: selectors.items(store_id=ids[0]), 1, 1),
        (lambda: selectors.items_by_id(store_id=ids[0], item_ids=some), 1, 1),
    ):
        with django_assert_num_queries(store_queries, using=one), django_assert_num_queries(global_queries):
            ask()
    for alias in shards:
        with django_assert_num_queries(1, using=alias):
            found = selectors.departments_of(store_ids=ids)
        assert {store_id: [d.item_count for d in departments] for store_id, departments in found.items()} == (
            {key: [3, 3] for key in ids}
        )
        with django_assert_num_queries(1, using=alias), django_assert_num_queries(1):
            first = selectors.first_pages(store_ids=ids, limit=4)
        assert {store_id: len(page.items) for store_id, page in first.items()} == dict.fromkeys(ids, 4)
    assert first == {store_id: selectors.items(store_id=store_id, limit=4) for store_id in ids}
