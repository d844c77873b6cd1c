"""A replica takes over, and what the old primary is told afterwards: nothing."""

import io
import threading
import time
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import sharding
from deploy.local import faults, postgres
from sharding import breakers, directory, doctor, leases, maps, primaries, promotion, topology
from sharding.errors import BucketMoved, ShardingError, ShardUnavailable
from sharding.models import MapVersion
from tests.sharding import servers
from tests.sharding.load import callers
from tests.sharding.servers import until
from tests.sharding.shop.models import Customer, Order

PRIMARY, COPY = "lonely", "lonely_copy"
ADA = 7
LEASE, DEADLINE = 0.6, 0.5


@pytest.fixture
def pair(django_db_setup, django_db_blocker, settings, monkeypatch):
    """A primary and its replica; Ada lives there, and the directory says so."""
    before = settings.SHARDING
    settings.SHARDING = {
        "KEYSPACES": dict.fromkeys(("customer", "store", "shopper"), ((0, 9999, PRIMARY),)),
        "REPLICAS": {PRIMARY: (COPY,)},
        "DEADLINE_SECONDS": DEADLINE,
        "BREAKER_SECONDS": 0.3,
        "LEASE_SECONDS": LEASE,
    }
    monkeypatch.setattr(leases, "FIRST_ANSWER_SECONDS", 0.3)
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        stack.callback(publish)
        stack.callback(lambda: setattr(settings, "SHARDING", before))
        stack.callback(leases.stop)
        primary = stack.enter_context(servers.server(PRIMARY))
        stack.enter_context(servers.alias(PRIMARY, primary.url("postgres")))
        publish()
        servers.make_shop(PRIMARY)
        Customer.objects.create(id=ADA, name="Ada")
        copy = stack.enter_context(servers.server(COPY, copy_of=primary))
        stack.enter_context(servers.alias(COPY, copy.url("postgres")))
        stack.callback(faults.thaw, primary)
        yield primary, copy


@contextmanager
def stale():
    """Make this process one that knows the first map and does not reach the directory."""

    def refuse(timeout=2):
        raise psycopg.OperationalError("connection refused")

    leases.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directory, "connect", refuse)
        topology.use(topology.configured())
        connections[PRIMARY].close()
        assert primaries.address_of(PRIMARY) == PRIMARY
        yield
    leases.stop()
    breakers.reset()


def publish():
    """The settings' map, as the directory's first."""
    MapVersion.objects.all().delete()
    directory.publish()
    topology.reload()


def order():
    def place():
        return Order.objects.create(customer_id=ADA, store_id=1).pk

    return sharding.run(sharding.home("customer", ADA), place)


def on(server, sql="SELECT id FROM shop_order ORDER BY id"):
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        return [row[0] for row in connection.execute(sql)]


def found():
    return [
        (one.severity, one.what, one.remedy)
        for one in doctor.examine(PRIMARY)
        if COPY in one.what + one.remedy or "deposed" in one.what
    ]


def test_a_planned_change_loses_nothing_and_halts_writers_for_a_moment(pair, monkeypatch):
    """Though it was interrupted, and had to be started twice."""
    primary, copy = pair
    placed = []

    def place():
        try:
            placed.append(order())
        except BucketMoved as error:  # it took longer than run() waits
            raise ShardUnavailable(PRIMARY, "still moving") from error

    def interrupt(connection):
        raise KeyboardInterrupt

    said = []
    with callers(place, count=3, pause=0.005) as writers:
        time.sleep(0.4)
        with monkeypatch.context() as patch:
            patch.setattr(promotion, "_fence", interrupt)
            with pytest.raises(KeyboardInterrupt):
                promotion.promote(PRIMARY, COPY)
        assert on(copy, "SELECT pg_is_in_recovery()") == [True]
        promotion.promote(PRIMARY, COPY, say=said.append)
        time.sleep(0.6)

    assert said == [
        "map 2 names lonely_copy as the primary of lonely",
        "lonely accepts nothing any more",
        "lonely_copy has taken over",
        "lonely is fenced; make it a replica of lonely_copy",
    ]
    assert set(placed) <= set(on(copy))  # more may be there: some were told that nobody knows
    assert set(on(primary)) <= set(on(copy))
    assert len(on(copy)) > len(on(primary))
    assert writers.slowest() < 3
    assert all(call.ok for call in writers.calls[-20:])
    assert primaries.address_of(PRIMARY) == COPY
    assert primaries.address_of(COPY) == PRIMARY
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        on(primary, "INSERT INTO shop_order (customer_id, store_id, code, total) VALUES (7, 1, '', 0) RETURNING id")
    promotion.promote(PRIMARY, COPY, say=said.append)  # repeating it changes nothing
    assert directory.read().epoch == 2


