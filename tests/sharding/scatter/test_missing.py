"""Asking all shards when one of them is dead, frozen or slow: what the others' callers get, and when."""

import selectors
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.db import DataError, connections
from django.db.models import Count, F, FloatField, Func, IntegerField, Sum, Value
from django.db.models.lookups import GreaterThan

import sharding
from deploy.local import faults, postgres
from sharding import breakers, topology
from sharding.errors import CrossShardQuery, ShardsMissing, ShardUnavailable
from sharding.topology import Keyspace
from tests.sharding import servers
from tests.sharding.samples import Owner
from tests.sharding.servers import at_most, until

WELL, VICTIM = "well", "victim"
TIMEOUT = 0.4


@pytest.fixture(scope="module")
def both() -> Iterator[dict[str, postgres.Server]]:
    with ExitStack() as stack:
        found = {name: stack.enter_context(servers.server(f"scatter-{name}")) for name in (WELL, VICTIM)}
        for n, server in enumerate(found.values()):
            with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
                connection.execute("CREATE TABLE shop_owner (id bigint PRIMARY KEY, name text NOT NULL, rank int)")
                connection.execute(
                    "INSERT INTO shop_owner SELECT g, 'o', g %% 4 FROM generate_series(%s::int, %s::int) g",
                    [5000 * n + 1, 5000 * n + 30],
                )
                connection.execute("CHECKPOINT")  # these servers do not keep what they committed just before a crash
        yield found


@pytest.fixture
def victim(both, django_db_blocker, settings) -> Iterator[postgres.Server]:
    """The server of buckets 5000 and up; both are connected to."""
    settings.SHARDING = {**settings.SHARDING, "BREAKER_SECONDS": 0.5}
    before = topology.current()
    keyspace = Keyspace.of("customer", ((0, 4999, WELL), (5000, 9999, VICTIM)))
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        for name, server in both.items():
            stack.enter_context(servers.alias(name, server.url("postgres")))
        topology.use(replace(before, keyspaces={**before.keyspaces, "customer": keyspace}))
        stack.callback(topology.use, before)
        assert Owner.objects.scatter().count() == 60
        yield both[VICTIM]


@contextmanager
def killed(server: postgres.Server) -> Iterator[None]:
    faults.kill(server)
    try:
        yield
    finally:
        postgres.start(server.directory, durable=False)


def pids() -> list[int]:
    return [connections[alias].connection.info.backend_pid for alias in (WELL, VICTIM)]


def owners(**scatter):
    return Owner.objects.scatter(timeout=TIMEOUT, **scatter).order_by("pk")


@pytest.mark.parametrize("fault", [killed, faults.frozen])
@pytest.mark.parametrize("is_connected", [True, False], ids=["connected", "not connected"])
def test_what_is_missing_is_named_and_the_others_answer_in_time(victim, fault, is_connected):
    if not is_connected:
        connections.close_all()
    with fault(victim):
        with at_most(TIMEOUT), pytest.raises(ShardsMissing, match=f"{VICTIM}.*ask again") as raised:
            list(owners())
        assert list(raised.value.missing) == [VICTIM]
        breakers.of(VICTIM).succeeded()
        some = owners(partial="return")
        with at_most(TIMEOUT):
            assert [owner.pk for owner in some] == [*range(1, 31)]
        assert some.missing_shards == (VICTIM,)
        assert connections[VICTIM].connection is None
        assert len(Owner.objects.filter(pk__in=[1, 2])) == 2
    assert [owner.pk for owner in some] == [*range(1, 31)]  # an answer does not change
    until(lambda: owners(partial="return").count() == 60)
    again = owners(partial="return")
    assert (len(again), again.missing_shards) == (60, ())


def test_every_kind_of_answer_says_what_it_lacks(victim):
    some = owners(partial="return")

    async def later() -> int:
        return await some.acount()

    with killed(victim):
        for n, (ask, answer) in enumerate(
            [
                (some.count, 30),
                (some.exists, True),
                (lambda: some.aggregate(n=Count("pk"), s=Sum("pk")), {"n": 30, "s": 465}),
                (lambda: some.first().pk, 1),
                (lambda: some.last().pk, 30),
                (lambda: some[3].pk, 4),
                (lambda: some.get(pk__gt=29).pk, 30),
                (lambda: some.latest("pk").pk, 30),
                (lambda: some.earliest("pk").pk, 1),
                (lambda: max(some.in_bulk()), 30),
                (lambda: [owner.pk for owner in some.iterator(chunk_size=7)][-1], 30),
                (async_to_sync(later), 30),
            ]
        ):
            some._missed = ()
            assert ask() == answer
            assert some.missing_shards == (VICTIM,), n
        groups = some.order_by().values("rank").annotate(n=Count("pk")).order_by("rank")
        assert [group["n"] for group in groups] == [7, 8, 8, 7]
        assert groups.missing_shards == (VICTIM,)
        with pytest.raises(ShardsMissing):  # nothing came
            list(some.filter(pk__in=[5001, 5002]))
    until(lambda: owners(partial="return").count() == 60)


def test_a_server_that_is_only_slow_is_told_to_stop_and_keeps_its_connection(victim):
    before = pids()
    sleeping = Func(Value(1.5), function="pg_sleep", output_field=FloatField())
    with at_most(TIMEOUT), pytest.raises(ShardsMissing):
        list(Owner.objects.scatter(timeout=TIMEOUT).filter(rank__gt=-1).annotate(s=sleeping).order_by("pk")[:1])
    assert pids() == before
    with psycopg.connect(victim.url("postgres")) as connection:
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"
        assert connection.execute(f"{running} AND state = 'active'").fetchone() == (0,)
    assert breakers.state(VICTIM) == "closed"
    assert owners().count() == 60


