import threading
from dataclasses import replace

import pytest
from django.db import OperationalError, connections, transaction
from django.test.utils import CaptureQueriesContext

import sharding
from sharding import BucketMoved, CrossShardTransaction, leases, maps, testing, topology, transactions
from tests.sharding.conftest import ONE, OTHER
from tests.sharding.shop.models import Customer, Memo, Order

pytestmark = pytest.mark.django_db(databases="__all__")

HERE, THERE = sharding.home("customer", ONE), sharding.home("customer", OTHER)


def exists(customer_id: int) -> bool:
    return Customer.objects.filter(pk=customer_id).exists()


@pytest.mark.parametrize("target", [HERE, Customer(id=ONE), HERE.alias], ids=["home", "row", "alias"])
def test_a_transaction_commits_or_undoes_one_shard(target):
    with sharding.atomic(target) as alias:
        assert alias == HERE.alias
        Customer.objects.create(id=ONE, name="kept")
    with pytest.raises(ZeroDivisionError), sharding.atomic(target):
        Customer.objects.create(id=ONE + 10_000, name="undone")
        _ = 1 / 0
    assert (exists(ONE), exists(ONE + 10_000)) == (True, False)


@pytest.mark.parametrize("first", [sharding.atomic, lambda home: transaction.atomic(using=home.alias)])
def test_a_second_database_inside_is_refused(first):
    with (
        pytest.raises(CrossShardTransaction, match=f"{THERE.alias} cannot start inside one on {HERE.alias}"),
        first(HERE),
    ):
        Customer.objects.create(id=ONE, name="undone")
        with sharding.atomic(THERE):
            Customer.objects.create(id=OTHER, name="never")
    assert (exists(ONE), exists(OTHER)) == (False, False)
    with sharding.atomic(HERE), sharding.atomic(Customer(id=ONE)):
        pass
    with sharding.atomic(HERE):
        pass
    with sharding.atomic(THERE):
        pass


@pytest.mark.parametrize(("is_whole", "saved"), [(True, 0), (False, 1)])
def test_what_is_inside_a_whole_one_has_no_savepoint_of_its_own(is_whole, saved):
    with sharding.atomic(HERE, is_whole=is_whole):
        with CaptureQueriesContext(connections[HERE.alias]) as queries, sharding.atomic(HERE):
            Customer.objects.create(id=ONE, name="kept")
        assert [query["sql"].startswith("SAVEPOINT") for query in queries].count(True) == saved
    assert exists(ONE)
    with sharding.atomic(HERE):  # the next one is as ever
        with pytest.raises(ZeroDivisionError), sharding.atomic(HERE):
            Customer.objects.create(id=ONE + 10_000, name="undone")
            _ = 1 / 0
        assert (exists(ONE), exists(ONE + 10_000)) == (True, False)


def test_what_fails_inside_a_whole_one_fails_all_of_it():
    with pytest.raises(transaction.TransactionManagementError), sharding.atomic(HERE, is_whole=True):
        Customer.objects.create(id=ONE, name="undone")
        with pytest.raises(ZeroDivisionError), sharding.atomic(HERE):
            _ = 1 / 0
        exists(ONE)
    assert not exists(ONE)


def test_another_thread_is_another_matter():
    refused = []

    def elsewhere() -> None:
        try:
            with sharding.atomic(THERE):
                pass
        except CrossShardTransaction as error:
            refused.append(error)
        finally:
            connections.close_all()

    with sharding.atomic(HERE):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert refused == []


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    seen: list[float] = []
    monkeypatch.setattr(transactions, "pause", seen.append)
    return seen


def run(work):
    return sharding.run(HERE, work)


def repeat(work):
    @sharding.repeatable
    def service(*, at: str) -> str:
        assert at == "noon"
        with sharding.atomic(HERE):
            return work()

    return service(at="noon")


@pytest.mark.parametrize("begun", [run, repeat])
@pytest.mark.parametrize("state", ["40SH1", "40001", "40P01"])
def test_work_begins_again_after_a_lost_race(state, begun, pauses):
    tries = []

    def work() -> str:
        tries.append(None)
        Customer.objects.create(id=ONE, name="c")
        if len(tries) < 3:
            fail(HERE.alias, state)
        return "done"

    assert begun(work) == "done"
    assert len(tries) == 3
    assert len(pauses) == 2
    assert 0 <= pauses[0] <= 0.04
    assert exists(ONE)


