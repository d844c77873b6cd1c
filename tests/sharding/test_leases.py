"""How a process keeps its map: told at once, checked under a lease, and right while the directory is away."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from django.conf import settings
from django.db import connections, transaction
from django.test import override_settings

import sharding
from sharding import directory, leases, maps, ownership, topology
from sharding.errors import BucketMoved
from sharding.models import MapVersion
from sharding.topology import ShardMap
from tests.sharding.conftest import ONE, OTHER
from tests.sharding.shop.models import Customer

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

HERE, THERE = sharding.alias_for("customer", ONE), sharding.alias_for("customer", OTHER)
LEASE = 0.3


def moved(shard_map: ShardMap) -> ShardMap:
    changed = maps.assigned(shard_map.keyspaces["customer"], ONE, ONE, THERE)
    return replace(shard_map, keyspaces={**shard_map.keyspaces, "customer": changed})


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def watched(tmp_path) -> Iterator[None]:
    MapVersion.objects.all().delete()
    directory.publish()
    with override_settings(
        SHARDING={**settings.SHARDING, "WATCH": True, "LEASE_SECONDS": LEASE, "MAP_FILE": tmp_path / "map.json"}
    ):
        topology.reload()
        yield
        leases.stop()
    topology.reload()
    for alias in (HERE, THERE):
        ownership.reset(connections[alias])


@pytest.fixture
def away(monkeypatch) -> Callable[[], None]:
    """Takes the directory away, and nothing else."""

    def refuse(timeout: int = 2) -> object:
        raise psycopg.OperationalError("connection refused")

    def take() -> None:
        monkeypatch.setattr(directory, "connect", refuse)
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    return take


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Each time a database was asked what it owns."""
    found: list[str] = []
    parts = ownership.parts

    def note(cursor: "psycopg.Cursor[object]") -> object:
        found.append(cursor.connection.info.dbname)
        return parts(cursor)

    monkeypatch.setattr(ownership, "parts", note)
    return found


def hand_over(*, opened: bool = True) -> None:
    """What a finished move leaves behind in the two databases; unopened, what a killed one may leave."""
    for alias, state, home in ((HERE, "moved", THERE), (THERE, "owned" if opened else "importing", None)):
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "INSERT INTO sharding_bucket (keyspace, bucket, state, epoch, moved_to) "
                "VALUES ('customer', %s, %s, 9, %s) "
                "ON CONFLICT (keyspace, bucket) DO UPDATE SET state = excluded.state, moved_to = excluded.moved_to",
                [ONE, state, home],
            )


def test_a_process_hears_of_a_new_map_at_once(watched, settings):
    settings.SHARDING = {**settings.SHARDING, "LEASE_SECONDS": 600}  # by polling it would hear in minutes
    leases.stop()
    topology.reload()
    assert topology.current().epoch == 1
    with connections["default"].cursor() as cursor:  # as another process would
        document = maps.document(moved(topology.current()))
        MapVersion.objects.create(epoch=2, document=document, reason="elsewhere")
        cursor.execute("SELECT pg_notify('sharding_map', '2')")
    assert eventually(lambda: sharding.alias_for("customer", ONE) == THERE)
    assert eventually(lambda: maps.load(settings.SHARDING["MAP_FILE"]).epoch == 2)


def test_a_process_that_was_not_told_looks_by_itself(watched):
    document = maps.document(moved(topology.current()))
    MapVersion.objects.create(epoch=2, document=document, reason="without a word")
    assert eventually(lambda: topology.current().epoch == 2)
    assert sharding.alias_for("customer", ONE) == THERE


def test_an_older_map_is_never_gone_back_to(watched):
    directory.change(moved, "a move")
    MapVersion.objects.filter(epoch=2).delete()  # say, a directory restored from a backup
    time.sleep(LEASE)
    assert topology.current().epoch == 2
    assert sharding.alias_for("customer", ONE) == THERE


def test_with_the_directory_there_no_database_is_asked_what_it_owns(watched, asked):
    time.sleep(2 * LEASE)
    Customer.objects.create(id=ONE, name="c")
    assert Customer.objects.get(pk=ONE).name == "c"
    assert asked == []


def test_with_the_directory_away_routing_goes_on_and_each_database_is_asked_once_a_lease(watched, away, asked):
    Customer.objects.create(id=ONE, name="c")
    away()
    assert eventually(lambda: not leases.is_fresh(HERE))
    until = time.monotonic() + 3.5 * LEASE
    while time.monotonic() < until:
        assert Customer.objects.get(pk=ONE).name == "c"
        assert Customer.objects.filter(pk=OTHER).count() == 0
    for alias in (HERE, THERE):
        assert asked.count(connections[alias].settings_dict["NAME"]) == 4


