"""Reads on a real streaming replica, and everything that must not be read there."""

import threading
import time
from contextlib import ExitStack

import pytest
from django.db import connections, transaction
from django.db.models import Exists, OuterRef

import sharding
from deploy.local import faults
from sharding import breakers, replicas, schema, topology
from sharding.errors import ShardingError
from tests.sharding import servers
from tests.sharding.servers import at_most, until
from tests.sharding.shop.models import Customer, Order, Receipt

PRIMARY, COPY = "lonely", "lonely_copy"
ADA = 7


@pytest.fixture(scope="module")
def pair(django_db_blocker):
    """A primary that holds the shop's customers, and its replica."""
    with servers.server(PRIMARY) as primary, django_db_blocker.unblock():
        with servers.alias(PRIMARY, primary.url("postgres")):
            servers.make_shop(PRIMARY)
        with servers.server(COPY, copy_of=primary) as copy:
            yield primary, copy


@pytest.fixture
def shop(pair, django_db_blocker, settings, monkeypatch):
    """Ada, who has one order, all on one server with one replica, which has caught up."""
    settings.SHARDING = {
        "KEYSPACES": dict.fromkeys(("customer", "store", "shopper"), ((0, 9999, PRIMARY),)),
        "REPLICAS": {PRIMARY: (COPY,)},
        "DEADLINE_SECONDS": 0.5,
        "BREAKER_SECONDS": 0.3,
        "WATCH": False,
    }
    monkeypatch.setattr(replicas, "_copies", {})
    topology.reload()
    with ExitStack() as stack:
        stack.callback(topology.forget)
        stack.enter_context(django_db_blocker.unblock())
        for alias, server in zip((PRIMARY, COPY), pair, strict=True):
            stack.callback(faults.thaw, server)
            stack.enter_context(servers.alias(alias, server.url("postgres")))
        schema.install(connections[PRIMARY])
        with connections[PRIMARY].cursor() as cursor:
            cursor.execute("TRUNCATE shop_customer CASCADE")
        Customer.objects.create(id=ADA, name="Ada")
        order = Order.objects.create(customer_id=ADA, store_id=1)
        until(lambda: on_copy("SELECT count(*) FROM shop_order") == [(1,)])
        yield order
        on_copy("SELECT pg_wal_replay_resume()")


