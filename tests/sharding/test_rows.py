"""Writing rows: where they land, and what the database itself refuses."""

import pytest
from django.db import IntegrityError, connections, transaction

import sharding
from sharding import BucketMoved, CrossShardQuery, MisplacedRow, UnroutableQuery
from sharding.ids import milliseconds_of_id
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.shop.models import Customer, Line, Order, Receipt, Stock, Store

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def customers() -> None:
    for customer_id in (ONE, SAME_SHARD, OTHER):
        Customer.objects.create(id=customer_id, name="c")


def count_everywhere(model) -> int:
    return sum(model.objects.using(alias).count() for alias in sharding.aliases("customer"))


def test_a_new_row_gets_an_id_with_its_bucket_and_lands_on_its_shard(asked, first, last):
    for customer_id, alias in ((ONE, first), (OTHER, last)):
        with asked() as aliases:
            order = Order.objects.create(customer_id=customer_id, store_id=1)
        assert aliases == [alias]
        assert sharding.bucket_of_id(order.pk) == customer_id
        assert order._state.db == alias
        assert sharding.alias_of_id("customer", order.pk) == alias
    order = Order(customer=Customer(id=OTHER), store_id=1)
    order.save()
    assert order._state.db == last


def test_save_delete_and_refresh_follow_the_rows_own_key(asked, last):
    order = Order.objects.create(customer_id=OTHER, store_id=1)
    with asked() as aliases:
        order.total = 5
        order.save()
        order.save(update_fields=["total"])
        order.refresh_from_db()
    assert aliases == [last] * 3
    assert order.total == 5
    with asked() as aliases:
        order.delete()
    assert set(aliases) == {last}
    assert count_everywhere(Order) == 0


def test_bulk_create_and_update_work_on_one_shard_and_refuse_two(asked, first):
    rows = [Order(customer_id=id, store_id=1, total=n) for n, id in enumerate((ONE, SAME_SHARD, ONE))]
    with asked() as aliases:
        made = Order.objects.bulk_create(rows)
    assert aliases == [first]
    assert [sharding.bucket_of_id(order.pk) for order in made] == [ONE, SAME_SHARD, ONE]
    for order in made:
        order.total += 10
    assert Order.objects.bulk_update(made, ["total"]) == 3
    assert sorted(Order.objects.using(first).values_list("total", flat=True)) == [10, 11, 12]

    elsewhere = Order.objects.create(customer_id=OTHER, store_id=1)
    with pytest.raises(CrossShardQuery, match="bulk_create"):
        Order.objects.bulk_create([Order(customer_id=ONE, store_id=1), Order(customer_id=OTHER, store_id=1)])
    with pytest.raises(CrossShardQuery, match="bulk_update"):
        Order.objects.bulk_update([*made, elsewhere], ["total"])
    assert count_everywhere(Order) == 4
    assert Order.objects.bulk_create([]) == []
    assert Order.objects.bulk_update([], ["total"]) == 0


def test_bulk_create_can_ignore_or_update_what_is_there(first):
    Order.objects.create(customer_id=ONE, store_id=1, code="a", total=1)
    again = [Order(customer_id=ONE, store_id=1, code="a", total=2)]
    Order.objects.bulk_create(again, ignore_conflicts=True)
    assert Order.objects.get(customer_id=ONE).total == 1
    Store.objects.create(id=4, name="s")
    for on_hand in (1, 2):
        Stock.objects.bulk_create(
            [Stock(store_id=4, product_id=9, on_hand=on_hand)],
            update_conflicts=True,
            unique_fields=["store_id", "product_id"],
            update_fields=["on_hand"],
        )
    assert Stock.objects.get(pk=(4, 9)).on_hand == 2


def test_get_or_create_and_update_or_create_go_by_the_key_in_the_lookup(last):
    made, created = Order.objects.get_or_create(customer_id=OTHER, code="a", defaults={"store_id": 1})
    assert (created, made._state.db) == (True, last)
    assert Order.objects.get_or_create(customer_id=OTHER, code="a", defaults={"store_id": 2}) == (made, False)
    changed, created = Order.objects.update_or_create(customer_id=OTHER, code="a", defaults={"total": 9})
    assert (changed.total, created) == (9, False)
    customer = Customer.objects.get(pk=OTHER)
    assert customer.orders.get_or_create(code="a", defaults={"store_id": 2}) == (made, False)
    with pytest.raises(UnroutableQuery):
        Order.objects.get_or_create(code="a", defaults={"customer_id": OTHER, "store_id": 1})
    assert count_everywhere(Order) == 1


def test_related_managers_write_where_their_row_lives(last):
    customer = Customer.objects.get(pk=OTHER)
    order = customer.orders.create(store_id=1)
    line = order.lines.create(customer_id=OTHER)
    Receipt.objects.create(order=order, customer_id=OTHER)
    other = Order(customer_id=OTHER, store_id=2)
    customer.orders.add(other, bulk=False)
    assert [row._state.db for row in (order, line, other)] == [last] * 3
    again = Order.objects.create(customer_id=OTHER, store_id=2, replaces=order)
    order.replaced_by.remove(again)
    again.refresh_from_db()
    assert again.replaces_id is None