def test_with_the_directory_away_a_move_is_learnt_from_the_databases(watched, away):
    Customer.objects.create(id=ONE, name="c")
    away()
    hand_over()
    assert eventually(lambda: not leases.is_fresh(HERE))
    with pytest.raises(BucketMoved, match=f"{HERE}: no longer owns 1 buckets that the map gives it"):
        Customer.objects.get(pk=ONE)
    assert sharding.alias_for("customer", ONE) == THERE
    assert sharding.alias_for("customer", ONE + 1) == HERE
    Customer.objects.create(id=ONE, name="c at its new home")
    assert Customer.objects.using(THERE).get(pk=ONE).name == "c at its new home"


def test_with_the_directory_away_nobody_follows_to_a_home_that_is_not_open(watched, away):
    away()
    hand_over(opened=False)
    assert eventually(lambda: not leases.is_fresh(HERE))
    for _ in range(2):
        with pytest.raises(BucketMoved):
            Customer.objects.filter(pk=ONE).count()
    assert sharding.alias_for("customer", ONE) == HERE


def test_with_the_directory_away_rows_on_their_way_in_are_not_taken_for_answers(watched, away):
    """The map of this process is older than the move; only the database knows of it."""
    away()
    with connections[THERE].cursor() as cursor:
        cursor.execute("INSERT INTO sharding_bucket VALUES ('customer', %s, 'importing', 9)", [ONE])
    assert eventually(lambda: not leases.is_fresh(THERE))
    assert topology.keyspace("customer").only(THERE) is None
    with pytest.raises(BucketMoved, match=f"{THERE}: is being filled with buckets that are not its own yet; try again"):
        Customer.objects.using(THERE).count()
    assert topology.keyspace("customer").only(THERE) == topology.keyspace("customer").owned(THERE)
    assert Customer.objects.using(THERE).count() == 0
    assert sharding.alias_for("customer", ONE) == HERE


@pytest.mark.crosses_databases
def test_an_old_snapshot_does_not_confirm_the_map_for_others(watched, away):
    """What a transaction's snapshot says of the buckets may be long ago."""
    with transaction.atomic(using=HERE):
        with connections[HERE].cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT 1 FROM sharding_bucket LIMIT 1")
        away()
        with psycopg.connect(**connections[HERE].get_connection_params()) as mover:
            mover.execute(
                "UPDATE sharding_bucket SET state = 'moved', moved_to = %s WHERE keyspace = 'customer' AND bucket = %s",
                [THERE, ONE],
            )
        assert eventually(lambda: not leases.is_fresh(HERE))
        with pytest.raises(BucketMoved):
            Customer.objects.filter(pk=ONE).count()
    assert not leases.is_fresh(HERE)


def test_a_stale_writer_is_sent_on_by_the_fence(watched):
    stale = topology.current()
    directory.change(moved, "a move")
    hand_over()
    Customer.objects.using(THERE).create(id=ONE, name="before")
    topology.use(stale)
    tries: list[str] = []

    def work() -> int:
        tries.append(sharding.alias_for("customer", ONE))
        return Customer.objects.filter(pk=ONE).update(name="after") or Customer.objects.create(id=ONE, name="x").pk

    assert sharding.run(sharding.home("customer", ONE), work) == 1
    assert tries == [HERE, THERE]
    assert Customer.objects.using(THERE).get(pk=ONE).name == "after"
    assert not Customer.objects.using(HERE).filter(pk=ONE).exists()


def test_without_a_directory_a_process_starts_from_the_last_map_on_disk(watched, away):
    directory.change(moved, "a move")
    path = settings.SHARDING["MAP_FILE"]
    assert eventually(lambda: path.exists() and maps.load(path).epoch == 2)
    leases.stop()
    away()
    started = time.monotonic()
    assert topology.reload().epoch == 2
    assert time.monotonic() - started < leases.FIRST_ANSWER_SECONDS + 1
    assert sharding.alias_for("customer", ONE) == THERE


def test_without_a_directory_and_a_file_the_configured_map_is_checked_with_the_databases(watched, away, settings):
    hand_over()
    leases.stop()
    away()
    settings.SHARDING["MAP_FILE"].unlink(missing_ok=True)
    assert topology.reload().epoch == 0
    with pytest.raises(BucketMoved):
        Customer.objects.filter(pk=ONE).count()
    assert sharding.alias_for("customer", ONE) == THERE


def test_a_fork_watches_for_itself(watched):
    assert leases.is_fresh(HERE)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"no thread" if not leases.is_fresh(HERE) else b"a thread of its parent")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 100) == b"no thread"
    assert leases.is_fresh(HERE)
