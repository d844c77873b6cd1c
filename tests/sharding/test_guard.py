"""What the database itself refuses: rows of buckets that it does not own."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db import OperationalError, connections, transaction

import sharding
from sharding import errors, maps, ownership, topology
from sharding.errors import BucketMoved
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.shop.models import Customer, Line, Order

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

HERE, THERE = sharding.alias_for("customer", ONE), sharding.alias_for("customer", OTHER)


@pytest.fixture(autouse=True)
def owned_again() -> Iterator[None]:
    yield
    for alias in (HERE, THERE):
        ownership.reset(connections[alias])


def mark(state: str, bucket: int = ONE, *, moved_to: str | None = None, alias: str = HERE) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "UPDATE sharding_bucket SET state = %s, moved_to = %s, epoch = epoch + 1 "
            "WHERE keyspace = 'customer' AND bucket = %s",
            [state, moved_to, bucket],
        )
        assert cursor.rowcount == 1


def test_a_database_owns_what_the_map_gives_it_and_nothing_else():
    for alias in sharding.aliases("customer"):
        with connections[alias].cursor() as cursor:
            (part,) = ownership.parts(cursor)
        assert (part.keyspace, part.state, part.moved_to) == ("customer", "owned", None)
        assert part.buckets == sharding.topology.keyspace("customer").owned(alias)


def test_nothing_of_a_moved_bucket_is_written_and_the_error_says_where_it_is():
    Customer.objects.create(id=ONE, name="before")
    order = Order.objects.create(customer_id=ONE, store_id=1)
    mark("moved", moved_to=THERE)
    for refused in (
        lambda: Order.objects.create(customer_id=ONE, store_id=1),
        lambda: Order.objects.bulk_create([Order(customer_id=ONE, store_id=1)]),
        lambda: Order.objects.filter(customer_id=ONE).update(store_id=2),
        lambda: Order.objects.filter(customer_id=ONE).delete(),
        lambda: Line.objects.create(order_id=order.pk, customer_id=ONE),
        lambda: Customer.objects.filter(pk=ONE).update(name="after"),
    ):
        with pytest.raises(BucketMoved, match="bucket 7 of customer is not written here") as caught:
            refused()
        diagnosis = caught.value.__cause__.diag  # type: ignore[union-attr]
        assert (diagnosis.message_detail, diagnosis.message_hint) == (THERE, "1")
    assert list(Order.objects.filter(customer_id=ONE).values_list("pk", "store_id")) == [(order.pk, 1)]
    assert Customer.objects.get(pk=ONE).name == "before"
    Customer.objects.create(id=SAME_SHARD, name="its neighbours go on")


@pytest.mark.parametrize("state", ["importing", "missing"])
def test_nothing_is_written_before_a_bucket_is_owned(state):
    if state == "importing":
        mark("importing")
    else:
        with connections[HERE].cursor() as cursor:
            cursor.execute("DELETE FROM sharding_bucket WHERE bucket = %s", [ONE])
    with pytest.raises(BucketMoved):
        Customer.objects.create(id=ONE, name="c")
    assert Customer.objects.filter(pk=ONE).count() == 0


def test_a_replication_worker_may_write_what_is_being_imported():
    mark("importing")
    with transaction.atomic(using=HERE), connections[HERE].cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("INSERT INTO shop_customer (id, name) VALUES (%s, 'copied')", [ONE])
    assert Customer.objects.get(pk=ONE).name == "copied"


def test_who_waited_for_the_bucket_sees_what_happened_meanwhile():
    """The lock comes first and the state after it: read together, the writer would write to the old home."""
    Customer.objects.create(id=ONE, name="before")
    outcome: list[BaseException | None] = []

    def write() -> None:
        try:
            Customer.objects.filter(pk=ONE).update(name="after")
            outcome.append(None)
        except OperationalError as error:
            outcome.append(error)
        finally:
            connections.close_all()

    lock = [sharding.names.bucket_class("customer"), ONE]
    with connections[HERE].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", lock)
        writer = threading.Thread(target=write)
        writer.start()
        waiting = 0
        while not waiting:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            (waiting,) = cursor.fetchone()
        mark("moved", moved_to=THERE)
        assert outcome == []
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", lock)
    writer.join(10)
    assert isinstance(outcome[0], BucketMoved)
    assert Customer.objects.get(pk=ONE).name == "before"


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_snapshot_from_before_the_move_writes_nothing(level):
    Customer.objects.create(id=ONE, name="before")

    def move() -> None:
        mark("moved", moved_to=THERE)
        connections.close_all()

    with pytest.raises(OperationalError) as caught, transaction.atomic(using=HERE):
        with connections[HERE].cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            cursor.execute("SELECT count(*) FROM shop_customer")
        mover = threading.Thread(target=move)
        mover.start()
        mover.join(10)
        Customer.objects.filter(pk=ONE).update(name="after")
    assert errors.sqlstate(caught.value) == errors.SERIALIZATION_FAILURE
    assert Customer.objects.get(pk=ONE).name == "before"


def test_no_table_is_emptied_while_its_rows_are_on_the_way():
    Customer.objects.create(id=ONE, name="c")
    mark("importing", bucket=SAME_SHARD)
    with (
        pytest.raises(OperationalError, match="shop_customer: rows of this table are being moved"),
        connections[HERE].cursor() as cursor,
    ):
        cursor.execute("TRUNCATE shop_customer CASCADE")
    assert Customer.objects.filter(pk=ONE).count() == 1


def test_installing_again_leaves_the_buckets_as_they_are():
    mark("moved", moved_to=THERE)
    sharding.schema.install(connections[HERE])
    with connections[HERE].cursor() as cursor:
        found = {(part.state, part.moved_to) for part in ownership.parts(cursor)}
    assert found == {("owned", None), ("moved", THERE)}


@pytest.mark.crosses_databases
def test_a_transaction_is_not_carried_over_to_another_database_by_a_new_map():
    """Its first statements only read, so they did not hold the bucket; the rest would be done without a transaction."""
    shard_map, home = topology.current(), sharding.home("customer", ONE)
    moved = maps.assigned(shard_map.keyspaces["customer"], ONE, ONE, THERE)
    try:
        with (
            pytest.raises(BucketMoved, match="the map changed while a transaction was open on"),
            sharding.atomic(home),
        ):
            assert not Customer.objects.filter(pk=ONE).exists()
            topology.use(replace(shard_map, keyspaces={**shard_map.keyspaces, "customer": moved}))
            Customer.objects.create(id=ONE, name="neither here nor there")
    finally:
        topology.use(shard_map)
    assert not Customer.objects.using(HERE).filter(pk=ONE).exists()
    assert not Customer.objects.using(THERE).filter(pk=ONE).exists()