@pytest.mark.parametrize("make", [lambda: Order(store_id=1).save(), lambda: Order.objects.create(store_id=1)])
def test_a_row_without_its_key_goes_nowhere(make, asked):
    with asked() as aliases, pytest.raises(UnroutableQuery, match="has no customer_id yet"):
        make()
    assert aliases == []


def test_the_key_and_the_id_of_a_row_never_change(first):
    order = Order.objects.create(customer_id=ONE, store_id=1)
    for change in (
        {"customer_id": ONE + 10_000},
        {"customer_id": SAME_SHARD},
        {"id": order.pk + 1},
    ):
        with pytest.raises(MisplacedRow, match="never change"), sharding.atomic(order):
            Order.objects.filter(pk=order.pk).update(**change)
    order.customer_id = SAME_SHARD
    with pytest.raises(MisplacedRow, match="never change"), sharding.atomic(order):
        order.save()
    order.refresh_from_db()
    assert order.customer_id == ONE

    order.customer_id = OTHER  # the row stays where it is, and is found there
    with pytest.raises(MisplacedRow, match="never change"), sharding.atomic(order):
        order.save()
    assert count_everywhere(Order) == 1


def test_the_database_refuses_a_misplaced_row_whoever_writes_it(first, last):
    order = Order.objects.create(customer_id=ONE, store_id=1)
    with pytest.raises(BucketMoved, match="bucket 1007 of customer is not written here"), sharding.atomic(last):
        Customer.objects.using(last).create(id=SAME_SHARD + 10_000, name="written past the router")
    assert not Customer.objects.using(last).filter(pk=SAME_SHARD + 10_000).exists()
    for misplaced in (
        lambda: Order.objects.create(id=order.pk + (1 << 8), customer_id=ONE, store_id=1),
        lambda: Line.objects.create(order_id=order.pk, customer_id=SAME_SHARD),
        lambda: Line.objects.using(first).bulk_create([Line(order_id=order.pk, customer_id=SAME_SHARD)]),
        lambda: Receipt.objects.create(order_id=order.pk, customer_id=SAME_SHARD),
        lambda: Customer.objects.create(id=0, name="no number"),
        lambda: Customer.objects.create(id=ONE - 10_000, name="no number"),
    ):
        with pytest.raises(MisplacedRow), sharding.atomic(first):
            misplaced()
    with connections[first].cursor() as cursor, pytest.raises(MisplacedRow), transaction.atomic(using=first):
        cursor.execute("UPDATE shop_line SET customer_id = 3")
        cursor.execute(
            "INSERT INTO shop_line (order_id, customer_id, product_id, quantity) VALUES (%s, 8, 1, 1)", [order.pk]
        )
    assert count_everywhere(Line) == 0
    assert count_everywhere(Receipt) == 0
    assert Order.objects.using(first).count() == 1


def test_a_reference_to_another_bucket_is_refused_before_any_statement(asked):
    order = Order.objects.create(customer_id=ONE, store_id=1)
    with asked() as aliases, pytest.raises(MisplacedRow, match="different buckets"):
        order.lines.create(customer_id=OTHER)
    assert aliases == []


def test_other_integrity_errors_stay_djangos_own():
    Order.objects.create(customer_id=ONE, store_id=1, code="a")
    with pytest.raises(IntegrityError) as caught, sharding.atomic(sharding.home("customer", ONE)):
        Order.objects.create(customer_id=ONE, store_id=1, code="a")
    assert not isinstance(caught.value, sharding.ShardingError)
    assert Order.objects.filter(customer_id=ONE).count() == 1


def test_reserved_ids_are_distinct_ascending_and_fit_their_key(asked, last):
    with asked() as aliases:
        ids = sharding.reserve_ids(sharding.home("customer", OTHER), 5000)
    assert aliases == [last]
    assert len(set(ids)) == 5000
    assert ids == sorted(ids)
    assert {sharding.bucket_of_id(id) for id in ids} == {OTHER}
    order = Order.objects.create(id=ids[0], customer_id=OTHER, store_id=1)
    assert Order.objects.get(pk=ids[0]) == order
    assert sharding.bucket_of_id(sharding.reserve_ids(order, 1)[0]) == OTHER
    with pytest.raises(sharding.ShardingError, match="carries its bucket"):
        sharding.reserve_ids(Order(), 1)


def test_many_rows_in_one_bucket_get_distinct_ids(first):
    made = Order.objects.bulk_create([Order(customer_id=ONE, store_id=1) for _ in range(3000)])
    assert len({order.pk for order in made}) == 3000


def test_an_id_tells_the_time_of_its_making(first):
    with connections[first].cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp()) * 1000")
        (now,) = cursor.fetchone()
    made = milliseconds_of_id(Order.objects.create(customer_id=ONE, store_id=1).pk)
    assert -1 <= made - now < 10_000