@pytest.fixture
def paused(shop):
    """The replica receives and does not replay."""
    on_copy("SELECT pg_wal_replay_pause()")
    until(lambda: on_copy("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])


def on_copy(sql, *params):
    with connections[COPY].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else None


def where(queryset=None):
    """Where a read runs."""
    rows = list(Order.objects.filter(customer=ADA) if queryset is None else queryset)
    assert len({row._state.db for row in rows}) == 1
    return rows[0]._state.db


def test_a_read_goes_to_the_copy_only_where_it_was_allowed(shop):
    assert where() == PRIMARY
    with sharding.replica_reads():
        until(lambda: where() == COPY)
        assert Order.objects.filter(customer=ADA).count() == 1
        assert Order.objects.filter(customer=ADA).exists()
        assert where(Order.objects.using(PRIMARY).filter(customer=ADA)) == PRIMARY
    assert where() == PRIMARY


def test_a_caller_sees_what_it_wrote_wherever_it_reads(shop, paused):
    with sharding.replica_reads():
        until(lambda: where() == COPY)
        Order.objects.create(customer_id=ADA, store_id=2)
        assert Order.objects.filter(customer=ADA).count() == 1  # nobody said that it matters
        mine = sharding.written(sharding.home("customer", ADA))
        with sharding.replica_reads(mine):
            assert Order.objects.filter(customer=ADA).count() == 2
            assert where() == PRIMARY
            on_copy("SELECT pg_wal_replay_resume()")
            until(lambda: where() == COPY)
            assert Order.objects.filter(customer=ADA).count() == 2


def test_tokens_are_plain_text_of_each_database(shop):
    first = sharding.written(shop)
    Order.objects.create(customer_id=ADA, store_id=2)
    second = sharding.written(PRIMARY)
    assert first.keys() == second.keys() == {PRIMARY}
    assert replicas.position(second[PRIMARY]) > replicas.position(first[PRIMARY]) > 0
    assert {**first, **second, "other": "0/1"} == {PRIMARY: second[PRIMARY], "other": "0/1"}
    for nonsense in ("", "0", "x/y", "0/"):
        with pytest.raises(ShardingError, match=r"no token of a database; keep what sharding.written\(\) returns"):
            replicas.position(nonsense)


def test_a_token_is_not_taken_before_the_commit(shop):
    with sharding.atomic(shop), pytest.raises(ShardingError, match="would not cover its commit; call it afterwards"):
        sharding.written(shop)


def test_a_copy_that_lags_is_left_in_time(shop):
    with sharding.replica_reads(max_lag=1):
        until(lambda: where() == COPY)
        on_copy("SELECT pg_wal_replay_pause()")
        began = time.monotonic()
        until(lambda: Order.objects.create(customer_id=ADA, store_id=3) and where() == PRIMARY)
        assert time.monotonic() - began < 1.5
        assert replicas.lag(COPY, PRIMARY) > 0.5
        on_copy("SELECT pg_wal_replay_resume()")
        until(lambda: where() == COPY)


def test_a_copy_of_an_idle_primary_does_not_grow_old(shop):
    with sharding.replica_reads(max_lag=0.5):
        until(lambda: where() == COPY)
        time.sleep(1.2)
        where()
        assert where() == COPY


def test_a_copy_that_is_cut_off_is_left_though_it_believes_itself_up_to_date(shop):
    before = on_copy("SHOW primary_conninfo")[0][0]
    on_copy("ALTER SYSTEM SET primary_conninfo = ''")
    on_copy("SELECT pg_reload_conf()")
    try:
        with sharding.replica_reads(max_lag=1):
            until(lambda: Order.objects.create(customer_id=ADA, store_id=3) and where() == PRIMARY)
            assert on_copy("SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()") == [(True,)]
    finally:
        on_copy("ALTER SYSTEM SET primary_conninfo = %s", before)
        on_copy("SELECT pg_reload_conf()")


def test_decisions_are_read_on_the_primary(shop):
    Receipt.objects.create(order=shop, customer_id=ADA)
    with sharding.replica_reads(sharding.written(shop)):
        until(lambda: where() == COPY)
        orders = Order.objects.filter(customer=ADA)
        assert where(Receipt.objects.filter(customer_id=ADA)) == PRIMARY
        assert where(orders.filter(receipt__text="")) == PRIMARY
        assert where(orders.filter(Exists(Receipt.objects.filter(order=OuterRef("pk"), customer_id=ADA)))) == PRIMARY
        assert where(orders.select_related("receipt")) == PRIMARY
        assert where(orders.select_related()) == PRIMARY
        assert where(orders.select_related("customer")) == COPY


def test_transactions_and_locks_stay_on_the_primary(shop):
    with sharding.replica_reads():
        until(lambda: where() == COPY)
        with sharding.atomic(shop):
            assert where() == PRIMARY
            assert where(Order.objects.select_for_update().filter(customer=ADA)) == PRIMARY
        with transaction.atomic(PRIMARY):
            assert where() == PRIMARY
        assert where() == COPY


def test_writes_go_to_the_primary_also_of_rows_read_from_the_copy(shop):
    with sharding.replica_reads():
        until(lambda: where() == COPY)
        order = Order.objects.get(pk=shop.pk)
        assert order._state.db == COPY
        order.total = 5
        order.save()
        assert Order.objects.filter(pk=shop.pk).update(code="x") == 1
        line = order.lines.create(customer_id=ADA)
        assert Order.objects.get_or_create(customer_id=ADA, code="x")[1] is False
        assert order.lines.filter(pk=line.pk).delete()[0] == 1
        order.delete()
    assert not Order.objects.filter(customer=ADA).exists()


def test_a_lost_copy_costs_nobody_an_answer(shop, pair):
    _, copy = pair
    with sharding.replica_reads():
        until(lambda: where() == COPY)
        with faults.frozen(copy):
            with at_most(0.5):
                assert where() == PRIMARY  # the query itself met the silence
            until(lambda: breakers.state(COPY) == "open" or where() == PRIMARY)
            began = time.monotonic()
            for _ in range(20):
                assert where() == PRIMARY
                assert Order.objects.filter(customer=ADA).count() == 1
            assert time.monotonic() - began < 1
        until(lambda: where() == COPY)


def test_two_readers_do_not_wait_for_one_look(shop, pair):
    _, copy = pair
    with faults.frozen(copy):
        slow = threading.Thread(target=lambda: replicas.lag(COPY, PRIMARY) or connections.close_all())
        slow.start()
        time.sleep(0.03)
        with at_most(0, tolerance=0.1), sharding.replica_reads():
            assert where() == PRIMARY
        slow.join()


def test_a_primary_is_nobodys_copy(shop, settings):
    settings.SHARDING = {**settings.SHARDING, "REPLICAS": {PRIMARY: (PRIMARY,)}}
    assert replicas.lag(PRIMARY, PRIMARY) is None