def test_an_old_primary_that_returns_accepts_nothing_from_anybody(pair):
    primary, copy = pair
    order()
    until(lambda: len(on(copy)) == 1)
    faults.kill(primary)
    said = []
    began = time.monotonic()
    promotion.promote(PRIMARY, COPY, say=said.append)
    assert LEASE + DEADLINE < time.monotonic() - began < LEASE + DEADLINE + 2
    assert "lonely does not answer" in said[-1]
    assert said[-1].endswith("when it is back: shard promote lonely --finish")
    after = order()

    postgres.start(primary.directory, durable=False)
    before = on(primary)
    with stale():
        with pytest.raises(BucketMoved, match="the server of lonely_copy has taken over"):
            Order.objects.create(customer_id=ADA, store_id=1)
        assert primaries.address_of(PRIMARY) == COPY  # the server itself said so
        later = order()
    assert on(copy)[-2:] == [after, later]
    with stale(), faults.frozen(copy):
        with pytest.raises(ShardUnavailable, match="neither the directory nor lonely_copy says"):
            Order.objects.create(customer_id=ADA, store_id=1)
    assert on(primary) == before

    assert found() == [("error", "lonely was deposed and would accept writes", "shard promote lonely --finish")]
    said = io.StringIO()
    call_command("shard", "promote", PRIMARY, "--finish", stdout=said)
    assert found() == [("warning", "lonely was deposed and follows nobody", "make it a replica of lonely_copy")]
    assert said.getvalue() == "lonely is fenced; make it a replica of lonely_copy\n"
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):  # not even from programs that know nothing of us
        on(primary, "DELETE FROM shop_customer RETURNING 1")
    faults.kill(primary)
    with pytest.raises(CommandError, match="lonely still has a server that is not fenced"):
        call_command("shard", "promote", PRIMARY, "--finish", stdout=io.StringIO())


def test_a_transaction_that_was_open_on_the_old_primary_does_not_commit(pair):
    primary, copy = pair
    is_open, may_commit = threading.Event(), threading.Event()
    told = []

    def write():
        try:
            with sharding.atomic(PRIMARY):
                Order.objects.create(customer_id=ADA, store_id=1)
                is_open.set()
                may_commit.wait(20)
        except (BucketMoved, ShardUnavailable) as error:
            told.append(error)
        finally:
            connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    is_open.wait(5)
    with faults.frozen(primary):  # nobody can fence it; and then it goes on as if nothing had been
        promotion.promote(PRIMARY, COPY)
    may_commit.set()
    writer.join()
    assert [type(error) for error in told] == [BucketMoved]
    assert on(primary) == on(copy) == []


def test_what_cannot_take_over_or_only_by_force(pair, settings, monkeypatch):
    primary, copy = pair
    for alias, server, sentence in [
        ("default", COPY, "holds the directory, which cannot move itself"),
        (PRIMARY, "default", "default is no replica of lonely"),
        (COPY, PRIMARY, "lonely is no replica of lonely_copy"),
    ]:
        with pytest.raises(ShardingError, match=sentence):
            promotion.promote(alias, server)

    with psycopg.connect(copy.url("postgres"), autocommit=True) as busy:
        busy.execute("SELECT pg_advisory_lock(21320, 2)")
        with pytest.raises(ShardingError, match="somebody else is promoting lonely_copy; wait for them"):
            promotion.promote(PRIMARY, COPY)

    keyspaces = topology.current().keyspaces
    moving = maps.with_copies(keyspaces["customer"], ((0, 9, PRIMARY),))
    directory.change(lambda before: topology.ShardMap(before.epoch, {"customer": moving}), "a move")
    with pytest.raises(ShardingError, match=r"buckets of customer are being moved .* roll it back, or say --force"):
        promotion.promote(PRIMARY, COPY)
    directory.change(lambda before: topology.ShardMap(before.epoch, keyspaces), "no move")

    settings.SHARDING = {**settings.SHARDING, "SPARES": {"customer": ("beside",)}}
    with servers.alias("beside", primary.url("template1")):
        topology.use(topology.configured())
        with pytest.raises(ShardingError, match="lonely shares its server with beside"):
            promotion.promote(PRIMARY, COPY)
    settings.SHARDING = {name: value for name, value in settings.SHARDING.items() if name != "SPARES"}
    topology.use(topology.configured())

    monkeypatch.setattr(promotion, "CATCH_UP_SECONDS", 0.3)
    on(copy, "SELECT pg_wal_replay_pause()::text")
    Order.objects.create(customer_id=ADA, store_id=1)
    epoch = directory.read().epoch
    with pytest.raises(ShardingError, match=r"bytes behind lonely and does not catch up; .* say --force to lose them"):
        promotion.promote(PRIMARY, COPY)
    assert directory.read().epoch == epoch
    Order.objects.create(customer_id=ADA, store_id=1)  # nothing was fenced
    monkeypatch.setattr(promotion, "BEHIND_BYTES", 0)
    ((severity, what, _),) = found()
    assert (severity, what.split()[0], what.split()[-2:]) == ("warning", COPY, ["bytes", "behind"])
    on(copy, "SELECT pg_wal_replay_resume()::text")
    promotion.promote(PRIMARY, COPY, force=True)
    assert on(copy, "SELECT pg_is_in_recovery()") == [False]