def fail(alias: str, state: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '{state}'; END $$")


@pytest.mark.parametrize("begun", [run, repeat])
def test_nobody_waits_when_it_is_known_where_the_bucket_went(begun, pauses, monkeypatch):
    shard_map, tries = topology.current(), []

    def learn(alias: str, *, seen: topology.ShardMap) -> bool:
        assert (alias, seen) == (home, shard_map)
        moved = maps.assigned(shard_map.keyspaces["customer"], ONE, ONE, THERE.alias)
        topology.use(replace(shard_map, keyspaces={**shard_map.keyspaces, "customer": moved}))
        return True

    def work() -> str:
        tries.append(HERE.alias)
        if len(tries) == 1:
            fail(HERE.alias, "40SH1")
        return "done"

    monkeypatch.setattr(leases, "moved", learn)
    home = HERE.alias
    try:
        assert begun(work) == "done"
    finally:
        topology.use(shard_map)
    assert tries == [home, THERE.alias]
    assert pauses == []


def test_reserved_ids_come_from_the_home_of_the_bucket_alone():
    with connections[HERE.alias].cursor() as cursor:
        cursor.execute(
            "UPDATE sharding_bucket SET state = 'moved', moved_to = %s WHERE keyspace = 'customer' AND bucket = %s",
            [THERE.alias, HERE.bucket],
        )
    with pytest.raises(BucketMoved), sharding.atomic(HERE):
        sharding.reserve_ids(HERE, 1)
    assert len(sharding.reserve_ids(sharding.home("customer", ONE + 1), 3)) == 3


def test_run_gives_up_after_its_retries_and_leaves_nothing(pauses):
    tries = []

    def work() -> None:
        tries.append(None)
        Customer.objects.create(id=ONE, name="c")
        fail(HERE.alias, "40SH1")

    with pytest.raises(BucketMoved):
        sharding.run(HERE, work, retries=2)
    assert len(tries) == 3
    assert not exists(ONE)


def test_run_does_not_repeat_what_is_no_lost_race(pauses):
    tries = []

    def work() -> None:
        tries.append(None)
        fail(HERE.alias, "55P03")

    with pytest.raises(OperationalError):
        sharding.run(HERE, work)
    assert (len(tries), pauses) == (1, [])


def test_a_single_write_may_be_repeated_as_well(pauses):
    Customer.objects.create(id=ONE, name="a")
    tries = []

    @sharding.repeatable
    def rename() -> int:
        tries.append(None)
        if len(tries) == 1:
            raise BucketMoved(HERE.alias, "not written here")
        return Customer.objects.filter(id=ONE).update(name="b")

    assert rename() == 1
    assert (len(tries), Customer.objects.get(id=ONE).name) == (2, "b")


def test_inside_a_transaction_it_is_the_whole_that_begins_again(pauses):
    inner, outer = [], []

    @sharding.repeatable
    def part() -> None:
        inner.append(None)
        if len(inner) < 3:
            fail(HERE.alias, "40P01")

    def whole() -> None:
        outer.append(None)
        Customer.objects.create(id=ONE, name="c")
        part()

    sharding.run(HERE, whole)
    assert (len(inner), len(outer), len(pauses)) == (3, 3, 2)
    assert exists(ONE)


def test_run_refuses_to_be_part_of_a_transaction():
    called = []
    for alias in (HERE.alias, THERE.alias):
        with pytest.raises(CrossShardTransaction, match="could not begin it again"), transaction.atomic(using=alias):
            sharding.run(HERE, lambda: called.append(None))
    assert called == []


def test_on_commit_waits_for_the_targets_own_transaction(django_capture_on_commit_callbacks):
    done = []
    with django_capture_on_commit_callbacks(using=HERE.alias, execute=True) as callbacks:
        with sharding.atomic(HERE):
            sharding.on_commit(HERE, lambda: done.append("kept"))
            assert done == []
        with pytest.raises(ZeroDivisionError), sharding.atomic(HERE):
            sharding.on_commit(Customer(id=ONE), lambda: done.append("undone"))
            _ = 1 / 0
    assert (done, len(callbacks)) == (["kept"], 1)


@pytest.mark.crosses_databases
class TestGuard:
    """``forbid_cross_database_transactions``, which also watches this whole suite."""

    def test_it_sees_djangos_own_transactions(self):
        with pytest.raises(CrossShardTransaction), testing.forbid_cross_database_transactions():
            with transaction.atomic(using=HERE.alias), transaction.atomic(using=THERE.alias):
                pass

    def test_it_sees_a_query_beside_an_open_transaction(self):
        with pytest.raises(CrossShardTransaction, match=f"default was asked while .* {HERE.alias}"):
            with testing.forbid_cross_database_transactions(), sharding.atomic(HERE):
                Memo.objects.using("default").count()

    def test_it_cannot_be_swallowed(self):
        with pytest.raises(CrossShardTransaction), testing.forbid_cross_database_transactions():
            try:
                with sharding.atomic(HERE):
                    exists(OTHER)
            except CrossShardTransaction:
                pass

    def test_it_sees_other_threads(self):
        def careless() -> None:
            try:
                with transaction.atomic(using=HERE.alias):
                    Customer.objects.using(THERE.alias).count()
            except CrossShardTransaction:
                pass
            finally:
                connections.close_all()

        with pytest.raises(CrossShardTransaction), testing.forbid_cross_database_transactions():
            thread = threading.Thread(target=careless)
            thread.start()
            thread.join()

    def test_it_lets_one_after_the_other_pass_and_what_is_allowed(self):
        with testing.forbid_cross_database_transactions(allow=["default"]):
            with sharding.atomic(HERE):
                Order.objects.filter(customer_id=ONE).count()
                Memo.objects.using("default").count()
            with sharding.atomic(THERE):
                exists(OTHER)