def test_the_slow_one_alone_is_missing(victim):
    with psycopg.connect(victim.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE FUNCTION pause() RETURNS int LANGUAGE plpgsql STABLE AS "
                           "$$ BEGIN PERFORM pg_sleep(1.5); RETURN 1; END $$")  # fmt: skip
    with psycopg.connect(address(WELL), autocommit=True) as connection:
        connection.execute("CREATE FUNCTION pause() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'")
    paused = GreaterThan(Func(function="pause", output_field=IntegerField()), 0)
    with at_most(TIMEOUT):
        some = owners(partial="return").filter(paused)
        assert (len(some), some.missing_shards) == (30, (VICTIM,))
    with at_most(TIMEOUT), sharding.deadline(TIMEOUT), pytest.raises(ShardsMissing, match="no answer within"):
        Owner.objects.scatter(timeout=30).filter(paused).count()
    with sharding.deadline(5):
        assert Owner.objects.scatter().filter(paused).count() == 60
    with sharding.deadline(0), pytest.raises(ShardsMissing, match="the time was up"):
        Owner.objects.scatter().count()


def address(alias: str) -> str:
    parameters = connections[alias].get_connection_params()
    return f"host={parameters['host']} dbname={parameters['dbname']} user={parameters['user']}"


def test_connections_that_were_lost_are_opened_again_before_anybody_notices(victim):
    before = pids()
    for alias, pid in zip((WELL, VICTIM), before, strict=True):
        with psycopg.connect(address(alias), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert owners().count() == 60
    assert set(pids()).isdisjoint(before)


def test_a_connection_that_is_lost_in_a_transaction_is_not_replaced(victim):
    with pytest.raises(ShardUnavailable), sharding.atomic(VICTIM):
        with psycopg.connect(victim.url("postgres"), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pids()[1]])
        Owner.objects.scatter().filter(pk=5001).count()
    assert owners().count() == 60


def test_a_database_that_keeps_failing_is_left_alone_for_a_while(victim):
    with killed(victim):
        for _ in range(3):
            assert owners(partial="return").count() == 30
        assert breakers.state(VICTIM) == "open"
        with pytest.raises(ShardsMissing, match="left alone"):
            owners().count()
    until(lambda: owners(partial="return").count() == 60)
    assert breakers.state(VICTIM) == "closed"


def test_what_a_server_says_against_a_statement_is_raised_and_nothing_is_left_open(victim):
    before = pids()
    inverse = owners(partial="return").annotate(n=Value(1) / (F("pk") - 5007))
    with pytest.raises(DataError, match="division by zero"):
        list(inverse)
    with pytest.raises(DataError, match="division by zero"):
        list(inverse.iterator(chunk_size=2))
    assert pids() == before
    assert owners().count() == 60


def test_an_interrupted_question_leaves_no_connection_in_the_middle_of_one(victim, monkeypatch):
    sleeping = Func(Value(5), function="pg_sleep", output_field=FloatField())
    assert owners().count() == 60  # both are connected

    def interrupted(self: object, timeout: float | None = None) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt  # as Ctrl-C does where the time is spent

    monkeypatch.setattr(selectors.DefaultSelector, "select", interrupted)
    with at_most(0.2), pytest.raises(KeyboardInterrupt):
        list(Owner.objects.scatter(timeout=30).annotate(s=sleeping).order_by("pk")[:1])
    assert [connections[alias].connection for alias in (WELL, VICTIM)] == [None, None]
    assert owners().count() == 60


def test_a_shard_that_dies_while_being_read_is_missing_from_there_on(victim):
    rows = owners(partial="return")
    seen = rows.iterator(chunk_size=1)
    assert next(seen).pk == 1
    with killed(victim):
        assert [owner.pk for owner in seen] == [*range(2, 31), *range(5001, 5021)]  # what had been fetched
        assert rows.missing_shards == (VICTIM,)
    until(lambda: owners(partial="return").count() == 60)
    with pytest.raises(ShardsMissing):
        seen = owners().iterator(chunk_size=1)
        next(seen)
        with killed(victim):
            list(seen)
    until(lambda: owners(partial="return").count() == 60)


def test_opening_many_connections_waits_for_them_together(victim):
    with ExitStack() as stack:
        names = [f"well_{n}" for n in range(12)]
        for name in names:
            stack.enter_context(servers.alias(name, victim.url("postgres")))
        ranges = tuple((n * 800, n * 800 + 799, name) for n, name in enumerate(names))
        many = Keyspace.of("customer", (*ranges, (9600, 9999, VICTIM)))
        topology.use(replace(topology.current(), keyspaces={"customer": many}))
        assert Owner.objects.scatter().count() == 13 * 30
        for name in names:
            connections[name].close()
        before = threading.active_count()
        with faults.frozen(victim), at_most(TIMEOUT), pytest.raises(ShardsMissing):
            list(Owner.objects.scatter(timeout=TIMEOUT))
        until(lambda: threading.active_count() <= before)


def test_refusals_stay_refusals(victim):
    with killed(victim), pytest.raises(CrossShardQuery):
        list(owners(partial="return").order_by("name"))
    until(lambda: owners(partial="return").count() == 60)
